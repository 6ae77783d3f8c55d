"""The process behind a Tracker: ``python -m pullback.tracking.publisher URI EXPERIMENT``.

Reads directories from standard input, one a line, as JSON. At the end of it, writes how many are
left to publish, again and again, and then one object: what could not be published, and why.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from pathlib import Path

from pullback.tracking.mlflow_view import View
from pullback.tracking.store import Store, reason_of

_SECONDS_BEFORE_ANOTHER_TRY = 5.0


class Pending:
    """The directories that have news, in the order in which they first had them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._directories: dict[str, None] = {}
        self.over = False

    def read(self) -> None:
        """Everything that standard input has, until its end."""
        for line in sys.stdin:
            self.add(json.loads(line))
        with self._changed:
            self.over = True
            self._changed.notify()

    def add(self, directory: str) -> None:
        with self._changed:
            self._directories[directory] = None
            self._changed.notify()

    def take(self) -> str | None:
        """The next one; None when there will be no more."""
        with self._changed:
            while not self._directories and not self.over:
                self._changed.wait()
            for directory in self._directories:
                del self._directories[directory]
                return directory
        return None

    def __len__(self) -> int:
        return len(self._directories)


def main(uri: str, experiment: str) -> None:
    pending, problems = Pending(), dict[str, str]()
    threading.Thread(target=pending.read, daemon=True).start()
    view = View(Store(uri, experiment))
    with contextlib.suppress(Exception):  # the first run that is published says what is wrong
        view.store.open()
    failures, down_until = 0, 0.0
    while (directory := pending.take()) is not None:
        if pending.over:
            print(len(pending) + 1, flush=True)
        if failures > 1 and time.monotonic() < down_until:  # a dead store is not asked each time
            problems.setdefault(directory, next(iter(problems.values())))
            continue
        try:
            view.publish(Path(directory))
        except Exception as error:
            problems[directory] = reason_of(error)
            failures, down_until = failures + 1, time.monotonic() + _SECONDS_BEFORE_ANOTHER_TRY
        else:
            problems.pop(directory, None)
            if failures:  # it is back
                for missed in problems:
                    pending.add(missed)
            failures = 0
    print(json.dumps(problems), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
