"""Training: batches, steps, stopping, checkpoints. It knows neither Hydra nor MLflow."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pullback import checkpoint
from pullback.data import Batches, Data, Part
from pullback.divergence import first_not_finite
from pullback.errors import ConfigError
from pullback.evaluation import Metrics, accuracy, evaluate
from pullback.net import Net
from pullback.options import build
from pullback.registry import name_of
from pullback.units import Array, Loss, Optimizer, Schedule, State

Observer = Callable[[int, Metrics], None]  # called with a step and what was measured at it


@dataclass(frozen=True)
class Recipe:
    """How a net is trained. ValueError for a number out of its range.

    ``steps`` updates, or ``epochs`` passes over the training part where that is given.
    ``batch_size`` rows a step, drawn without replacement in each epoch; none: all of them.
    ``l2`` adds (l2/2) Σ W² over the weights (not the biases) to what is minimised; the loss that is
    reported leaves it out. The gradient is then clipped: ``clip_value`` bounds each entry,
    ``clip_norm`` its Euclidean norm, as PyTorch does it.
    Every ``evaluate_every`` steps the validation part is looked at; after ``patience`` such looks
    without a lower loss training stops. ``select`` says which parameters are kept at the end: the
    last, or the best on the validation part. A checkpoint is written every ``checkpoint_every``
    steps.
    """

    steps: int = 1000
    epochs: int | None = None
    batch_size: int | None = None
    reduction: Literal["mean", "sum"] = "mean"
    l2: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    evaluate_every: int = 10
    patience: int | None = None
    select: Literal["last", "best"] = "last"
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "epochs", "batch_size", "evaluate_every", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        for name in ("clip_norm", "clip_value"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive, not {value}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be at least 1, not {self.patience}")
        if not self.l2 >= 0:
            raise ValueError(f"l2 must not be negative, and it is {self.l2}")

    def total(self, rows: int) -> int:
        """The number of steps for so many rows of training data."""
        if self.epochs is None:
            return self.steps
        return self.epochs * math.ceil(rows / min(self.batch_size or rows, rows))


@dataclass(frozen=True)
class Result:
    """How a run ended: ``status`` is finished, stopped (by ``patience``) or not finite.

    ``metrics`` are those of the parameters that the net now holds, with the seconds of the median
    step and the bytes that a step needs at most. ``verdict`` says, where the loss was not finite,
    at which step and in which stage first.
    """

    status: Literal["finished", "stopped", "not finite"]
    steps: int
    metrics: Metrics
    history: list[tuple[int, Metrics]] = field(repr=False)
    verdict: str = ""


@dataclass
class _Progress:
    """What a checkpoint holds beside θ and the optimizer's state."""

    best_theta: Array
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    waited: int = 0
    gradient_difference: float = 0.0


def train(
    net: Net,
    data: Data,
    *,
    loss: Any = "cross_entropy_exact",
    optimizer: Any = "adam",
    schedule: Any = "constant",
    recipe: Recipe = Recipe(),
    seed: int = 0,
    reference: Any = None,
    directory: str | Path | None = None,
    resume: bool = False,
    observe: Observer | None = None,
) -> Result:
    """Train a net in place: θ ← optimizer(θ, dL/dθ), step after step.

    Units are given as themselves, by name, or by name and options. ``reference`` is a loss of the
    same family: at each evaluation the largest difference between its gradient and this loss's is
    measured. With a ``directory``, checkpoints are written there, and ``resume`` goes on from the
    last of them, bit for bit as if it had not been interrupted. ``observe(step, metrics)`` is
    called with the measurements at θ after ``step`` updates.

    Raises ConfigError for a unit that does not fit, RunError where a unit fails while it runs.
    """
    run = _Run(
        net=net,
        data=data,
        loss=build("loss", loss, "loss"),
        optimizer=build("optimizer", optimizer, "optimizer"),
        schedule=build("schedule", schedule, "schedule"),
        recipe=recipe,
        seed=seed,
        reference=None if reference is None else build("loss", reference, "reference"),
        directory=None if directory is None else Path(directory),
        observe=observe,
    )
    with np.errstate(all="ignore"):  # what is not finite ends in a verdict, not in a warning
        if resume:
            run.restore()
        return run.go()


@dataclass
class _Run:
    """One training, with what it carries from step to step."""

    net: Net
    data: Data
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    recipe: Recipe
    seed: int
    reference: Loss | None
    directory: Path | None
    observe: Observer | None

    def __post_init__(self) -> None:
        self.batches = Batches(self.data.train, self.recipe.batch_size, self.seed)
        self.steps = self.recipe.total(len(self.data.train))
        self.state: State = self.optimizer.init(self.net.theta)
        self.progress = _Progress(best_theta=self.net.theta.copy())
        self.watched = "validation_loss" if len(self.data.validation) else "train_loss"
        self.history: list[tuple[int, Metrics]] = []
        self.seconds: list[float] = []
        self.peak_bytes = 0

    def go(self) -> Result:
        """Steps until the last, until patience ends, or until a number is not finite."""
        progress, recipe = self.progress, self.recipe
        while progress.step < self.steps:
            step = progress.step
            if step % recipe.checkpoint_every == 0 and step > 0:
                self.save()
            with self.first_step_measured():
                started = time.perf_counter()
                rows, x, target = self.batches.at(step)
                value, y = self.net.value_and_gradient(x, target, self.loss, recipe.reduction)
                spent = time.perf_counter() - started
            if not math.isfinite(value):
                return self.not_finite(rows, x, target, value)
            measured = {"train_loss": value}
            rate = self.optimizer.lr * self.schedule.factor(step, self.steps)
            if step % recipe.evaluate_every == 0:
                measured |= self.evaluate(x, y, target) | {"learning_rate": rate}
                if self.out_of_patience(step, measured):
                    return self.end("stopped")
            started = time.perf_counter()
            norm = self.add_penalty_and_clip()
            if not math.isfinite(norm):
                return self.not_finite(rows, x, target, value)
            theta, state = self.net.theta, self.state
            self.optimizer.step(theta, self.net.gradient, state, rate, out=(theta, state))
            self.seconds.append(spent + time.perf_counter() - started)
            self.record(step, measured | {"gradient_norm": norm})
            progress.step += 1
        return self.end("finished")

    def add_penalty_and_clip(self) -> float:
        """Make ``net.gradient`` that of the objective, and return its norm before clipping."""
        g, recipe = self.net.gradient, self.recipe
        if recipe.l2:
            np.add(g, recipe.l2 * self.net.theta, out=g, where=self.net.weights)
        norm = math.sqrt(float(np.dot(g, g)))
        if recipe.clip_value is not None:
            np.clip(g, -recipe.clip_value, recipe.clip_value, out=g)
        if recipe.clip_norm is not None:
            size = norm if recipe.clip_value is None else math.sqrt(float(np.dot(g, g)))
            g *= min(1.0, recipe.clip_norm / (size + 1e-6))
        return norm

    def evaluate(self, x: Array, y: Array, target: Array) -> Metrics:
        """What is measured beside the loss: accuracies, validation, the gradient's difference."""
        measured: Metrics = {}
        if self.data.classes is not None:
            measured["train_accuracy"] = accuracy(y, target)
        measured |= self.of_part("validation", self.data.validation)
        if self.reference is not None:
            measured["gradient_difference"] = self.gradient_difference(x, target)
        return measured

    def of_part(self, name: str, part: Part) -> Metrics:
        if not len(part):
            return {}
        found = evaluate(self.net, part, self.loss, labels=self.data.classes is not None)
        return {f"{name}_{key}": value for key, value in found.items()}

    def gradient_difference(self, x: Array, target: Array) -> float:
        """max |dθ − dθ'| where dθ' is had through the reference, at the same θ and batch."""
        assert self.reference is not None
        own = self.net.gradient.copy()
        self.net.value_and_gradient(x, target, self.reference, self.recipe.reduction)
        difference = float(np.abs(self.net.gradient - own).max(initial=0))
        self.net.gradient[...] = own
        largest = max(self.progress.gradient_difference, difference)
        self.progress.gradient_difference = largest
        return difference

    def out_of_patience(self, step: int, measured: Metrics) -> bool:
        """Note the best so far; true when ``patience`` evaluations have brought nothing better."""
        progress = self.progress
        if measured[self.watched] < progress.best_loss:
            progress.best_loss, progress.best_step = measured[self.watched], step
            progress.waited = 0
            progress.best_theta[...] = self.net.theta
            return False
        progress.waited += 1
        return self.recipe.patience is not None and progress.waited >= self.recipe.patience

    def record(self, step: int, measured: Metrics) -> None:
        self.history.append((step, measured))
        if self.observe is not None:
            self.observe(step, measured)

    def end(self, status: Literal["finished", "stopped"]) -> Result:
        progress = self.progress
        last = self.of_part("train", self.data.train) | self.of_part(
            "validation", self.data.validation
        )
        if last[self.watched] < progress.best_loss:
            progress.best_loss, progress.best_step = last[self.watched], progress.step
            progress.best_theta[...] = self.net.theta
        self.record(progress.step, last)
        self.save()
        if self.recipe.select == "best":
            self.net.theta[...] = progress.best_theta
            last = self.of_part("train", self.data.train)
            last |= self.of_part("validation", self.data.validation)
        last |= self.of_part("test", self.data.test)
        last |= {f"best_{self.watched}": progress.best_loss, "best_step": progress.best_step}
        if self.reference is not None:
            last["gradient_difference"] = progress.gradient_difference
        return Result(status, progress.step, last | self.costs(), self.history)

    def costs(self) -> Metrics:
        # The first step fills the buffers and is measured for memory, which takes time.
        seconds = self.seconds[1:] or self.seconds
        costs: Metrics = {"step_peak_bytes": float(self.peak_bytes)} if self.peak_bytes else {}
        return costs | ({"step_seconds": float(np.median(seconds))} if seconds else {})

    def not_finite(self, rows: Array | None, x: Array, target: Array, value: float) -> Result:
        step = self.progress.step
        where = first_not_finite(self.net, x, target, self.loss, self.recipe.reduction)
        verdict = f"stopped at step {step}, where the loss is {value}: {where}"
        if self.directory is not None:
            path = self.directory / "not_finite.npz"
            taken = np.arange(len(x)) if rows is None else rows
            arrays = {"x": x, "target": target, "rows": taken, "theta": self.net.theta}
            checkpoint.save(path, arrays, {"step": step, "loss": repr(value), "verdict": where})
            verdict += f"; the batch and θ are in {path}"
        metrics = {"train_loss": value} | self.costs()
        return Result("not finite", step, metrics, self.history, verdict)

    @contextmanager
    def first_step_measured(self) -> Iterator[None]:
        """Take the most memory that the first step holds at once, its buffers included."""
        if self.seconds or tracemalloc.is_tracing():
            yield
            return
        tracemalloc.start()
        try:
            yield
            self.peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def save(self) -> None:
        if self.directory is None:
            return
        progress, net = self.progress, self.net
        facts = {
            "layout": self.layout(),
            "step": progress.step,
            "best_loss": progress.best_loss,
            "best_step": progress.best_step,
            "waited": progress.waited,
            "gradient_difference": progress.gradient_difference,
        }
        state = {f"state.{key}": value for key, value in self.state.items()}
        arrays = {"theta": net.theta, "best_theta": progress.best_theta, **state}
        checkpoint.save(self.directory / "last.npz", arrays, facts)
        best = facts | {"step": progress.best_step}
        checkpoint.save(self.directory / "best.npz", {"theta": progress.best_theta}, best)

    def layout(self) -> dict[str, Any]:
        shapes = {
            f"{name}.{key}": list(value.shape)
            for name, params in self.net.params.items()
            for key, value in params.items()
        }
        return {
            "parameters": shapes,
            "dtype": str(self.net.dtype),
            "optimizer": name_of(self.optimizer),
        }

    def restore(self) -> None:
        if self.directory is None:
            raise ConfigError("to resume, name the directory of the checkpoint")
        arrays, facts = checkpoint.load(self.directory / "last.npz")
        if facts["layout"] != self.layout():
            raise ConfigError(
                f"the checkpoint in {self.directory} is of another network or optimizer: it has "
                f"{facts['layout']}, this run has {self.layout()}"
            )
        self.net.theta[...] = arrays["theta"]
        for key, value in self.state.items():
            value[...] = arrays[f"state.{key}"]
        self.progress = _Progress(
            arrays["best_theta"],
            facts["step"],
            facts["best_loss"],
            facts["best_step"],
            facts["waited"],
            facts["gradient_difference"],
        )
