"""A network and its loss as one chain of plain stages, with the symbols and equations on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pullback import registry
from pullback.net import Net
from pullback.notation import Notation, equations, notation_of, rewritten, symbols
from pullback.options import options_of
from pullback.units import Array


@dataclass(frozen=True)
class Place:
    """One unit in its place: the symbols of its output, its input and its parameters."""

    name: str
    unit: Any
    params: Mapping[str, Array]
    notation: Notation

    @property
    def takes_target(self) -> bool:
        return registry.kind_of(type(self.unit)) == "loss"

    @property
    def output(self) -> str:
        return self.notation.output

    @property
    def input(self) -> str:
        return self.notation.inputs[0]


def chain(net: Net, loss: Any, data: str = "x") -> list[Place]:
    """The stages of the net, then those that the loss stands for, as far as they name others."""
    found: list[Place] = []
    symbol = data
    for stage in net.stages:
        suffix = re.search(r"\d*$", stage.name)[0] or f"_{stage.name}"  # type: ignore[index]
        params = {f"{key}{suffix}": value for key, value in stage.params.items()}
        own = notation_of(stage.layer, 1 + len(params))
        names = dict(zip(own.inputs, (symbol, *params), strict=True)) | {own.output: stage.name}
        found.append(Place(stage.name, stage.layer, params, own.in_terms_of(names)))
        symbol = stage.name
    taken = {data, *(one.output for one in found)}
    for one in _opened(loss, symbol, "ℓ", taken, ""):
        found.append(one)
        taken.add(one.output)
    return found


def _opened(unit: Any, x: str, y: str, taken: set[str], written: str) -> Iterator[Place]:
    """The stages of a unit from x to y; ``written`` is what its user's docstring says it is."""
    stages = getattr(unit, "stages", None)
    own = notation_of(unit)
    if stages is None:
        names = {own.inputs[0]: x, own.output: y} | _target_of(unit)
        named = own.in_terms_of(names)
        forward = written if x in symbols(written) else named.forward
        yield Place(registry.name_of(unit), unit, {}, Notation(y, (x,), forward, named.backward))
        return
    given = equations(registry.equation(type(unit)).partition(";")[0])
    renamed = {own.inputs[0]: x} | _target_of(unit)
    for symbol, one in stages.items():
        output = y if symbol == own.output else _free(symbol, taken)
        renamed[symbol] = output
        yield from _opened(one, x, output, taken, rewritten(given.get(symbol, ""), renamed))
        x = output


def _free(symbol: str, taken: set[str]) -> str:
    return symbol if symbol not in taken else _free(f"{symbol}′", taken)


def _target_of(unit: Any) -> dict[str, str]:
    """T is t where no option makes it another."""
    plain = all(getattr(unit, one.name) == one.default for one in options_of(type(unit)))
    return {"T": "t"} if plain else {}
