"""Formulas as sums of products of powers: a normal form that tells whether two are the same.

A :class:`Formula` is Σ c ∏ kᵉ with rational c and e. Each k is a kernel of its :class:`Algebra`: a
variable, e to the power of a product, a sum (so that p / P is p P⁻¹), or a function of a formula,
such as its logarithm. The exponential of a sum is a product of kernels, the logarithm of a product
a sum of them; a sum that stands in a denominator is multiplied out when it has to be and not
before. What is found to be 0 in this way is 0; what is not may still be, by a law of a function
that is not known here.

Every kernel is positive at the point that the algebra belongs to, so that √(ab) = √a √b and
log ab = log a + log b hold around it, and in all of its branch, where formulas are analytic.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from pullback.verify.functions import FUNCTIONS, mp

MOST_TERMS = 20_000  # of a product, and of a sum that is multiplied out

Rational: TypeAlias = int | Fraction
Product: TypeAlias = tuple[tuple[int, Rational], ...]  # kernels by their places, and exponents
Terms: TypeAlias = Mapping[Product, Rational]

ONE: Product = ()


class Undecided(Exception):
    """A formula that grew too large, or a derivative that is not known here."""


@dataclass(frozen=True)
class Kernel:
    """A positive number that is raised to powers: ``sign`` times what it is made of.

    ``kind`` is variable, number, sum, or the name of a function; ``argument`` what a sum is, or a
    function is taken of.
    """

    kind: str
    name: str
    argument: Formula | None
    sign: int
    value: Any


@dataclass(frozen=True, eq=False)
class Formula:
    """Σ c ∏ kᵉ."""

    algebra: Algebra
    terms: Terms

    def __add__(self, other: Formula) -> Formula:
        return self.algebra.total((self.terms, other.terms))

    def __sub__(self, other: Formula) -> Formula:
        return self + other.scaled(-1)

    def __mul__(self, other: Formula) -> Formula:
        return self.algebra.times(self.terms, other.terms)

    def __truediv__(self, other: Formula) -> Formula:
        return self * other.power(-1)

    def scaled(self, factor: Rational) -> Formula:
        if not factor:
            return Formula(self.algebra, {})
        return Formula(self.algebra, {one: plain(c * factor) for one, c in self.terms.items()})

    def power(self, exponent: Rational) -> Formula:
        """Of a positive formula, unless the exponent is an integer."""
        return self.algebra.power(self, exponent)

    @functools.cached_property
    def value(self) -> Any:
        """At the point of the algebra."""
        each = (rational(c) * self.algebra.value(one) for one, c in self.terms.items())
        return sum(each, mp.zero)

    @functools.cached_property
    def is_zero(self) -> bool:
        """Whether it is found to be 0 for all variables."""
        return not self.algebra.multiplied_out(self)[1]


@dataclass(eq=False)
class Algebra:
    """The kernels of some formulas, and the laws of powers, exponentials and logarithms."""

    kernels: list[Kernel] = field(default_factory=list)
    _places: dict[Any, int] = field(default_factory=dict)
    slopes: dict[tuple[int, int], Formula] = field(default_factory=dict)  # of kernels, kept

    def constant(self, c: Rational) -> Formula:
        return Formula(self, {ONE: c} if c else {})

    def variable(self, name: str, value: Any) -> Formula:
        """A variable, and its value at the point."""
        return self._kernel("variable", name, None, value, name)

    def _kernel(
        self, kind: str, name: str, argument: Formula | None, value: Any, key: Any
    ) -> Formula:
        """What is known by this key, or else made; with its sign."""
        place = self._places.setdefault((kind, key), len(self.kernels))
        if place == len(self.kernels):
            sign = -1 if value < 0 else 1
            self.kernels.append(Kernel(kind, name, argument, sign, abs(value)))
        return Formula(self, {((place, 1),): self.kernels[place].sign})

    def of(self, place: int) -> Formula:
        """A kernel alone."""
        return Formula(self, {((place, 1),): 1})

    # Sums and products

    def total(self, several: Iterable[Terms]) -> Formula:
        found: dict[Product, Rational] = {}
        for terms in several:
            for product, c in terms.items():
                found[product] = found.get(product, 0) + c
        return Formula(self, {product: c for product, c in found.items() if c})

    def times(self, a: Terms, b: Terms) -> Formula:
        if len(a) * len(b) > MOST_TERMS:
            raise Undecided(f"a product of sums of {len(a)} and {len(b)} terms")
        found: dict[Product, Rational] = {}
        for one, c in a.items():
            for other, d in b.items():
                factor, product = self._joined(one, other)
                found[product] = found.get(product, 0) + c * d * factor
        return Formula(self, {product: plain(c) for product, c in found.items() if c})

    def _joined(self, a: Product, b: Product) -> tuple[Rational, Product]:
        """A product of products."""
        if not (a and b):
            return 1, a or b
        exponents: dict[int, Rational] = dict(a)
        for place, exponent in b:
            exponents[place] = exponents.get(place, 0) + exponent
        return self._powers(exponents)

    def _powers(self, exponents: dict[int, Rational]) -> tuple[Rational, Product]:
        """A product of powers; the whole powers of numbers are the factor."""
        factor: Rational = 1
        for place, exponent in exponents.items():
            kernel = self.kernels[place]
            if kernel.kind == "number" and not 0 <= exponent < 1:
                whole = math.floor(exponent)
                factor *= Fraction(int(kernel.name)) ** whole
                exponents[place] = exponent - whole
        return factor, _product(exponents)

    def value(self, product: Product) -> Any:
        found = mp.one
        for place, exponent in product:
            found *= self.kernels[place].value ** (
                exponent if isinstance(exponent, int) else rational(exponent)
            )
        return found

    def multiplied_out(self, formula: Formula) -> tuple[Product, Terms]:
        """A product and a sum whose product it is: no sum is left in the sum, and no quotient."""
        terms, outside = formula.terms, dict[int, Rational]()
        for place in reversed(range(len(self.kernels))):  # a sum is made of kernels before it
            exponents = [dict(product).get(place, 0) for product in terms]
            if not any(exponents):
                continue
            least = min(exponents)
            if self.kernels[place].kind == "sum":
                least = math.floor(least)
                terms = self._without_sum(place, least, terms, exponents)
            else:
                terms = {raised(one, place, -least): c for one, c in terms.items()}
            outside[place] = least
        return _product(outside), terms

    def _without_sum(
        self, place: int, least: int, terms: Terms, exponents: list[Rational]
    ) -> Terms:
        """The terms over the sum's least power, with its whole powers multiplied out."""
        by_power: dict[int, dict[Product, Rational]] = {}
        for (product, c), exponent in zip(terms.items(), exponents, strict=True):
            whole = math.floor(exponent - least)
            rest = raised(product, place, -least - whole)
            by_power.setdefault(whole, {})[rest] = c
        argument = self.kernels[place].argument
        assert argument is not None  # a sum has one
        each = (self.times(some, argument.power(n).terms) for n, some in by_power.items())
        return self.total(one.terms for one in each).terms

    # Powers

    def power(self, base: Formula, exponent: Rational) -> Formula:
        if isinstance(exponent, int) and exponent >= 0:
            half = self.constant(1) if exponent < 2 else self.power(base, exponent // 2)
            return half * half * base if exponent % 2 else half * half
        factor, product = self.as_product(base)
        whole, powers = self._powers({place: e * exponent for place, e in product})
        return self._power_of_number(factor, exponent) * Formula(self, {powers: plain(whole)})

    def as_product(self, formula: Formula) -> tuple[Rational, Product]:
        """A number times a product of powers; a sum becomes a kernel."""
        if len(formula.terms) == 1:
            ((product, factor),) = formula.terms.items()
            return factor, product
        outside, terms = self.multiplied_out(formula)
        if not terms:
            raise ZeroDivisionError
        inside = self._sum(terms) if len(terms) > 1 else Formula(self, terms)
        ((product, factor),) = (inside * Formula(self, {outside: 1})).terms.items()
        return factor, product

    def _sum(self, terms: Terms) -> Formula:
        """A sum as a factor times a kernel: positive, and with 1 or −1 before its first term."""
        formula = Formula(self, terms)
        first = Fraction(terms[min(terms)])
        factor = -abs(first) if formula.value < 0 else abs(first)
        scaled = formula.scaled(1 / factor)
        key = frozenset(scaled.terms.items())
        return self._kernel("sum", "", scaled, scaled.value, key).scaled(factor)

    def _power_of_number(self, c: Rational, exponent: Rational) -> Formula:
        if isinstance(exponent, int):
            return self.constant(plain(Fraction(c) ** exponent))
        exponents: dict[int, Rational] = {}
        for prime, times in primes(c).items():
            ((place, _),) = next(iter(self._number(prime).terms))
            exponents[place] = times * exponent
        factor, powers = self._powers(exponents)
        return Formula(self, {powers: plain(factor)})

    def _number(self, prime: int) -> Formula:
        """A whole number to be raised to fractions, which stay between 0 and 1."""
        return self._kernel("number", str(prime), None, mp.mpf(prime), prime)

    # Functions

    def exp(self, formula: Formula) -> Formula:
        """e to the power of a sum: a product of one kernel for each of its terms."""
        found = self.constant(1)
        for product, c in formula.terms.items():
            kernel = self.kernels[product[0][0]] if len(product) == 1 else None
            if kernel and kernel.kind == "log" and product[0][1] == 1:
                assert kernel.argument is not None  # a function has one
                base, exponent = kernel.argument, plain(c * kernel.sign)
            else:
                argument = Formula(self, {product: 1})
                base = self._kernel("exp", "exp", argument, mp.exp(argument.value), product)
                exponent = c
            found = found * base.power(exponent)
        return found

    def log(self, formula: Formula) -> Formula:
        """Of a positive formula: a sum over the kernels of its product."""
        factor, product = self.as_product(formula)
        logs = [self._log(self._number(p)).scaled(n) for p, n in primes(factor).items()]
        logs += [self._log(self.of(place)).scaled(exponent) for place, exponent in product]
        return self.total(one.terms for one in logs)

    def _log(self, kernel: Formula) -> Formula:
        ((place, _),) = next(iter(kernel.terms))
        known = self.kernels[place]
        if known.kind == "exp" and known.argument is not None:
            return known.argument
        return self._kernel("log", "log", kernel, mp.log(kernel.value), place)

    def function(self, name: str, argument: Formula) -> Formula:
        """A function of which only its derivative is known: one kernel for the same arguments."""
        for place, kernel in enumerate(self.kernels):
            known = kernel.argument if kernel.kind == name else None
            if known is not None and (argument - known).is_zero:
                return self.of(place).scaled(kernel.sign)
        return self._kernel(
            name, name, argument, FUNCTIONS[name](argument.value), len(self.kernels)
        )


def rational(c: Rational) -> Any:
    """As a number of 110 digits."""
    return mp.mpf(c.numerator) / c.denominator


def primes(c: Rational) -> dict[int, int]:
    """A positive number as powers of small primes, and of what is left; none is 1."""
    found: dict[int, int] = {}
    for part, sign in ((c.numerator, 1), (c.denominator, -1)):
        for prime in (2, 3, 5, 7):
            while part % prime == 0:
                part //= prime
                found[prime] = found.get(prime, 0) + sign
        if part > 1:
            found[part] = found.get(part, 0) + sign
    return {prime: times for prime, times in found.items() if times}


def plain(c: Rational) -> Rational:
    return c.numerator if c.denominator == 1 else c


def _product(exponents: Mapping[int, Rational]) -> Product:
    return tuple(sorted((place, plain(e)) for place, e in exponents.items() if e))


def raised(product: Product, place: int, exponent: Rational) -> Product:
    """The product times a kernel's power."""
    exponents: dict[int, Rational] = dict(product)
    exponents[place] = exponents.get(place, 0) + exponent
    return _product(exponents)
