"""``pullback compare``: the table of some runs, and the files that were asked for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pullback.errors import PullbackError, writing

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_RUNS = Path("runs")
_SWEEP = "sweep.json"
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
        "--paired", metavar="METRIC", help="what variants are compared in; default: the first loss"
    )
    for kind, what in (
        ("csv", "every digit, in seconds and bytes; - for standard output"),
        ("markdown", "the table; - for standard output"),
        ("html", "a page with the table"),
        ("picture", "a PNG of the losses"),
    ):
        parser.add_argument(f"--{kind}", metavar="FILE", help=what)


def run(args: argparse.Namespace) -> int:
    """Print the table and what is to be said of it; write the files. Raises PullbackError."""
    from rich.console import Console

    from pullback.compare import filters, frame, table

    if [args.csv, args.markdown, args.html].count("-") > 1:
        raise PullbackError("only one of --csv, --markdown and --html can have standard output")
    console = Console(stderr="-" in (args.csv, args.markdown, args.html))
    runs = frame.load(_chosen(args, console))
    if runs.empty:
        raise PullbackError(_no_runs(args.directories or [_RUNS], runs.attrs["unreadable"]))
    if args.where:
        runs = filters.matching(runs, args.where)
        if runs.empty:
            raise PullbackError(f"--where '{args.where}': it is true of none of these runs")
    aggregated = frame.aggregate(runs, args.over, args.metrics)
    if args.sort:
        aggregated = frame.sorted_by(aggregated, args.sort)
    console.print(table.render(aggregated, args.metrics))
    if table.least_width(aggregated, args.metrics) > console.width:
        _say(console, "wider than this terminal: choose columns with --metrics, or use --html FILE")
    _compare(runs, aggregated, args, console)
    _tell(runs, console)

    if args.csv:
        _write(args.csv, table.to_csv(aggregated), console)
    if args.markdown:
        _write(args.markdown, table.to_markdown(aggregated, args.metrics), console)
    if args.html:
        _write(args.html, table.to_html(aggregated, args.metrics), console)
    if args.picture:
        from pullback.compare.picture import draw

        with _writing(args.picture, console):
            draw(runs, args.picture, args.over)
    return 0


def _compare(
    runs: pd.DataFrame, aggregated: pd.DataFrame, args: argparse.Namespace, console: Console
) -> None:
    """Which variants differ, where there are two and more than one run of each."""
    from pullback.compare import table
    from pullback.compare.statistics import paired

    metric = args.paired or table.default_metric(aggregated)
    if not metric:
        return
    found = paired(runs, metric, args.over)
    if found.empty or (found["pairs"] < 2).all():
        return
    console.print()
    console.print(table.render_paired(found.head(_LISTED)))
    if len(found) > _LISTED:
        _say(console, f"and {len(found) - _LISTED} comparisons more: --where chooses runs")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _chosen(args: argparse.Namespace, console: Console) -> list[Path]:
    """Where to look for runs; says what it took where nobody said."""
    if args.directories:
        return list(args.directories)
    if not _RUNS.is_dir():
        raise PullbackError(
            "there is no ./runs here: make runs with `pullback train`, or say where they are"
        )
    return [_RUNS] if args.all else _newest(console)


def _newest(console: Console) -> list[Path]:
    from pullback.compare.frame import load

    runs = load([_RUNS])
    if runs.empty:
        raise PullbackError(_no_runs([_RUNS], runs.attrs["unreadable"]))
    by_start = runs.sort_values(("run", "started"), kind="stable", na_position="first")
    newest = Path(by_start["run", "directory"].iloc[-1])
    above = newest.parents[: len(newest.relative_to(_RUNS.resolve()).parts)]
    sweep = next((directory for directory in above if (directory / _SWEEP).is_file()), None)
    kind = "run" if sweep is None else "sweep"
    _say(console, f"The newest {kind} below ./runs, {_shown(sweep or newest)}\n")
    return [sweep or newest]


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
