"""What is printed when a run or a sweep is over, and the files that its comparison is kept in."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from pullback.run import Outcome
from pullback.sweep.conduct import Ending
from pullback.sweep.manifest import Entry
from pullback.tracking.journal import (
    COMPLETE,
    END,
    Status,
    milliseconds,
    now,
    read_end,
    write_whole,
)
from pullback.tracking.tracker import Tracker

if TYPE_CHECKING:
    import pandas as pd

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)
_LISTED = 20


def warn(text: str) -> None:
    _err.print(f"warning: {text}", style="yellow", soft_wrap=True, markup=False)


def warn_of(problems: Sequence[str]) -> None:
    for problem in problems:
        warn(problem)


def warn_of_tracker(
    problems: Mapping[str, str], directory: Path, tracking: Mapping[str, Any]
) -> None:
    warn_of(_of_tracker(problems, directory, tracking))


def _of_tracker(
    problems: Mapping[str, str], directory: Path, tracking: Mapping[str, Any]
) -> list[str]:
    """One sentence for all that MLflow does not have; none where it has everything."""
    if not problems:
        return []
    what = f"{len(problems)} of these runs"
    if [*problems] == [str(directory)]:
        what = "all of this run"
    elif "" in problems:
        what = "all of these runs"
    return [
        f"MLflow at {tracking['uri']} does not have {what} ({next(iter(problems.values()))}); "
        f"what was measured in {shown(directory)} is whole, and `pullback sync "
        f"{shown(directory)}` brings MLflow up to date"
    ]


def with_problems(
    outcome: Outcome, problems: Mapping[str, str], tracking: Mapping[str, Any]
) -> Outcome:
    """The outcome of a run, with what its tracker could not do."""
    told = _of_tracker(problems, outcome.directory.absolute(), tracking)
    return dataclasses.replace(outcome, problems=[*outcome.problems, *told])


def one_line(outcome: Outcome) -> str:
    """How a run ended, in a few figures."""
    return in_figures(outcome.status, outcome.metrics, outcome.message)


def in_figures(status: str, metrics: Mapping[str, float], message: str) -> str:
    """The loss and the accuracy of the part that matters; of a failure, what went wrong."""
    if status not in COMPLETE:
        return next(iter(message.splitlines()), "")
    part = next((p for p in ("test", "validation", "train") if f"{p}_loss" in metrics), "train")
    figures = [f"{part} loss {metrics[f'{part}_loss']:.4g}"]
    if f"{part}_accuracy" in metrics:
        figures.append(f"accuracy {100 * metrics[f'{part}_accuracy']:.1f} %")
    return " · ".join(figures)


def run(outcome: Outcome, tracking: Mapping[str, Any]) -> int:
    """The last lines of a single run: the result, where the evidence lies, how to open it."""
    colour = "red" if outcome.status == "failed" else "green"
    _out.print(f"[{colour}]{outcome.status}[/]  ", end="")
    told = one_line(outcome)
    if "step_seconds" in outcome.metrics and outcome.status != "failed":
        told += f" · {1e6 * outcome.metrics['step_seconds']:.0f} µs a step"
    _out.print(f"{outcome.name}: {told}", markup=False, soft_wrap=True)
    if outcome.status == "stopped":
        _out.print("stopped early: the validation loss had not fallen for a while", markup=False)
    warn_of(outcome.problems)
    where(outcome.directory, tracking)
    return int(outcome.status == "failed")


def sweep(
    directory: Path, runs: Sequence[Path], status: Status, tracking: Mapping[str, Any]
) -> None:
    """The comparison of a sweep's runs, printed and kept beside them, and its last entry."""
    from pullback.compare import frame, table

    loaded = frame.load(runs)
    compared, summary = None, "no run ended"
    if len(loaded) and loaded["run", "status"].isin(COMPLETE).any():
        compared = frame.aggregate(loaded)
        _out.print(table.render(compared, table.fitting(compared, _out.width)))
        summary = table.to_markdown(compared)
    before = read_end(directory)
    if before is not None and (before["status"], before["message"]) == (status, summary):
        return  # nothing was added to a sweep that had ended
    files: list[str] = []
    if compared is not None:
        files = _keep(directory, compared, summary)
        if tracking["pictures"] is not False:
            files += _draw(directory, loaded, table.default_metric(compared))
    end: dict[str, Any] = {
        "status": status,
        "message": summary,
        "files": files,
        "ended": now(),
        "time": milliseconds(),
    }
    write_whole(directory / END, json.dumps(end, indent=1))


def _keep(directory: Path, compared: pd.DataFrame, summary: str) -> list[str]:
    """The comparison as files beside the runs; their names."""
    from pullback.compare import table

    texts = {"comparison.csv": table.to_csv(compared), "comparison.md": f"{summary}\n"}
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    return [*texts]


def _draw(directory: Path, runs: pd.DataFrame, by: str) -> list[str]:
    """The pictures as files beside the runs; their names, none where no run has a metric."""
    from pullback.compare.pictures import drawn, save

    return save(drawn(runs, by), directory) if by else []


def tally(
    failures: Sequence[tuple[Entry, Path, Ending]], *, done: int, before: int, left: int, why: str
) -> None:
    """How many jobs are done, have failed and were not begun, with the reasons."""
    for job, directory, ending in failures[:_LISTED]:
        reason = next(iter(ending.message.splitlines()), "")
        told = f"{ending.status}: {' '.join(job.overrides)}: {reason} ({shown(directory)})"
        _err.print(told, style="red", markup=False, soft_wrap=True)
    if len(failures) > _LISTED:
        _err.print(f"and {len(failures) - _LISTED} more", style="red")
    said = [f"{done} done" + (f" ({before} of them before)" if before else "")]
    said += [f"{len(failures)} failed"] if failures else []
    said += [f"{left} skipped: {why}"] if left else []
    _out.print(f"jobs:     {', '.join(said)}", markup=False, soft_wrap=True)


def preview(
    directory: Path,
    jobs: Sequence[tuple[list[str], bool]],
    asked: int,
    seconds: float,
    workers: int,
) -> None:
    """The grid, what of it is done, and how long the rest may take."""
    for number, (overrides, is_done) in enumerate(jobs):
        mark = "done" if is_done else "    "
        _out.print(f"{number:>4}  {mark}  {' '.join(overrides)}", markup=False, soft_wrap=True)
    done = sum(ended for _, ended in jobs)
    same = f" ({asked - len(jobs)} more are the same as one of them)" if asked > len(jobs) else ""
    said = f"{len(jobs)} jobs{same}, {done} done, {len(jobs) - done} to do"
    if done < len(jobs):
        said += f": about {_duration(seconds)} with {workers} worker{'s' * (workers > 1)}"
    _out.print(f"{said}\nwould go to: {shown(directory)}", markup=False, soft_wrap=True)


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 2 else f"{seconds:.1f} s"


def waited_for(tracker: Tracker) -> dict[str, str]:
    """What MLflow does not have, after it was given time; says so while it takes long."""
    with _err.status("MLflow") as status:
        return tracker.close(lambda left: status.update(f"MLflow is given {left} more runs"))


def where(directory: Path, tracking: Mapping[str, Any]) -> None:
    """Where the evidence lies, and how it is looked at."""
    _out.print(f"evidence: {shown(directory)}", markup=False, soft_wrap=True)
    if tracking["name"] == "mlflow":
        _out.print(f"open it:  pullback ui {shown(directory)}", markup=False, soft_wrap=True)


def shown(directory: Path) -> Path:
    """As short as it can be said from here."""
    whole = directory.absolute()
    return whole.relative_to(Path.cwd()) if whole.is_relative_to(Path.cwd()) else whole
