"""Run directories: found below a directory, and read as far as they can be read."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullback.errors import PullbackError
from pullback.tracking.journal import END, RUN, SWEEP, read_metrics

UNFINISHED = "running or killed"


@dataclass(frozen=True)
class Run:
    """What ``run.json`` and ``end.json`` say; ``end`` is empty where there is no ``end.json``."""

    directory: str
    facts: dict[str, Any]
    end: dict[str, Any]

    @property
    def status(self) -> str:
        return str(self.end.get("status", UNFINISHED))


def find(paths: Iterable[Path | str]) -> list[str]:
    """Every run directory at or below the paths, once each, with 10 after 9.

    Of a sweep, those of the jobs that it has now: where a unit was changed since, or an axis made
    shorter, its directory holds earlier runs, too.

    Raises PullbackError for a path that is not a directory.
    """
    found: set[str] = set()
    for path in map(Path, paths):
        if not path.is_dir():
            raise PullbackError(f"there is no directory {path}")
        found.update(_below(str(path.resolve())))
    return sorted(found, key=_in_order)


def read(directory: str) -> Run | None:
    """A run; None where ``run.json`` cannot be read as one."""
    facts = _read_object(f"{directory}/{RUN}")
    if facts is None or not isinstance(facts.get("options"), dict):
        return None
    return Run(directory, facts, _read_object(f"{directory}/{END}") or {})


def curve(directory: str, metric: str) -> dict[int, float]:
    """A metric over the steps, as far as the journal can be read."""
    points: dict[int, float] = {}
    try:
        for line in read_metrics(Path(directory)):
            if metric in line:
                points[int(line["step"])] = float(line[metric])
    except (OSError, ValueError, KeyError, TypeError):
        # What stands before the damage is still true.
        return points
    return points


def _below(directory: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            content = list(entries)
    except OSError:
        return
    names = {entry.name for entry in content}
    if RUN in names:
        yield directory
        return
    jobs = _jobs(directory) if SWEEP in names else set[str]()
    for entry in content:
        if entry.is_dir(follow_symlinks=False) and (not jobs or entry.name in jobs):
            yield from _below(entry.path)


def _jobs(directory: str) -> set[str]:
    """Where the jobs of a sweep are; empty of one that Hydra conducted, which does not know."""
    try:
        return {
            str(job["directory"]) for job in (_read_object(f"{directory}/{SWEEP}") or {})["jobs"]
        }
    except (KeyError, TypeError):
        return set()


def _in_order(directory: str) -> list[str | int]:
    parts: list[str | int] = list(re.split(r"(\d+)", directory))
    parts[1::2] = [int(number) for number in parts[1::2]]
    return parts


def _read_object(path: str) -> dict[str, Any] | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  of ten thousand, paths are a fifth of the time
            value = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
