"""A short expression that a formula is, found by linear algebra in its normal form, and proved.

Atoms are short formulas that have names: entries of x, y and the target. An expression is looked
for among the sums of products of few of them, with rational coefficients: the coefficients of a sum
that has to be 0 for all variables are those of a linear system. So what is found is proved, too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from pullback.proving.algebra import Formula, Product, Rational, plain
from pullback.proving.expressions import Expression, Factor, Monomial

MOST_TERMS = 8  # of a polynomial that is written out

Atoms: TypeAlias = Mapping[Factor, Formula]
Basis: TypeAlias = Sequence[tuple[Factor, ...]]


def tiers(atoms: Sequence[Factor], extra: Sequence[Factor] = ()) -> Iterable[Basis]:
    """Products of up to two atoms, then with their reciprocals; the same with the extra ones."""
    for some in (atoms, [*atoms, *extra]):
        yield _products(some)
        yield _products([*some, *(Factor(one.name, one.index, -1) for one in some if not one.of)])


def _products(atoms: Sequence[Factor]) -> Basis:
    pairs = itertools.combinations_with_replacement(atoms, 2)
    found = [(), *((one,) for one in atoms), *map(_merged, pairs)]
    return list(dict.fromkeys(found))


def _merged(pair: tuple[Factor, Factor]) -> tuple[Factor, ...]:
    """Two factors; one to a power where they are the same symbol."""
    a, b = pair
    if (a.name, a.index, a.of) != (b.name, b.index, b.of):
        return pair
    exponent = plain(Fraction(a.exponent + b.exponent))
    return (Factor(a.name, a.index, exponent, a.of),) if exponent else ()


def matched(formula: Formula, basis: Basis, atoms: Atoms) -> dict[tuple[Factor, ...], Rational]:
    """The coefficients of the products whose sum the formula is; ValueError where it is none."""
    algebra = formula.algebra
    markers = [algebra.variable(f"coefficient {n}", 1) for n in range(len(basis))]
    each = (m * product(one, atoms, formula) for m, one in zip(markers, basis, strict=True))
    total = algebra.total([formula.scaled(-1).terms, *(one.terms for one in each)])
    places = {marker_place(one): n for n, one in enumerate(markers)}
    equations: dict[Product, list[Rational]] = {}
    for terms, c in algebra.multiplied_out(total)[1].items():
        which = [places[place] for place, _ in terms if place in places]
        rest = tuple(one for one in terms if one[0] not in places)
        row = equations.setdefault(rest, [0] * (len(basis) + 1))
        row[which[0] if which else len(basis)] += c
    found = solved(list(equations.values()), len(basis))
    return {one: plain(c) for one, c in zip(basis, found, strict=True) if c}


def marker_place(marker: Formula) -> int:
    ((place, _),) = next(iter(marker.terms))
    return place


def product(factors: tuple[Factor, ...], atoms: Atoms, like: Formula) -> Formula:
    found = like.algebra.constant(1)
    for one in factors:
        base = atoms[Factor(one.name, one.index, 1, one.of)]
        found = found * base.power(one.exponent)
    return found


def solved(rows: list[list[Rational]], unknowns: int) -> list[Rational]:
    """x with Σ a x + b = 0 in every row (a…, b), 0 where it is free; ValueError where none is."""
    pivots: dict[int, list[Fraction]] = {}
    for row in rows:
        current = [Fraction(one) for one in row]
        for column, pivot in pivots.items():
            if current[column]:
                times = current[column]
                current = [a - times * b for a, b in zip(current, pivot, strict=True)]
        column = next((n for n in range(unknowns) if current[n]), unknowns)
        if column < unknowns:
            current = [one / current[column] for one in current]
            for other, pivot in pivots.items():
                times = pivot[column]
                pivots[other] = [a - times * b for a, b in zip(pivot, current, strict=True)]
            pivots[column] = current
        elif current[unknowns]:
            raise ValueError("no such sum")
    return [-pivots[n][unknowns] if n in pivots else Fraction(0) for n in range(unknowns)]


def evaluated(expression: Expression, atoms: Atoms, classes: int, like: Formula) -> Formula:
    """The formula that an expression is, for so many classes."""
    each = (
        product(one.factors, atoms, like).scaled(one.coefficient * Fraction(classes) ** one.classes)
        for one in expression
    )
    return like.algebra.total(one.terms for one in each)


def general(by_classes: Mapping[int, Mapping[tuple[Factor, ...], Rational]]) -> Expression:
    """One expression for all numbers of classes, whose coefficients may be c, c / C or c C.

    ValueError where they are something else.
    """
    products = list(dict.fromkeys(one for found in by_classes.values() for one in found))
    terms = [
        _in_classes(one, {C: found.get(one, 0) for C, found in by_classes.items()})
        for one in products
    ]
    return tuple(sorted(terms, key=lambda one: one.coefficient < 0))


def _in_classes(factors: tuple[Factor, ...], coefficients: Mapping[int, Rational]) -> Monomial:
    for power in (0, -1, 1):
        scaled = {Fraction(c) / Fraction(C) ** power for C, c in coefficients.items()}
        if len(scaled) == 1:
            return Monomial(plain(scaled.pop()), power, factors)
    raise ValueError("coefficients that depend on the number of classes otherwise")


def polynomial(formula: Formula, symbols: Mapping[str, str]) -> Expression:
    """A formula of few terms in the entries of arrays, which these symbols are the names of.

    ValueError where it is none.
    """
    if len(formula.terms) > MOST_TERMS:
        raise ValueError("too many terms")
    return tuple(
        Monomial(
            c * _sign(formula, product), 0, tuple(_entry(formula, symbols, *one) for one in product)
        )
        for product, c in formula.terms.items()
    )


def _sign(formula: Formula, product: Product) -> int:
    """Kernels are positive, and the variables that they stand for need not be."""
    signs = (formula.algebra.kernels[place].sign ** int(exponent) for place, exponent in product)
    return math.prod(signs)


def _entry(formula: Formula, symbols: Mapping[str, str], place: int, exponent: Rational) -> Factor:
    kernel = formula.algebra.kernels[place]
    name, bracket, indices = kernel.name.partition("[")
    if kernel.kind != "variable" or name not in symbols or not bracket:
        raise ValueError("it is no polynomial of entries")
    index = "".join(str(int(one) + 1) for one in indices[:-1].split(","))
    return Factor(symbols[name], index, exponent)
