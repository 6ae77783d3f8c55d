"""``pullback sync``: MLflow brought up to date with run directories, from whatever they say."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pullback.errors import PullbackError
from pullback.tracking.journal import RUN, SWEEP, is_running, mark, read_end, read_entry, sweep_of
from pullback.tracking.mlflow_view import View
from pullback.tracking.store import Store, reason_of

_RUNS = Path("runs")
_LISTED = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback sync``."""
    parser.description = (
        "Bring MLflow up to date with the runs and sweeps below directories: those that it has "
        "wholly are left alone, so doing it twice is doing it once. A run whose process is gone "
        "without a word is marked as killed."
    )
    parser.add_argument(
        "directories", nargs="*", type=Path, metavar="DIR", help="default: everything below ./runs"
    )
    parser.add_argument("--uri", help="another store than the one that the runs name")
    parser.add_argument("--experiment", help="another experiment than the one that the runs name")


def run(args: argparse.Namespace) -> int:
    """Publish what is behind; 1 where something cannot be."""
    from rich.console import Console
    from rich.progress import track

    directories = list(found(args.directories or [_RUNS]))
    if not directories:
        raise PullbackError(
            f"there are no runs below {', '.join(map(str, args.directories or [_RUNS]))}"
        )
    stores: dict[Path, tuple[str, str] | None] = {}
    views: dict[tuple[str, str], View] = {}
    counts, problems = {"brought up to date": 0, "there already": 0, "not tracked": 0}, {}
    out, err = Console(highlight=False), Console(stderr=True, highlight=False)
    hidden = not err.is_terminal
    for directory in track(directories, "MLflow", console=err, transient=True, disable=hidden):
        home = sweep_of(directory) or directory
        if home not in stores:  # the entry of a sweep grows with its runs
            stores[home] = _asked_for(home, args)
        store = stores[home]
        if store is None:
            counts["not tracked"] += 1
            continue
        view = views.setdefault(store, View(Store(*store)))
        try:
            _mark_if_gone(directory)
            view.store.open()  # it may have been made anew
            there = view.is_current(directory)
            view.publish(directory)
            counts["there already" if there else "brought up to date"] += 1
        except Exception as error:
            problems[directory] = f"{view.store.uri}: {reason_of(error)}"
    said = ", ".join(f"{number} {what}" for what, number in counts.items() if number)
    out.print(f"of {len(directories)} runs and sweeps: {said or 'none'}", markup=False)
    for directory, problem in list(problems.items())[:_LISTED]:
        told = f"not brought up to date: {directory}: {problem}"
        err.print(told, style="red", markup=False, soft_wrap=True)
    if len(problems) > _LISTED:
        err.print(f"and {len(problems) - _LISTED} more", style="red")
    return int(bool(problems))


def found(paths: list[Path]) -> Iterator[Path]:
    """Every directory of a sweep and of a run at or below the paths; sweeps before their runs."""
    for path in paths:
        if not path.is_dir():
            raise PullbackError(f"there is no directory {path}")
        for directory, below, files in os.walk(path.resolve()):
            below.sort()
            if SWEEP in files or RUN in files:
                yield Path(directory)
            if RUN in files:
                below.clear()


def store_of(directory: Path) -> tuple[str, str] | None:
    """The store and the experiment that a run or a sweep is in; a run is where its sweep is."""
    tracking: Mapping[str, Any] = read_entry(sweep_of(directory) or directory)["tracking"]
    return (tracking["uri"], tracking["experiment"]) if tracking["name"] == "mlflow" else None


def _asked_for(directory: Path, args: argparse.Namespace) -> tuple[str, str] | None:
    """The store that a directory is to be in: the one that was asked for, or the one it names."""
    own = store_of(directory)
    if own is None and args.uri is None:
        return None
    uri, experiment = own or (args.uri, "pullback")
    return args.uri or uri, args.experiment or experiment


def _mark_if_gone(directory: Path) -> None:
    if (directory / RUN).is_file() and read_end(directory) is None and not is_running(directory):
        mark(directory, "killed", "the process that ran it is gone")
