"""A trace in the terminal: forward, then back, a stage a paragraph; and one stage opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pullback.tracing.local import Local
from pullback.tracing.numbers import lines, number, shape
from pullback.tracing.trace import Step, Trace
from pullback.units import Array
from pullback.verify.table import write

if TYPE_CHECKING:
    from rich.console import Console

INDENT = 6


def show(trace: Trace, console: Console) -> None:
    """What is given, every value, and every gradient, each with its shape."""
    from rich.text import Text

    console.print("given", style="bold")
    for symbol, value in trace.given.items():
        console.print(Text(f"{'':{INDENT}}{symbol}  {shape(value)}"), soft_wrap=True)
        _show_value(value, console)
    for way, steps in {"forward": trace.forward, "back": trace.backward}.items():
        console.print()
        console.print(way, style="bold")
        number = 0
        for step in steps:
            _show_step(step, console, repeated=step.number == number)
            number = step.number


def plain(trace: Trace) -> str:
    """The trace as the terminal shows it, without colours."""
    import io

    from rich.console import Console

    text = io.StringIO()
    show(trace, Console(file=text, width=80, color_system=None))
    return text.getvalue().rstrip()


def _show_step(step: Step, console: Console, *, repeated: bool) -> None:
    """Number, symbol, equation and shape; the value below."""
    from rich.text import Text

    first = "" if repeated else f"({step.number})"
    equation = f" = {step.equation}" if step.equation else ""
    told = [shape(step.value)]
    if step.kept:
        told.append(f"keeps {size(step.kept)}")
    text = Text(f" {first:<{INDENT - 1}}")
    text.append(step.symbol, "bold")
    text.append(equation)
    text.append(f"   {'   '.join(filter(None, told))}", "dim")
    console.print(text, soft_wrap=True)
    _show_value(step.value, console)


def _show_value(value: Array, console: Console) -> None:
    from rich.text import Text

    for line in lines(value, console.width - INDENT - 2):
        console.print(Text(f"{'':{INDENT + 2}}{line}"), soft_wrap=True)


def size(count: int) -> str:
    """Bytes, in the unit that they are read in."""
    if count < 10_000:
        return f"{count:,} B"
    return f"{count / 1024:,.0f} KiB" if count < 10_000_000 else f"{count / 1024**2:,.0f} MiB"


def show_local(local: Local, console: Console) -> None:
    """J of a row, the product dy J, and dx by the unit's own backward, one below the other."""
    from rich.text import Text

    place = local.link.place
    x, y = place.input, place.output
    outputs, inputs = local.jacobian.shape
    parts: list[tuple[str, str, Array]] = [
        (f"J = ∂{y}/∂{x}", "a line for each output, a column for each input", local.jacobian),
        (f"d{y}", "the gradient that arrives", local.dy[None]),
        (f"d{y} J", f"1×{outputs} times {outputs}×{inputs} is 1×{inputs}", local.product[None]),
        (f"d{x} = {place.notation.gradient(x)}", "by the unit's backward", local.dx[None]),
    ]
    title = f"{y} = {place.notation.forward}, at row {local.row}"
    console.print(Text(title, "bold"), soft_wrap=True)
    for name, remark, value in parts:
        text = Text(f"{'':{INDENT}}{name}")
        text.append(f"   {shape(value)}   {remark}", "dim")
        console.print(text, soft_wrap=True)
        _show_value(value, console)
    for line in agreement(local):
        write(line, console, style="dim", first=f"{'':{INDENT}}")


def agreement(local: Local) -> list[str]:
    """How far apart the two ways to dx are, and the oracle's J and backward's."""
    x, y = local.link.place.input, local.link.place.output
    apart = float(abs(local.product - local.dx).max(initial=0))
    beside = float(abs(local.by_backward - local.jacobian).max(initial=0))
    return [
        f"d{y} J and d{x} differ by {number(apart)}.",
        f"J is forward's, by {local.oracle}; backward's own differs from it by {number(beside)}.",
    ]
