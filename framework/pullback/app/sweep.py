"""A sweep that Pullback conducts: worker processes, and only what is not done yet."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pullback.app import plugins, report
from pullback.app.composition import Config, parse, quoted
from pullback.app.preflight import Plan, Planned
from pullback.app.progress import Screen
from pullback.errors import ConfigError
from pullback.job import CONDUCT, build_job
from pullback.sweep import manifest
from pullback.sweep.conduct import Ending, Terms, conduct
from pullback.sweep.manifest import Entry, Manifest
from pullback.tracking.environment import environment
from pullback.tracking.journal import END, RUN, SWEEP, Status, milliseconds, now
from pullback.tracking.tracker import Tracker

_LENGTH = 40  # of the readable part of a sweep's name


def name_of(overrides: Sequence[str], config_name: str, config_dir: str | None) -> str:
    """The same for sweeps over the same options that share all others: one goes on with the other.

    How a sweep is shown and conducted does not count, nor where it lies, nor the swept values.
    """
    parsed = parse(overrides)
    swept = sorted({one.get_key_element() for one in parsed if one.is_sweep_override()})
    fixed = [one for one in parsed if not (one.is_sweep_override() or one.is_hydra_override())]
    said = sorted(one.input_line or "" for one in fixed if _root(one.key_or_group) not in CONDUCT)
    whole = json.dumps([config_name, config_dir, said, swept])
    readable = re.sub(r"[^\w.-]+", "-", "-".join(swept))[:_LENGTH] or "sweep"
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _root(key: str) -> str:
    return key.lstrip("+~").partition(".")[0]


def run(planned: Plan, argv: list[str], key: str) -> int:
    """Make what is missing, print the comparison; 1 where a run failed."""
    directory, tracking = Path(planned.hydra.sweep.dir).absolute(), planned.shared["tracking"]
    lock = manifest.lock(directory)
    jobs = planned.distinct
    named = [(job.identity, planned.own(job)) for job in jobs]
    made = manifest.begin(directory, key, facts_of(planned, argv), named)
    before = sum(map(made.is_done, made.jobs))
    if before < len(made.jobs):
        (directory / END).unlink(missing_ok=True)
    configs = [_of_many(job.config) for job in jobs]
    tracker = Tracker(tracking)
    tracker.publish(directory)
    endings: dict[str, Ending] = {}
    try:
        with Screen(len(made.jobs), done=before) as screen:
            watcher = _Watcher(screen, tracker, {job.identity: job.steps for job in jobs})
            endings = conduct(made, configs, _terms(planned), lock, watcher)
    except KeyboardInterrupt:
        _end(made, before, None, tracker, tracking)
        raise KeyboardInterrupt(f"go on with: pullback resume {report.shown(directory)}") from None
    finally:
        os.close(lock)
    return _end(made, before, endings, tracker, tracking)


def _of_many(config: Config) -> Config:
    """A job's config as its worker is given it: auto leaves out what only a single run is worth."""
    whole = plugins.made_absolute(config)
    kept = {key: whole["tracking"][key] is True for key in ("pictures", "model")}
    return {**whole, "tracking": {**whole["tracking"], **kept}}


def facts_of(planned: Plan, argv: list[str]) -> dict[str, Any]:
    """The entry of a sweep; ``argv`` and ``cwd`` are how to start it again."""
    first = planned.jobs[0]
    own = planned.own(first)
    return {
        "id": uuid.uuid4().hex,
        "name": "sweep of " + ", ".join(planned.swept or ["one"]),
        "started": now(),
        "time": milliseconds(),
        "swept": planned.swept,
        "fixed": [one for one in first.overrides if one not in own],
        "argv": argv,
        "cwd": str(Path.cwd()),
        "tracking": dict(plugins.made_absolute(planned.shared)["tracking"]),
        "environment": environment(),
    }


def _terms(planned: Plan) -> Terms:
    shared = planned.shared
    workers = cores() if shared["workers"] == "auto" else shared["workers"]
    stack = None if shared["stack"] == "auto" else shared["stack"]
    if planned.hydra.runtime.choices["hydra/launcher"] == "stacked":
        workers, stack = 1, None
    threads = max(cores() // workers, 1)
    return Terms(workers, shared["retries"], shared["fail_fast"], stack, threads)


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Watcher:
    """The screen and MLflow are told how the sweep goes on."""

    def __init__(self, screen: Screen, tracker: Tracker, steps: Mapping[str, int]) -> None:
        self.screen, self.tracker, self.steps = screen, tracker, steps
        self.running: dict[str, Path] = {}

    def began(self, job: Entry, directory: Path) -> None:
        self.running[job.identity] = directory
        self.screen.begin(self.steps[job.identity])

    def stepped(self, step: int, loss: float) -> None:
        self.screen.observe(step, {"train_loss": loss})
        self.tracker.perhaps_publish(*self.running.values())

    def ended(self, job: Entry, directory: Path, ending: Ending) -> None:
        del self.running[job.identity]
        self.tracker.publish(directory)
        told = report.in_figures(ending.status, ending.metrics, ending.message)
        again = f" (attempt {ending.attempts})" if ending.attempts > 1 else ""
        self.screen.end(" ".join(job.overrides), f"{ending.status}: {told}{again}")
        report.warn_of(ending.problems)


def _end(
    made: Manifest,
    before: int,
    endings: Mapping[str, Ending] | None,
    tracker: Tracker,
    tracking: Mapping[str, Any],
) -> int:
    """The comparison, and how many jobs are done, failed and left, and why; 1 if any failed."""
    directory = made.directory
    begun = [made.path(one) for one in made.jobs if (made.path(one) / RUN).is_file()]
    done = [one for one in made.jobs if made.is_done(one)]
    failed = {} if endings is None else {k: one for k, one in endings.items() if not one.is_good}
    left = len(made.jobs) - len(done) - len(failed)
    status: Status = "failed" if failed or left else "finished"
    if endings is None:
        status = "interrupted"
    report.sweep(directory, begun, status, tracking)
    report.tally(
        [
            (one, made.path(one), failed[one.identity])
            for one in made.jobs
            if one.identity in failed
        ],
        done=len(done),
        before=before,
        left=left,
        why="the sweep was interrupted" if endings is None else "fail_fast ended the sweep",
    )
    for one in (directory, *begun):  # whatever MLflow does not have yet
        tracker.publish(one)
    report.warn_of_tracker(report.waited_for(tracker), directory, tracking)
    report.where(directory, tracking)
    return int(bool(failed or left))


def resumed(directory: Path) -> list[str]:
    """The words that start the sweep of a directory again, from where it was started."""
    facts = manifest.read(directory).facts
    if not facts["argv"]:
        raise ConfigError(f"the sweep in {directory} was conducted by Hydra: start it again")
    directory = directory.absolute()
    if Path(facts["cwd"]).is_dir():
        os.chdir(facts["cwd"])
    words = [one for one in facts["argv"] if not one.startswith("hydra.sweep.dir=")]
    return [*words, f"hydra.sweep.dir={quoted(str(directory))}"]


def preview(planned: Plan) -> int:
    """What would run, how much of it is done, and how long the rest may take; nothing is run."""
    directory = Path(planned.hydra.sweep.dir if planned.multirun else planned.hydra.run.dir)
    found = manifest.read(directory) if (directory / SWEEP).is_file() else None
    done = {
        identity
        for identity, place in (found.runs.items() if found else ())
        if found and found.is_done(Entry(identity, [], place))
    }
    jobs = planned.distinct
    left = [job for job in jobs if job.identity not in done]
    workers = min(_terms(planned).workers, len(left)) if planned.multirun else 1
    seconds = sum(job.steps for job in left) * _seconds_of_a_step(left[0]) if left else 0.0
    named = [(planned.own(job), job.identity in done) for job in jobs]
    report.preview(directory, named, len(planned.jobs), seconds / max(workers, 1), workers)
    return 0


def _seconds_of_a_step(job: Planned) -> float:
    """Measured, on a few steps of a job: with everything that a step of a run does."""
    built = build_job(job.config)
    few = dataclasses.replace(built.recipe, steps=min(50, job.steps), epochs=None)
    started = time.perf_counter()
    result = dataclasses.replace(built, recipe=few).train()
    return (time.perf_counter() - started) / max(result.steps, 1)
