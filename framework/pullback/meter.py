"""What a training step costs: its time, and the memory that it holds at most."""

from __future__ import annotations

import time
import tracemalloc
from types import TracebackType

import numpy as np

from pullback.evaluation import Metrics


class Meter:
    """Times the two halves of every step; what is measured between them does not count.

    ``with meter.gradient`` the way forward and back, ``with meter.update`` the optimizer's part.
    The first step is not timed: it fills the buffers, and its memory is traced, which takes time.
    """

    def __init__(self) -> None:
        self.gradient, self.update = _Half(traces=True), _Half(traces=False)
        self._stretches: list[tuple[float, int]] = []

    def stretch(self, seconds: float, steps: int) -> None:
        """So many steps that were made at once."""
        self._stretches += [(seconds / steps, steps)] if steps else []

    def costs(self) -> Metrics:
        """``step_seconds`` of the median step; ``step_peak_bytes`` of one step with its buffers."""
        costs: Metrics = {}
        halves = zip(self.gradient.seconds, self.update.seconds, strict=False)
        seconds = [first + second for first, second in halves][1:]
        for each, steps in self._stretches:
            seconds += [each] * steps
        if seconds:
            costs["step_seconds"] = float(np.median(seconds))
        if self.gradient.peak_bytes:
            costs["step_peak_bytes"] = float(self.gradient.peak_bytes)
        return costs


class _Half:
    """The seconds of each time that it was entered, and the peak of memory of the first."""

    def __init__(self, *, traces: bool) -> None:
        self.seconds: list[float] = []
        self.peak_bytes = 0
        self._traces, self._started = traces, 0.0

    def __enter__(self) -> None:
        if self._traces:
            self._traces = not tracemalloc.is_tracing()
        if self._traces:
            tracemalloc.start()
        self._started = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.seconds.append(time.perf_counter() - self._started)
        if self._traces:
            self.peak_bytes = 0 if kind else tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            self._traces = False
