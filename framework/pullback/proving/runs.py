"""A unit's own forward and backward run on symbols: their results as formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback.proving.algebra import Formula, Undecided
from pullback.proving.calculus import slope
from pullback.proving.symbols import Symbols
from pullback.units import Array
from pullback.verify.cases import Case, UnitError
from pullback.verify.laws.bits import shapes_of


class NoFormula(Exception):
    """A unit whose code does not run on symbols, and why."""


@dataclass(frozen=True)
class Run:
    """A case on symbols: inputs, rows of a target, y, dy and gradients as arrays of formulas."""

    symbols: Symbols
    inputs: list[Array]
    target: list[Array]
    y: Array
    dy: Array
    gradients: list[Array]

    def slopes(self) -> list[Array]:
        """∂ Σ dy y / ∂ x by the rules of calculus, for each input of its shape."""
        pairs = zip(self.dy.ravel(), self.y.ravel(), strict=True)
        total = self.symbols.algebra.total((a * b).terms for a, b in pairs)
        return [_each(lambda x: slope(total, x), one) for one in self.inputs]


def on_symbols(case: Case, symbols: Symbols | None = None) -> Run:
    """Forward and backward of a case with a variable in every place of inputs, rows and dy.

    Raises NoFormula, Undecided, and Failed where the unit is wrong in floats, too.
    """
    symbols = symbols or Symbols()
    inputs = [symbols.variables(f"x{place}", one) for place, one in enumerate(case.inputs)]
    target = [t if t.dtype.kind in "iub" else symbols.variables("t", t) for t in case.target]
    own = replace(case, inputs=_copies(inputs), target=_copies(target))
    try:
        y, residual = own.forward()
        dy = symbols.variables("dy", case.cotangent(np.zeros(y.shape)))
        gradients = own.backward(residual, *_copies([dy]))
    except UnitError as error:
        case.both()  # it raises where floats are refused, too
        if isinstance(error.__cause__, Undecided):
            raise error.__cause__ from error
        raise NoFormula(error.message) from error
    shapes_of(case, gradients)
    rows = [one for one in target if one.dtype == object]
    several = (inputs, rows, [y], [dy], gradients)
    known = [[_formulas(symbols, one) for one in some] for some in several]
    return Run(symbols, known[0], known[1], known[2][0], known[3][0], known[4])


def _copies(arrays: Sequence[Array]) -> tuple[Array, ...]:
    """What a unit may write to, if it does so."""
    return tuple(one.copy() for one in arrays)


def _formulas(symbols: Symbols, values: Any) -> Array:
    """The formulas of numbers; NoFormula where one is none, or has left the symbols."""
    array = np.asarray(values)
    if array.dtype.kind == "f" and array.size:
        raise NoFormula(f"the result is an array of {array.dtype}")
    found = symbols.formulas(array)
    if any(one is None for one in found.ravel()):
        raise NoFormula("a result is not finite")
    return found


def _each(f: Callable[[Any], Formula | None], values: Array) -> Array:
    found = np.empty(values.shape, dtype=object)
    for at in np.ndindex(values.shape):
        found[at] = f(values[at])
    return found


def same(a: Array, b: Array) -> bool:
    """Whether two arrays of formulas are found to be the same."""
    return all((x - y).is_zero for x, y in zip(a.ravel(), b.ravel(), strict=True))
