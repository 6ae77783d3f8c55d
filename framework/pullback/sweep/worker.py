"""A process that makes one run after another, warm: ``… -m pullback.sweep.worker SOCKET THREADS``.

Orders come in by the socket, a line of JSON each, and what becomes of them goes out. An order of
several jobs makes them together, over so many threads (:mod:`pullback.stretches`). When the socket
closes, whoever conducted the sweep is gone, and the worker ends at once, in the middle of a run if
need be: the run goes on from its checkpoint when the sweep does.
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
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pullback.errors import PullbackError
from pullback.evaluation import Metrics
from pullback.job import build_job
from pullback.run import executing
from pullback.stretches import Made, Stretch, finish, together
from pullback.tracking.journal import RUN, mark

LOG = "train.log"
_SECONDS_BETWEEN_REPORTS = 0.2


def main(descriptor: int, threads: int) -> None:
    channel = socket.socket(fileno=descriptor).makefile("rw", encoding="utf-8")
    orders: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, orders), daemon=True).start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            if "interrupted" in _obey(orders.get(), channel, threads):
                return
    except KeyboardInterrupt:
        return


def _listen(channel: TextIO, orders: queue.SimpleQueue[list[dict[str, Any]]]) -> None:
    for line in channel:
        orders.put(json.loads(line))
    os._exit(1)


def _say(channel: TextIO, what: Mapping[str, Any]) -> None:
    channel.write(f"{json.dumps(what)}\n")
    channel.flush()


def _obey(jobs: list[dict[str, Any]], channel: TextIO, threads: int) -> list[str]:
    """Make the runs that are ordered; their statuses."""
    first, *others = (Path(one["directory"]) for one in jobs)
    for directory in (first, *others):
        directory.mkdir(parents=True, exist_ok=True)
    for directory in others:
        (directory / LOG).write_text(f"trained together with others: see {first / LOG}\n")
    with _logged(first / LOG):
        if not others:
            return [finish(_made(jobs[0], channel, beside_others=False))]
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            courses = [_made(one, channel, beside_others=True) for one in jobs]
            return together(courses, threads, ends_all=lambda status: status == "interrupted")


def _made(
    order: Mapping[str, Any], channel: TextIO, *, beside_others: bool
) -> Generator[Stretch, Made, str]:
    """Make one of them, and say what became of it; its status."""
    directory = Path(order["directory"])
    last = 0.0

    def observe(step: int, metrics: Metrics) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            _say(channel, {"step": step, "train_loss": metrics["train_loss"]})

    said: dict[str, Any]
    try:
        job = build_job(order["config"])
        resume = (directory / RUN).is_file()
        outcome = yield from executing(
            job,
            directory,
            overrides=order["overrides"],
            observe=observe,
            resume=resume,
            beside_others=beside_others,
        )
    except PullbackError as error:
        mark(directory, "failed", str(error))
        said = {"status": "failed", "message": str(error), "metrics": {}}
    else:
        said = {
            "status": outcome.status,
            "message": outcome.message,
            "metrics": outcome.metrics,
            "problems": outcome.problems,
        }
    _say(channel, {"job": order["job"], **said})
    return str(said["status"])


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
    main(*map(int, sys.argv[1:]))
