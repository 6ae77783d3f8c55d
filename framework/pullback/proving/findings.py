"""Everything that is proved of a unit, and the formula that comes out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pullback import registry
from pullback.errors import ConfigError, a
from pullback.proving.claims import CLAIM, AreSame, Claim, IsDerivative
from pullback.proving.expressions import LATEX, TEXT, Style
from pullback.proving.formula import Derivation, derive
from pullback.proving.proof import CLASSES, Proof, Status, Step, settle
from pullback.proving.written import Equation, equations, explicit
from pullback.verify.cases import Subject
from pullback.verify.checks import subject_of, why_not_started
from pullback.verify.outcome import START, Result

KINDS = ("layer", "loss")


@dataclass(frozen=True, repr=False)
class Findings:
    """The proofs of a unit's claims, true where all of them hold; printed, what the command shows.

    ``derivation`` is the formula in the unit's own symbols, None where no short one was found or
    backward is wrong; ``latex()`` and ``text()`` write it.
    """

    kind: str
    name: str
    classes: tuple[int, ...]
    proofs: tuple[Proof, ...]
    derivation: Derivation | None

    def __bool__(self) -> bool:
        return all(self.proofs)

    def __repr__(self) -> str:
        return f"{self.name}: {', '.join(f'{one.status} ({one.claim})' for one in self.proofs)}"

    def __str__(self) -> str:
        from pullback.proving.table import plain

        return plain(self)

    def _repr_html_(self) -> str:
        from pullback.proving.page import fragment

        return fragment(self)

    def equations(self, style: Style) -> list[Equation]:
        """The derivation for C classes, and for those that were asked for."""
        if self.derivation is None:
            return []
        each = [explicit(self.derivation, C, style) for C in self.classes]
        return [*equations(self.derivation, style), *(one for one in each if one)]

    def text(self) -> str:
        """The derivation in the letters of a docstring, an equation a line."""
        return "\n".join(_lines(self.equations(TEXT)))

    def latex(self) -> str:
        """The derivation for a paper: an align environment."""
        lines = []
        for one in self.equations(LATEX):
            remark = rf" \quad {LATEX.words(f'({one.remark})')}" if one.remark else ""
            lines.append(f"{one.sides[0]} &= {' = '.join(one.sides[1:])}{remark}")
        return "\\begin{align}\n  " + " \\\\\n  ".join(lines) + "\n\\end{align}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "proofs": [one.as_dict() for one in self.proofs],
            "text": _lines(self.equations(TEXT)),
            "latex": self.latex() if self.derivation else "",
        }


def _lines(written: Iterable[Equation]) -> list[str]:
    return [" = ".join(one.sides) + (f"   ({one.remark})" if one.remark else "") for one in written]


def prove(unit: Any, classes: Iterable[int] = CLASSES, kind: str | None = None) -> Findings:
    """Whether backward is the derivative of forward, for so many features, or classes of a loss.

    ``unit`` is an instance, a class, or the registered name of a layer or a loss. Raises
    ConfigError for what is no such unit, RegistryError for a name that nobody provides.
    """
    subject = subject_of(unit, kind)
    if subject.kind not in KINDS:
        raise ConfigError(f"{subject.name} is {a(subject.kind)}, and no layer or loss")
    return _of(subject, (IsDerivative(subject),), tuple(classes))


def prove_all(units: Sequence[tuple[str, str]], classes: tuple[int, ...]) -> Iterator[Findings]:
    """Of each unit, by kind and name.

    The units of a family are the same function as one of them: one that names its stages, if any
    does, else the first.
    """
    subjects = {unit: _made(*unit) for unit in units}
    made = [one for one in subjects.values() if isinstance(one, Subject)]
    first: dict[tuple[str, str], Subject] = {}
    for one in sorted(made, key=lambda one: not hasattr(one.unit, "stages")):
        first.setdefault(_family(one), one)
    for subject in subjects.values():
        if isinstance(subject, Findings):
            yield subject
            continue
        claims: list[Claim] = [IsDerivative(subject)]
        model = first[_family(subject)]
        if model is not subject:
            claims.append(AreSame(subject, model.name, model.unit))
        yield _of(subject, claims, classes)


def _made(kind: str, name: str) -> Subject | Findings:
    """What is to be proved, or why it cannot be made."""
    try:
        return subject_of(name, kind)
    except Exception as error:  # whatever its __post_init__ may raise
        result = Result(START, *why_not_started(error))
        status: Status = "refuted" if result.status == "fail" else "unknown"
        steps = (Step(0, 0, status, result=result),)
        return Findings(kind, name, (), (Proof(name, CLAIM, steps),), None)


def _family(subject: Subject) -> tuple[str, str]:
    return subject.kind, registry.family(subject.cls, subject.name)


def _of(subject: Subject, claims: Iterable[Claim], classes: tuple[int, ...]) -> Findings:
    proofs = tuple(settle(one, classes) for one in claims)
    derivation = derive(subject, classes) if all(proofs) else None
    return Findings(subject.kind, subject.name, classes, proofs, derivation)
