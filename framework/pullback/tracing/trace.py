"""Every value and every gradient of a staged computation, with its symbol and its equation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback import registry
from pullback.errors import ConfigError, nearest
from pullback.loss import divisor, example_weights, mean
from pullback.net import Net
from pullback.notation import symbols
from pullback.tracing.stages import Place, chain
from pullback.units import Array

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Step:
    """One line of the computation: ``symbol = equation``, its value, and what forward keeps.

    ``number`` is that of the stage, on both ways; ``kept`` the bytes of the arrays that the stage
    keeps for its backward, without parameters (an array that two stages keep is counted at both),
    None on the way back. ``of`` is the symbol of the value that a gradient belongs to.
    """

    number: int
    stage: str
    unit: str
    symbol: str
    equation: str
    value: Array
    kept: int | None = None
    of: str = ""


@dataclass(frozen=True)
class Link:
    """A stage as it was carried out: what its unit took and gave, forward and back.

    ``gradients`` are those of x and of the parameters, ``kept`` the bytes of the residual.
    """

    place: Place
    x: Array
    target: tuple[Array, ...]
    y: Array
    dy: Array
    gradients: tuple[Array, ...]
    kept: int


@dataclass(frozen=True, repr=False)
class Trace:
    """The staged computation of some rows: what is given, the way forward, and the way back.

    ``trace["dz2"]`` is a value or a gradient by its symbol, ``trace.frame`` all of it as a pandas
    table. Printed, it is what ``pullback trace`` shows.
    """

    given: dict[str, Array]
    forward: tuple[Step, ...]
    backward: tuple[Step, ...]
    links: tuple[Link, ...]

    def __repr__(self) -> str:
        return f"Trace of {self.rows} rows: {', '.join(one.symbol for one in self.steps)}"

    def __str__(self) -> str:
        from pullback.tracing.table import plain

        return plain(self)

    def _repr_html_(self) -> str:
        from pullback.tracing.page import fragment

        return fragment(self)

    @property
    def rows(self) -> int:
        return len(self.links[0].x)

    @property
    def steps(self) -> tuple[Step, ...]:
        return (*self.forward, *self.backward)

    def __getitem__(self, symbol: str) -> Array:
        return self.values[self.known(symbol)]

    @property
    def values(self) -> dict[str, Array]:
        """Everything, by its symbol."""
        return self.given | {one.symbol: one.value for one in self.steps}

    def known(self, symbol: str) -> str:
        """The symbol; ConfigError where there is no such one."""
        if symbol not in self.values:
            raise ConfigError(f"nothing is called '{symbol}' here{nearest(symbol, self.values)}")
        return symbol

    @property
    def frame(self) -> pd.DataFrame:
        """A row a step: way, number, stage, unit, symbol, equation, shape, kept, value."""
        import pandas as pd

        columns = ("number", "stage", "unit", "symbol", "equation")
        return pd.DataFrame(
            {
                "way": "forward" if one.kept is not None else "back",
                **{name: getattr(one, name) for name in columns},
                "shape": one.value.shape,
                "kept": one.kept,
                "value": one.value,
            }
            for one in self.steps
        )


def trace(net: Net, loss: Any, x: Array, target: Array) -> Trace:
    """The staged computation of rows x (N, *inputs) with their targets, at the net's parameters.

    The units' own forward and backward are run as in training, into fresh arrays; the last stage
    is the mean, L = (1/N) Σ ℓ. Raises RunError, with the stage, where a unit fails.
    """
    x, target = np.asarray(x, dtype=net.dtype), np.asarray(target)
    net.value_and_gradient(x, target, loss)  # it refuses what is wrong, with the stage
    places = chain(net, loss)
    given = {"x": x}
    ways, y = list[_Way](), x
    for place in places:
        given |= {**place.params, **_target(place, y, target)}
        ways.append(_Way(place, y, (target,) if place.takes_target else ()))
        y = ways[-1].y
    weights, count = example_weights(loss, target), divisor(loss, target, y.shape)
    dy = np.full_like(y, 1 / count)
    last = _Mean(mean(y, count), dy, weights is not None and not (weights == 1).all())
    links = list[Link]()
    for way in reversed(ways):
        links.insert(0, way.back(dy))
        dy = links[0].gradients[0]
    lines = _Lines(links, last)
    return Trace(given, tuple(lines.forward()), tuple(lines.backward()), tuple(links))


def _target(place: Place, y: Array, target: Array) -> dict[str, Array]:
    """The target as the equation of a loss has it: rows, where the loss makes some."""
    if not place.takes_target:
        return {}
    rows = getattr(place.unit, "target_rows", None)
    name = "T" if "T" in symbols(place.notation.forward) else "t"
    return {name: target if rows is None else rows(target, y)}


class _Way:
    """A stage whose forward has been carried out."""

    def __init__(self, place: Place, x: Array, target: tuple[Array, ...]) -> None:
        self.place, self.x, self.target = place, x, target
        self.y, self.residual = place.unit.forward(x, *place.params.values(), *target)

    def back(self, dy: Array) -> Link:
        found = self.place.unit.backward(self.residual, dy)
        gradients = found if self.place.params else (found,)
        kept = _bytes(self.residual, list(self.place.params.values()))
        return Link(self.place, self.x, self.target, self.y, dy, gradients, kept)


def _bytes(residual: Any, params: Sequence[Array]) -> int:
    """Of the distinct arrays in a residual that are no parameters."""
    found: dict[tuple[int, int], int] = {}
    for one in _arrays(residual):
        if not any(np.may_share_memory(one, other) for other in params):
            found[one.__array_interface__["data"][0], one.nbytes] = one.nbytes
    return sum(found.values())


def _arrays(value: Any) -> list[Array]:
    if isinstance(value, np.ndarray):
        return [value]
    several = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | tuple | list):
        return [array for one in several for array in _arrays(one)]
    return []


@dataclass(frozen=True)
class _Mean:
    """The last stage: L, and dL/dℓ."""

    value: float
    dl: Array
    weighted: bool

    @property
    def factor(self) -> str:
        return "1/Σw" if self.weighted else "1/N"


@dataclass(frozen=True)
class _Lines:
    """The lines of both ways. A last stage that is a mere sign is one with the mean."""

    links: Sequence[Link]
    mean: _Mean

    @property
    def signed(self) -> bool:
        last = self.links[-1].place
        return last.notation.forward == f"−{last.input}"

    @property
    def own(self) -> Sequence[Link]:
        """The stages that have a line of their own."""
        return self.links[:-1] if self.signed else self.links

    def forward(self) -> Iterator[Step]:
        for number, link in enumerate(self.own, 1):
            place = link.place
            unit, equation = registry.name_of(place.unit), place.notation.forward
            yield Step(number, place.name, unit, place.output, equation, link.y, link.kept)
        equation = f"{self._sign}({self.mean.factor}) Σ {self.own[-1].place.output}"
        total = np.asarray(self.mean.value)
        yield Step(len(self.own) + 1, "mean", "mean", "L", equation, total, 0)

    @property
    def _sign(self) -> str:
        return "−" if self.signed else ""

    def backward(self) -> Iterator[Step]:
        last, number = self.own[-1].place.output, len(self.own) + 1
        dl = self.links[-1].gradients[0] if self.signed else self.mean.dl
        equation = f"{self._sign}{self.mean.factor}"
        yield Step(number, "mean", "mean", f"d{last}", equation, dl, of=last)
        for link in reversed(self.own):
            number -= 1
            yield from _back(number, link)


def _back(number: int, link: Link) -> Iterator[Step]:
    """The gradients of the parameters, then that of the input, if it is no data."""
    place = link.place
    unit = registry.name_of(place.unit)
    values = dict(zip((place.input, *place.params), link.gradients, strict=True))
    for one in (*place.params, *([place.input] if number > 1 else [])):
        equation = place.notation.gradient(one)
        yield Step(number, place.name, unit, f"d{one}", equation, values[one], of=one)
