"""A sweep's directory: which runs belong to it, by what determines their results.

``sweep.json`` is written before the first job. A run that it names once keeps its directory, so a
sweep that is started again, with more jobs or with fewer, finds what was done; a job whose unit was
changed has another identity, and with it another directory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pullback import locks
from pullback.errors import ConfigError
from pullback.tracking.journal import COMPLETE, SWEEP, read_end, read_entry, write_whole

_PATIENCE = 3.0  # seconds: a worker of a sweep that was killed holds it until it has ended


@dataclass(frozen=True)
class Entry:
    """One job: its identity, what was overridden, and the directory of its run in the sweep's."""

    identity: str
    overrides: list[str]
    directory: str


@dataclass(frozen=True)
class Manifest:
    """What ``sweep.json`` says; ``runs`` are all that were ever begun here, ``jobs`` those of now.

    ``key`` is the same for sweeps that go on with one another.
    """

    directory: Path
    key: str
    facts: Mapping[str, Any]
    jobs: list[Entry]
    runs: Mapping[str, str]

    def write(self) -> None:
        jobs = [asdict(one) for one in self.jobs]
        whole = {**self.facts, "key": self.key, "jobs": jobs, "runs": self.runs}
        write_whole(self.directory / SWEEP, json.dumps(whole, indent=1))

    def path(self, job: Entry) -> Path:
        return self.directory / job.directory

    def is_done(self, job: Entry) -> bool:
        """Whether the job's run ended well."""
        end = read_end(self.path(job))
        return end is not None and end["status"] in COMPLETE


def read(directory: Path) -> Manifest:
    """The sweep in a directory; ConfigError where there is none that can be gone on with."""
    try:
        facts = read_entry(directory)
        key, jobs, runs = facts.pop("key"), facts.pop("jobs"), facts.pop("runs")
        entries = [Entry(**one) for one in jobs]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{directory / SWEEP} is not that of a sweep: {error}") from error
    return Manifest(directory, key, facts, entries, runs)


def begin(
    directory: Path, key: str, facts: Mapping[str, Any], jobs: Iterable[tuple[str, list[str]]]
) -> Manifest:
    """Write the manifest of a sweep of (identity, overrides), new or gone on with.

    The identities are different, and the directory is locked.

    Raises ConfigError where another sweep has the directory.
    """
    known: dict[str, str] = {}
    if (directory / SWEEP).is_file():
        before = read(directory)
        if before.key != key:
            raise ConfigError(f"there is another sweep in {directory}", "hydra.sweep.dir")
        known = dict(before.runs)
        facts = {**facts, **{name: before.facts[name] for name in ("id", "started", "time")}}
    entries = [
        Entry(identity, overrides, known.setdefault(identity, str(len(known))))
        for identity, overrides in jobs
    ]
    made = Manifest(directory, key, facts, entries, known)
    made.write()
    return made


def lock(directory: Path) -> int:
    """Keep other processes from conducting this sweep; the workers inherit it.

    Raises ConfigError where another conducts it now.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = locks.hold(directory, patience=_PATIENCE)
    if descriptor is None:
        raise ConfigError(f"another process is at the sweep in {directory}")
    return descriptor
