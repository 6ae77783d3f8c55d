"""A sweep that Hydra conducts, by another launcher or sweeper than the basic ones: its frame.

Its jobs are not known before they begin (a sweeper may choose them), so it is made anew each time.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pullback.app import report
from pullback.app.composition import among, quoted
from pullback.app.preflight import Plan
from pullback.app.sweep import facts_of
from pullback.errors import ConfigError
from pullback.sweep.manifest import Manifest
from pullback.tracking.journal import COMPLETE, RUN, SWEEP, Status, read_end, read_entry
from pullback.tracking.tracker import Tracker


def begin(planned: Plan) -> Path:
    """The sweep's own entry, in a directory that has none, and its parent run in MLflow."""
    directory = Path(planned.hydra.sweep.dir).absolute()
    if "sweep_name" in planned.as_written["dir"]:
        directory = directory.with_name(f"{directory.name}-{datetime.now():%Y%m%d-%H%M%S-%f}")
    if (directory / SWEEP).is_file():
        raise ConfigError(f"there is a sweep in {directory} already", "hydra.sweep.dir")
    directory.mkdir(parents=True, exist_ok=True)
    Manifest(directory, "", facts_of(planned, []), [], {}).write()
    _publish(directory, planned)  # one process opens the store, before the jobs
    return directory


def into(directory: Path) -> str:
    """The override that puts the jobs there."""
    return f"hydra.sweep.dir={quoted(str(directory))}"


def swept_of(directory: Path, overrides: list[str]) -> list[str]:
    """Those of a job's overrides that tell it from its neighbours."""
    return among(overrides, read_entry(directory)["swept"])


def end(directory: Path, planned: Plan) -> int:
    """The comparison, and 1 where a job failed or did not begin."""
    found = sorted(path.parent for path in directory.glob(f"*/{RUN}"))
    ends = [read_end(one) for one in found]
    good = sum(one is not None and one["status"] in COMPLETE for one in ends)
    missing = len(planned.jobs) - len(found)
    failed = good < max(len(found), len(planned.jobs))
    status: Status = "failed" if failed else "finished"
    report.sweep(directory, found, status, planned.shared["tracking"])
    if missing > 0:
        report.warn(f"{missing} of {len(planned.jobs)} jobs did not begin")
    _publish(directory, planned)
    report.where(directory, planned.shared["tracking"])
    return int(failed)


def _publish(directory: Path, planned: Plan) -> None:
    tracking = planned.shared["tracking"]
    tracker = Tracker(tracking)
    tracker.publish(directory)
    report.warn_of_tracker(tracker.close(), directory, tracking)
