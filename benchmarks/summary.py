"""The results of check_against_peers as tables for a person."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from peers import PEERS
from rich.console import Console
from rich.table import Table

ALL, ONE = "pullback check", "pullback check, only pullback"
BASE = "gradcheck, float64"
WORDS = {
    ALL: "all checks of a backward",
    ONE: "whole Jacobian, 50 digits",
    **{peer.name: peer.words for peer in PEERS},
}


def show(found: dict[str, Any]) -> None:
    """Who kills what, who cries wolf, and how long it takes."""
    console = Console(highlight=False)
    console.print(_kills(found), "")
    console.print(_alarms(found), "")
    console.print(_times(found), "")
    for name in WORDS:
        console.print(f"[bold]{name}[/] misses {_missed(found, name)}\n")
    console.print(_footnotes(found))


def kills(found: dict[str, Any], name: str) -> dict[str, int]:
    """Mutants that a contender refuses, and those of them that it tells from the right unit."""
    mutants = found["mutants"]
    apart = [one for one in mutants if name in one["told_apart"]]
    return {
        "refused": sum(name in one["refused_by"] for one in mutants),
        "told apart": len(apart),
        "of wrong gradients": sum(one["wrong_gradient"] for one in apart),
    }


def _kills(found: dict[str, Any]) -> Table:
    mutants = found["mutants"]
    wrong = sum(one["wrong_gradient"] for one in mutants)
    grid = Table(title=f"{len(mutants)} mutants of {len(found['seconds'])} units", box=None)
    grid.add_column("check, at its defaults", no_wrap=True)
    grid.add_column("what it does")
    grid.add_column("refused", justify="right")
    grid.add_column("killed: refused, and the right unit passes", justify="right")
    grid.add_column(f"killed, of the {wrong} whose gradient is wrong there", justify="right")
    for name, words in WORDS.items():
        grid.add_row(name, words, *(str(one) for one in kills(found, name).values()))
    return grid


def alarms(found: dict[str, Any], name: str) -> tuple[int, int]:
    """False alarms about right units, and the draws that they are out of."""
    counts = [one[name] for one in found["false_alarms"].values()]
    return sum(one["alarms"] for one in counts), sum(one["draws"] for one in counts)


def _alarms(found: dict[str, Any]) -> Table:
    grid = Table(title="false alarms: right units refused, at random inputs", box=None)
    grid.add_column("check", no_wrap=True)
    for column in ("alarms", "draws"):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("in which units")
    for name in next(iter(found["false_alarms"].values())):
        counts = {unit: one[name]["alarms"] for unit, one in found["false_alarms"].items()}
        where = ", ".join(f"{unit} {count}" for unit, count in counts.items() if count)
        grid.add_row(name, *map(str, alarms(found, name)), where)
    return grid


def ratio(times: dict[str, list[float]], name: str, base: str = BASE) -> float:
    """The median over the rounds of a contender's time by that of another in the same round."""
    pairs = zip(times[name][1:], times[base][1:], strict=True)  # the first warmed up
    return statistics.median(a / b for a, b in pairs)


def _times(found: dict[str, Any]) -> Table:
    names = list(next(iter(found["seconds"].values())))
    grid = Table(title=f"time for a unit: milliseconds, and times that of {BASE}", box=None)
    grid.add_column("unit")
    for name in names:
        grid.add_column(name, justify="right")
    for unit, times in found["seconds"].items():
        cells = [(1e3 * statistics.median(times[one][1:]), ratio(times, one)) for one in names]
        grid.add_row(unit, *(f"{ms:.3g} · {of:.3g}×" for ms, of in cells))
    medians = {
        name: statistics.median(ratio(times, name) for times in found["seconds"].values())
        for name in names
    }
    grid.add_row("median of the units", *(f"{one:.3g}×" for one in medians.values()))
    return grid


def _missed(found: dict[str, Any], name: str) -> str:
    """Mistakes that a contender misses, with the number of units; first the wrong gradients."""
    missed = [one for one in found["mutants"] if name not in one["told_apart"]]
    if not missed or len(missed) == len(found["mutants"]):
        return "nothing" if not missed else "everything: it refuses the right units, too"
    parts = []
    for what, wrong in (("of wrong gradients", True), ("of the others", False)):
        names = Counter(one["mistake"] for one in missed if one["wrong_gradient"] == wrong)
        told = "; ".join(f"{mistake} ({count})" for mistake, count in names.most_common())
        parts.append(f"[dim]{what}:[/] {told or 'nothing'}")
    return " · ".join(parts)


def _footnotes(found: dict[str, Any]) -> str:
    agree = Counter[str]()
    for one in found["wrapped_beside_native"].values():
        agree.update(one)
    versions = " ".join(f"{name} {number}" for name, number in found["versions"].items())
    return (
        f"right units are at most {max(found['right_units_off_by'].values()):.1g} off in float64 · "
        f"a peer says the same of a wrapped unit and of its own library's function in "
        f"{agree['same']} of {agree.total()} calls\n"
        f"{found['machine']['cpu']}, {found['machine']['cores']} cores, one thread · {versions}"
    )
