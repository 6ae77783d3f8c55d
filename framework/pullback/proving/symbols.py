"""Scalars that carry a formula and a number: what a unit's own code is run on to be proved."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from pullback.proving.algebra import Algebra, Formula, Rational, plain, rational
from pullback.proving.calculus import apply
from pullback.units import Array
from pullback.verify.functions import FUNCTIONS, mp, real
from pullback.verify.scalars import Arithmetic, Numbers, Scalar, each, exactly, is_short

# What a float stands for that is no short decimal fraction.
CONSTANTS = {float(value): name for name, value in {"π": mp.pi, "e": mp.e}.items()}


class Term(Scalar):
    """A formula, None where it has none (1 / 0), and its value at one point."""

    __slots__ = ("formula",)

    arithmetic: Symbols

    def __init__(self, formula: Formula | None, value: Any, arithmetic: Symbols) -> None:
        self.formula = formula if mp.isfinite(value) else None
        self.value = value
        self.arithmetic = arithmetic

    def __repr__(self) -> str:
        return f"formula of {mp.nstr(self.value, 6)}"

    def __add__(self, other: Any) -> Term:
        b = self.arithmetic.lift(other)
        formula = _of(operator.add, self.formula, b.formula)
        return Term(formula, self.value + b.value, self.arithmetic)

    def __sub__(self, other: Any) -> Term:
        return self + -self.arithmetic.lift(other)

    def __mul__(self, other: Any) -> Term:
        b = self.arithmetic.lift(other)
        formula = _of(operator.mul, self.formula, b.formula)
        return Term(formula, self.value * b.value, self.arithmetic)

    def __truediv__(self, other: Any) -> Term:
        return self * self.arithmetic.lift(other).power(-1)

    def __neg__(self) -> Term:
        formula = _of(lambda x: x.scaled(-1), self.formula)
        return Term(formula, -self.value, self.arithmetic)

    def power(self, exponent: int) -> Term:
        value = self.value**exponent if self.value or exponent >= 0 else mp.inf
        formula = self.formula if mp.isfinite(value) else None
        return Term(_of(lambda x: x.power(exponent), formula), value, self.arithmetic)

    def apply(self, name: str) -> Term:
        value = real(FUNCTIONS[name], self.value)
        formula = self.formula if mp.isfinite(value) else None
        return Term(_of(lambda x: apply(name, x), formula), value, self.arithmetic)


def _of(f: Callable[..., Formula], *formulas: Formula | None) -> Formula | None:
    """f of some formulas, if all of them are known."""
    known = [one for one in formulas if one is not None]
    return f(*known) if len(known) == len(formulas) else None


class Symbols(Arithmetic):
    """The arithmetic of formulas in one algebra."""

    scalar = Term

    def __init__(self) -> None:
        self.algebra = Algebra()

    def exact(self, value: Any) -> Term:
        """A number that is given, as a constant."""
        return self.lift(value)

    def lift(self, value: Any) -> Term:
        if isinstance(value, Term):
            return value
        number = exactly(value)
        if not mp.isfinite(number):
            return Term(None, number, self)
        if isinstance(value, float) and value in CONSTANTS:
            formula = self.algebra.variable(CONSTANTS[value], number)
            return Term(formula, formula.value, self)
        constant = meant(value)
        return Term(self.algebra.constant(constant), rational(constant), self)

    def variables(self, name: str, values: Array) -> Numbers:
        """An array of variables, name[0, 0] and so on, with these values."""
        found = np.empty(values.shape, dtype=object)
        for at in np.ndindex(values.shape):
            value = exactly(values[at])
            found[at] = Term(self.algebra.variable(f"{name}{list(at)}", value), value, self)
        return self.view(found)

    def terms(self, formulas: Array) -> Numbers:
        """An array of formulas as scalars."""
        return self.view(each(lambda one: Term(one, one.value, self), formulas))

    def formulas(self, values: Any) -> Array:
        """The formulas of an array of scalars and constants, None where one has none."""
        return each(lambda one: self.lift(one).formula, values)


def meant(value: Any) -> Rational:
    """The number that a constant of the code is written as: 0.1 is 1/10."""
    if isinstance(value, float | np.floating) and not is_short(float(value)):
        fraction = Fraction(repr(float(value)))
        return plain(fraction)
    return plain(Fraction(value))
