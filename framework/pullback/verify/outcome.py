"""What a check can say: pass, fail, skip or inconclusive; and what a failure tells a person."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["pass", "fail", "skip", "inconclusive"]
STATUSES: tuple[Status, ...] = ("pass", "fail", "skip", "inconclusive")


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


@dataclass(frozen=True)
class Report:
    """Every check of one unit. True where none failed."""

    kind: str
    name: str
    family: str
    provider: str
    results: list[Result] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.failures

    @property
    def failures(self) -> list[Result]:
        return [one for one in self.results if one.status == "fail"]

    @property
    def counts(self) -> dict[Status, int]:
        """How many checks passed, failed, were skipped or could not decide."""
        number = Counter(one.status for one in self.results)
        return {status: number[status] for status in STATUSES}

    def __getitem__(self, check: str) -> Result:
        return next(one for one in self.results if one.check == check)

    def raise_for_failures(self) -> None:
        """AssertionError with everything that is wrong, where something is."""
        if self.failures:
            raise AssertionError("\n\n".join(told(self.name, one) for one in self.failures))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the report with its counts."""
        return {**asdict(self), "counts": self.counts}


def told(name: str, result: Result) -> str:
    """A failure in full, for a person."""
    lines = [f"{name}: {result.check}: {result.message}"]
    if result.mistake:
        lines.append(f"looks like: {result.mistake}: {result.explanation}")
    if result.example:
        lines.append(f"smallest example: {result.example}")
    return "\n".join(lines)
