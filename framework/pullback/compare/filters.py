"""Which runs an expression is about: ``optimizer.lr > 0.01 and loss in ('mse', 'nll')``.

Comparisons of options, metrics and facts of runs with values, joined by and, or, not. The text is
parsed and read; nothing in it is ever called.
"""

from __future__ import annotations

import ast
import functools
import itertools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from pullback.errors import PullbackError, nearest

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, several: value in several,
    ast.NotIn: lambda value, several: value not in several,
}
_WORDS = {"true": True, "false": False, "null": None}


def matching(frame: pd.DataFrame, expression: str) -> pd.DataFrame:
    """The rows of a frame of runs for which the expression is true.

    A name is an option's (``loss`` for ``loss.name``), a metric's, or one of status, seconds, name.
    A run that has no such value is left out by every comparison with it but ``!=`` and ``not in``.
    Raises PullbackError for a name that no run has, and for anything that is no comparison.
    """
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise PullbackError(f"--where '{expression}' cannot be read: {error}") from error
    truth = _Reader(frame, expression).truth(tree)
    kept = frame[truth]
    kept.attrs = dict(frame.attrs)
    return kept


class _Reader:
    def __init__(self, frame: pd.DataFrame, expression: str) -> None:
        self.frame, self.expression = frame, expression
        self.columns: dict[str, tuple[str, str]] = {}
        for column in frame.columns:
            name = str(column[1])
            self.columns.setdefault(name, (str(column[0]), name))
            self.columns.setdefault(name.removesuffix(".name"), (str(column[0]), name))

    def truth(self, node: ast.expr) -> pd.Series[bool]:
        if isinstance(node, ast.BoolOp):
            join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
            return functools.reduce(join, map(self.truth, node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self.truth(node.operand)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            parts = zip(sides, node.ops, sides[1:], strict=False)
            return functools.reduce(operator.and_, itertools.starmap(self.compared, parts))
        raise self.refused(node, "is no comparison")

    def compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> pd.Series[bool]:
        compare = _COMPARISONS.get(type(op))
        if compare is None:
            raise self.refused(left, "is compared by something else than ==, !=, <, >, in")
        pairs = zip(self.values(left), self.values(right), strict=True)
        absent = isinstance(op, ast.NotEq | ast.NotIn)
        truths = [_holds(compare, a, b, otherwise=absent) for a, b in pairs]
        return pd.Series(truths, self.frame.index, dtype=bool)

    def values(self, node: ast.expr) -> list[Any]:
        """What stands on one side of a comparison, for each run."""
        if isinstance(node, ast.Name | ast.Attribute):
            name = ast.unparse(node)
            if name in _WORDS:
                return [_WORDS[name]] * len(self.frame)
            if name not in self.columns:
                raise self.refused(node, f"is no option or metric{nearest(name, self.columns)}")
            return list(self.frame[self.columns[name]])
        try:
            return [ast.literal_eval(node)] * len(self.frame)
        except ValueError:
            raise self.refused(node, "is neither a name nor a value") from None

    def refused(self, node: ast.expr, why: str) -> PullbackError:
        return PullbackError(f"--where '{self.expression}': '{ast.unparse(node)}' {why}")


def _holds(compare: Callable[[Any, Any], Any], a: Any, b: Any, *, otherwise: bool) -> bool:
    """Values of kinds that cannot be compared are different, and neither is less."""
    try:
        return bool(compare(a, b))
    except TypeError:
        return otherwise
