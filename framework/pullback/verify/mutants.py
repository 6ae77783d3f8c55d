"""The kill matrix: every mistake planted in every unit that it can be made in, and who sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np

from pullback import registry
from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.checks import carry_out, subject_of, why_not_started
from pullback.verify.laws import CHECKS
from pullback.verify.laws.reach import MANY_CLASSES
from pullback.verify.mistakes import MISTAKES

Unit: TypeAlias = tuple[str, str]  # its kind and its name


@dataclass(frozen=True)
class Mutant:
    """One mistake in one unit, and the checks that failed for it."""

    kind: str
    unit: str
    mistake: str
    killed_by: tuple[str, ...]

    @property
    def killed(self) -> bool:
        return bool(self.killed_by)


@dataclass(frozen=True)
class Matrix:
    """The mutants of some units; and the units that have none, each with the reason."""

    mutants: list[Mutant]
    left_out: dict[Unit, str]


def mutants_of(subject: Subject) -> Iterator[tuple[str, Any]]:
    """Every wrong unit that can be made of a right one, with the name of its mistake."""
    probes = _probes(subject) if subject.kind in ("layer", "loss") else []
    for one in MISTAKES[subject.kind]:
        wrong = one.plant(subject.unit)
        if wrong is not None and not (one.shows and _changes_nothing(wrong, probes)):
            yield one.name, wrong


def _probes(subject: Subject) -> list[Case]:
    """Calls in which a mistake that shows at all shows itself."""
    cases = [*subject.cases(), *(subject.with_unit(one).case() for _, one in subject.variants())]
    both = [np.stack([one, one + 1]) for one in subject.case().inputs]
    target = tuple(np.stack([one, one]) for one in subject.case().target)
    cases.append(replace(subject.case(), inputs=tuple(both), target=target))
    cases.append(subject.case().with_inputs(lambda one: one.astype(np.float32)))
    cases.append(subject.case().with_rows(slice(0)))
    if not subject.has_samples:
        shapes = ((1, 1), (5, 3), (2, MANY_CLASSES))
        cases += [subject.sized(*shape).case() for shape in shapes]
        cases.append(subject.case().with_inputs(np.zeros_like))
    return cases


def _changes_nothing(wrong: Any, probes: list[Case]) -> bool:
    for case in probes:
        options = {one.name: getattr(case.unit, one.name) for one in fields(case.unit)}
        planted = replace(case, unit=replace(wrong, **options))
        try:
            y, _ = case.forward()
        except UnitError:
            continue
        for factor in (1.0, 2.0**30):
            try:
                right = _results(case, factor * case.cotangent(y))
                found = _results(planted, factor * case.cotangent(y))
            except UnitError:
                return False
            if len(found) != len(right) or not all(map(_indistinguishable, found, right)):
                return False
    return True


def _results(case: Case, dy: Any) -> list[Any]:
    y, residual = case.forward()
    result = case.unit.backward(residual, dy)
    return [np.asarray(y), *map(np.asarray, result if isinstance(result, tuple) else (result,))]


def _indistinguishable(a: Any, b: Any) -> bool:
    """Equal up to another order of the same roundings."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    room = 16 * np.finfo(a.dtype).eps * abs(b).max(initial=0)
    return bool(np.allclose(a, b, rtol=0, atol=room, equal_nan=True))


def tried(subject: Subject, chosen: Container[str] | None = None) -> list[Mutant]:
    """The mutants of a unit, all or those of some mistakes, with every check of its kind."""
    return [
        Mutant(subject.kind, subject.name, name, _failing(replace(subject, unit=wrong)))
        for name, wrong in mutants_of(subject)
        if chosen is None or name in chosen
    ]


def _failing(subject: Subject) -> tuple[str, ...]:
    results = [carry_out(one, subject, explain=False) for one in CHECKS[subject.kind]]
    return tuple(one.check for one in results if one.status == "fail")


def matrix(
    units: Sequence[Unit],
    processes: int = 1,
    files: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Matrix:
    """The mutants of these units, (kind, name), each unit in one of the processes.

    ``files`` are plugins that the processes have to load, and ``progress`` is told how many units
    are done.
    """
    found: dict[Unit, list[Mutant] | str] = {}
    for unit, outcome in _each(units, processes, files):
        found[unit] = outcome
        if progress is not None:
            progress(len(found))
    in_order = [(unit, found[unit]) for unit in units]
    return Matrix(
        mutants=[one for _, some in in_order if not isinstance(some, str) for one in some],
        left_out={unit: reason for unit, reason in in_order if isinstance(reason, str)},
    )


def _each(
    units: Sequence[Unit], processes: int, files: Sequence[str]
) -> Iterator[tuple[Unit, list[Mutant] | str]]:
    if processes < 2 or len(units) < 2:
        yield from ((unit, _of_unit(unit)) for unit in units)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import active_children, get_context

    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (files,)) as pool:
        calls = {pool.submit(_of_unit, unit): unit for unit in units}
        try:
            for call in as_completed(calls):
                yield calls[call], call.result()
        except BaseException:  # Ctrl-C, too: a unit takes seconds, and nobody waits for it
            pool.shutdown(wait=False, cancel_futures=True)
            for child in active_children():
                child.terminate()
            raise


def _begin(files: Sequence[str]) -> None:
    """In a process that tries mutants: the plugins; what a unit prints does not go among ours."""
    import signal
    import sys

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends without a word: the parent tells it
    sys.stdout = sys.stderr
    for reference in files:
        registry.load_plugin(reference)


def _of_unit(unit: Unit) -> list[Mutant] | str:
    """The mutants of a unit; why there are none, if it cannot be made or is wrong as it is."""
    from threadpoolctl import threadpool_limits

    kind, name = unit
    with threadpool_limits(1):
        try:
            subject = subject_of(name, kind)
        except Exception as error:  # whatever its __post_init__ may raise
            return why_not_started(error)[1]
        failing = _failing(subject)
        if failing:
            return f"it fails as it is: {', '.join(failing)}; see `pullback check`"
        return tried(subject)


def checks_of(mutants: Sequence[Mutant]) -> dict[tuple[str, ...], list[Mutant]]:
    """The mutants by the names of their checks; those of layers with those of losses."""
    kinds = {one.kind for one in mutants}
    names = {kind: tuple(check.__name__ for check in CHECKS[kind]) for kind in kinds}
    found: dict[tuple[str, ...], list[Mutant]] = {}
    for one in mutants:
        wider = [some for some in names.values() if {*names[one.kind]} <= {*some}]
        found.setdefault(max(wider, key=len), []).append(one)
    return found


def only_by(checks: Sequence[str], mutants: Iterable[Mutant]) -> dict[str, int]:
    """How many of these mutants, all of the same checks, each check kills that no other does."""
    alone = Counter(one.killed_by[0] for one in mutants if len(one.killed_by) == 1)
    return {check: alone[check] for check in checks}
