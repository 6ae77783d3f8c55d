"""A run directory: what a run is, what it measured, and how it ended.

``run.json`` is written before the first step, ``metrics.jsonl`` while it runs, a line for each
step, and ``end.json`` at the end, all at once: a run without it is running, or was killed with
whoever would have said so; while it runs, the directory is locked. Every other view of a run,
MLflow's among them, can be made again from these three and the checkpoints.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from pullback import locks
from pullback.errors import ConfigError
from pullback.evaluation import Metrics

Status = Literal["finished", "stopped", "failed", "interrupted", "killed"]

RUN, METRICS, END, CONFIG = "run.json", "metrics.jsonl", "end.json", "config.yaml"
SWEEP = "sweep.json"  # in a directory above those of its runs; its end.json is like a run's
COMPLETE = ("finished", "stopped")


class Journal:
    """Writes a run directory; a line is with the system as soon as it is measured."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.step, self.time = 0, milliseconds()
        self._file: TextIO | None = None
        self._held: int | None = None

    def begin(self, facts: Mapping[str, Any], config: str) -> None:
        """The first entry: the facts of the run, and its resolved config as YAML."""
        if (self.directory / RUN).exists():
            raise ConfigError(f"there is a run in {self.directory} already; each needs its own")
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock()
        write_whole(self.directory / CONFIG, config)
        write_whole(self.directory / RUN, json.dumps(facts, indent=1))
        (self.directory / METRICS).touch()

    def reopen(self, step: int) -> None:
        """Go on from a checkpoint: what was measured from its step on will be measured again."""
        self._lock()
        kept = [line for line in read_metrics(self.directory) if line["step"] < step]
        write_whole(self.directory / METRICS, "".join(f"{json.dumps(line)}\n" for line in kept))
        (self.directory / END).unlink(missing_ok=True)

    def _lock(self) -> None:
        """Hold the directory for as long as the process or the run lasts."""
        if self._held is None:
            self._held = locks.hold(self.directory)
        if self._held is None:
            raise ConfigError(f"another process is at the run in {self.directory}")

    def observe(self, step: int, metrics: Metrics) -> None:
        """One line: what was measured after so many steps."""
        if self._file is None:
            self._file = (self.directory / METRICS).open("a", buffering=1, encoding="utf-8")
        at = milliseconds()
        self._file.write(json.dumps({"step": step, "time": at, **metrics}) + "\n")
        self.step, self.time = step, at  # last: an interrupt finds what stands in the file

    def end(self, status: Status, facts: Mapping[str, Any]) -> None:
        """The last entry, the marker that says how the run ended."""
        self.close()
        write_whole(self.directory / END, json.dumps({"status": status, **facts}, indent=1))
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def close(self) -> None:
        """Let go of the file; another line opens it again."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


def is_running(directory: Path) -> bool:
    """Whether a process is at the run now."""
    return locks.is_held(directory)


def mark(directory: Path, status: Status, message: str) -> None:
    """The last entry of a run that could not write its own; one that is there is left as it is."""
    if not (directory / RUN).is_file() or (directory / END).is_file():
        return
    last: dict[str, Any] = {}
    for line in read_metrics(directory):
        last = line
    facts = {
        "status": status,
        "ended": now(),
        "time": milliseconds(),
        "seconds": None,
        "steps": last.get("step", 0),
        "metrics": {},
        "message": message,
    }
    write_whole(directory / END, json.dumps(facts, indent=1))


def now() -> str:
    """The time of day with its zone, as people and programs read it."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def milliseconds() -> int:
    """Now, since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


def write_whole(path: Path, text: str) -> None:
    """Write beside the path, then rename: a reader sees the old text or the new one.

    It is with the disk before it has its name, or a machine that dies leaves an empty file.
    """
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_run(directory: Path) -> dict[str, Any]:
    """The facts of a run; ConfigError where the directory is none of a run."""
    try:
        facts: dict[str, Any] = json.loads((directory / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{directory} is not the directory of a run: {error}") from error
    return facts


def sweep_of(directory: Path) -> Path | None:
    """The directory of the sweep that a run belongs to; None of a sweep, or a run by itself."""
    inside = (directory.parent / SWEEP).is_file() and not (directory / SWEEP).is_file()
    return directory.parent if inside else None


def read_entry(directory: Path) -> dict[str, Any]:
    """The facts of a run or of a sweep; ConfigError where the directory is none of either."""
    if not (directory / SWEEP).is_file():
        return read_run(directory)
    try:
        facts: dict[str, Any] = json.loads((directory / SWEEP).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{directory} is not the directory of a sweep: {error}") from error
    return facts


def read_end(directory: Path) -> dict[str, Any] | None:
    """How a run ended; None while it runs, and for ever where it was killed."""
    try:
        facts: dict[str, Any] = json.loads((directory / END).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return facts


def read_metrics(directory: Path, skip: int = 0) -> Iterator[dict[str, Any]]:
    """The lines of the journal after the first ``skip``; one torn off by a crash is left out."""
    with (directory / METRICS).open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number >= skip and line.endswith("\n"):
                yield json.loads(line)
