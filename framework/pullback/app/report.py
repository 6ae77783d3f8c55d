"""What is printed when a run or a sweep is over, and what a sweep's parent run is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from pullback.run import Outcome
from pullback.tracking.mlflow_view import View

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


def warn(text: str) -> None:
    _err.print(f"warning: {text}", style="yellow", soft_wrap=True, markup=False)


def warn_of(problems: list[str]) -> None:
    for problem in problems:
        warn(problem)


def one_line(outcome: Outcome) -> str:
    """How a run ended, in a few figures."""
    if outcome.status == "failed":
        return outcome.message.splitlines()[0]
    metrics = outcome.metrics
    part = next((p for p in ("test", "validation", "train") if f"{p}_loss" in metrics), "train")
    figures = [f"{part} loss {metrics[f'{part}_loss']:.4g}"]
    if f"{part}_accuracy" in metrics:
        figures.append(f"accuracy {100 * metrics[f'{part}_accuracy']:.1f} %")
    return " · ".join(figures)


def run(outcome: Outcome) -> None:
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
    _where(outcome.directory, outcome.view)


def sweep(directory: Path, facts: Mapping[str, Any], view: View | None) -> int:
    """The comparison of a sweep, printed, kept beside its runs and shown with its parent run."""
    from pullback.compare import frame, picture, table

    runs = frame.load([directory])
    status = runs["run", "status"]
    failed = runs[~status.isin(["finished", "stopped"])]
    files: list[Path] = []
    summary = "no run ended"
    if len(failed) < len(runs):
        compared = frame.aggregate(runs)
        _out.print(table.render(compared))
        summary = table.to_markdown(compared)
        files = [directory / name for name in ("comparison.csv", "comparison.md", "curves.png")]
        files[0].write_text(table.to_csv(compared), encoding="utf-8")
        files[1].write_text(summary + "\n", encoding="utf-8")
        picture.draw(runs, files[2])
    for _, one in failed["run"].iterrows():
        told = f"failed: {one['name']} ({one['directory']})"
        _err.print(told, style="red", markup=False, soft_wrap=True)
    missing = int(facts["jobs"]) - len(runs)
    if missing > 0:
        warn(f"{missing} of {facts['jobs']} jobs did not begin")
    if view is not None and facts["mlflow_run"]:
        try:
            view.end_sweep(facts["mlflow_run"], files, summary, failed=len(failed) > 0)
        except Exception as error:
            warn(f"MLflow at {view.uri} was not given the comparison: {error}")
    _where(directory, view)
    return int(len(failed) > 0 or missing > 0)


def _where(directory: Path, view: View | None) -> None:
    shown = directory.absolute()
    if shown.is_relative_to(Path.cwd()):
        shown = shown.relative_to(Path.cwd())
    _out.print(f"evidence: {shown}", markup=False, soft_wrap=True)
    if view is not None:
        _out.print(f"open it:  {view.how_to_open()}", markup=False, soft_wrap=True)
