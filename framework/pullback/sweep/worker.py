"""A process that makes one run after another, warm: ``python -m pullback.sweep.worker DESCRIPTOR``.

The descriptor is a socket: orders come in, a line of JSON each, and what becomes of them goes out.
When it closes, whoever conducted the sweep is gone, and the worker ends at once, in the middle of a
run if need be: the run goes on from its checkpoint when the sweep does.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pullback.errors import PullbackError
from pullback.evaluation import Metrics
from pullback.job import build_job
from pullback.run import execute
from pullback.tracking.journal import RUN, mark

LOG = "train.log"
_SECONDS_BETWEEN_REPORTS = 0.2


def main(descriptor: int) -> None:
    channel = socket.socket(fileno=descriptor).makefile("rw", encoding="utf-8")
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, orders), daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            said = _obey(orders.get(), channel)
            _say(channel, said)
            if said["status"] == "interrupted":
                return
    except KeyboardInterrupt:
        return


def _listen(channel: TextIO, orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in channel:
        orders.put(json.loads(line))
    os._exit(1)


def _say(channel: TextIO, what: Mapping[str, Any]) -> None:
    channel.write(f"{json.dumps(what)}\n")
    channel.flush()


def _obey(order: Mapping[str, Any], channel: TextIO) -> dict[str, Any]:
    """Make the run that is ordered; how it ended."""
    directory = Path(order["directory"])
    directory.mkdir(parents=True, exist_ok=True)
    last = 0.0

    def observe(step: int, metrics: Metrics) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            _say(channel, {"step": step, "train_loss": metrics["train_loss"]})

    with _logged(directory / LOG):
        try:
            job = build_job(order["config"])
            resume = (directory / RUN).is_file()
            outcome = execute(
                job, directory, overrides=order["overrides"], observe=observe, resume=resume
            )
        except PullbackError as error:
            mark(directory, "failed", str(error))
            return {"status": "failed", "message": str(error), "metrics": {}}
    return {
        "status": outcome.status,
        "message": outcome.message,
        "metrics": outcome.metrics,
        "problems": outcome.problems,
    }


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Whatever is printed or logged, by C code too, goes to the run's log."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        for stream in (1, 2):
            os.dup2(file, stream)
    finally:
        os.close(file)
    logging.basicConfig(
        level=logging.WARNING,
        format="[%(asctime)s][%(name)s][%(levelname)s] - %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("pullback").setLevel(logging.INFO)
    log = logging.getLogger("pullback.sweep")
    log.info("begins in %s", path.parent)
    try:
        yield
    finally:
        sys.stdout.flush()
        log.info("ends")


if __name__ == "__main__":
    main(int(sys.argv[1]))
