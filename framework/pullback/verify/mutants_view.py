"""``pullback check --mutants``: which checks see which mistakes, for people and for programs.

Layers and losses have the same checks and stand in one matrix; optimizers have others, some of the
same name, and stand in one of their own. Nothing of one is counted with the other.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pullback.errors import PullbackError
from pullback.verify.mutants import Matrix, Mutant, Unit, checks_of, matrix, only_by
from pullback.verify.table import STYLES, number_of_units, pyramid, room, write

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

ALL, SOME, NONE = "●", "○", "·"
LEGEND = f"killed in {ALL} every unit, {SOME} some of the units, {NONE} none"
SEVERAL = {"layer": "layers", "loss": "losses", "optimizer": "optimizers"}


def run(units: Sequence[Unit], files: Sequence[str] = (), *, as_json: bool = False) -> int:
    """Print the kill matrix of these units; 1 where a mutant survives. Raises PullbackError."""
    started = time.perf_counter()
    with _progress(len(units)) as progress:
        found = matrix(units, os.cpu_count() or 1, files, progress)
    seconds = time.perf_counter() - started
    if as_json:
        print(json.dumps(as_dict(found, seconds), indent=1, ensure_ascii=False))
    else:
        show(found, seconds)
    if not found.mutants:
        raise PullbackError("no mistake was planted in anything: see the reasons above")
    return 0 if all(one.killed for one in found.mutants) else 1


@contextmanager
def _progress(units: int) -> Iterator[Any]:
    """How many units are done, on stderr; what a unit prints goes there, too."""
    from contextlib import redirect_stdout

    from rich.console import Console

    def told(done: int) -> str:
        return f"planting mistakes: {done} of {units} units done"

    with (
        redirect_stdout(sys.stderr),
        Console(stderr=True).status(told(0)) as status,
    ):
        yield lambda done: status.update(told(done))


def as_dict(found: Matrix, seconds: float) -> dict[str, Any]:
    """The matrix for a program: every mutant, the totals, and what each check alone kills."""
    killed = sum(one.killed for one in found.mutants)
    return {
        "mutants": [{**vars(one), "killed": one.killed} for one in found.mutants],
        "planted": len(found.mutants),
        "killed": killed,
        "survivors": [vars(one) for one in found.mutants if not one.killed],
        "only_by": {
            _kinds(some): only_by(checks, some) for checks, some in checks_of(found.mutants).items()
        },
        "left_out": [
            {"kind": kind, "unit": unit, "reason": reason}
            for (kind, unit), reason in found.left_out.items()
        ],
        "seconds": seconds,
    }


def _kinds(mutants: Iterable[Mutant]) -> str:
    """``layers and losses``: what they are mutants of."""
    return " and ".join(dict.fromkeys(SEVERAL[one.kind] for one in mutants))


def show(found: Matrix, seconds: float) -> None:
    """A matrix for each set of checks, what survived, what was left out, and the totals."""
    from rich.console import Console

    console = Console(highlight=False)
    groups = checks_of(found.mutants)
    for checks, some in groups.items():
        _show(checks, some, console)
    if groups:
        write(LEGEND, console, style="dim")
        console.print()
    for one in found.mutants:
        if not one.killed:
            write(f"survived: {one.mistake}, in {one.unit}", console, style="red", first="✗ ")
    for (_, name), reason in found.left_out.items():
        write(f"{name} left out: {reason}", console, style=STYLES["inconclusive"], first="? ")
    if groups:
        write(_total(groups, seconds), console)


def _total(groups: Mapping[tuple[str, ...], list[Mutant]], seconds: float) -> str:
    """The last line: what was killed, in how many units, and by how many checks alone."""
    mutants = [one for some in groups.values() for one in some]
    mistakes = sum(len({one.mistake for one in some}) for some in groups.values())
    alone = sum(sum(map(bool, only_by(*group).values())) for group in groups.items())
    units = list(dict.fromkeys((one.kind, one.unit) for one in mutants))
    return (
        f"{sum(one.killed for one in mutants)} of {len(mutants)} mutants killed · "
        f"{mistakes} mistakes · {alone} of {sum(map(len, groups))} checks kill what no other does, "
        f"{number_of_units(units)}, {seconds:.1f} s"
    )


def _show(checks: Sequence[str], mutants: Sequence[Mutant], console: Console) -> None:
    """The matrix of one set of checks, and what each of them kills that no other does."""
    from rich.text import Text

    rows: dict[str, list[Mutant]] = {}
    for one in mutants:
        rows.setdefault(one.mistake, []).append(one)
    width = max(1 + max(map(len, rows)), *room(checks))
    for line in pyramid(checks, width):
        console.print(Text(line, "dim"), soft_wrap=True)
    title = Text(_kinds(mutants).ljust(width + 2 * len(checks)), "bold underline")
    console.print(title.append("killed"), soft_wrap=True)
    for mistake, planted in rows.items():
        console.print(_row(mistake, planted, checks, width), soft_wrap=True)
    console.print()
    alone = only_by(checks, mutants)
    kills = {check for one in mutants for check in one.killed_by}
    for told, some in (
        ("killed by no other check", [f"{check} {n}" for check, n in alone.items() if n]),
        ("always with another", [one for one in checks if one in kills and not alone[one]]),
        ("kill nothing here", [one for one in checks if one not in kills]),
    ):
        if some:
            write(f"{told}: {', '.join(some)}", console)
    console.print()


def _row(mistake: str, mutants: Sequence[Mutant], checks: Sequence[str], width: int) -> Text:
    """Where a mistake was seen: a mark for each check, and in how many of the units it was."""
    from rich.text import Text

    killed = sum(one.killed for one in mutants)
    line = Text(mistake.ljust(width), "" if killed == len(mutants) else STYLES["fail"])
    for check in checks:
        seen = sum(check in one.killed_by for one in mutants)
        mark = ALL if seen == len(mutants) else SOME if seen else NONE
        line.append(f"{mark} ", "" if seen else "dim")
    return line.append(f"{f'{killed}/{len(mutants)}':>6}")
