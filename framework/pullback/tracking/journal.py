"""A run directory: what a run is, what it measured, and how it ended.

``run.json`` is written before the first step, ``metrics.jsonl`` while it runs, a line for each
step, and ``end.json`` at the end, all at once: a run without it is running, or was killed. Every
other view of a run, MLflow's among them, can be made again from these three and the checkpoints.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

from pullback.errors import ConfigError
from pullback.evaluation import Metrics

Status = Literal["finished", "stopped", "failed", "interrupted"]

RUN, METRICS, END, CONFIG = "run.json", "metrics.jsonl", "end.json", "config.yaml"


class Journal:
    """Writes a run directory; a line is with the system as soon as it is measured."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.step, self.time = 0, milliseconds()
        self._file: TextIO | None = None

    def begin(self, facts: Mapping[str, Any], config: str) -> None:
        """The first entry: the facts of the run, and its resolved config as YAML."""
        if (self.directory / RUN).exists():
            raise ConfigError(f"there is a run in {self.directory} already; each needs its own")
        self.directory.mkdir(parents=True, exist_ok=True)
        write_whole(self.directory / CONFIG, config)
        write_whole(self.directory / RUN, json.dumps(facts, indent=1))
        (self.directory / METRICS).touch()

    def reopen(self, step: int) -> None:
        """Go on from a checkpoint: what was measured from its step on will be measured again."""
        kept = [line for line in read_metrics(self.directory) if line["step"] < step]
        write_whole(self.directory / METRICS, "".join(f"{json.dumps(line)}\n" for line in kept))
        (self.directory / END).unlink(missing_ok=True)

    def observe(self, step: int, metrics: Metrics) -> None:
        """One line: what was measured after so many steps."""
        if self._file is None:
            self._file = (self.directory / METRICS).open("a", buffering=1, encoding="utf-8")
        self.step, self.time = step, milliseconds()
        self._file.write(json.dumps({"step": step, "time": self.time, **metrics}) + "\n")

    def end(self, status: Status, facts: Mapping[str, Any]) -> None:
        """The last entry, the marker that says how the run ended."""
        self.close()
        write_whole(self.directory / END, json.dumps({"status": status, **facts}, indent=1))

    def close(self) -> None:
        """Let go of the file; another line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def milliseconds() -> int:
    """Now, since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


def write_whole(path: Path, text: str) -> None:
    """Write beside the path, then rename: a reader sees the old text or the new one."""
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def read_run(directory: Path) -> dict[str, Any]:
    """The facts of a run; ConfigError where the directory is none of a run."""
    try:
        facts: dict[str, Any] = json.loads((directory / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{directory} is not the directory of a run: {error}") from error
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
