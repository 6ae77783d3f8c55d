"""What is to be proved: that a backward is the derivative of its forward; that two units agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from pullback.proving.branches import SMALL, Branches, branches
from pullback.proving.runs import on_symbols, same
from pullback.verify.cases import Case, Subject
from pullback.verify.gradients import certify
from pullback.verify.laws import relations

CLAIM = "backward is the derivative of forward"


class Claim(Protocol):
    """Something that formulas show to be so, and numbers at a point, or not to be."""

    @property
    def subject(self) -> Subject: ...

    def __str__(self) -> str: ...

    def branches(self, features: int) -> list[Branches]:
        """Where it has to be shown, for so many features."""

    def by_formulas(self, case: Case) -> bool:
        """Whether the formulas of a branch show it. Raises NoFormula, Undecided, Failed."""

    def in_numbers(self, case: Case) -> None:
        """To 50 digits at one point; Failed where it is not so, Inconclusive."""


@dataclass(frozen=True)
class IsDerivative:
    """The derivative of Σ dy y by the rules of calculus is what backward returns."""

    subject: Subject

    def __str__(self) -> str:
        return CLAIM

    def branches(self, features: int) -> list[Branches]:
        return branches(self.subject, features)

    def by_formulas(self, case: Case) -> bool:
        run = on_symbols(case)
        return all(map(same, run.slopes(), run.gradients))

    def in_numbers(self, case: Case) -> None:
        certify(case, case.cotangent(case.forward()[0]))


@dataclass(frozen=True)
class AreSame:
    """Another unit is the same function, with the same gradients."""

    subject: Subject
    name: str
    unit: Any

    def __str__(self) -> str:
        return f"the same function as {self.name}, with the same gradients"

    def branches(self, features: int) -> list[Branches]:
        """Those of either."""
        other = replace(self.subject, name=self.name, unit=self.unit)
        pairs = zip(branches(self.subject, features), branches(other, features), strict=True)
        return [a if features > SMALL else replace(a, cases=[*a.cases, *b.cases]) for a, b in pairs]

    def by_formulas(self, case: Case) -> bool:
        mine = on_symbols(replace(case, unit=self.subject.unit))
        theirs = on_symbols(replace(case, unit=self.unit), mine.symbols)
        return same(mine.y, theirs.y) and all(map(same, mine.gradients, theirs.gradients))

    def in_numbers(self, case: Case) -> None:
        own = replace(case, unit=self.subject.unit)
        relations.equal(own, replace(case, unit=self.unit), self.name)
