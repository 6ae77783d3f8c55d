"""A fair race: contenders in processes of their own, on the same cores, their turns interleaved.

A round gives every contender one turn, in random order, of some 20 ms of calls one after another;
what is compared are ratios within a round, so that a machine that is slower for a while is slower
for all of them. Each process is pinned to the same cores before it imports anything, so that BLAS,
Numba and OpenMP take as many threads as there are cores.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pullback import heap
from pullback.units import Array

TURN = 0.02  # seconds, of calls; a call that takes longer is a turn
_WARM_UP = 0.1  # of a turn, before it, which is not timed
_MOST_CALLS = 1_000_000
_SECONDS_TO_END = 5.0


class Trial(Protocol):
    """A workload made ready in a contender's process; ``call`` is what is timed."""

    def call(self) -> object: ...

    def answer(self) -> list[Array]:
        """What it computes, to be judged before it is timed."""
        ...

    def costs(self) -> Mapping[str, float]:
        """What else is measured of it: bytes."""
        ...


@dataclass(frozen=True)
class Contender:
    """A name, and what makes its trial of a workload: both cross to another process, pickled."""

    name: str
    make: Callable[[Any], Trial]


class OutOfRaceError(Exception):
    """Why a contender takes no part: it raised, it is too slow, it died."""


class Entrant:
    """A contender's process. What is asked of it may end in OutOfRaceError."""

    def __init__(self, contender: Contender, seconds: float) -> None:
        self.name, self._seconds = contender.name, seconds
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, contender.make), daemon=True, name=contender.name
        )
        self._process.start()
        theirs.close()

    def prepare(self, workload: object) -> None:
        self._ask("prepare", workload)

    def answer(self) -> list[Array]:
        found: list[Array] = self._ask("answer")
        return found

    def costs(self) -> dict[str, float]:
        found: dict[str, float] = self._ask("costs")
        return found

    def turn(self, calls: int) -> float:
        """The seconds of a call, of so many."""
        seconds: float = self._ask("turn", calls)
        return seconds

    def calls(self) -> int:
        """How many calls make a turn."""
        calls = 1
        for part in (1, 4, 4):  # the first call of all is slow
            seconds = self.turn(max(calls // part, 1))
            calls = int(min(max(TURN / max(seconds, 1e-9), 1), _MOST_CALLS))
        return calls

    def _ask(self, *order: object) -> Any:
        try:
            self._ours.send(order)
            if not self._ours.poll(self._seconds):
                self.end()
                raise OutOfRaceError(f"takes more than {self._seconds:g} s")
            told, found = self._ours.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(_SECONDS_TO_END)
            raise OutOfRaceError(f"its process ended with {self._process.exitcode}") from error
        except OSError as error:  # closed: it is out since an earlier workload
            raise OutOfRaceError("was out before") from error
        if told == "raised":
            raise OutOfRaceError(found)
        return found

    def end(self) -> None:
        self._ours.close()
        self._process.terminate()
        self._process.join(_SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()


def _serve(connection: Any, make: Callable[[Any], Trial]) -> None:
    """The contender's side: orders in, (told, found) out, until the other end closes."""
    gc.disable()
    heap.keep()  # as training does
    trial: Trial | None = None
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            order, *arguments = connection.recv()
            try:
                with np.errstate(all="ignore"):
                    if order == "prepare":
                        trial, found = None, None  # the room of the last one is free
                        trial = make(*arguments)
                    elif order == "turn":
                        assert trial is not None
                        found = _turn(trial.call, *arguments)
                    else:
                        found = getattr(trial, order)()
            except MemoryError:
                connection.send(("raised", "does not fit in memory"))
            except Exception as error:
                connection.send(("raised", f"{type(error).__name__}: {error}"))
            else:
                connection.send(("is", found))


def _turn(call: Callable[[], object], calls: int) -> float:
    for _ in range(int(calls * _WARM_UP) or calls > 1):
        call()
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) / calls


@contextlib.contextmanager
def entered(
    contenders: Sequence[Contender], *, threads: int = 1, seconds: float = 10.0
) -> Iterator[dict[str, Entrant]]:
    """Their processes, by name, pinned to so many cores; ``seconds``: the most for one answer."""
    entrants: dict[str, Entrant] = {}
    try:
        with _on_cores(threads):
            for one in contenders:
                entrants[one.name] = Entrant(one, seconds)
        yield entrants
    finally:
        for entrant in entrants.values():
            entrant.end()


@contextlib.contextmanager
def _on_cores(number: int) -> Iterator[None]:
    """What is started here is pinned to the last so many cores, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[-number:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def race(
    entrants: Mapping[str, Entrant], rounds: int, rng: np.random.Generator
) -> tuple[dict[str, Array], dict[str, str]]:
    """The seconds of a call of each in each round; and of those that dropped out, why."""
    calls: dict[str, int] = {}
    out: dict[str, str] = {}
    for name, entrant in entrants.items():
        try:
            calls[name] = entrant.calls()
        except OutOfRaceError as reason:
            out[name] = str(reason)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name in rng.permutation(list(calls)):
            if name in out:
                continue
            try:
                times[name].append(entrants[name].turn(calls[name]))
            except OutOfRaceError as reason:
                out[name] = str(reason)
    return {name: np.array(found) for name, found in times.items() if name not in out}, out
