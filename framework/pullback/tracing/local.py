"""One stage opened: its Jacobian at a row, the product with the gradient that arrives, and dx."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pullback.errors import ConfigError, nearest
from pullback.tracing.trace import Link, Trace
from pullback.units import Array
from pullback.verify.cases import Case
from pullback.verify.oracles import in_floats


@dataclass(frozen=True)
class Local:
    """The stage y = f(x) at one row: J[j, i] = ∂y_j/∂x_i, dy, the product dy J, and dx.

    J and the product are of 2 axes and more than a row has only where y or x have more than one;
    ``dx`` is what the unit's backward returned, ``unit_jacobian`` J by that backward on dy = e_j,
    one j after the other, and J itself is an oracle's, that asks forward alone.
    """

    link: Link
    row: int
    jacobian: Array
    by_backward: Array
    oracle: str
    dy: Array
    dx: Array

    @property
    def product(self) -> Array:
        """dy J: a row of the shape of x."""
        found: Array = self.dy @ self.jacobian
        return found


def opened(trace: Trace, symbol: str, row: int = 0) -> Local:
    """The stage that takes a value, at one row; ConfigError where no stage takes it."""
    takers = {link.place.input: link for link in trace.links[::-1]}
    if symbol not in takers:
        told = f"no stage takes '{symbol}'{nearest(symbol, takers)}"
        raise ConfigError(told, "--stage")
    link = takers[symbol]
    alone = slice(row, row + 1)
    case = Case("", link.place.unit, (link.x[alone], *link.place.params.values()))
    case = replace(case, target=tuple(one[alone] for one in link.target))
    y, residual = case.forward()
    columns, names = [], set()
    by_backward = []
    for at in np.ndindex(y.shape):
        basis = np.zeros_like(y)
        basis[at] = 1
        only_x = [list(np.ndindex(case.inputs[0].shape)), *([] for _ in case.inputs[1:])]
        known = in_floats(case, basis, only_x)[0]
        names.add(known.oracle)
        columns.append(known.middle.ravel())
        by_backward.append(np.asarray(case.backward(residual, basis)[0]).ravel())
    return Local(
        link=link,
        row=row,
        jacobian=np.stack(columns),
        by_backward=np.stack(by_backward),
        oracle=" and ".join(sorted(names)),
        dy=link.dy[alone].reshape(-1),
        dx=link.gradients[0][row].reshape(-1),
    )
