"""What is said of a derivation in the terminal: the first stage that is not right, and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pullback.derivations.verdict import Judged, Status, Verdicts
from pullback.verify.table import NO_BREAK, write

if TYPE_CHECKING:
    from rich.console import Console

MARKS: dict[Status, str] = {"right": "✓", "wrong": "✗", "to do": "–"}
STYLES: dict[Status, str] = {"right": "green", "wrong": "bold red", "to do": "dim"}


def show(verdicts: Verdicts, console: Console, *, solution: bool = False) -> None:
    """Every stage with its mark; the first that is not right in full."""
    from rich.text import Text

    line = Text()
    for one in verdicts.stages:
        line.append(f"{MARKS[one.status]}{NO_BREAK}{one.name}   ", STYLES[one.status])
    console.print(line)
    first = verdicts.first
    if first is None:
        write(total(verdicts), console, style="green")
        return
    console.print()
    _show_first(first, console, solution=solution)
    console.print()
    write(total(verdicts), console)
    write(_NOTE, console, style="dim")


_NOTE = "each stage was judged with the right gradients arriving, at random values of several sizes"


def plain(verdicts: Verdicts) -> str:
    """The verdicts as the terminal shows them, without colours."""
    import io

    from rich.console import Console

    text = io.StringIO()
    show(verdicts, Console(file=text, width=80, color_system=None))
    return text.getvalue().rstrip()


def total(verdicts: Verdicts) -> str:
    """How many stages are right, wrong, and still to do."""
    number = [one.status for one in verdicts.stages]
    return " · ".join(f"{MARKS[status]} {number.count(status)} {status}" for status in MARKS)


def _show_first(judged: Judged, console: Console, *, solution: bool) -> None:
    where = f" (line {judged.line})" if judged.line else ""
    first = f"{MARKS[judged.status]} {judged.name}{where}: "
    style = STYLES[judged.status] if judged.status == "wrong" else ""
    write(first + (judged.message or "still to do"), console, style=style)
    lines = []
    if judged.mistake:
        explained = f": {judged.explanation}" if solution else ""
        lines.append(f"looks like: {judged.mistake}{explained}")
    elif judged.status == "wrong":
        lines.append("it is no mistake that is known by name")
    if judged.hint:
        lines.append(f"look at: {judged.hint}")
    for line in lines:
        write(line, console, first="  ")
    if solution and judged.solution:
        console.print()
        for line in judged.solution.splitlines():
            console.print(f"    {line}", markup=False, soft_wrap=True)
