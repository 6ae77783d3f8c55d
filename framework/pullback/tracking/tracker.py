"""Shows runs in MLflow from a process of its own, so that no run waits for it, or dies of it.

The process is given the directories of runs and sweeps, one a line, as often as there is something
new in one of them, and reads everything else there.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pullback.tracking.mlflow_view import View
from pullback.tracking.store import Store

_SECONDS_BETWEEN_PUBLICATIONS = 3.0


def view_of(tracking: Mapping[str, Any]) -> View | None:
    """The MLflow store that a config's tracking section names, if it does."""
    if tracking["name"] != "mlflow":
        return None
    return View(Store(tracking["uri"], tracking["experiment"]))


class Tracker:
    """Its trouble is told at the end, and is never a run's."""

    def __init__(self, tracking: Mapping[str, Any]) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._view = view_of(tracking)
        self._last = time.monotonic()

    def start(self) -> None:
        """Have MLflow imported and its store opened, which takes seconds, in good time."""
        if self._view is not None and self._process is None:
            store = (self._view.store.uri, self._view.store.experiment)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pullback.tracking.publisher", *store],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # an interrupt is the run's; what it measured is shown
            )

    def publish(self, directory: Path) -> None:
        """Ask for MLflow to be brought up to what the directory says, and go on."""
        if self._view is None or self._view.is_current(directory):
            return
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._last = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # close says so
            self._process.stdin.write(f"{json.dumps(str(directory.absolute()))}\n")
            self._process.stdin.flush()

    def perhaps_publish(self, *directories: Path) -> None:
        """Now and then, so that long runs can be watched."""
        if time.monotonic() - self._last > _SECONDS_BETWEEN_PUBLICATIONS:
            for directory in directories:
                self.publish(directory)

    def close(self, told: Callable[[int], None] | None = None) -> dict[str, str]:
        """Wait until everything was tried; what MLflow does not have, and why.

        ``told`` is called with the number of directories that are left.
        """
        if self._process is None:
            return {}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        problems: dict[str, str] = {"": "the process that shows runs in MLflow ended early"}
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        for line in self._process.stdout:
            said = json.loads(line)
            if not isinstance(said, int):
                problems = said
            elif told is not None:
                told(said)
        self._process.wait()
        self._process = None
        return problems
