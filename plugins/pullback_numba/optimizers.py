"""Optimizers, compiled: one pass over θ, with the roundings of the plain ones, bit for bit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, buffers
from pullback_numba.compiling import DTYPES, exactly

if TYPE_CHECKING:
    from pullback.units import Array, State


@exactly
def sgd(
    theta: Array, g: Array, b: Array, lr: Any, momentum: Any, new: Any, decay: Any, nesterov: bool
) -> None:
    real = theta.dtype.type
    lr, momentum, new, decay = real(lr), real(momentum), real(new), real(decay)
    for i in range(theta.size):
        slope = g[i] + decay * theta[i] if decay else g[i]
        if b.size:
            b[i] = b[i] * momentum + new * slope
            slope = slope + momentum * b[i] if nesterov else b[i]
        theta[i] -= lr * slope


@exactly
def rmsprop(
    theta: Array, g: Array, v: Array, m: Array, b: Array,
    lr: Any, alpha: Any, new: Any, eps: Any, momentum: Any, decay: Any,
) -> None:  # fmt: skip
    real = theta.dtype.type
    lr, alpha, new, eps, momentum = real(lr), real(alpha), real(new), real(eps), real(momentum)
    decay = real(decay)
    for i in range(theta.size):
        slope = g[i] + decay * theta[i] if decay else g[i]
        v[i] = v[i] * alpha + new * (slope * slope)
        second = v[i]
        if m.size:
            m[i] = m[i] * alpha + new * slope
            second = second - m[i] * m[i]
        move = slope / (np.sqrt(second) + eps)
        if b.size:
            b[i] = b[i] * momentum + move
            move = b[i]
        theta[i] -= lr * move


@exactly
def adagrad(theta: Array, g: Array, s: Array, rate: Any, eps: Any, decay: Any) -> None:
    real = theta.dtype.type
    rate, eps, decay = real(rate), real(eps), real(decay)
    for i in range(theta.size):
        slope = g[i] + decay * theta[i] if decay else g[i]
        s[i] += slope * slope
        theta[i] -= rate * slope / (np.sqrt(s[i]) + eps)


@exactly
def adam(
    theta: Array, g: Array, m: Array, v: Array, v_max: Array, rate: Any, root: Any,
    beta1: Any, new1: Any, beta2: Any, new2: Any, eps: Any, decay: Any, shrink: Any,
) -> None:  # fmt: skip
    real = theta.dtype.type
    rate, root, beta1, new1, beta2 = real(rate), real(root), real(beta1), real(new1), real(beta2)
    new2, eps, decay, shrink = real(new2), real(eps), real(decay), real(shrink)
    for i in range(theta.size):
        theta[i] *= shrink
        slope = g[i] + decay * theta[i] if decay else g[i]
        m[i] = m[i] * beta1 + new1 * slope
        v[i] = v[i] * beta2 + new2 * (slope * slope)
        second = v[i]
        if v_max.size:
            second = max(v_max[i], second)
            v_max[i] = second
        theta[i] -= rate * m[i] / (np.sqrt(second) / root + eps)


@exactly
def sgd_block(theta: Array, g: Array, state: Array, numbers: Array) -> None:
    lr, momentum, new, decay, nesterov = numbers
    b = state[0] if len(state) else theta[:0]
    sgd(theta, g, b, lr, momentum, new, decay, nesterov != 0)


@exactly
def rmsprop_block(theta: Array, g: Array, state: Array, numbers: Array) -> None:
    lr, alpha, new, eps, momentum, decay, centered = numbers
    nothing = theta[:0]
    m = state[1] if centered else nothing
    b = state[len(state) - 1] if momentum else nothing
    rmsprop(theta, g, state[0], m, b, lr, alpha, new, eps, momentum, decay)


@exactly
def adagrad_block(theta: Array, g: Array, state: Array, numbers: Array) -> None:
    rate, eps, decay = numbers
    adagrad(theta, g, state[0], rate, eps, decay)


@exactly
def adam_block(theta: Array, g: Array, state: Array, numbers: Array) -> None:
    rate, root, beta1, new1, beta2, new2, eps, decay, shrink = numbers
    v_max = state[2] if len(state) > 2 else theta[:0]
    adam(
        theta, g, state[0], state[1], v_max,
        rate, root, beta1, new1, beta2, new2, eps, decay, shrink,
    )  # fmt: skip


def _compiles(theta: Array, g: Array, state: State) -> bool:
    """Whether the arrays are such as kernels take: contiguous, of θ's dtype."""
    arrays = [theta, g, *(one for one in state.values() if one.ndim)]
    return theta.dtype in DTYPES and all(
        one.flags.c_contiguous and one.dtype == theta.dtype for one in arrays
    )


def _flat(theta: Array, state: State, *names: str) -> list[Array]:
    """The parts of a state as vectors; an empty one for what it has not."""
    none = np.empty(0, theta.dtype)
    return [state[name].reshape(-1) if name in state else none for name in names]


class _Compiled:
    """What the units below share: where a kernel does not fit, the plain step is taken.

    ``blocks`` and ``numbers`` are for many steps at once (see ``pullback.stretches``).
    """

    def update(self, theta: Array, g: Array, state: State, lr: float) -> None:
        """One step in place, of vectors."""
        raise NotImplementedError

    def step(
        self,
        theta: Array,
        g: Array,
        state: State,
        lr: float,
        out: tuple[Array, State] | None = None,
    ) -> tuple[Array, State]:
        theta, state = buffers(theta, state, out)
        if not _compiles(theta, g, state):
            return super().step(theta, g, state, lr, out=(theta, state))  # type: ignore[misc,no-any-return]
        self.update(theta.reshape(-1), g.reshape(-1), state, lr)
        return theta, state


@dataclass(frozen=True)
class SGDNumba(_Compiled, SGD):
    """θ ← θ − lr g, and with momentum: ``sgd``, compiled. Its bits, options and state.

    Source and digits: ``sgd``. Raises ValueError as it does.
    """

    family = "sgd"
    blocks = (sgd_block,)

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        new = 1.0 if t == 0 else 1 - self.dampening
        return lr, self.momentum, new, self.weight_decay, self.nesterov

    def update(self, theta: Array, g: Array, state: State, lr: float) -> None:
        (b,) = _flat(theta, state, "b")
        sgd(theta, g, b, *self.numbers(lr, int(state["t"]) if self.momentum else 0))
        if self.momentum:
            state["t"] += 1


@dataclass(frozen=True)
class RMSpropNumba(_Compiled, RMSprop):
    """θ ← θ − lr g / (√v + ε): ``rmsprop``, compiled. Its bits, options and state.

    Source and digits: ``rmsprop``. Raises ValueError as it does.
    """

    family = "rmsprop"
    blocks = (rmsprop_block,)

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        average = (self.alpha, 1 - self.alpha, self.eps)
        return lr, *average, self.momentum, self.weight_decay, self.centered

    def update(self, theta: Array, g: Array, state: State, lr: float) -> None:
        parts = _flat(theta, state, "v", "m", "b")
        rmsprop(theta, g, *parts, *self.numbers(lr, 0)[:-1])


@dataclass(frozen=True)
class AdagradNumba(_Compiled, Adagrad):
    """s ← s + g²,  θ ← θ − lr g / (√s + ε): ``adagrad``, compiled. Its bits, options and state.

    Source and digits: ``adagrad``. Raises ValueError as it does.
    """

    family = "adagrad"
    blocks = (adagrad_block,)

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        return lr / (1 + t * self.lr_decay), self.eps, self.weight_decay

    def update(self, theta: Array, g: Array, state: State, lr: float) -> None:
        parts = _flat(theta, state, "s")
        adagrad(theta, g, *parts, *self.numbers(lr, int(state["t"])))
        state["t"] += 1


@dataclass(frozen=True)
class AdamNumba(_Compiled, Adam):
    """θ ← θ − lr m̂ / (√v̂ + ε): ``adam``, compiled. Its bits, options and state.

    Source and digits: ``adam``. Raises ValueError as it does.
    """

    family = "adam"
    blocks = (adam_block,)

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        return _numbers(self, lr, t, decay=self.weight_decay, shrink=1.0)

    def update(self, theta: Array, g: Array, state: State, lr: float) -> None:
        _adam(self, theta, g, state, lr)


@dataclass(frozen=True)
class AdamWNumba(_Compiled, AdamW):
    """θ ← (1 − lr λ) θ, and a step of Adam: ``adamw``, compiled. Its bits, options and state.

    Source and digits: ``adamw``. Raises ValueError as it does.
    """

    family = "adamw"
    blocks = (adam_block,)

    def numbers(self, lr: float, t: int) -> tuple[float, ...]:
        return _numbers(self, lr, t, decay=0.0, shrink=1 - lr * self.weight_decay)

    def update(self, theta: Array, g: Array, state: State, lr: float) -> None:
        _adam(self, theta, g, state, lr)


def _numbers(unit: Adam, lr: float, t: int, decay: float, shrink: float) -> tuple[float, ...]:
    rate, root = lr / (1 - unit.beta1 ** (t + 1)), math.sqrt(1 - unit.beta2 ** (t + 1))
    betas = (unit.beta1, 1 - unit.beta1, unit.beta2, 1 - unit.beta2)
    return rate, root, *betas, unit.eps, decay, shrink


def _adam(unit: AdamNumba | AdamWNumba, theta: Array, g: Array, state: State, lr: float) -> None:
    parts = _flat(theta, state, "m", "v", "v_max")
    adam(theta, g, *parts, *unit.numbers(lr, int(state["t"])))
    state["t"] += 1
