"""Which mistake a wrong stage looks like: those that ``pullback check`` knows, in its own place.

The stage of a gradient dx is the pullback of the forward stages from x to the value whose gradient
it takes. They make a unit, in which the known mistakes are looked for as in any other. Else the
whole gradient may be right but for a factor, or for a use of x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback.derivations.draws import Draw, Whole, called
from pullback.derivations.source import Stage
from pullback.units import Array
from pullback.verify.cases import Case
from pullback.verify.diagnosis import near, recognise
from pullback.verify.laws.bits import mistake_of_shape
from pullback.verify.oracles import in_floats

FORGOTTEN = "a use of the value forgotten"
FACTORS = {  # a number, and a power of the number of rows
    "sign": (-1.0, 0),
    "mean missing": (1.0, 1),
    "mean taken twice": (1.0, -1),
    "factor 2 too many": (2.0, 0),
    "factor 2 missing": (0.5, 0),
}
TARGETS = ("t", "target", "targets")


def name_of_shape(stage: Stage, draw: Draw, gradient: Array) -> str:
    """Of a gradient that has not the shape of its value."""
    value = draw.values[stage.of].shape
    return mistake_of_shape(gradient.shape, value, draw.rows)


def name_of_value(stage: Stage, draws: Sequence[Draw]) -> str:
    """Of a gradient that is of the right shape and wrong; the same at every draw, or none."""
    looks = (_in_its_place, _swapped, _factor, _forgotten)
    try:
        return next((name for name in (look(stage, draws) for look in looks) if name), "")
    except Exception:  # the stage fails at another draw
        return ""


def _in_its_place(stage: Stage, draws: Sequence[Draw]) -> str:
    """Among those of a unit's backward: up to the gradient it takes, the next value, or L."""
    for until in _ends(stage, draws[0]):
        found = recognise(*(_local(stage, one, until) for one in draws))
        if found:
            return found["mistake"]
    return ""


def _ends(stage: Stage, draw: Draw) -> list[str]:
    arriving = [one[1:] for one in stage.takes if one not in draw.values]
    if arriving:
        return arriving if len(arriving) == 1 else []
    uses = _uses(stage, draw)
    return [*(uses if len(uses) == 1 else []), "L"]


def _uses(stage: Stage, draw: Draw) -> list[str]:
    """The forward stages that take its value."""
    return [one.name for one in draw.model.forward.values() if stage.of in one.takes]


def _swapped(stage: Stage, draws: Sequence[Draw]) -> str:
    """It is right where the input and the output of the forward stage change places."""
    uses = _uses(stage, draws[0])
    if len(uses) != 1 or not {stage.of, uses[0]} & set(stage.takes):
        return ""
    for one in draws:
        x, y = one.values[stage.of], one.values[uses[0]]
        if x.shape != y.shape:
            return ""
        found = called(stage, one, {stage.of: y, uses[0]: x}, x)
        if not near(found, one.arriving(stage.of, None)):
            return ""
    return "wrong residual"


@dataclass(frozen=True)
class Local:
    """Forward from the inputs of a stage to one value, as a unit; backward with the stage in it."""

    draw: Draw
    stage: Stage
    names: tuple[str, ...]
    until: str

    def forward(self, *arrays: Any) -> tuple[Any, Any]:
        values = {**self.draw.values, **dict(zip(self.names, arrays, strict=False))}
        draw = replace(self.draw, values=values)
        x = values[self.stage.of]
        y = np.asanyarray(draw.downstream(self.stage.of, x, self.until))
        return (y if y.ndim else y.reshape(1)), (draw, arrays)

    def backward(self, residual: Any, dy: Any) -> Any:
        """The stage's own gradient; those of the other inputs are right."""
        draw, arrays = residual
        arriving = dy if np.ndim(self.draw.values[self.until]) else dy.reshape(())
        own = called(self.stage, draw, {f"d{self.until}": arriving}, arrays[0])
        if len(self.names) == 1:
            return own
        right = in_floats(Case("", self, arrays[: len(self.names)], arrays[len(self.names) :]), dy)
        pairs = zip(self.names, right, strict=True)
        return tuple(own if name == self.stage.of else one.middle for name, one in pairs)


def _local(stage: Stage, draw: Draw, until: str) -> tuple[Case, Array]:
    """The unit that the stage is the pullback of, and the gradient that arrives at it."""
    takes = draw.model.forward[until].takes
    names: tuple[str, ...] = (stage.of,)
    target: tuple[Any, ...] = ()
    if stage.of in takes:
        names = tuple(one for one in takes if _is_float(draw.values[one]) and one not in TARGETS)
        if draw.values[until].ndim == 1:
            target = tuple(draw.values[one] for one in takes if one in TARGETS)
    dy = np.ones(1) if until == "L" else np.atleast_1d(draw.arriving(until, None))
    inputs = tuple(draw.values[one] for one in names)
    return Case("", Local(draw, stage, names, until), inputs, target), dy


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _factor(stage: Stage, draws: Sequence[Draw]) -> str:
    """The gradient is right but for a factor that has a name."""
    pairs = [(_own(stage, one), one.arriving(stage.of, None), one.rows) for one in draws]
    for name, (factor, of_rows) in FACTORS.items():
        if all(near(own, factor * n**of_rows * right) for own, right, n in pairs):
            return name
    return ""


def _own(stage: Stage, draw: Draw) -> Array:
    return np.asarray(called(stage, draw, {}, draw.values[stage.of]), dtype=float)


def _forgotten(stage: Stage, draws: Sequence[Draw]) -> str:
    """The gradient is that of one use of the value, which is used more than once."""
    uses = _uses(stage, draws[0])
    for use in uses if len(uses) > 1 else []:
        partial = [_through(use, stage, one) for one in draws]
        if all(near(_own(stage, one), p) for one, p in zip(draws, partial, strict=True)):
            return FORGOTTEN
    return ""


def _through(use: str, stage: Stage, draw: Draw) -> Array:
    whole = Whole(draw, stage.of, only=use)
    return in_floats(whole.case, np.ones(1))[0].middle.reshape(draw.values[stage.of].shape)
