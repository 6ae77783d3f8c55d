"""A sweep from its first job to its last: what is missing is made, and nothing twice."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pullback.sweep.manifest import Entry, Manifest
from pullback.sweep.pool import Pool, Worker
from pullback.tracking.journal import COMPLETE, END, mark

Config = Mapping[str, Any]


class Watcher(Protocol):
    """Who is told how the sweep goes on."""

    def began(self, job: Entry, directory: Path) -> None: ...
    def stepped(self, step: int, loss: float) -> None: ...
    def ended(self, job: Entry, directory: Path, ending: Ending) -> None: ...


@dataclass(frozen=True)
class Ending:
    """How one job ended: as its worker says, or as became of the worker."""

    status: str
    message: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    problems: Sequence[str] = ()
    attempts: int = 1

    @property
    def is_good(self) -> bool:
        return self.status in COMPLETE


@dataclass(frozen=True)
class Terms:
    """How many at once, how often a job is tried again, whether the first failure ends it all.

    ``stack``: how many jobs a worker makes together, where they differ in numbers alone; None for
    as many as fall to it. It then has so many ``threads``.
    """

    workers: int
    retries: int = 0
    fail_fast: bool = False
    stack: int | None = 1
    threads: int = 1


def conduct(
    manifest: Manifest,
    configs: Sequence[Config],
    terms: Terms,
    lock: int,
    watcher: Watcher,
) -> dict[str, Ending]:
    """Make every run of the manifest that is not done; how those ended, by the job's identity.

    ``configs`` belong to the jobs, in their order. A job that raised or whose worker died is tried
    ``retries`` times more, each time from its last checkpoint. After a KeyboardInterrupt the runs
    under way are told to write down how far they are, and it is raised again.
    """
    course = _Course(manifest, configs, terms, watcher)
    if not course.waiting:
        return course.endings
    pool = Pool(min(terms.workers, len(course.waiting)), lock, terms.threads)
    try:
        while course.hand_out(pool.free):
            for worker, said in pool.wait():
                course.hear(worker, said)
    except KeyboardInterrupt:
        pool.interrupt()
        raise
    finally:
        pool.close()
    return course.endings


class _Course:
    """What waits, what is under way, and how the others ended."""

    def __init__(
        self, manifest: Manifest, configs: Sequence[Config], terms: Terms, watcher: Watcher
    ) -> None:
        self.manifest, self.configs, self.terms, self.watcher = manifest, configs, terms, watcher
        jobs = manifest.jobs
        self.waiting = deque(i for i in range(len(jobs)) if not manifest.is_done(jobs[i]))
        share = max(-(-len(self.waiting) // terms.workers), 1)
        self.stack = share if terms.stack is None else terms.stack
        self.kinds = [kind_of(one) for one in configs] if self.stack > 1 else [""] * len(jobs)
        self.under_way: set[int] = set()
        self.attempts: dict[int, int] = {}
        self.endings: dict[str, Ending] = {}

    def hand_out(self, free: Callable[[], Worker | None]) -> bool:
        """Give every free worker a job; whether there is anything left to wait for."""
        while self.waiting and (worker := free()) is not None:
            worker.order([self._begin(number) for number in self._next()])
        return bool(self.under_way)

    def _next(self) -> list[int]:
        """The job that waits longest, and those like it that are to be made together with it."""
        first = self.kinds[self.waiting[0]]
        chosen = [self.waiting[0]]
        for number in itertools.islice(self.waiting, 1, None):
            if len(chosen) == self.stack:
                break
            if self.kinds[number] == first:
                chosen.append(number)
        for number in chosen:
            self.waiting.remove(number)
        return chosen

    def _begin(self, number: int) -> dict[str, Any]:
        """The order of a job."""
        job = self.manifest.jobs[number]
        directory = self.manifest.path(job)
        self.under_way.add(number)
        self.attempts[number] = self.attempts.get(number, 0) + 1
        (directory / END).unlink(missing_ok=True)
        self.watcher.began(job, directory)
        order = {"job": number, "directory": str(directory), "overrides": job.overrides}
        return {**order, "config": self.configs[number]}

    def hear(self, worker: Worker, said: Sequence[dict[str, Any]] | None) -> None:
        """Take in what a worker said, or that it died."""
        if said is None:
            for number in sorted(worker.jobs):
                self.end(worker, number, Ending("killed", worker.how_it_died()))
            return
        for one in said:
            if "status" in one:
                self.end(worker, one.pop("job"), Ending(**one))
            else:
                self.watcher.stepped(one["step"], one["train_loss"])

    def end(self, worker: Worker, number: int, ending: Ending) -> None:
        """Note how a job ended, or have it tried again."""
        worker.jobs.remove(number)
        self.under_way.remove(number)
        job = self.manifest.jobs[number]
        directory = self.manifest.path(job)
        if ending.status == "killed":
            mark(directory, "killed", ending.message)
        if not ending.is_good and self.attempts[number] <= self.terms.retries:
            self.waiting.append(number)
            return
        ending = dataclasses.replace(ending, attempts=self.attempts[number])
        self.endings[job.identity] = ending
        self.watcher.ended(job, directory, ending)
        if self.terms.fail_fast and not ending.is_good:
            self.waiting.clear()


def kind_of(config: Config) -> str:
    """A config without its numbers: jobs that are alike in it may be made together."""
    return json.dumps(_without_numbers(config), sort_keys=True, default=str)


def _without_numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_numbers(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_numbers(one) for one in value]
    return None if isinstance(value, int | float) and not isinstance(value, bool) else value
