"""What is known of a claim, and of how it is known: proved, equal at points, or refuted.

A unit's forward and backward are run, unchanged, on scalars that carry a formula
(:mod:`pullback.proving.symbols`), once in each of their branches. A difference that is 0 in the
normal form of :mod:`pullback.proving.algebra` is 0; what is not is calculated at points, to 50
digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from pullback.proving.algebra import Undecided
from pullback.proving.branches import Branches
from pullback.proving.claims import Claim
from pullback.proving.runs import NoFormula
from pullback.verify.cases import Case, Subject
from pullback.verify.checks import carry_out
from pullback.verify.outcome import Failed, Result
from pullback.verify.outcome import Status as Outcome

Status = Literal["proved", "equal", "checked", "unknown", "refuted"]
STATUSES: Sequence[Status] = ("proved", "equal", "checked", "unknown", "refuted")
CLASSES = (2, 3)
POINTS = 4  # at which a branch is calculated where it cannot be proved


@dataclass(frozen=True)
class Step:
    """What is known for one number of rows and features: its worst branch, and how many there are.

    Of so many ``branches`` that many are ``proved``.
    """

    rows: int
    features: int
    status: Status
    branches: int = 0
    proved: int = 0
    result: Result | None = None


@dataclass(frozen=True)
class Proof:
    """What is known of a claim on a unit, at each of the sizes that were asked for.

    ``proved``: the difference is 0 in the normal form, in every branch. ``equal``: it is 0 at
    random points, to 50 digits or up to the rounding of the code's own constants, and not in the
    normal form. ``checked``: the code does not run on symbols, for this ``reason``, and is right in
    numbers. ``refuted``: there is a counter-example. ``unknown``: none of these.
    """

    name: str
    claim: str
    steps: tuple[Step, ...]
    reason: str = ""

    def __bool__(self) -> bool:
        return self.status in ("proved", "equal", "checked")

    @property
    def status(self) -> Status:
        return max((one.status for one in self.steps), key=STATUSES.index, default="unknown")

    @property
    def result(self) -> Result | None:
        """The counter-example, or why nothing is known."""
        return next((one.result for one in reversed(self.steps) if one.result), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "status": self.status}


def settle(claim: Claim, classes: Iterable[int] = CLASSES) -> Proof:
    """By formulas in every branch of every size, or else in numbers."""
    name, steps = claim.subject.name, list[Step]()
    try:
        for features in classes:
            for one in claim.branches(features):
                steps.append(_step(claim, one))
                if steps[-1].status == "refuted":
                    return Proof(name, str(claim), tuple(steps))
    except NoFormula as reason:
        return Proof(name, str(claim), (_in_numbers(claim),), str(reason))
    return Proof(name, str(claim), tuple(dict.fromkeys(steps)))


def _step(claim: Claim, where: Branches) -> Step:
    found: list[Status] = []
    for case in where.cases:
        status, result = _of_branch(claim, case)
        found.append(status)
        if status == "refuted":
            break
    return Step(
        where.rows,
        where.features,
        max(found, key=STATUSES.index),
        len(found),
        found.count("proved"),
        result if status in ("refuted", "unknown") else None,
    )


def _of_branch(claim: Claim, case: Case) -> tuple[Status, Result | None]:
    try:
        if claim.by_formulas(case):
            return "proved", None
    except Undecided:
        pass
    except Failed as failed:
        return "refuted", Result("proof", "fail", failed.message, **failed.facts)
    by_outcome: dict[Outcome, Status] = {"pass": "equal", "fail": "refuted"}
    result = _calculated(claim, _around(case))
    if result.status == "fail":  # at more rows its mistake is told from others
        ordinary = _calculated(claim, claim.subject.cases())
        result = ordinary if ordinary.status == "fail" else result
    return by_outcome.get(result.status, "unknown"), result


def _around(case: Case) -> Iterator[Case]:
    """The point itself, and others near it."""
    yield case
    rng = np.random.default_rng(7)
    for _ in range(POINTS - 1):
        yield case.with_inputs(lambda x: x * rng.uniform(0.9, 1.1, size=x.shape))


def _in_numbers(claim: Claim) -> Step:
    """At the inputs that a unit is checked at, where symbols cannot be sent through its code."""
    by_outcome: dict[Outcome, Status] = {"pass": "checked", "fail": "refuted"}
    result = _calculated(claim, claim.subject.cases())
    x = claim.subject.case().inputs[0]
    return Step(len(x), x.shape[-1], by_outcome.get(result.status, "unknown"), result=result)


def _calculated(claim: Claim, cases: Iterable[Case]) -> Result:
    """In numbers at every point, with the name of the mistake where it is one that is known."""

    def proof(_: Subject) -> None:
        for case in cases:
            claim.in_numbers(case)

    return carry_out(proof, claim.subject)
