"""A wrong unit from a right one: the same class, options and signature, with one method changed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace
from typing import Any

from pullback.registry import kind_of
from pullback.verify.cases import Case

Gradients = tuple[Any, ...]


class NotApplicable(Exception):
    """A mistake that cannot be made in this call."""


@dataclass(frozen=True)
class Call:
    """One call of a backward: what it was asked, and the right answer to it and to others.

    ``right`` is the right pullback: the unit's own backward where a mistake is planted, an oracle's
    where one is recognised.
    """

    case: Case
    y: Any
    dy: Any
    right: Callable[[Case, Any], Gradients]

    @property
    def x(self) -> Any:
        return self.case.inputs[0]

    @property
    def gradients(self) -> Gradients:
        return self.right(self.case, self.dy)

    @property
    def rows(self) -> int:
        """How many examples, where there are some."""
        return int(self.dy.shape[-1] if self.case.target else self.dy.shape[-2])

    def of(self, dy: Any) -> Gradients:
        """The right gradients for another cotangent."""
        return self.right(self.case, dy)

    def at(self, *inputs: Any) -> Gradients:
        """The right gradients at other inputs."""
        return self.right(replace(self.case, inputs=inputs), self.dy)

    def with_target(self, target: Any) -> Gradients:
        return self.right(replace(self.case, target=(target,)), self.dy)


Wrong = Callable[[Call], Gradients]


def need(condition: Any) -> None:
    """NotApplicable unless the condition holds."""
    if not condition:
        raise NotApplicable


def same_shape(call: Call) -> None:
    """NotApplicable unless the call is of a layer without parameters, whose y is shaped like x."""
    need(call.x.shape == call.y.shape and not call.case.target and len(call.case.inputs) == 1)


def every(f: Callable[[Any], Any], call: Call) -> Gradients:
    """f of each right gradient."""
    return tuple(f(one) for one in call.gradients)


def options_of(unit: Any) -> dict[str, Any]:
    return {field.name: getattr(unit, field.name) for field in fields(unit)}


def planted(unit: Any, **members: Any) -> Any:
    """An instance of a subclass of the unit's class that has these members instead."""
    cls = type(unit)
    wrong = type(cls.__name__, (cls,), {"__module__": cls.__module__, **members})
    return wrong(**options_of(unit))


def of(cls: type, unit: Any) -> Any:
    """The right methods of a class, for the options of a unit: what a case can be made with."""
    right = cls(**options_of(unit))
    return SimpleNamespace(forward=right.forward, backward=right.backward)


def with_gradients(unit: Any, wrong: Wrong) -> Any:
    """The unit with a backward that answers wrongly each call that the mistake can be made in."""
    cls, loss = type(unit), kind_of(type(unit)) == "loss"

    @functools.wraps(cls.forward)
    def forward(self: Any, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        y, residual = cls.forward(self, *arguments, **options)
        return y, (arguments, y, residual)

    @functools.wraps(cls.backward)
    def backward(self: Any, kept: Any, dy: Any, out: Any = None, **_options: Any) -> Any:
        arguments, y, residual = kept
        inputs = arguments[:1] if loss else arguments
        case = Case("", of(cls, self), inputs, arguments[len(inputs) :])

        def right(asked: Case, cotangent: Any) -> Gradients:
            if asked is case:
                return case.backward(residual, cotangent)
            return asked.both(cotangent)[1]

        call = Call(case, y, dy, right)
        try:
            return into(out, wrong(call))
        except NotApplicable:
            return into(out, call.gradients)

    return planted(unit, forward=forward, backward=backward)


def into(out: Any, gradients: Gradients) -> Any:
    """Gradients as backward returns them: alone or as a tuple, in the buffers it was given."""
    buffers = out if isinstance(out, tuple) else (out,)
    laid = tuple(
        one if buffer is None else _fill(buffer, one)
        for one, buffer in zip(gradients, (*buffers, *[None] * len(gradients)), strict=False)
    )
    return laid if len(laid) > 1 else laid[0]


def _fill(buffer: Any, gradient: Any) -> Any:
    buffer[...] = gradient
    return buffer


def with_forward(unit: Any, change: Callable[..., Any]) -> Any:
    """The unit with a forward of which ``change(right, *arguments)`` gives (y, residual)."""
    cls = type(unit)

    @functools.wraps(cls.forward)
    def forward(self: Any, *arguments: Any, out: Any = None) -> Any:
        right = functools.partial(cls.forward, self)
        try:
            y, residual = change(right, *arguments)
        except NotApplicable:
            y, residual = right(*arguments)
        return (y if out is None else _fill(out, y)), residual

    return planted(unit, forward=forward)


def with_backward(unit: Any, change: Callable[..., Any]) -> Any:
    """The unit with a backward that is ``change(right, residual, dy)``, whatever its options."""
    cls = type(unit)

    @functools.wraps(cls.backward)
    def backward(self: Any, residual: Any, dy: Any, out: Any = None, **_options: Any) -> Any:
        found = change(functools.partial(cls.backward, self), residual, dy)
        return into(out, found if isinstance(found, tuple) else (found,))

    return planted(unit, backward=backward)
