"""Reports of checks in the terminal: of a few units each check, of many a row a unit.

What is wrong comes before what was not decided, and nothing is said twice: of a unit that failed
what is wrong with it, and its other checks by name; every reason once, with all units and checks
that it concerns. Nothing is cut off: lines are wrapped to the width of the terminal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pullback.verify.checks import told as told_by
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import START, STATUSES, Report, Result, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

NO_BREAK = "\N{NO-BREAK SPACE}"  # between what is not to be wrapped
FEW = 3  # units of which each check is shown; of more, a row each
MARKS: dict[Status, str] = {"pass": "✓", "fail": "✗", "skip": "–", "inconclusive": "?"}
STYLES: dict[Status, str] = {
    "pass": "green",
    "fail": "bold red",
    "skip": "dim",
    "inconclusive": "yellow",
}
DIGITS = "digits: certain decimal digits, of the formula; of precision, in float64"


# What the reports say.


def counts(reports: Iterable[Report]) -> dict[Status, int]:
    """How many checks of all units passed, failed, were skipped or could not decide."""
    each = [report.counts for report in reports]
    return {status: sum(one[status] for one in each) for status in STATUSES}


def total(reports: Sequence[Report], seconds: float) -> str:
    """The last line: every count, of how many units, and how long it took."""
    return f"{_counted(reports)}, {number_of_units(reports)}, {seconds:.1f} s"


def _counted(reports: Iterable[Report]) -> str:
    each = counts(reports).items()
    return " · ".join(f"{MARKS[status]} {number} {status}" for status, number in each)


def number_of_units(units: Sequence[object]) -> str:
    return "1 unit" if len(units) == 1 else f"{len(units)} units"


def questions(kind: str) -> dict[str, str]:
    """What each check asks, by its name."""
    return {check.__name__: told_by(check).rstrip(".") for check in CHECKS[kind]}


def asked(report: Report, result: Result) -> str:
    """What a check asked; or what is wrong, or why it could not be decided."""
    return result.message or questions(report.kind).get(result.check, "")


def fewest_digits(report: Report) -> float | None:
    """The digits that all checks of a right unit certify; None where none measured any."""
    digits = [one.digits for one in report.results if one.digits is not None]
    return min(digits) if digits and not report.failures else None


def never_started(report: Report) -> bool:
    """Whether the unit could not even be made."""
    return [one.check for one in report.results] == [START]


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


def show(reports: Sequence[Report], console: Console, *, verbose: bool = False) -> None:
    """Each unit, or the grid of many; what is wrong, and what was not decided.

    Where something failed, the reasons why checks do not apply are left to ``verbose``; not those
    why a unit could not be made.
    """
    few = len(reports) <= FEW
    if not few:
        _show_grid(reports, console)
    if few or verbose:
        for report in reports:
            _show_unit(report, console, verbose=verbose)
    else:
        for report in reports:
            _show_failures(report, console)
        _show_reasons(reports, "inconclusive", console)
        applies = list(reports) if all(reports) else list(filter(never_started, reports))
        _show_reasons(applies, "skip", console)
    if any(fewest_digits(report) is not None for report in reports):
        write(DIGITS, console, style="dim")
    if not (verbose or all(reports)):
        write("every check, and why some do not apply: --verbose", console, style="dim")


def plain(report: Report) -> str:
    """A report as the terminal shows it, without colours and time."""
    import io

    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=80, color_system=None)
    _show_unit(report, console)
    return f"{text.getvalue()}{_counted([report])}"


def write(text: str, console: Console, *, style: str = "", first: str = "") -> None:
    """A paragraph, wrapped between words; ``first`` stands before it, and as much room below."""
    from rich.text import Text

    lines = textwrap.wrap(
        text,
        max(console.width, len(first) + 20),
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        console.print(Text(line, style), soft_wrap=True)


def _show_unit(report: Report, console: Console, *, verbose: bool = False) -> None:
    """Every check; of a unit that failed what is wrong, and the other checks by name."""
    from rich.text import Text

    known = (report.kind, f"family {report.family}", report.provider)
    about = Text(f"  {' · '.join(filter(None, known))}", "not bold dim")
    console.print(Text(report.name, "bold", overflow="ignore").append(about))
    console.print()
    _show_failures(report, console)
    if verbose or not (report.failures or never_started(report)):
        _show_checks(report, console)
    else:
        _show_others(report, console)
    console.print()


def _show_checks(report: Report, console: Console) -> None:
    """A line a check: its mark, its name, the digits, and what it asks or has found."""
    from rich.text import Text

    width = max((len(one.check) for one in report.results), default=5)
    console.print(Text(f"  {'check':<{width}} digits  what it asks", "dim"), soft_wrap=True)
    for one in report.results:
        style = STYLES[one.status]
        found = textwrap.wrap(
            asked(report, one), max(console.width - width - 11, 20), break_on_hyphens=False
        )
        line = Text(f"{MARKS[one.status]} ", style)
        line.append(f"{one.check:<{width}} {digits_text(one.digits):>6}  ", "not bold default")
        for text in found or [""]:
            line.append(text, "not bold default" if one.status == "pass" else style)
            line.rstrip()
            console.print(line, soft_wrap=True)
            line = Text(" " * (width + 11))


def _show_others(report: Report, console: Console) -> None:
    """The checks that have not failed, by name; why they could not decide, or not be made."""
    together: dict[tuple[Status, str], list[str]] = {}
    for one in report.results:
        tells = one.status == "inconclusive" or one.check == START
        why = one.message if tells else ""
        together.setdefault((one.status, why), []).append(one.check)
    for status in ("inconclusive", "pass", "skip"):
        for (of, why), names in together.items():
            if of == status:
                told = f"{', '.join(names)}{why and f': {why}'}"
                write(told, console, style=STYLES[status], first=f"{MARKS[status]} ")


def digits_text(digits: float | None) -> str:
    """Digits as people read them: one decimal."""
    return "" if digits is None else f"{digits:.1f}"


def _show_grid(reports: Sequence[Report], console: Console) -> None:
    from rich.text import Text

    for checks, some in groupby(reports, key=lambda one: list(questions(one.kind))):
        group = list(some)
        width = max(2 + max(len(one.name) for one in group), *room(checks))
        for line in pyramid(checks, width):
            console.print(Text(line, "dim"), soft_wrap=True)
        for kind, of_kind in groupby(group, key=lambda one: one.kind):
            title = Text(kind.ljust(width + 2 * len(checks)), "bold underline")
            console.print(title.append("digits"), soft_wrap=True)
            for report in of_kind:
                console.print(_row(report, checks, width), soft_wrap=True)
        console.print()


def room(checks: Sequence[str]) -> list[int]:
    """How far to the right the first column must be for each name on the left of the pyramid."""
    return [len(check) + 1 - 2 * place for place, check in enumerate(checks[: _half(checks)])]


def _half(checks: Sequence[str]) -> int:
    return (len(checks) + 1) // 2


def pyramid(checks: Sequence[str], width: int) -> list[str]:
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
    if never_started(report):
        status = by_check[START]
        return line.append(f"{MARKS[status]} could not be started", STYLES[status])
    for check in checks:
        status = by_check[check]
        line.append(f"{MARKS[status]} ", STYLES[status])
    line.append(f"{digits_text(fewest_digits(report)):>6}")
    line.rstrip()
    return line


def _show_reasons(reports: Sequence[Report], status: Status, console: Console) -> None:
    found = reasons(reports, status)
    if not found:
        return
    write(f"{MARKS[status]} {status}", console, style=STYLES[status])
    for message, concerned in found.items():
        write(message, console, first="  ")
        write(concerned, console, style="dim", first="      ")
    console.print()


def _show_failures(report: Report, console: Console) -> None:
    """What is wrong, each with its mark, and what is known of it below."""
    for text in report.told():
        first, *rest = text.splitlines()
        write(first, console, style=STYLES["fail"], first=f"{MARKS['fail']} ")
        for line in rest:
            write(line, console, first="  ")
    if report.failures:
        console.print()
