"""Pullback's contenders in ``speed.py``."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from speed_tasks import CHECKED, CrossEntropy, Training, picked
from threadpoolctl import threadpool_limits

from pullback import build
from pullback.blocks import compiled_step
from pullback.stretches import Maker, Stretch, kind_of

STRETCH = 50  # steps


class Steps:
    """One step after the other: a batch, L and its gradient, an update."""

    steps = 1

    def __init__(
        self,
        task: Training,
        ending: str,
        threads: int,
        *,
        compiled: bool,
        as_one: bool = False,
        run: int = 0,
    ) -> None:
        self.x, self.t, self.order = task.data()
        self.net = task.net(ending, as_one)
        self.loss = build("loss", f"cross_entropy_fused{ending}")
        spec = {"name": f"{task.optimizer}{ending}", "lr": task.rate(run)}
        self.optimizer = build("optimizer", spec)
        self.state = self.optimizer.init(self.net.theta)
        self.batches = itertools.cycle(self.order)
        small = compiled or task.rows * self.net.theta.size < 20_000_000
        threadpool_limits(1 if small else threads)
        step = compiled_step(self.net, self.loss, threads) if compiled else None
        self.gradient = step or (lambda x, t: self.net.value_and_gradient(x, t, self.loss))

    def call(self) -> float:
        rows = next(self.batches)
        x, t = (self.x[rows], self.t[rows]) if rows.size else (self.x, self.t)
        value, _ = self.gradient(x, t)
        theta, net = self.net.theta, self.net
        self.optimizer.step(
            theta, net.gradient, self.state, self.optimizer.lr, out=(theta, self.state)
        )
        return float(value)

    def answer(self) -> list[Any]:
        return [np.array([self.call() for _ in range(CHECKED)])]

    def costs(self) -> dict[str, float]:
        return {}


class Stretches(Steps):
    """Many steps in one kernel, as ``pullback train`` makes them between two looks."""

    steps = STRETCH

    def __init__(self, task: Training, threads: int, as_one: bool = False, run: int = 0) -> None:
        super().__init__(task, "_numba", threads, compiled=True, as_one=as_one, run=run)
        self.make, self.threads = Maker(threads), threads
        self.kind = kind_of(self.net, self.loss, self.optimizer, self.state)

    def stretch(self, steps: int) -> Stretch:
        return Stretch(
            units=self.kind, net=self.net, loss=self.loss, optimizer=self.optimizer,
            state=self.state, x=self.x, target=self.t, order=self.order[:steps],
            rates=[self.optimizer.lr] * steps, mean=True, bounds=(0.0, np.inf, np.inf),
            threads=self.threads,
        )  # fmt: skip

    def call(self) -> object:
        return self.make([self.stretch(STRETCH)])

    def answer(self) -> list[Any]:
        return [np.array(self.make([self.stretch(CHECKED)])[0].losses)]


class Sweep:
    """64 runs, one after the other or together; the answer is that of the first and of the last."""

    def __init__(self, task: Training, way: str, threads: int, steps: int) -> None:
        self.steps = steps
        make: Any = {
            "numpy": lambda run: Steps(task, "", 1, compiled=False, run=run),
            "compiled": lambda run: Stretches(task, 1, as_one=True, run=run),
            "together": lambda run: Stretches(task, 1, as_one=True, run=run),
        }[way]
        self.runs = [make(run) for run in range(task.runs)]
        self.way, self.make = way, Maker(threads)

    def many(self, steps: int) -> list[Any]:
        if self.way == "numpy":
            return [[run.call() for _ in range(steps)] for run in self.runs]
        stretches = [run.stretch(steps) for run in self.runs]
        if self.way == "together":
            return [made.losses for made in self.make(stretches)]
        return [self.make([one])[0].losses for one in stretches]

    def call(self) -> object:
        return self.many(self.steps)

    def answer(self) -> list[Any]:
        found = self.many(CHECKED)
        return [np.array(found[0]), np.array(found[-1])]

    def costs(self) -> dict[str, float]:
        return {}


class Entropy:
    """ℓ and dz of a unit, at once if it can; dz into an array of its own or over z."""

    steps = 1

    def __init__(self, task: CrossEntropy, name: str, in_place: bool = False) -> None:
        self.z, self.t = task.data()
        self.unit = build("loss", name)
        self.dl = np.full(task.rows, 1 / task.rows, task.dtype)
        self.dz = self.z if in_place else np.empty_like(self.z)

    def call(self) -> Any:
        if hasattr(self.unit, "value_and_gradient"):
            return self.unit.value_and_gradient(self.z, self.t, self.dl, out=self.dz)
        losses, residual = self.unit.forward(self.z, self.t)
        return losses, self.unit.backward(residual, self.dl, out=self.dz)

    def answer(self) -> list[Any]:
        losses, dz = self.call()
        return [np.array([losses.mean(dtype=float), *picked(dz)])]

    def costs(self) -> dict[str, float]:
        return {}


class Copy:
    steps = 1

    def __init__(self, task: CrossEntropy) -> None:
        self.z, _ = task.data()
        self.dz = np.empty_like(self.z)

    def call(self) -> object:
        np.copyto(self.dz, self.z)
        return self.dz

    def answer(self) -> list[Any]:
        return []

    def costs(self) -> dict[str, float]:
        return {}


def numpy_steps(threads: int, task: Training) -> Steps:
    return Steps(task, "", threads, compiled=False)


def numba_steps(threads: int, as_one: bool, task: Training) -> Steps:
    return Steps(task, "_numba", threads, compiled=False, as_one=as_one)


def compiled_steps(threads: int, task: Training) -> Steps:
    return Steps(task, "_numba", threads, compiled=True)


def stretches(threads: int, as_one: bool, task: Training) -> Stretches:
    return Stretches(task, threads, as_one)


def sweep(way: str, threads: int, steps: int, task: Training) -> Sweep:
    return Sweep(task, way, threads, steps)


def entropy(name: str, in_place: bool, task: CrossEntropy) -> Entropy:
    return Entropy(task, name, in_place)


def copy(task: CrossEntropy) -> Copy:
    return Copy(task)
