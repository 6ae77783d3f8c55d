"""The symbols of a unit and their equations, as its docstring writes them.

``y = x W + b;  dx = dy Wᵀ,  dW = xᵀ dy`` says what its output and its inputs are called, what
forward is, and each gradient. Where a docstring says nothing the names are those of forward's
arguments.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pullback import registry

TRANSPOSED = "ᵀ"
SUPERSCRIPTS = {"ᶻ": "z", "ˣ": "x", "ʸ": "y"}
_GREEK = "\u0370-\u03ff"
_LETTER = rf"[^\W\d_{TRANSPOSED}²³{_GREEK}{''.join(SUPERSCRIPTS)}]"
# Words of Latin letters; a Greek letter is a symbol of its own, and βx two of them.
_SYMBOL = re.compile(rf"(?<!{_LETTER})(?<![\d_])(d?[{_GREEK}]\d*|{_LETTER}(?:{_LETTER}|\d)*)")
_ASIDE = re.compile(r"\. |: | = |,? with |, (?:for|the|which|kept) ")  # it ends an equation
_LEFT = re.compile(r"(?:^|[,;.]\s+(?:and(?: in general)? )?)(\w+) = ")


@dataclass(frozen=True)
class Notation:
    """What a unit's values are called, and the right-hand side of each equation, '' if none is."""

    output: str
    inputs: tuple[str, ...]
    forward: str
    backward: Mapping[str, str]

    def gradient(self, name: str) -> str:
        """The equation of the gradient of a value."""
        return self.backward.get(f"d{name}", "")

    def in_terms_of(self, names: Mapping[str, str]) -> Notation:
        """The same with other symbols, and their gradients' symbols with them."""
        return replace(
            self,
            output=names.get(self.output, self.output),
            inputs=tuple(names.get(one, one) for one in self.inputs),
            forward=rewritten(self.forward, names),
            backward={
                rewritten(left, names): rewritten(right, names)
                for left, right in self.backward.items()
            },
        )


def equations(text: str) -> dict[str, str]:
    """The equations of a paragraph, by their left-hand sides without an index; the first of two."""
    found: dict[str, str] = {}
    parts = list(_LEFT.finditer(text))
    for part, following in zip(parts, [*parts[1:], None], strict=False):
        right = text[part.end() : following.start() if following else None]
        left, _, index = part[1].partition("_")
        told = _ASIDE.split(right)[0].rstrip(" ,;.")
        found.setdefault(left, told if len(index) < 2 else "")  # z_most is not all of z
    return found


def notation_of(unit: Any, inputs: int = 1) -> Notation:
    """The notation of a layer with its parameters, or of a loss, that takes so many inputs."""
    cls = type(unit)
    arguments = list(inspect.signature(unit.forward).parameters)[:inputs]
    forward, _, backward = registry.equation(cls).partition(";")
    given, back = equations(forward), equations(backward.strip())
    gradients = [left[1:] for left in back if left.startswith("d") and len(left) > 1]
    if inputs == 1 and gradients:
        arguments = gradients[-1:]
    is_loss = registry.kind_of(cls) == "loss"
    output = next(iter(given), "y")
    if is_loss:
        output = "ℓ" if "ℓ" in given else next(reversed(given), "ℓ")
    return Notation(output, tuple(arguments), given.get(output, ""), back)


def symbols(text: str) -> set[str]:
    """Those that an equation speaks of."""
    return set(_SYMBOL.findall(text))


def rewritten(text: str, names: Mapping[str, str]) -> str:
    """An equation with other symbols: whole ones, those with a d before them, and exponents."""

    def other(found: re.Match[str]) -> str:
        symbol = found[1]
        if symbol in names:
            return names[symbol]
        if symbol.startswith("d") and symbol[1:] in names:
            return f"d{names[symbol[1:]]}"
        return symbol

    for small, letter in SUPERSCRIPTS.items():
        if names.get(letter, letter) != letter:
            text = text.replace(small, f"^{letter}")
    return _SYMBOL.sub(other, text)
