"""Worker processes: started when there is work, given a job or a few, replaced when they die."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_SECONDS_TO_END = 10.0


class Worker:
    """One process, and the socket between it and this one."""

    def __init__(self, lock: int, one_thread: bool, threads: int) -> None:
        ours, theirs = socket.socketpair()
        environment = dict(os.environ)
        if one_thread:
            environment |= dict.fromkeys(_THREADS, "1")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pullback.sweep.worker", str(theirs.fileno()), str(threads)],
            pass_fds=(theirs.fileno(), lock),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # an interrupt is for the conductor, who passes it on
        )
        theirs.close()
        self.socket = ours
        self._rest = b""
        self.jobs: set[int] = set()

    def order(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Have it make these jobs, together if there are several."""
        self.jobs = {one["job"] for one in jobs}
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is heard of
            self.socket.sendall(f"{json.dumps(jobs)}\n".encode())

    def heard(self) -> list[dict[str, Any]] | None:
        """What it said since, after the socket became readable; None where it has died."""
        try:
            received = self.socket.recv(1 << 16)
        except ConnectionResetError:
            received = b""
        if not received:
            return None
        *lines, self._rest = (self._rest + received).split(b"\n")
        return [json.loads(line) for line in lines]

    def how_it_died(self) -> str:
        """One sentence, after its socket has closed."""
        status = self.process.wait()
        if status >= 0:
            return f"the worker process ended with status {status}; its log says why"
        name = signal.Signals(-status).name
        hint = " (out of memory, or killed by hand)" if name == "SIGKILL" else ""
        return f"the worker process was ended by {name}{hint}"

    def end(self) -> None:
        """Let it go, and make sure that it does."""
        self.socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_SECONDS_TO_END)
            return
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Have it write down how far its run has come, and end."""
        self.process.send_signal(signal.SIGINT)


class Pool:
    """Up to ``size`` workers; each holds the lock, and has one BLAS thread if there are several.

    Jobs that a worker makes together are spread over its ``threads``.
    """

    def __init__(self, size: int, lock: int, threads: int = 1) -> None:
        self.size, self._lock, self._threads = size, lock, threads
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()

    def free(self) -> Worker | None:
        """A worker without a job, started if there may be another; None where all are busy."""
        for worker in self._workers:
            if not worker.jobs:
                return worker
        if len(self._workers) == self.size:
            return None
        worker = Worker(self._lock, self.size > 1, self._threads)
        self._workers.append(worker)
        self._selector.register(worker.socket, selectors.EVENT_READ, worker)
        return worker

    def wait(self) -> Iterator[tuple[Worker, list[dict[str, Any]] | None]]:
        """What workers say, when one says something; None of one that has died."""
        for key, _ in self._selector.select():
            worker: Worker = key.data
            said = worker.heard()
            if said is None:
                self._selector.unregister(worker.socket)
                self._workers.remove(worker)
            yield worker, said

    def interrupt(self) -> None:
        for worker in self._workers:
            worker.interrupt()
        for worker in self._workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_SECONDS_TO_END)

    def close(self) -> None:
        for worker in self._workers:
            worker.end()
        self._selector.close()
