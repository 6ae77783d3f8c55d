"""The values of a derivation at random inputs, and the right gradient of any of them.

L is a function of every value: what is below it in the file is computed again. So the oracles of
:mod:`pullback.verify.oracles`, which ask forward alone, know the gradient of each.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pullback.derivations.source import Derivation, Stage, drawn
from pullback.errors import ConfigError
from pullback.units import Array
from pullback.verify.cases import Case
from pullback.verify.exact import EXACT, Number, low
from pullback.verify.functions import mp
from pullback.verify.oracles import Derivative, derivative, in_floats
from pullback.verify.scalars import Numbers, each

SIZES = ((2, 5, 4), (4, 3, 2), (3, 4, 5))  # of what given takes beside N
ROWS = (3, 5, 2)
MOST_NUMBERS = 200  # in one value, for which there are 110 digits
KNOWN_TO = low.mpf(10) ** -40  # the right gradients, relative, with room


@dataclass(eq=False)
class Draw:
    """One draw: the derivation whose forward counts, and every value by its name."""

    model: Derivation
    values: dict[str, Any]
    _known: dict[str, Derivative] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return int(self.values["N"])

    @property
    def large(self) -> bool:
        """Whether 110 digits would take too long: then floats have to do."""
        return max(np.size(one) for one in self.values.values()) > MOST_NUMBERS

    @functools.cached_property
    def exact(self) -> Draw | None:
        """The same given values, and what follows from them exactly.

        None where the code does not run on exact numbers, or there are too many of them.
        """
        if self.large:
            return None
        given = {name: self.values[name] for name in self.values if name not in self.model.forward}
        values = {
            name: EXACT.array(one) if np.asarray(one).dtype.kind == "f" else one
            for name, one in given.items()
        }
        try:
            for stage in self.model.forward.values():
                result = stage.function(*(values[one] for one in stage.takes))
                values[stage.name] = EXACT.array(result)
        except Exception:  # whatever code of its own does with numbers that are no floats
            return None
        return Draw(self.model, values)

    def downstream(self, name: str, value: Any, until: str = "L", only: str = "") -> Any:
        """The value ``until`` where the value ``name`` is another.

        With ``only``, through that one of its uses; the others have it as it was.
        """
        values = {key: _beside(value, one) for key, one in self.values.items()}
        changed = {name}
        values[name] = value
        for stage in self.model.forward.values():
            direct = name in stage.takes and (not only or stage.name == only)
            if direct or (changed - {name}) & set(stage.takes):
                mine = dict(values)
                if not direct:
                    mine[name] = self.values[name]
                values[stage.name] = stage.function(*(mine[one] for one in stage.takes))
                changed.add(stage.name)
        return values[until]

    def right(self, name: str) -> Derivative:
        """The gradient of L, by an oracle."""
        if name not in self._known:
            oracle = in_floats if self.large else derivative
            self._known[name] = oracle(Whole(self, name).case, np.ones(1))[0]
        return self._known[name]

    def arriving(self, name: str, like: Any) -> Any:
        """The right gradient in the shape of its value: as floats, or beside exact numbers exactly.

        Exact numbers carry what is unsure of it.
        """
        right, shape = self.right(name), np.shape(self.values[name])
        if not isinstance(like, Numbers):
            return right.middle.reshape(shape)
        arithmetic = like.arithmetic
        unsure = low.mpf(float(right.bound.max(initial=0)))

        def number(value: Any) -> Number:
            error = low.mpf(abs(value)) * KNOWN_TO + unsure
            return Number(mp.mpf(value), error, arithmetic)  # type: ignore[arg-type]

        return arithmetic.view(each(number, (right.low + right.high) / 2).reshape(shape))


def _beside(value: Any, other: Any) -> Any:
    """A value as data in the arithmetic of another; the number of rows, too, for 1/N rounds."""
    if not isinstance(value, Numbers):
        return other
    if isinstance(other, int):
        return value.arithmetic.lift(other)
    return value.arithmetic.array(other) if other.dtype.kind in "fO" else other


@dataclass(frozen=True)
class Whole:
    """L as a function of one value, or of one use of it, as a unit; backward is a stage's."""

    draw: Draw
    name: str
    stage: Stage | None = None
    only: str = ""

    @property
    def value(self) -> Array:
        """The value; a single number as an array of one."""
        return np.atleast_1d(self.draw.values[self.name])

    @property
    def case(self) -> Case:
        return Case("", self, (self.value,))

    def forward(self, x: Any) -> tuple[Any, Any]:
        own = x.reshape(self.draw.values[self.name].shape)
        result = np.asarray(self.draw.downstream(self.name, own, only=self.only))
        y = result.reshape(1)
        return (x.arithmetic.view(y) if isinstance(x, Numbers) and y.dtype == object else y), own

    def backward(self, x: Any, _dy: Any) -> Any:
        assert self.stage is not None  # only forward is asked where there is none
        return np.atleast_1d(called(self.stage, self.draw, {self.name: x}, x))


def called(stage: Stage, draw: Draw, values: Mapping[str, Any], like: Any) -> Any:
    """What a backward stage returns for these values, and right gradients where it takes some."""
    found = {}
    for one in stage.takes:
        if one in values:
            found[one] = values[one]
        elif one in draw.values:
            found[one] = _beside(like, draw.values[one])
        else:
            found[one] = draw.arriving(one[1:], like)
    return np.asanyarray(stage.function(*(_copy(found[one]) for one in stage.takes)))


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value


def draws(model: Derivation, seed: int, number: int = 2) -> Iterator[Draw]:
    """Several, of different sizes; small, for a formula knows nothing of sizes."""
    parameters = list(inspect.signature(model.given).parameters.values())[1:]
    names = [one.name for one in parameters if isinstance(one.default, int) and one.name != "N"]
    takes_rows = any(one.name == "N" for one in parameters)
    for place in range(number):
        sizes = dict(zip(names, SIZES[place % len(SIZES)], strict=False))
        rows = {"N": ROWS[place % len(ROWS)]} if takes_rows else {}
        yield draw_of(model, np.random.default_rng([seed, place]), {**rows, **sizes})


def draw_of(model: Derivation, rng: np.random.Generator, sizes: Mapping[str, int]) -> Draw:
    """One; ConfigError where a forward stage fails."""
    values = drawn(model.given, rng, sizes, str(model.path))
    for stage in model.forward.values():
        try:
            result = stage.function(*(values[one] for one in stage.takes))
        except Exception as error:
            told = f"line {stage.line}: {stage.name} raised {type(error).__name__}: {error}"
            raise ConfigError(told, str(model.path)) from error
        values[stage.name] = np.asarray(result)
    if values["L"].shape != ():
        told = f"L has shape {values['L'].shape}, and it has to be one number"
        raise ConfigError(told, str(model.path))
    return Draw(model, values)
