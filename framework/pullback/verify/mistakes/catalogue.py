"""Mistakes that people make, each with its name and a sentence for a person.

A mistake is a transformation of what is right. It serves twice: applied to an oracle's pullback it
says what a wrong gradient looks like, and so names it; planted in a right unit it shows that the
checks see it. Those that no single gradient shows (a write, a state, a buffer) have only the second
form, and the check that sees them gives the name.

Most of them were seen in public: in issues of PyTorch, JAX, TensorFlow, autograd, thinc, numpy-ml
and micrograd, and in answers to the question of why dz = ŷ − y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pullback.verify.mistakes.planting import Wrong, with_gradients

Plant: TypeAlias = Callable[[Any], "Any | None"]


@dataclass(frozen=True)
class Mistake:
    """A name, what it means, and how it is made.

    ``plant`` makes a wrong unit from a right one; None where this unit has no place for it.
    ``wrong`` is the mistake as wrong gradients, where it is one. ``shows`` says whether it changes
    what one call returns, at some input: a unit in which it changes nothing has not made it.
    """

    name: str
    explanation: str
    plant: Plant
    wrong: Wrong | None = None
    shows: bool = False


IN_A_BACKWARD: list[Mistake] = []


def named(name: str) -> dict[str, str]:
    """The fields of a result that give a mistake's name; none for no name."""
    if not name:
        return {}
    found = next(one for one in IN_A_BACKWARD if one.name == name)
    return {"mistake": found.name, "explanation": found.explanation}


def gradients(name: str, explanation: str) -> Callable[[Wrong], Wrong]:
    """A mistake in what backward returns: a function from a call to wrong gradients."""

    def noted(wrong: Wrong) -> Wrong:
        planted = Mistake(name, explanation, lambda unit: with_gradients(unit, wrong), wrong, True)
        IN_A_BACKWARD.append(planted)
        return wrong

    return noted


def behaviour(name: str, explanation: str, shows: bool = False) -> Callable[[Plant], Plant]:
    """A mistake in what a unit does: a function from a right unit to a wrong one, or None."""

    def noted(plant: Plant) -> Plant:
        IN_A_BACKWARD.append(Mistake(name, explanation, plant, shows=shows))
        return plant

    return noted
