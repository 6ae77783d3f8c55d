"""What a check can say: pass, fail, skip or inconclusive; and what a failure tells a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from pullback.errors import nearest

Status = Literal["pass", "fail", "skip", "inconclusive"]
STATUSES: tuple[Status, ...] = ("pass", "fail", "skip", "inconclusive")
START = "start"  # stands for the checks of a unit that cannot be made


class Verdict(Exception):
    """A check that ends with something else than a pass."""

    status: Status

    def __init__(self, message: str, evidence: Any = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.evidence = evidence
        self.facts = facts


class Failed(Verdict):
    """The unit is wrong, and this is how.

    ``facts`` are fields of :class:`Result`; ``evidence`` is the case and the cotangent of a wrong
    gradient, from which the mistake may be recognised.
    """

    status: Status = "fail"


class Skipped(Verdict):
    """The check does not apply to this unit, and this is why."""

    status: Status = "skip"


class Inconclusive(Verdict):
    """The check ran, and its oracle could not tell right from wrong; this is why."""

    status: Status = "inconclusive"


@dataclass(frozen=True)
class Result:
    """One check of one unit.

    ``digits`` are the decimal digits that were certified, where the check measures any; ``message``
    is what is wrong, or why nothing was decided. Of a wrong gradient, ``input``, ``place``,
    ``found``, ``expected``, ``oracle`` and ``example``, the smallest inputs that still show it;
    ``mistake`` is its name and ``explanation`` what it means, where it is one that is known.
    """

    check: str
    status: Status
    message: str = ""
    digits: float | None = None
    input: str = ""
    place: tuple[int, ...] | None = None
    found: float | None = None
    expected: float | None = None
    oracle: str = ""
    mistake: str = ""
    explanation: str = ""
    example: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, repr=False)
class Report:
    """Every check of one unit. True where none failed; printed, it is what the command shows."""

    kind: str
    name: str
    family: str
    provider: str
    results: list[Result] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.failures

    def __repr__(self) -> str:
        number = " · ".join(f"{number} {status}" for status, number in self.counts.items())
        return "\n".join([f"{self.name}: {number}", *self.told()])

    def __str__(self) -> str:
        from pullback.verify.table import plain

        return plain(self)

    def _repr_html_(self) -> str:
        from pullback.verify.page import fragment

        return fragment(self)

    @property
    def failures(self) -> list[Result]:
        return [one for one in self.results if one.status == "fail"]

    @property
    def counts(self) -> dict[Status, int]:
        """How many checks passed, failed, were skipped or could not decide."""
        number = Counter(one.status for one in self.results)
        return {status: number[status] for status in STATUSES}

    def __getitem__(self, check: str) -> Result:
        for one in self.results:
            if one.check == check:
                return one
        known = [one.check for one in self.results]
        raise KeyError(f"{self.name} has no check '{check}'{nearest(check, known)}")

    def told(self) -> list[str]:
        """Everything that is wrong: what the same mistake does in several checks is told once.

        First a wrong shape, with which nothing else is right; then what has a name. A wrong
        gradient is one thing, in whatever checks it shows.
        """
        alike: dict[tuple[str, ...], list[Result]] = {}
        for one in self.failures:
            what = ("gradient",) if _is_gradient(one) else (one.message, one.mistake)
            alike.setdefault(what, []).append(one)
        texts, said = [], {""}
        for some in sorted(alike.values(), key=_urgency):
            first = _named(some)
            if first.mistake in said:
                first = replace(first, explanation="as above")
            said.add(first.mistake)
            texts.append(told(self.name, first, [one.check for one in some]))
        return texts

    def raise_for_failures(self) -> None:
        """AssertionError with everything that is wrong, where something is."""
        if self.failures:
            raise AssertionError("\n\n".join(self.told()))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the report with its counts."""
        return {**asdict(self), "counts": self.counts}


def _is_gradient(result: Result) -> bool:
    """Whether an oracle's gradient is another than backward's."""
    return bool(result.oracle) and "gradient" in result.message


def _urgency(alike: Sequence[Result]) -> tuple[bool, bool]:
    return alike[0].check != "shapes", not _named(alike).mistake


def _named(alike: Sequence[Result]) -> Result:
    """The first of some results; the first whose mistake is known, if there is one."""
    return next((one for one in alike if one.mistake), alike[0])


def told(name: str, result: Result, checks: Sequence[str] = ()) -> str:
    """A failure in full, for a person; ``checks`` are all that found it."""
    of = f"{name}.backward" if _is_gradient(result) else name
    by = ", ".join(checks or [result.check])
    in_front = result.check == by != START and of == name
    lines = [f"{of}: {by}: {result.message}" if in_front else f"{of}: {result.message}"]
    if result.mistake:
        lines.append(f"looks like: {result.mistake}: {result.explanation}")
    if result.example:
        lines.append(f"smallest example: {result.example}")
    if not in_front and by != START:
        lines.append(f"seen by: {by}")
    return "\n".join(lines)
