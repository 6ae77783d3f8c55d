"""Training: batches, steps, stopping, checkpoints. It knows neither Hydra nor MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pullback import checkpoint, heap
from pullback.blocks import compiled_step
from pullback.data import Batches, Data, Part
from pullback.divergence import first_not_finite
from pullback.errors import ConfigError
from pullback.evaluation import Metrics, accuracy, evaluate
from pullback.loss import Reduction, divisor
from pullback.meter import Meter
from pullback.net import Net
from pullback.options import build
from pullback.recipe import Recipe
from pullback.state import Progress
from pullback.stretches import Made, Stretch, finish, kind_of
from pullback.units import Array, Loss, Optimizer, Schedule, State, takes

Observer = Callable[[int, Metrics], None]  # called with a step and what was measured at it
Course = Generator[Stretch, Made, "Result"]  # a training that gives out stretches of its steps


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
    threads: int = 1,
    directory: str | Path | None = None,
    resume: bool = False,
    observe: Observer | None = None,
) -> Result:
    """Train a net in place: θ ← optimizer(θ, dL/dθ), step after step.

    Units are given as themselves, by name, or by name and options. ``reference`` is a loss of the
    same family: at each evaluation the largest difference between its gradient and this loss's is
    measured. Where all units have block kernels a step is a compiled one (:mod:`pullback.blocks`),
    over so many ``threads``. With a ``directory``, checkpoints are written there, and ``resume``
    goes on from the last of them, bit for bit as if it had not been interrupted.
    ``observe(step, metrics)`` is called with the measurements at θ after ``step`` updates. The
    process keeps the memory that a step frees for the next one (:mod:`pullback.heap`).

    Raises ConfigError for a unit that does not fit, RunError where a unit fails while it runs.
    """
    return finish(
        course(
            net,
            data,
            loss=build("loss", loss, "loss"),
            optimizer=build("optimizer", optimizer, "optimizer"),
            schedule=build("schedule", schedule, "schedule"),
            recipe=recipe,
            seed=seed,
            reference=None if reference is None else build("loss", reference, "reference"),
            threads=threads,
            directory=None if directory is None else Path(directory),
            resume=resume,
            observe=observe,
        )
    )


def course(
    net: Net,
    data: Data,
    *,
    loss: Loss,
    optimizer: Optimizer,
    schedule: Schedule,
    recipe: Recipe,
    seed: int,
    reference: Loss | None,
    threads: int = 1,
    directory: Path | None = None,
    resume: bool = False,
    observe: Observer | None = None,
    by_stretches: bool = False,
) -> Course:
    """:func:`train`, of units, by whoever goes through it.

    ``by_stretches``: steps that nothing but their loss and norm is asked of are given out, to be
    made many at a time. ``observe`` then hears of each when all of them are made.
    """
    heap.keep()
    run = _Run(
        net=net,
        data=data,
        loss=loss,
        optimizer=optimizer,
        schedule=schedule,
        recipe=recipe,
        seed=seed,
        reference=reference,
        threads=threads,
        directory=directory,
        observe=observe,
        by_stretches=by_stretches,
    )
    if resume:
        run.restore()
    return run.course()


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
    threads: int
    directory: Path | None
    observe: Observer | None
    by_stretches: bool

    def __post_init__(self) -> None:
        self.batches = Batches(self.data.train, self.recipe.batch_size, self.seed)
        self.steps = self.recipe.total(len(self.data.train))
        self.state: State = self.optimizer.init(self.net.theta)
        self.progress = Progress(self.net, self.optimizer, self.state)
        self.meter = Meter()
        compiled = compiled_step(self.net, self.loss, self.threads)
        self.value_and_gradient = compiled or self.stage_by_stage
        self.watched = "validation_loss" if len(self.data.validation) else "train_loss"
        self.history: list[tuple[int, Metrics]] = []
        units = (self.net, self.loss, self.optimizer)
        self.kind = kind_of(*units, self.state) if self.by_stretches else None

    def course(self) -> Course:
        """Steps until the last, until patience ends, or until a number is not finite."""
        progress, recipe = self.progress, self.recipe
        while progress.step < self.steps:
            if ahead := self.steps_ahead():
                made = yield self.stretch(ahead)
                self.take(made)
                if len(made.losses) == ahead:
                    continue
            step = progress.step
            if step % recipe.checkpoint_every == 0 and step > 0:
                self.save()
            with self.meter.gradient:
                rows, x, target = self.batches.at(step)
                value, y = self.value_and_gradient(x, target, recipe.reduction)
            if not math.isfinite(value):
                return self.not_finite(rows, x, target, value)
            measured = {"train_loss": self.mean_loss(value, target)}
            rate = self.rate(step)
            if step % recipe.evaluate_every == 0:
                measured |= self.evaluate(x, y, target) | {"learning_rate": rate}
                if self.out_of_patience(step, measured):
                    return self.end("stopped")
            with self.meter.update:
                norm = self.add_penalty_and_clip()
                if not math.isfinite(norm):
                    return self.not_finite(rows, x, target, value)
                self.update(rate)
            self.record(step, measured | {"gradient_norm": norm})
            progress.step += 1
        return self.end("finished")

    def rate(self, step: int) -> float:
        return self.optimizer.lr * self.schedule.factor(step, self.steps)

    def steps_ahead(self) -> int:
        """How many steps there are before the next that is looked at, saved, or of fewer rows."""
        if self.kind is None:
            return 0
        step, recipe = self.progress.step, self.recipe
        until = [self.steps]
        until += [-(-step // n) * n for n in (recipe.evaluate_every, recipe.checkpoint_every)]
        until.append(self.batches.short_from(step))
        return min(until) - step

    def stretch(self, ahead: int) -> Stretch:
        """The next steps, to be made at once."""
        step, recipe = self.progress.step, self.recipe
        steps = range(step, step + ahead)
        none = np.inf
        return Stretch(
            units=self.kind,
            net=self.net,
            loss=self.loss,
            optimizer=self.optimizer,
            state=self.state,
            x=self.data.train.x,
            target=self.data.train.t,
            order=self.batches.order(steps),
            rates=[self.rate(one) for one in steps],
            mean=recipe.reduction == "mean",
            bounds=(recipe.l2, recipe.clip_value or none, recipe.clip_norm or none),
            threads=self.threads,
        )

    def take(self, made: Made) -> None:
        """Note what became of a stretch."""
        rows = 1 if self.recipe.reduction == "mean" else self.batches.size
        self.meter.stretch(made.seconds, len(made.losses))
        for value, norm in zip(made.losses, made.norms, strict=True):
            self.record(self.progress.step, {"train_loss": value / rows, "gradient_norm": norm})
            self.progress.step += 1

    def stage_by_stage(self, x: Array, target: Array, reduction: Reduction) -> tuple[float, Array]:
        return self.net.value_and_gradient(x, target, self.loss, reduction)

    def update(self, rate: float) -> None:
        """θ, state ← step(θ, g, state, lr), in place where the optimizer can."""
        theta, state, step = self.net.theta, self.state, self.optimizer.step
        if takes(type(self.optimizer), "step", "out"):
            moved, kept = step(theta, self.net.gradient, state, rate, out=(theta, state))
        else:
            moved, kept = step(theta, self.net.gradient, state, rate)
        if moved is not theta:
            theta[...] = moved
        if kept is not state:
            for key, value in kept.items():
                state[key][...] = value

    def mean_loss(self, value: float, target: Array) -> float:
        """What is reported, whatever the reduction that the gradient is of."""
        if self.recipe.reduction == "mean":
            return value
        return value / divisor(self.loss, target, (len(target),))

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

    def of_known_parts(self) -> Metrics:
        """At the θ of now, on all that training may look at."""
        train = self.of_part("train", self.data.train)
        return train | self.of_part("validation", self.data.validation)

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
            progress.keep_best(measured[self.watched], step)
            return False
        progress.waited += 1
        return self.recipe.patience is not None and progress.waited >= self.recipe.patience

    def record(self, step: int, measured: Metrics) -> None:
        self.history.append((step, measured))
        if self.observe is not None:
            self.observe(step, measured)

    def end(self, status: Literal["finished", "stopped"]) -> Result:
        progress = self.progress
        last = self.of_known_parts()
        if not math.isfinite(last["train_loss"]):  # the last update broke it
            rows, x, target = self.batches.at(progress.step)
            return self.not_finite(rows, x, target, last["train_loss"])
        if last[self.watched] < progress.best_loss:
            progress.keep_best(last[self.watched], progress.step)
        self.record(progress.step, last)
        self.save()
        if self.recipe.select == "best":
            self.net.theta[...] = progress.best_theta
            last = self.of_known_parts()
        last = last | self.of_part("test", self.data.test)  # what was recorded stays as it was
        last |= {f"best_{self.watched}": progress.best_loss, "best_step": progress.best_step}
        if self.reference is not None:
            last["gradient_difference"] = progress.gradient_difference
        return Result(status, progress.step, last | self.meter.costs(), self.history)

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
        metrics = {"train_loss": value} | self.meter.costs()
        return Result("not finite", step, metrics, self.history, verdict)

    def save(self) -> None:
        if self.directory is not None:
            self.progress.save(self.directory)

    def restore(self) -> None:
        if self.directory is None:
            raise ConfigError("to resume, name the directory of the checkpoint")
        self.progress.restore(self.directory)
