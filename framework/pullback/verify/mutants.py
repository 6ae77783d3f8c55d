"""The kill matrix: every mistake planted in every unit that it can be made in, and who sees it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback import registry
from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.checks import carry_out, kind_of_name, subject_of
from pullback.verify.laws import CHECKS
from pullback.verify.laws.reach import MANY_CLASSES
from pullback.verify.mistakes import MISTAKES

if TYPE_CHECKING:
    import pandas as pd


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
    cases.append(subject.case().without_rows())
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


def tried(subject: Subject) -> list[Mutant]:
    """Every mutant of a unit, with every check of its kind."""
    found = []
    for name, wrong in mutants_of(subject):
        planted = replace(subject, unit=wrong)
        results = [carry_out(one, planted, explain=False) for one in CHECKS[subject.kind]]
        killers = tuple(one.check for one in results if one.status == "fail")
        found.append(Mutant(subject.kind, subject.name, name, killers))
    return found


def matrix(names: Iterable[tuple[str, str]], processes: int = 1) -> list[Mutant]:
    """The mutants of these units, (kind, name), each unit in a process of its own."""
    units = list(names)
    if processes < 2 or len(units) < 2:
        return [mutant for one in units for mutant in _of_name(one)]
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return [mutant for of_unit in pool.map(_of_name, units) for mutant in of_unit]


def _of_name(name: tuple[str, str]) -> list[Mutant]:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return tried(subject_of(name[1], name[0]))


def only_by(mutants: Iterable[Mutant]) -> dict[str, int]:
    """How many mutants each check kills that no other check does."""
    found = {check.__name__: 0 for checks in CHECKS.values() for check in checks}
    for one in mutants:
        if len(one.killed_by) == 1:
            found[one.killed_by[0]] += 1
    return found


def run(names: list[str], as_json: bool) -> int:
    """Print the kill matrix of these units, or of all; 1 where a mutant survives."""
    import os

    units = [(kind_of_name(name), name) for name in names] or everything()
    mutants = matrix(units, os.cpu_count() or 1)
    if as_json:
        print(json.dumps(as_dict(mutants), indent=1, ensure_ascii=False))
    else:
        show(mutants)
    return 0 if all(one.killed for one in mutants) else 1


def everything() -> list[tuple[str, str]]:
    """Every registered unit that there are checks for."""
    return [(kind, name) for kind in CHECKS for name in registry.names(kind)]


def as_dict(mutants: list[Mutant]) -> dict[str, Any]:
    """The matrix for a program: every mutant, the totals, and what each check alone kills."""
    killed = sum(one.killed for one in mutants)
    return {
        "mutants": [{**vars(one), "killed": one.killed} for one in mutants],
        "planted": len(mutants),
        "killed": killed,
        "survivors": [vars(one) for one in mutants if not one.killed],
        "only_by": only_by(mutants),
    }


def table(mutants: list[Mutant]) -> pd.DataFrame:
    """Mistakes × checks: in how many units each check sees each mistake, and in how many it is."""
    import pandas as pd

    kills = [(one.mistake, check) for one in mutants for check in one.killed_by]
    frame = pd.DataFrame(kills, columns=["mistake", "check"])
    counts = pd.crosstab(frame["mistake"], frame["check"])
    planted_in = pd.Series([one.mistake for one in mutants]).value_counts()
    killed_in = pd.Series([one.mistake for one in mutants if one.killed]).value_counts()
    order = dict.fromkeys(one.mistake for one in mutants)
    checks = [check for check in only_by(mutants) if check in counts.columns]
    counts = counts.reindex(index=list(order), columns=checks, fill_value=0)
    counts.insert(0, "killed", killed_in.reindex(counts.index, fill_value=0))
    counts.insert(0, "units", planted_in.reindex(counts.index, fill_value=0))
    return counts


def show(mutants: list[Mutant]) -> None:
    """The matrix in the terminal, one for each family of checks, and the totals."""
    from rich.console import Console

    console = Console(highlight=False)
    law = [one for one in mutants if one.kind != "optimizer"]
    of_optimizers = [one for one in mutants if one.kind == "optimizer"]
    for title, some in (("layers and losses", law), ("optimizers", of_optimizers)):
        if some:
            _show(console, title, some)
    for one in mutants:
        if not one.killed:
            console.print(f"[red]survived[/]: {one.mistake}, in {one.unit}")
    alone = [name for name, count in only_by(mutants).items() if count]
    console.print(
        f"{sum(one.killed for one in mutants)} of {len(mutants)} mutants killed · "
        f"{len({one.mistake for one in mutants})} mistakes · {len({one.unit for one in mutants})} "
        f"units · {len(alone)} checks kill one that no other does"
    )


def _show(console: Any, title: str, mutants: list[Mutant]) -> None:
    from rich.table import Table

    frame = table(mutants)
    checks = list(frame.columns[2:])
    letters = {check: f"{place + 1}" for place, check in enumerate(checks)}
    grid = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", title=title)
    grid.add_column("mistake", no_wrap=True)
    grid.add_column("units", justify="right")
    grid.add_column("killed", justify="right")
    for check in checks:
        grid.add_column(letters[check], justify="right")
    for mistake, row in frame.iterrows():
        style = "" if row["killed"] == row["units"] else "red"
        cells = [str(row[check]) if row[check] else "·" for check in checks]
        grid.add_row(str(mistake), str(row["units"]), str(row["killed"]), *cells, style=style)
    counts = only_by(mutants)
    grid.add_row("killed by no other", "", "", *(str(counts[check]) for check in checks))
    console.print(grid, soft_wrap=False)
    console.print("   ".join(f"{number} {check}" for check, number in letters.items()), style="dim")
    console.print()
