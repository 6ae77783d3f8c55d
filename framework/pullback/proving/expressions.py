"""Short expressions in indexed symbols, and how they are written: as text, LaTeX and MathML."""

from __future__ import annotations

import html
import itertools
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

from pullback.proving.algebra import Rational, plain


@dataclass(frozen=True)
class Factor:
    """A symbol with its index, to a power; ``of`` makes it its exponential, or its sum."""

    name: str
    index: str = ""
    exponent: Rational = 1
    of: str = ""


@dataclass(frozen=True)
class Monomial:
    """c Cⁿ ∏ factors, where C is the number of classes."""

    coefficient: Rational
    classes: int
    factors: tuple[Factor, ...]


Expression: TypeAlias = tuple[Monomial, ...]


def total(*several: Expression) -> Expression:
    """Their sum, with equal products as one."""
    found: dict[tuple[int, tuple[Factor, ...]], Rational] = {}
    for one in itertools.chain(*several):
        key = one.classes, one.factors
        found[key] = found.get(key, 0) + one.coefficient
    return tuple(Monomial(plain(c), *key) for key, c in found.items() if c)


def indexed(expression: Expression, at: Mapping[str, str]) -> Expression:
    """With other indices, and factors that become the same as one power."""
    return tuple(replace(one, factors=_merged(one.factors, at)) for one in expression)


def _merged(factors: Iterable[Factor], at: Mapping[str, str]) -> tuple[Factor, ...]:
    found: dict[Factor, Rational] = {}
    for one in factors:
        base = replace(one, index=at.get(one.index, one.index), exponent=1)
        found[base] = found.get(base, 0) + one.exponent
    names = [one.name for one in found]
    order = sorted(found, key=lambda one: (names.index(one.name), len(one.index), one.index))
    return tuple(replace(one, exponent=plain(found[one])) for one in order if found[one])


def scaled(expression: Expression, factor: Rational) -> Expression:
    return tuple(replace(one, coefficient=plain(one.coefficient * factor)) for one in expression)


def for_classes(expression: Expression, classes: int) -> Expression:
    """With the number in the place of C."""
    return tuple(
        Monomial(plain(one.coefficient * Fraction(classes) ** one.classes), 0, one.factors)
        for one in expression
    )


def times(expression: Expression, factor: Factor) -> Expression:
    """Each product with one more factor behind it."""
    return tuple(replace(one, factors=(*one.factors, factor)) for one in expression)


class Style(ABC):
    """How an expression is written."""

    space: str
    minus: str
    plus: str
    dots: str

    @abstractmethod
    def symbol(self, name: str, index: str) -> str: ...

    @abstractmethod
    def power(self, base: str, exponent: str) -> str: ...

    @abstractmethod
    def fraction(self, above: str, below: str) -> str: ...

    @abstractmethod
    def number(self, value: int) -> str: ...

    @abstractmethod
    def summed(self, what: str, index: str = "") -> str:
        """Σ what, over all entries, or over an index."""

    @abstractmethod
    def exponential(self, of: str) -> str: ...

    @abstractmethod
    def bracketed(self, what: str) -> str: ...

    @abstractmethod
    def words(self, text: str) -> str: ...

    @abstractmethod
    def transposed(self, what: str) -> str: ...

    @abstractmethod
    def diagonal(self, what: str) -> str:
        """The matrix with a row on its diagonal."""

    @abstractmethod
    def matrix(self, rows: Sequence[Sequence[str]]) -> str: ...

    # What is made of these

    def partial(self, y: str, j: str, x: str, i: str) -> str:
        """∂y_j / ∂x_i."""
        return self.fraction(self.symbol(f"∂{y}", j), self.symbol(f"∂{x}", i))

    def expression(self, terms: Expression) -> str:
        if not terms:
            return self.number(0)
        first, *rest = terms
        text = (self.minus if first.coefficient < 0 else "") + self.monomial(first)
        for one in rest:
            sign = self.minus if one.coefficient < 0 else self.plus
            text += f" {sign} {self.monomial(one)}"
        return text

    def monomial(self, one: Monomial) -> str:
        """Without its sign."""
        above, below = list[str](), list[str]()
        size = abs(Fraction(one.coefficient))
        for number, where in ((size.numerator, above), (size.denominator, below)):
            if number != 1:
                where.append(self.number(number))
        if one.classes:
            (above if one.classes > 0 else below).append(self.symbol("C", ""))
        for factor in one.factors:
            where = above if factor.exponent > 0 else below
            where.append(self.factor(factor))
        text = self.space.join(above) or self.number(1)
        if not below:
            return text
        return self.fraction(text, self.space.join(below))

    def factor(self, one: Factor) -> str:
        base = self.symbol(one.name, one.index)
        if one.of == "sum":
            base = self.summed(base)
        if one.of == "exp":
            base = self.exponential(base)
        size = plain(abs(Fraction(one.exponent)))
        return base if size == 1 else self.power(base, str(size))


SUPERSCRIPTS = str.maketrans("0123456789/", "⁰¹²³⁴⁵⁶⁷⁸⁹ᐟ")


class Text(Style):
    """As in a docstring."""

    space, minus, plus, dots = " ", "−", "+", "…"

    def symbol(self, name: str, index: str) -> str:
        return f"{name}_{index}" if index else name

    def power(self, base: str, exponent: str) -> str:
        return base + exponent.translate(SUPERSCRIPTS)

    def fraction(self, above: str, below: str) -> str:
        return f"{above}/{below if ' ' not in below else f'({below})'}"

    def number(self, value: int) -> str:
        return str(value)

    def summed(self, what: str, index: str = "") -> str:
        return f"Σ_{index} {what}" if index else f"Σ{what}"

    def exponential(self, of: str) -> str:
        return f"e^({of})"

    def bracketed(self, what: str) -> str:
        return f"({what})"

    def words(self, text: str) -> str:
        return text

    def transposed(self, what: str) -> str:
        return f"{what}ᵀ"

    def diagonal(self, what: str) -> str:
        return f"diag({what})" if " " in what else f"diag {what}"

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        return "[" + "; ".join(", ".join(row) for row in rows) + "]"


class Latex(Style):
    """For a paper."""

    space, minus, plus, dots = r"\,", "-", "+", r"\dots"

    def symbol(self, name: str, index: str) -> str:
        text = _latex(name)
        return f"{text}_{{{index}}}" if index else text

    def power(self, base: str, exponent: str) -> str:
        return f"{{{base}}}^{{{exponent}}}"

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def number(self, value: int) -> str:
        return str(value)

    def summed(self, what: str, index: str = "") -> str:
        return rf"\sum_{{{index}}} {what}" if index else rf"\sum {what}"

    def exponential(self, of: str) -> str:
        return f"e^{{{of}}}"

    def bracketed(self, what: str) -> str:
        return rf"\left({what}\right)"

    def words(self, text: str) -> str:
        signs = {"≠": r"$\ne$", "×": r"$\times$", "Σ": r"$\sum$"}
        return rf"\text{{{''.join(signs.get(letter, letter) for letter in text)}}}"

    def transposed(self, what: str) -> str:
        return rf"{{{what}}}^{{\mathsf T}}"

    def diagonal(self, what: str) -> str:
        return rf"\operatorname{{diag}}\left({what}\right)"

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        inside = r" \\ ".join(" & ".join(row) for row in rows)
        return rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"


def _latex(name: str) -> str:
    """A letter with its accents, Greek or not: ŷ is \\hat{y}, ∂ŷ and dŷ keep what is before it."""
    accents = {"\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar"}
    text = ""
    for letter in unicodedata.normalize("NFD", name):
        if letter in accents:
            text = f"{text[:-1]}{accents[letter]}{{{text[-1]}}}"
        elif unicodedata.name(letter, "").startswith("GREEK SMALL LETTER "):
            text += "\\" + unicodedata.name(letter).split()[-1].lower() + " "
        else:
            text += {"ℓ": r"\ell ", "∂": r"\partial "}.get(letter, letter)
    return text.rstrip()


class MathML(Style):
    """For a page: every browser shows it without a script."""

    space, minus, plus = "<mspace width='0.2em'/>", "<mo>−</mo>", "<mo>+</mo>"
    dots = "<mo>…</mo>"

    def symbol(self, name: str, index: str) -> str:
        text = f"<mi>{html.escape(name)}</mi>"
        if not index:
            return text
        return f"<msub>{text}<mrow>{''.join(f'<mi>{one}</mi>' for one in index)}</mrow></msub>"

    def power(self, base: str, exponent: str) -> str:
        return f"<msup><mrow>{base}</mrow><mn>{exponent}</mn></msup>"

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>"

    def number(self, value: int) -> str:
        return f"<mn>{value}</mn>"

    def summed(self, what: str, index: str = "") -> str:
        sign = "<mo>∑</mo>"
        return (f"<munder>{sign}<mi>{index}</mi></munder>" if index else sign) + what

    def exponential(self, of: str) -> str:
        return f"<msup><mi>e</mi><mrow>{of}</mrow></msup>"

    def bracketed(self, what: str) -> str:
        return f"<mrow><mo>(</mo>{what}<mo>)</mo></mrow>"

    def words(self, text: str) -> str:
        return f"<mtext>{html.escape(text)}</mtext>"

    def transposed(self, what: str) -> str:
        return f"<msup><mrow>{what}</mrow><mi mathvariant='normal'>T</mi></msup>"

    def diagonal(self, what: str) -> str:
        return f"<mi>diag</mi>{self.bracketed(what)}"

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        inside = "".join(
            f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows
        )
        return f"<mrow><mo>(</mo><mtable>{inside}</mtable><mo>)</mo></mrow>"


TEXT, LATEX, MATHML = Text(), Latex(), MathML()
