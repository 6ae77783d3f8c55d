"""Optimizers of one flat vector θ: SGD, RMSprop, Adagrad, Adam and AdamW, as PyTorch 2.13 has them.

Options and defaults are PyTorch's (betas are two options, beta1 and beta2, so that either can be
swept), and a trajectory agrees with PyTorch's to rounding.

``init(theta)`` gives the state: arrays of θ's shape and dtype, and t, a 0-d int64 count of the
steps taken. ``step(theta, g, state, lr)`` returns new arrays and writes to none of its inputs;
``step(..., out=(theta, state))`` writes to these buffers, which may be the inputs, and returns
them. Everything is elementwise, so that the θ of several runs can be stacked on a leading axis; t
is one for all of them. lr is a Python float, already scheduled. The dtype of θ is kept, and it has
to be real: PyTorch takes a complex number as two real ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pullback.units import Array, State


@dataclass(frozen=True)
class SGD:
    """θ ← θ − lr g;  with momentum μ:  b ← μ b + (1 − dampening) g,  θ ← θ − lr b.

    The first step sets b = g, whatever the dampening. ``nesterov`` looks ahead:
    θ ← θ − lr (g + μ b). ``weight_decay`` λ adds λ θ to g.

    State: none without momentum; with it b (like θ) and t.

    Source: Polyak, "Some methods of speeding up the convergence of iteration methods" (1964);
    Nesterov's in the form of Sutskever, Martens, Dahl and Hinton, "On the importance of
    initialization and momentum in deep learning" (ICML 2013), with lr outside b.
    Raises ValueError if lr, momentum or weight_decay is below 0, or if nesterov is asked for
    without momentum or with dampening.
    Digits: a step smaller than half a unit in the last place of θ is lost, which in float32 is
    between 3e-8 and 6e-8 of θ.
    """

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _not_negative(self, "lr", "momentum", "weight_decay")
        if self.nesterov and not (self.momentum > 0 and self.dampening == 0):
            raise ValueError(
                "nesterov needs momentum > 0 and dampening = 0, "
                f"not momentum {self.momentum} and dampening {self.dampening}"
            )

    def init(self, theta: Array) -> State:
        return {"b": np.zeros_like(theta), "t": _no_steps()} if self.momentum else {}

    def step(
        self,
        theta: Array,
        g: Array,
        state: State,
        lr: float,
        out: tuple[Array, State] | None = None,
    ) -> tuple[Array, State]:
        theta, state = buffers(theta, state, out)
        g = _with_penalty(g, theta, self.weight_decay)
        if self.momentum:
            b = state["b"]
            b *= self.momentum
            b += g if state["t"] == 0 else (1 - self.dampening) * g
            state["t"] += 1
            g = g + self.momentum * b if self.nesterov else b
        theta -= lr * g
        return theta, state


@dataclass(frozen=True)
class RMSprop:
    """v ← α v + (1 − α) g²,  θ ← θ − lr g / (√v + ε).

    ``centered`` also keeps the mean, m ← α m + (1 − α) g, and divides by √(v − m²) + ε.
    With momentum μ:  b ← μ b + g / (√v + ε),  θ ← θ − lr b. ``weight_decay`` λ adds λ θ to g.

    State, each like θ: v; m if centered; b with momentum.

    Source: Tieleman and Hinton, "Lecture 6.5: rmsprop" (Coursera, 2012); centered: Graves,
    "Generating sequences with recurrent neural networks" (arXiv:1308.0850).
    Raises ValueError if lr, eps, weight_decay or momentum is below 0 or alpha is outside [0, 1).
    Digits: g² is lost in float32 for |g| below about 1e-22, which leaves g / ε, and is infinite
    above 2e19. Centered, v − m² cancels where g hardly changes for some thousand steps: θ then
    takes steps as large as lr g / ε, or is nan when the difference rounds to less than 0. With
    eps = 0 a gradient that is 0 from the start gives 0 / 0. PyTorch does the same in each case.
    """

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        _not_negative(self, "lr", "eps", "weight_decay", "momentum")
        _fraction(self, "alpha")

    def init(self, theta: Array) -> State:
        kept = ["v"] + ["m"] * self.centered + ["b"] * (self.momentum > 0)
        return {name: np.zeros_like(theta) for name in kept}

    def step(
        self,
        theta: Array,
        g: Array,
        state: State,
        lr: float,
        out: tuple[Array, State] | None = None,
    ) -> tuple[Array, State]:
        theta, state = buffers(theta, state, out)
        g = _with_penalty(g, theta, self.weight_decay)
        v = state["v"]
        _average(v, g * g, self.alpha)
        if self.centered:
            m = state["m"]
            _average(m, g, self.alpha)
            v = v - m * m
        move = g / (np.sqrt(v) + self.eps)
        if self.momentum:
            b = state["b"]
            b *= self.momentum
            b += move
            move = b
        theta -= lr * move
        return theta, state


@dataclass(frozen=True)
class Adagrad:
    """s ← s + g²,  θ ← θ − lr / (1 + t lr_decay) · g / (√s + ε),  t = 0, 1, … steps before.

    s starts at ``initial_accumulator_value``. ``weight_decay`` λ adds λ θ to g.

    State: s (like θ) and t.

    Source: Duchi, Hazan and Singer, "Adaptive subgradient methods for online learning and
    stochastic optimization" (JMLR 12, 2011).
    Raises ValueError if an option is below 0.
    Digits: s only grows, so that g² below half a unit in its last place is lost: in float32, |g|
    below 2e-4 √s. g² itself is lost there for |g| below about 1e-22. With eps = 0 and s starting
    at 0, a gradient that is 0 from the start gives 0 / 0.
    """

    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        _not_negative(self, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def init(self, theta: Array) -> State:
        return {"s": np.full_like(theta, self.initial_accumulator_value), "t": _no_steps()}

    def step(
        self,
        theta: Array,
        g: Array,
        state: State,
        lr: float,
        out: tuple[Array, State] | None = None,
    ) -> tuple[Array, State]:
        theta, state = buffers(theta, state, out)
        g = _with_penalty(g, theta, self.weight_decay)
        s = state["s"]
        s += g * g
        theta -= lr / (1 + int(state["t"]) * self.lr_decay) * g / (np.sqrt(s) + self.eps)
        state["t"] += 1
        return theta, state


@dataclass(frozen=True)
class Adam:
    """m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  θ ← θ − lr m̂ / (√v̂ + ε).

    m̂ = m / (1 − β₁ᵗ) and v̂ = v / (1 − β₂ᵗ) undo the start at 0, t = 1, 2, …, so that the first
    step is lr in size whatever the scale of g, as long as |g| is far above ε. ``amsgrad`` puts the
    largest v so far in the place of v. ``weight_decay`` λ adds λ θ to g, and so is scaled with it;
    see AdamW.

    State: m and v (like θ), v_max with amsgrad, and t.

    Source: Kingma and Ba, "Adam: a method for stochastic optimization" (arXiv:1412.6980); amsgrad:
    Reddi, Kale and Kumar, "On the convergence of Adam and beyond" (arXiv:1904.09237), but v is
    corrected by 1 − β₂ᵗ after the maximum, as PyTorch does it.
    Raises ValueError if lr, eps or weight_decay is below 0 or a beta is outside [0, 1).
    Digits: g² is lost in float32 for |g| below about 1e-22, and infinite above 2e19, where θ stands
    still. With eps = 0 a gradient that is 0 from the start gives 0 / 0.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    def __post_init__(self) -> None:
        _not_negative(self, "lr", "eps", "weight_decay")
        _fraction(self, "beta1", "beta2")

    def init(self, theta: Array) -> State:
        kept = ["m", "v"] + ["v_max"] * self.amsgrad
        return {name: np.zeros_like(theta) for name in kept} | {"t": _no_steps()}

    def step(
        self,
        theta: Array,
        g: Array,
        state: State,
        lr: float,
        out: tuple[Array, State] | None = None,
    ) -> tuple[Array, State]:
        theta, state = buffers(theta, state, out)
        self._adapt(theta, _with_penalty(g, theta, self.weight_decay), state, lr)
        return theta, state

    def _adapt(self, theta: Array, g: Array, state: State, lr: float) -> None:
        m, v = state["m"], state["v"]
        state["t"] += 1
        t = int(state["t"])
        _average(m, g, self.beta1)
        _average(v, g * g, self.beta2)
        if self.amsgrad:
            v = np.maximum(state["v_max"], v, out=state["v_max"])
        root = np.sqrt(v) / math.sqrt(1 - self.beta2**t) + self.eps
        theta -= lr / (1 - self.beta1**t) * m / root


@dataclass(frozen=True)
class AdamW(Adam):
    """θ ← (1 − lr λ) θ, and then a step of Adam whose g has no penalty in it.

    The decay λ (``weight_decay``) is decoupled from the gradient, so that it shrinks every weight
    alike, however large its gradients are. State and all other options are Adam's.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization" (arXiv:1711.05101), with
    λ scaled by lr, as PyTorch does it.
    Raises ValueError as Adam does. Digits: as for Adam; in float32 a decay of lr λ below 3e-8 does
    nothing.
    """

    weight_decay: float = 1e-2

    def step(
        self,
        theta: Array,
        g: Array,
        state: State,
        lr: float,
        out: tuple[Array, State] | None = None,
    ) -> tuple[Array, State]:
        theta, state = buffers(theta, state, out)
        theta *= 1 - lr * self.weight_decay
        self._adapt(theta, g, state, lr)
        return theta, state


def _no_steps() -> Array:
    return np.zeros((), dtype=np.int64)


def buffers(theta: Array, state: State, out: tuple[Array, State] | None) -> tuple[Array, State]:
    """Arrays with the values of θ and of the state, to be updated in place."""
    if out is None:
        return theta.copy(), {name: value.copy() for name, value in state.items()}
    new_theta, new_state = out
    if new_theta is not theta:
        np.copyto(new_theta, theta)
    for name, value in state.items():
        if new_state[name] is not value:
            np.copyto(new_state[name], value)
    return out


def _with_penalty(g: Array, theta: Array, weight_decay: float) -> Array:
    """The gradient of the loss + ½ λ |θ|²."""
    return g + weight_decay * theta if weight_decay else g


def _average(mean: Array, value: Array, beta: float) -> None:
    """mean ← β mean + (1 − β) value, in place."""
    mean *= beta
    mean += (1 - beta) * value


def _not_negative(optimizer: object, *names: str) -> None:
    for name in names:
        value = getattr(optimizer, name)
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, not {value}")


def _fraction(optimizer: object, *names: str) -> None:
    for name in names:
        value = getattr(optimizer, name)
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be >= 0 and < 1, not {value}")
