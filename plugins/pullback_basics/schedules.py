"""Schedules of the learning rate: the factor on its base value at each optimisation step.

``factor(step, steps)`` is a Python float; step counts from 0 and steps is the length of the run, so
that the last step is steps − 1. The values are those of PyTorch's schedulers, in closed form.
Cosine, OneCycle and Polynomial have the run as their length, and stay after it where they ended.

``warmup`` is a number of steps of linear warm-up, w: the factor is (step + 1) / (w + 1) in the
steps 0 … w − 1, so that the first step counts and step w is the first with the whole rate. The
schedule itself starts there and has the rest of the run. (Goyal et al., "Accurate, large minibatch
SGD", arXiv:1706.02677, warm up like this; PyTorch's is LinearLR with start_factor 1 / (w + 1),
followed by the other in a SequentialLR.) A warm-up that is longer than the run does not end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Constant:
    """1, after ``warmup`` steps of linear warm-up.

    warmup is in optimisation steps.

    Raises ValueError if warmup is below 0.
    """

    warmup: int = 0

    def __post_init__(self) -> None:
        _at_least(0, "warmup", self.warmup)

    def factor(self, step: int, steps: int) -> float:
        return _warm_up(step, self.warmup)


@dataclass(frozen=True)
class Step:
    """γ^⌊step / step_size⌋: one more factor γ (``gamma``) after every ``step_size`` steps.

    step_size is in optimisation steps.

    Source: PyTorch's StepLR. Raises ValueError if step_size is below 1 or gamma is not positive.
    """

    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _at_least(1, "step_size", self.step_size)
        _positive("gamma", self.gamma)

    def factor(self, step: int, steps: int) -> float:
        return self.gamma ** (step // self.step_size)


@dataclass(frozen=True)
class MultiStep:
    """γⁿ, where n ``milestones`` have been reached: milestone m takes effect in step m.

    milestones are optimisation steps, counted from 0.

    Source: PyTorch's MultiStepLR.
    Raises ValueError if the milestones do not increase from 1 or more, or gamma is not positive.
    """

    milestones: tuple[int, ...]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        before = (0, *self.milestones)
        if any(late <= early for early, late in zip(before, self.milestones, strict=False)):
            raise ValueError(f"milestones must increase from 1 or more, not {self.milestones}")
        _positive("gamma", self.gamma)

    def factor(self, step: int, steps: int) -> float:
        return self.gamma ** sum(milestone <= step for milestone in self.milestones)


@dataclass(frozen=True)
class Exponential:
    """γ^step. A step is one optimisation step, so that γ (``gamma``) is close to 1.

    To end n steps at the factor f, take γ = f^(1/n).

    Source: PyTorch's ExponentialLR.
    Raises ValueError if gamma is not positive; OverflowError, in ``factor``, where a gamma above 1
    leads beyond 1.8e308.
    """

    gamma: float

    def __post_init__(self) -> None:
        _positive("gamma", self.gamma)

    def factor(self, step: int, steps: int) -> float:
        return self.gamma**step


@dataclass(frozen=True)
class Cosine:
    """f + (1 − f) (1 + cos πu) / 2 with u = (step − w) / (steps − w), the part of the run done.

    w is ``warmup``, in optimisation steps, and f is ``final``, the factor at the end (u = 1). The
    last step of a run is one short of it.

    Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts"
    (arXiv:1608.03983), without restarts; PyTorch's CosineAnnealingLR with T_max = steps − w.
    Raises ValueError if warmup or final is below 0.
    """

    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        _at_least(0, "warmup", self.warmup)
        _at_least(0, "final", self.final)

    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return _warm_up(step, self.warmup)
        return _cosine(1.0, self.final, _part(step, self.warmup, steps))


@dataclass(frozen=True)
class OneCycle:
    """1 / div_factor, up to 1, down to 1 / (div_factor · final_div_factor) in the last step.

    The base rate is the largest of the cycle, PyTorch's max_lr. It is reached at
    pct_start · steps − 1, which need not be a whole step. ``anneal`` is the form of both halves.

    Source: Smith and Topin, "Super-convergence: very fast training of neural networks using large
    learning rates" (arXiv:1708.07120); PyTorch's OneCycleLR in two phases. The momentum does not
    cycle.
    Raises ValueError if pct_start is outside [0, 1), a factor to divide by is not positive, or
    anneal is neither cosine nor linear.
    """

    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal: Literal["cosine", "linear"] = "cosine"

    def __post_init__(self) -> None:
        if not 0 <= self.pct_start < 1:
            raise ValueError(f"pct_start must be >= 0 and < 1, not {self.pct_start}")
        _positive("div_factor", self.div_factor)
        _positive("final_div_factor", self.final_div_factor)
        if self.anneal not in ("cosine", "linear"):
            raise ValueError(f"anneal must be 'cosine' or 'linear', not {self.anneal!r}")

    def factor(self, step: int, steps: int) -> float:
        go = _cosine if self.anneal == "cosine" else _line
        first = 1 / self.div_factor
        peak = self.pct_start * steps - 1
        if step < peak:
            return go(first, 1.0, step / peak)
        return go(1.0, first / self.final_div_factor, _part(step, peak, steps - 1))


@dataclass(frozen=True)
class Polynomial:
    """(1 − u)^power with u = (step − w) / (steps − w), the part of the run done.

    w is ``warmup``, in optimisation steps. power 1 is a straight line to 0.

    Source: the "poly" policy of Caffe; PyTorch's PolynomialLR with total_iters = steps − w.
    Raises ValueError if warmup is below 0 or power is not positive.
    """

    power: float = 1.0
    warmup: int = 0

    def __post_init__(self) -> None:
        _positive("power", self.power)
        _at_least(0, "warmup", self.warmup)

    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return _warm_up(step, self.warmup)
        return float((1.0 - _part(step, self.warmup, steps)) ** self.power)


def _warm_up(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / (warmup + 1))


def _part(step: float, start: float, end: float) -> float:
    """How much of the way from start to end is done at step >= start: 0 … 1."""
    return (step - start) / (end - start) if step < end else 1.0


def _line(start: float, end: float, part: float) -> float:
    return start + (end - start) * part


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _at_least(least: int, name: str, value: float) -> None:
    if not value >= least:
        raise ValueError(f"{name} must be >= {least}, not {value}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be > 0, not {value}")
