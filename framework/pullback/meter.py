"""What a training step costs: its time, and the memory that it holds at most."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from pullback.evaluation import Metrics


class Meter:
    """Times the two halves of every step; what is measured between them does not count.

    The first step is not timed: it fills the buffers, and its memory is traced, which takes time.
    """

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._half = 0.0
        self._first = True
        self._peak_bytes = 0

    @contextmanager
    def gradient(self) -> Iterator[None]:
        """The way forward and back."""
        trace = self._first and not tracemalloc.is_tracing()
        if trace:
            tracemalloc.start()
        started = time.perf_counter()
        try:
            yield
            if trace:
                self._peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            self._half = time.perf_counter() - started
            if trace:
                tracemalloc.stop()

    @contextmanager
    def update(self) -> Iterator[None]:
        """The optimizer's part."""
        started = time.perf_counter()
        yield
        if not self._first:
            self._seconds.append(self._half + time.perf_counter() - started)
        self._first = False

    def stretch(self, seconds: float, steps: int) -> None:
        """So many steps that were made at once."""
        self._seconds += [seconds / steps] * steps if steps else []

    def costs(self) -> Metrics:
        """``step_seconds`` of the median step; ``step_peak_bytes`` of one step with its buffers."""
        costs: Metrics = {}
        if self._seconds:
            costs["step_seconds"] = float(np.median(self._seconds))
        if self._peak_bytes:
            costs["step_peak_bytes"] = float(self._peak_bytes)
        return costs
