"""``pullback compare``: the table of some runs, and the files that were asked for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback.errors import PullbackError, writing

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_RUNS = Path("runs")
_LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback compare``."""
    parser.description = (
        "Compare runs: a row for each combination of the options in which they differ, with mean "
        "and standard deviation over the seeds."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "directories",
        nargs="*",
        default=[],
        type=Path,
        metavar="DIR",
        help="runs, sweeps, or directories that hold some; default: the newest below ./runs",
    )
    which.add_argument("--all", action="store_true", help="everything below ./runs")
    parser.add_argument(
        "--over",
        type=_names,
        default=["seed"],
        metavar="OPTIONS",
        help="what to take the mean over; default: seed; nothing: --over=",
    )
    parser.add_argument(
        "--metrics", type=_names, metavar="NAMES", help="the columns, as in test_loss,best_step"
    )
    parser.add_argument(
        "--where", metavar="EXPRESSION", help="as in \"optimizer.lr > 0.01 and loss == 'mse'\""
    )
    parser.add_argument(
        "--sort",
        metavar="NAME",
        help="by the mean of a metric, or an option; -NAME: the most first",
    )
    parser.add_argument(
        "--by", metavar="METRIC", help="what variants are judged by; default: the first loss shown"
    )
    parser.add_argument(
        "--across", type=_two, metavar="OPTION,OPTION", help="what the heat map is over"
    )
    for kind, what in (
        ("csv", "every digit, in seconds and bytes; - for standard output"),
        ("markdown", "the table; - for standard output"),
        ("html", "the report: tables, pictures, every run, environments, checks; one page"),
    ):
        parser.add_argument(f"--{kind}", metavar="FILE", help=what)
    parser.add_argument("--pictures", metavar="DIR", type=Path, help="the pictures as PNG files")


def run(args: argparse.Namespace) -> int:
    """Print the table and what is to be said of it; write the files. Raises PullbackError."""
    from rich.console import Console

    from pullback.compare import filters, frame, table

    if [args.csv, args.markdown, args.html].count("-") > 1:
        raise PullbackError("only one of --csv, --markdown and --html can have standard output")
    console = Console(stderr="-" in (args.csv, args.markdown, args.html))
    runs = _loaded(args, console)
    if args.where:
        runs = filters.matching(runs, args.where)
        if runs.empty:
            raise PullbackError(f"--where '{args.where}': it is true of none of these runs")
    aggregated = frame.aggregate(runs, args.over, args.metrics)
    if args.sort:
        aggregated = frame.sorted_by(aggregated, args.sort)
    by = args.by or (args.metrics or [table.default_metric(aggregated)])[0]
    paired = _paired(runs, by, args.over)
    numbered = len(paired) > 0 and table.is_numbered(aggregated)
    _show(aggregated, args.metrics, numbered, console)
    _show_paired(paired, aggregated if numbered else None, console)
    _tell(runs, console)

    if args.csv:
        _write(args.csv, table.to_csv(aggregated), console)
    if args.markdown:
        _write(args.markdown, table.to_markdown(aggregated, args.metrics), console)
    if args.html or args.pictures:
        _draw(args, runs, aggregated, paired, by, console)
    return 0


def _show(
    aggregated: pd.DataFrame, metrics: list[str] | None, numbered: bool, console: Console
) -> None:
    """The table; where nobody chose columns, as many as the terminal has room for."""
    from pullback.compare import table

    width = console.width - 4 * numbered
    chosen = metrics or table.fitting(aggregated, width)
    console.print(table.render(aggregated, chosen, numbered=numbered))
    missing = [] if metrics else table.default_metrics(aggregated)[len(chosen) :]
    if missing:
        names = ", ".join(missing)
        _say(console, f"for a wider terminal, --metrics, or --html FILE: {names}")
    elif table.least_width(aggregated, chosen) > width:
        _say(console, "wider than this terminal: choose columns with --metrics, or use --html FILE")


def _paired(runs: pd.DataFrame, by: str, over: list[str]) -> pd.DataFrame:
    """Which variants differ, where there are two and more than one run of each; else nothing."""
    import pandas as pd

    from pullback.compare.statistics import paired

    if not by:
        return pd.DataFrame()
    found = paired(runs, by, over)
    return found if len(found) and (found["pairs"] > 1).any() else pd.DataFrame()


def _show_paired(found: pd.DataFrame, aggregated: pd.DataFrame | None, console: Console) -> None:
    from pullback.compare import table

    if found.empty:
        return
    console.print()
    console.print(table.render_paired(found.head(_LISTED), aggregated))
    if len(found) > _LISTED:
        _say(console, f"and {len(found) - _LISTED} comparisons more: --where chooses runs")


def _draw(
    args: argparse.Namespace,
    runs: pd.DataFrame,
    aggregated: pd.DataFrame,
    paired: pd.DataFrame,
    by: str,
    console: Console,
) -> None:
    """The pictures, as files and in the report."""
    from pullback.compare.pictures import NothingToDraw, drawn, save

    figures = dict(drawn(runs, by, args.over, args.across)) if by else {}
    if args.pictures:
        if not figures:
            raise NothingToDraw("no complete run has a loss that could be drawn")
        with _writing(args.pictures, console):
            args.pictures.mkdir(parents=True, exist_ok=True)
            save(figures.items(), args.pictures)
    if args.html:
        from pullback.compare import evidence, report
        from pullback.compare.runs import Run, read

        runs = runs.reset_index(drop=True)
        gone: dict[str, Any] = {"options": {}}  # since the frame was read; its row keeps its place
        each = [read(path) or Run(path, gone, {}) for path in runs["run", "directory"]]
        with console.status("the checks of the units") as status:
            found = evidence.gather(each, lambda name: status.update(f"the checks of {name}"))
        content = report.Content(
            runs, each, aggregated, paired, args.over, args.metrics, figures, found
        )
        beside = Path(args.html).resolve().parent
        _write(args.html, report.page(content, beside), console)


def _two(text: str) -> tuple[str, str]:
    names = _names(text)
    if len(names) != 2:
        raise argparse.ArgumentTypeError("two options, as in optimizer.lr,net.z1.width")
    return names[0], names[1]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _loaded(args: argparse.Namespace, console: Console) -> pd.DataFrame:
    """The runs that were asked for; says which it took where nobody asked."""
    from pullback.compare.frame import load

    if not args.directories and not _RUNS.is_dir():
        raise PullbackError(
            "there is no ./runs here: make runs with `pullback train`, or say where they are"
        )
    places = args.directories or [_RUNS]
    runs = load(places)
    if runs.empty:
        raise PullbackError(_no_runs(places, runs.attrs["unreadable"]))
    return runs if args.directories or args.all else _newest(runs, console)


def _newest(runs: pd.DataFrame, console: Console) -> pd.DataFrame:
    """Those of the newest sweep, or the newest run alone."""
    from pullback.tracking.journal import SWEEP

    by_start = runs.sort_values(("run", "started"), kind="stable", na_position="first")
    newest = Path(by_start["run", "directory"].iloc[-1])
    above = newest.parents[: len(newest.relative_to(_RUNS.resolve()).parts)]
    sweep = next((directory for directory in above if (directory / SWEEP).is_file()), None)
    kind = "run" if sweep is None else "sweep"
    _say(console, f"The newest {kind} below ./runs, {_shown(sweep or newest)}\n")
    inside = f"{sweep or newest}{os.sep}"
    return runs[[f"{one}{os.sep}".startswith(inside) for one in runs["run", "directory"]]]


def _no_runs(directories: list[Path], unreadable: int) -> str:
    places = ", ".join(map(str, directories))
    if unreadable:
        return f"run.json cannot be read: {_directories(unreadable)} below {places}"
    return f"there are no runs below {places}: make some with `pullback train`"


def _directories(number: int) -> str:
    return f"{number} run {'directory' if number == 1 else 'directories'}"


def _tell(runs: pd.DataFrame, console: Console) -> None:
    from pullback.tracking.journal import COMPLETE

    unreadable = runs.attrs["unreadable"]
    if unreadable:
        _say(console, f"left out, since run.json cannot be read: {_directories(unreadable)}")
    without_result = runs["run"][~runs["run", "status"].isin(COMPLETE)]
    for _, row in without_result.head(_LISTED).iterrows():
        message = "".join(row["message"].splitlines()[:1])
        _say(
            console,
            f"{row['status']}: {_shown(Path(row['directory']))}{message and f': {message}'}",
        )
    if len(without_result) > _LISTED:
        _say(console, f"and {len(without_result) - _LISTED} more without a result")


def _write(path: str, text: str, console: Console) -> None:
    if path == "-":
        print(text, end="")
        return
    with _writing(path, console):
        Path(path).write_text(text, encoding="utf-8")


@contextmanager
def _writing(path: str, console: Console) -> Iterator[None]:
    with writing(path):
        yield
    _say(console, f"wrote {path}")


def _shown(directory: Path) -> Path:
    here = Path.cwd()
    return directory.relative_to(here) if directory.is_relative_to(here) else directory


def _say(console: Console, text: str) -> None:
    """Text as it is: no markup in a path, and no line broken where somebody may copy it."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
