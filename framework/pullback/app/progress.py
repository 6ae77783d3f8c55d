"""What a person sees while runs go on: a bar, a line for each run that ends."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pullback.evaluation import Metrics

_SECONDS_BETWEEN_UPDATES = 0.1  # drawing more often would cost more than a step


class Screen:
    """A live bar on a terminal, plain lines elsewhere. ``observe`` is a training observer."""

    def __init__(self, runs: int, done: int = 0) -> None:
        self.console = Console(stderr=True)
        self.runs, self.done = runs, done
        self._updated = 0.0
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self._all = self._bars.add_task(
            "runs", total=runs, completed=done, loss="", visible=runs > 1
        )
        self._one = self._bars.add_task("steps", total=None, loss="", visible=False)

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.console.is_terminal:
            self._bars.stop()

    def begin(self, steps: int) -> None:
        self._bars.reset(self._one, total=steps, visible=True, loss="")

    def observe(self, step: int, metrics: Metrics) -> None:
        now = time.monotonic()
        if now - self._updated > _SECONDS_BETWEEN_UPDATES:
            self._updated = now
            self._bars.update(self._one, completed=step, loss=f"loss {metrics['train_loss']:.4g}")

    def end(self, name: str, told: str) -> None:
        """One run is over."""
        self.done += 1
        self._bars.update(self._all, completed=self.done)
        self._bars.update(self._one, visible=False)
        if self.runs > 1:
            line = f"{self.done}/{self.runs}  {name}  {told}"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
