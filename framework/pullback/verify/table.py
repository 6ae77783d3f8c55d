"""Reports of checks in the terminal: a table a unit or a row a unit, and what has to be said.

Nothing is said twice: the reasons why something was not decided once, with all units and checks
that they concern, and of the mistakes that a unit shows in several checks the explanation once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from pullback.verify.checks import told
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import STATUSES, Report, Result, Status
from pullback.verify.outcome import told as told_failure

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

FEW = 3  # units that get a table each; more get a row each
START = "start"  # stands for the checks of a unit that cannot be made
MARKS: dict[Status, str] = {"pass": "✓", "fail": "✗", "skip": "–", "inconclusive": "?"}
STYLES: dict[Status, str] = {
    "pass": "green",
    "fail": "bold red",
    "skip": "dim",
    "inconclusive": "yellow",
}
NOT_DECIDED: tuple[Status, ...] = ("skip", "inconclusive")


# What the reports say.


def counts(reports: Iterable[Report]) -> dict[Status, int]:
    """How many checks of all units passed, failed, were skipped or could not decide."""
    each = [report.counts for report in reports]
    return {status: sum(one[status] for one in each) for status in STATUSES}


def total(reports: Sequence[Report], seconds: float) -> str:
    """The last line: every count, of how many units, and how long it took."""
    number = " · ".join(f"{number} {status}" for status, number in counts(reports).items())
    units = "1 unit" if len(reports) == 1 else f"{len(reports)} units"
    return f"{number}, {units}, {seconds:.1f} s"


def questions(kind: str) -> dict[str, str]:
    """What each check asks, by its name."""
    return {check.__name__: told(check).rstrip(".") for check in CHECKS[kind]}


def asked(report: Report, result: Result) -> str:
    """What a check asked; or what is wrong, or why it could not be decided."""
    return result.message or questions(report.kind).get(result.check, "")


def fewest_digits(report: Report) -> float | None:
    """The digits that all checks of a right unit certify; None where none measured any."""
    digits = [one.digits for one in report.results if one.digits is not None]
    return min(digits) if digits and not report.failures else None


def in_full(report: Report) -> list[str]:
    """What is wrong with a unit; checks that found the same are told together."""
    alike: dict[tuple[str, str], list[Result]] = {}
    for one in report.failures:
        alike.setdefault((one.message, one.mistake), []).append(one)
    texts, said = [], {""}
    for some in alike.values():
        first = replace(some[0], check=", ".join(one.check for one in some))
        if first.mistake in said:
            first = replace(first, explanation="as above")
        if first.example in said:
            first = replace(first, example="")
        said |= {first.mistake, first.example}
        texts.append(told_failure(report.name, first))
    return texts


def reasons(reports: Iterable[Report], status: Status) -> dict[str, str]:
    """Why checks were not decided, each reason once, with the checks and units it concerns."""
    found: dict[str, dict[str, list[str]]] = {}
    for report in reports:
        for one in report.results:
            if one.status == status:
                found.setdefault(one.message, {}).setdefault(one.check, []).append(report.name)
    return {message: "; ".join(_concerned(by_check)) for message, by_check in found.items()}


def _concerned(by_check: dict[str, list[str]]) -> Iterator[str]:
    """``large, kinks: log, nll``: checks that are not decided for the same units go together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for check, names in by_check.items():
        together.setdefault(tuple(names), []).append(check)
    for units, checks in together.items():
        yield f"{', '.join(checks)}: {', '.join(units)}"


# In the terminal.


def show(reports: Sequence[Report], console: Console, *, in_full: bool) -> None:
    """The tables, or the grid with the reasons, and then what is wrong."""
    if in_full:
        for report in reports:
            console.print(_head(report))
            console.print(_table(report))
            console.print()
    else:
        _show_grid(reports, console)
        _show_reasons(reports, console)
    _show_failures(reports, console)


def _head(report: Report) -> Text:
    from rich.text import Text

    known = (report.kind, f"family {report.family}", report.provider)
    return Text(report.name, "bold").append(f"  {' · '.join(filter(None, known))}", "not bold dim")


def _table(report: Report) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("digits", justify="right", no_wrap=True)
    table.add_column("what it asks", overflow="fold")
    for one in report.results:
        style = "" if one.status == "pass" else STYLES[one.status]
        table.add_row(
            Text(one.check, style),
            Text(one.status, STYLES[one.status]),
            digits_text(one.digits),
            Text(asked(report, one), style),
        )
    return table


def digits_text(digits: float | None) -> str:
    """Digits as people read them: one decimal."""
    return "" if digits is None else f"{digits:.1f}"


def _show_grid(reports: Sequence[Report], console: Console) -> None:
    from rich.text import Text

    for checks, some in groupby(reports, key=lambda one: list(questions(one.kind))):
        group = list(some)
        width = max(2 + max(len(one.name) for one in group), *_room(checks))
        for line in pyramid(checks, width):
            console.print(Text(line, "dim"), soft_wrap=True)
        for kind, of_kind in groupby(group, key=lambda one: one.kind):
            title = Text(kind.ljust(width + 2 * len(checks)), "bold underline")
            console.print(title.append("digits"), soft_wrap=True)
            for report in of_kind:
                console.print(_row(report, checks, width), soft_wrap=True)
        console.print()


def _room(checks: list[str]) -> list[int]:
    """How far to the right the first column must be for each name on the left of the pyramid."""
    return [len(check) + 1 - 2 * place for place, check in enumerate(checks[: _half(checks)])]


def _half(checks: list[str]) -> int:
    return (len(checks) + 1) // 2


def pyramid(checks: list[str], width: int) -> list[str]:
    """The name of each check with a line down to its column, the first of which is at ``width``."""
    half, lines = _half(checks), []
    for height in range(half):
        place = half - 1 - height
        line = f"{checks[place]} ┐".rjust(width + 2 * place + 1) + " │" * (2 * height)
        other = half + height
        lines.append(line + (f" ┌ {checks[other]}" if other < len(checks) else ""))
    return lines


def _row(report: Report, checks: list[str], width: int) -> Text:
    from rich.text import Text

    style = STYLES["fail"] if report.failures else ""
    line = Text(f"{report.name:<{width}}", style)
    by_check = {one.check: one.status for one in report.results}
    if START in by_check:
        status = by_check[START]
        return line.append(f"{MARKS[status]} could not be started", STYLES[status])
    for check in checks:
        status = by_check[check]
        line.append(f"{MARKS[status]} ", STYLES[status])
    return line.append(f"{digits_text(fewest_digits(report)):>6}")


def _show_reasons(reports: Sequence[Report], console: Console) -> None:
    from rich.padding import Padding
    from rich.text import Text

    for status in NOT_DECIDED:
        found = reasons(reports, status)
        if not found:
            continue
        console.print(Text(f"{MARKS[status]} {status}", STYLES[status]))
        for message, concerned in found.items():
            console.print(Padding(Text(message), (0, 0, 0, 2)))
            console.print(Padding(Text(concerned, "dim"), (0, 0, 0, 6)))
        console.print()


def _show_failures(reports: Sequence[Report], console: Console) -> None:
    from rich.text import Text

    for report in reports:
        for text in in_full(report):
            first, *rest = text.splitlines()
            console.print(Text(first, STYLES["fail"]))
            for line in rest:
                console.print(Text(line))
            console.print()
