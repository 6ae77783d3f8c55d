"""The points at which a unit is proved: one in each of the branches that its code can take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.exact import Rounding

SMALL = 3  # classes up to which every branch is looked for
SCALES = (1.0, 8.0, 64.0, 1024.0)  # of the random inputs that it is looked for among
DRAWS = 48
MOST = 256


@dataclass(frozen=True)
class Branches:
    """Rows and features, and a case for each branch that is known there."""

    rows: int
    features: int
    cases: list[Case]


@dataclass(eq=False)
class _Deciding(Rounding):
    """Exact numbers that note how every comparison ended."""

    outcomes: list[Any] = field(default_factory=list)

    def decide(self, outcome: Any) -> Any:
        self.outcomes.append(outcome)
        return outcome


def branches(subject: Subject, features: int) -> list[Branches]:
    """One row in every branch; two rows, whose sums and means one row does not show.

    Up to three classes a branch is how all comparisons of forward and backward end, at many random
    inputs; with more, which entry is the largest and which is the label.
    """
    if features <= SMALL:
        alone = list(_different(subject, features))[:MOST]
    else:
        cases = {_kinds(case): case for case in cases_of(subject, 1, features)}
        alone = [one for case in cases.values() for one in _turned(case)]
    found = [alone, cases_of(subject, 2, features)]
    return [Branches(*_size(cases[0]), cases) for cases in found]


def _size(case: Case) -> tuple[int, int]:
    rows, *features = case.inputs[0].shape
    return rows, int(np.prod(features, dtype=int))


def _different(subject: Subject, features: int) -> Iterator[Case]:
    """A case for each way that the comparisons end in."""
    known: set[Any] = set()
    for draw in range(DRAWS):
        scaled = replace(subject, scale=SCALES[draw % len(SCALES)])
        for case in cases_of(scaled, 1, features, draw):
            ends = _labels(case), _decisions(case)
            if ends not in known:
                known.add(ends)
                yield case


def _kinds(case: Case) -> tuple[str, ...]:
    """Whether the target is labels or rows."""
    return tuple(one.dtype.kind for one in case.target)


def _labels(case: Case) -> tuple[bytes, ...]:
    return tuple(one.tobytes() if one.dtype.kind in "iub" else b"rows" for one in case.target)


def _decisions(case: Case) -> tuple[Any, ...]:
    """How each comparison of forward and backward ends; none where they cannot be noted."""
    deciding = _Deciding()
    try:
        exact = case.exactly(deciding.array)
        y, residual = exact.forward()
        exact.backward(residual, deciding.array(case.cotangent(np.zeros(y.shape))))
    except UnitError:
        return ()
    return tuple(deciding.outcomes)


def _turned(case: Case) -> Iterator[Case]:
    """The same with each entry the largest, and each label."""
    x, *params = case.inputs
    labels = [one for one in case.target if one.dtype.kind in "iu" and one.ndim == 1]
    targets = [(labels[0] * 0 + k,) for k in range(x.shape[-1])] if labels else [case.target]
    for by in range(1 if params else x.shape[-1]):
        for target in targets:
            yield replace(case, inputs=(np.roll(x, by, axis=-1), *params), target=target)


def cases_of(subject: Subject, rows: int, features: int, draw: int = 0) -> list[Case]:
    """So many rows and features, where the unit does not bring samples with parameters."""
    if not subject.has_samples:
        sized = subject.sized(rows, features)
        return (sized if sized.fits() else subject.sized(rows, subject.features)).cases(draw)
    many = [subject.cases(draw + more) for more in range(features)]
    return [_cut(list(same), rows, features) for same in zip(*many, strict=True)]


def _cut(several: list[Case], rows: int, features: int) -> Case:
    """The first rows and features of some samples, side by side."""
    first = several[0].with_rows(slice(rows))
    x, *params = first.inputs
    if params or x.ndim != 2:
        return first
    beside = [one.with_rows(slice(rows)) for one in several]
    wide = np.concatenate([one.inputs[0] for one in beside], axis=-1)
    target = tuple(
        one % features
        if one.shape != x.shape
        else np.concatenate([other.target[place] for other in beside], axis=-1)[..., :features]
        for place, one in enumerate(first.target)
    )
    return replace(first, inputs=(wide[..., :features],), target=target)
