"""Short expressions in indexed symbols, and how they are written: as text, LaTeX and MathML."""

from __future__ import annotations

import html
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


class Style(ABC):
    """How an expression is written."""

    space: str
    minus: str
    plus: str

    @abstractmethod
    def symbol(self, name: str, index: str) -> str: ...

    @abstractmethod
    def power(self, base: str, exponent: str) -> str: ...

    @abstractmethod
    def fraction(self, above: str, below: str) -> str: ...

    @abstractmethod
    def number(self, value: int) -> str: ...

    @abstractmethod
    def summed(self, what: str, index: str = "") -> str: ...

    @abstractmethod
    def exponential(self, of: str) -> str: ...

    @abstractmethod
    def bracketed(self, what: str) -> str: ...

    @abstractmethod
    def words(self, text: str) -> str: ...

    @abstractmethod
    def transposed(self, what: str) -> str: ...

    @abstractmethod
    def matrix(self, rows: Sequence[Sequence[str]]) -> str: ...

    # What is made of these

    def expression(self, terms: Expression, at: Mapping[str, str] | None = None) -> str:
        """With ``at`` in the place of the indices."""
        if not terms:
            return self.number(0)
        first, *rest = terms
        text = (self.minus if first.coefficient < 0 else "") + self.monomial(first, at)
        for one in rest:
            sign = self.minus if one.coefficient < 0 else self.plus
            text += f" {sign} {self.monomial(one, at)}"
        return text

    def monomial(self, one: Monomial, at: Mapping[str, str] | None = None) -> str:
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
            where.append(self.factor(factor, at or {}))
        text = self.space.join(above) or self.number(1)
        if not below:
            return text
        return self.fraction(text, self.space.join(below))

    def factor(self, one: Factor, at: Mapping[str, str]) -> str:
        base = self.symbol(one.name, at.get(one.index, one.index))
        if one.of == "sum":
            base = self.summed(base)
        if one.of == "exp":
            base = self.exponential(base)
        size = plain(abs(Fraction(one.exponent)))
        return base if size == 1 else self.power(base, str(size))


SUPERSCRIPTS = str.maketrans("0123456789/", "⁰¹²³⁴⁵⁶⁷⁸⁹ᐟ")


class Text(Style):
    """As in a docstring."""

    space, minus, plus = " ", "−", "+"

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

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        return "[" + "; ".join(", ".join(row) for row in rows) + "]"


class Latex(Style):
    """For a paper."""

    space, minus, plus = r"\,", "-", "+"

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
        return rf"\text{{{text}}}"

    def transposed(self, what: str) -> str:
        return rf"{what}^{{\mathsf T}}"

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

    def matrix(self, rows: Sequence[Sequence[str]]) -> str:
        inside = "".join(
            f"<mtr>{''.join(f'<mtd>{cell}</mtd>' for cell in row)}</mtr>" for row in rows
        )
        return f"<mrow><mo>(</mo><mtable>{inside}</mtable><mo>)</mo></mrow>"


TEXT, LATEX, MATHML = Text(), Latex(), MathML()
