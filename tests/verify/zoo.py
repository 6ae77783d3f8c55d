"""Right units as strangers write them: what the checks must find nothing wrong with.

Each does something that no unit of ours does: a learned slope, a norm over the rows, a kink away
from 0, a mask, a jump in the second derivative, an output of another width. It is a plugin, too:
`pullback check tests/verify/zoo.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Elementwise.


@dataclass(frozen=True)
class Swish:
    """y = x σ(βx);  dx = (σ + βx σ (1 − σ)) dy."""

    beta: float = 1.0

    def forward(self, x):
        s = 1 / (1 + np.exp(-self.beta * x))
        return x * s, (x, s)

    def backward(self, residual, dy):
        x, s = residual
        return (s + self.beta * x * s * (1 - s)) * dy


@dataclass(frozen=True)
class Gelu:
    """y = x/2 (1 + tanh(c (x + 0.044715 x³))), c = √(2/π)."""

    def forward(self, x):
        t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
        return x * (1 + t) / 2, (x, t)

    def backward(self, residual, dy):
        x, t = residual
        inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return dy * ((1 + t) / 2 + x * (1 - t * t) * inner / 2)


@dataclass(frozen=True)
class Softplus:
    """y = log(1 + e^x), the larger of 0 and x taken out;  dx = σ(x) dy."""

    def forward(self, x):
        return np.logaddexp(x, x * 0), x

    def backward(self, x, dy):
        e = np.exp(np.where(x > 0, -x, x))
        return np.where(x > 0, 1 / (1 + e), e / (1 + e)) * dy


@dataclass(frozen=True)
class LeakyRelu:
    """y = x where x > 0, else slope · x. A kink at 0."""

    slope: float = 0.01

    def forward(self, x):
        return np.where(x > 0, x, self.slope * x), x > 0

    def backward(self, positive, dy):
        return np.where(positive, dy, self.slope * dy)


@dataclass(frozen=True)
class Elu:
    """y = x where x > 0, else α (e^x − 1)."""

    alpha: float = 1.0

    def forward(self, x):
        y = np.where(x > 0, x, self.alpha * np.expm1(np.where(x > 0, 0, x)))
        return y, (x > 0, y)

    def backward(self, residual, dy):
        positive, y = residual
        return np.where(positive, dy, (y + self.alpha) * dy)


@dataclass(frozen=True)
class HardTanh:
    """y = min(max(x, low), high). Two kinks, neither at 0."""

    low: float = -1.0
    high: float = 1.0

    def forward(self, x):
        return np.minimum(np.maximum(x, self.low), self.high), x

    def backward(self, x, dy):
        return np.where((x > self.low) & (x < self.high), dy, 0)


@dataclass(frozen=True)
class Absolute:
    """y = |x|;  dx = sign(x) dy. No complex step goes through it."""

    def forward(self, x):
        return np.abs(x), np.sign(x)

    def backward(self, sign, dy):
        return sign * dy


@dataclass(frozen=True)
class Square:
    """y = x²;  dx = 2 x dy."""

    def forward(self, x):
        return x**2, x

    def backward(self, x, dy):
        return 2 * x * dy


@dataclass(frozen=True)
class Softsign:
    """y = x / (1 + |x|);  dx = dy / (1 + |x|)²."""

    def forward(self, x):
        d = 1 + np.abs(x)
        return x / d, d

    def backward(self, d, dy):
        return dy / d / d


@dataclass(frozen=True)
class Sine:
    """y = sin(ωx);  dx = ω cos(ωx) dy."""

    omega: float = 3.0

    def forward(self, x):
        return np.sin(self.omega * x), x

    def backward(self, x, dy):
        return self.omega * np.cos(self.omega * x) * dy


@dataclass(frozen=True)
class Sqrt:
    """y = √x;  dx = dy / 2y, for x > 0."""

    def forward(self, x):
        y = np.sqrt(x)
        return y, y

    def backward(self, y, dy):
        return dy / (2 * y)

    def samples(self, rng):
        return rng.uniform(0.1, 9, size=(4, 3))


# A row at a time.


@dataclass(frozen=True)
class LayerNorm:
    """x̂ = (x − μ) / √(σ² + ε) over a row, y = γ x̂ + β."""

    eps: float = 1e-5

    def init(self, rng, shape):
        return {"gamma": np.ones((1, *shape)), "beta": np.zeros((1, *shape))}

    def forward(self, x, gamma, beta):
        centred = x - x.mean(axis=-1, keepdims=True)
        r = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + self.eps)
        n = centred * r
        return gamma * n + beta, (n, r, gamma)

    def backward(self, residual, dy):
        n, r, gamma = residual
        dn = dy * gamma
        along = n * (dn * n).mean(axis=-1, keepdims=True)
        dx = r * (dn - dn.mean(axis=-1, keepdims=True) - along)
        return dx, (dy * n).sum(axis=-2, keepdims=True), dy.sum(axis=-2, keepdims=True)


@dataclass(frozen=True)
class RmsNorm:
    """y = x / √(mean x² + ε)."""

    eps: float = 1e-3

    def forward(self, x):
        r = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps)
        return x * r, (x * r, r)

    def backward(self, residual, dy):
        y, r = residual
        return r * (dy - y * (dy * y).mean(axis=-1, keepdims=True))


@dataclass(frozen=True)
class MaxOut:
    """y = the largest of each row, kept as a column. Ties are kinks; the first of them wins."""

    def forward(self, x):
        top = np.arange(x.shape[-1]) == x.argmax(axis=-1)[..., None]
        return x.max(axis=-1, keepdims=True), top

    def backward(self, top, dy):
        return np.where(top, dy, 0 * dy)


@dataclass(frozen=True)
class Cumulative:
    """y_i = Σ_{j ≤ i} x_j;  dx_i = Σ_{j ≥ i} dy_j."""

    def forward(self, x):
        return np.cumsum(x, axis=-1), None

    def backward(self, residual, dy):
        return np.cumsum(dy[..., ::-1], axis=-1)[..., ::-1]


@dataclass(frozen=True)
class Doubled:
    """y = (x, x²): twice as wide as x."""

    def forward(self, x):
        return np.concatenate([x, x * x], axis=-1), x

    def backward(self, x, dy):
        a, b = np.split(dy, 2, axis=-1)
        return a + 2 * x * b


@dataclass(frozen=True)
class Unit:
    """y = x / ‖x‖: away from 0 alone."""

    def forward(self, x):
        length = np.sqrt((x * x).sum(axis=-1, keepdims=True))
        return x / length, (x / length, length)

    def backward(self, residual, dy):
        y, length = residual
        return (dy - y * (y * dy).sum(axis=-1, keepdims=True)) / length

    def samples(self, rng):
        return rng.uniform(0.5, 2, size=(3, 4)) * rng.choice([-1.0, 1.0], size=(3, 4))


@dataclass(frozen=True)
class Sorted:
    """y = the row in order; dx is dy, put back."""

    def forward(self, x):
        order = np.argsort(x, axis=-1, kind="stable")
        return np.take_along_axis(x, order, axis=-1), np.argsort(order, axis=-1)

    def backward(self, back, dy):
        return np.take_along_axis(dy, back, axis=-1)


# With parameters, or over the rows.


@dataclass(frozen=True)
class Prelu:
    """y = x where x > 0, else a x, with one slope a for each feature."""

    def init(self, rng, shape):
        return {"a": np.full((1, *shape), 0.25)}

    def forward(self, x, a):
        return np.where(x > 0, x, a * x), (x, a)

    def backward(self, residual, dy):
        x, a = residual
        da = np.where(x > 0, 0, x * dy).sum(axis=-2, keepdims=True)
        return np.where(x > 0, dy, a * dy), da


@dataclass(frozen=True)
class Shift:
    """y = x + b, with one number b."""

    def init(self, rng, shape):
        return {"b": np.zeros((1, 1))}

    def forward(self, x, b):
        return x + b, None

    def backward(self, residual, dy):
        return dy, dy.sum(axis=(-2, -1), keepdims=True)


@dataclass(frozen=True)
class BatchNorm:
    """x̂ = (x − μ) / √(σ² + ε) over the rows: no row stands alone."""

    eps: float = 1e-2

    def forward(self, x):
        centred = x - x.mean(axis=-2, keepdims=True)
        r = 1 / np.sqrt((centred * centred).mean(axis=-2, keepdims=True) + self.eps)
        return centred * r, (centred * r, r)

    def backward(self, residual, dy):
        y, r = residual
        down = dy.mean(axis=-2, keepdims=True)
        return r * (dy - down - y * (dy * y).mean(axis=-2, keepdims=True))

    def samples(self, rng):
        return rng.normal(size=(5, 3))


@dataclass(frozen=True)
class Attention:
    """Y = softmax(X W Xᵀ) X: every row meets every other, and x is used three times."""

    def init(self, rng, shape):
        return {"W": rng.normal(size=(shape[-1], shape[-1])) / shape[-1]}

    def forward(self, x, W):
        xW, xT = x @ W, np.swapaxes(x, -1, -2)
        s = xW @ xT
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        a = e / e.sum(axis=-1, keepdims=True)
        return a @ x, (x, W, xW, a)

    def backward(self, residual, dy):
        x, W, xW, a = residual
        da = dy @ np.swapaxes(x, -1, -2)
        ds = a * (da - (da * a).sum(axis=-1, keepdims=True))
        dxW = ds @ x
        dx = np.swapaxes(a, -1, -2) @ dy + np.swapaxes(ds, -1, -2) @ xW
        return dx + dxW @ np.swapaxes(W, -1, -2), np.swapaxes(x, -1, -2) @ dxW


# Losses.


@dataclass(frozen=True)
class Huber:
    """ℓ = Σ h(y − t), h(d) = d²/2 where |d| ≤ δ, else δ (|d| − δ/2)."""

    delta: float = 1.0

    def __post_init__(self):
        if not self.delta > 0:
            raise ValueError(f"delta must be positive, not {self.delta}")

    def forward(self, y, target):
        if np.shape(target) != np.shape(y)[-np.ndim(target) :] or np.ndim(target) < 2:
            raise ValueError(f"targets of shape {np.shape(target)} for {np.shape(y)}")
        d = y - target
        far = np.abs(d) > self.delta
        h = np.where(far, self.delta * (np.abs(d) - self.delta / 2), d * d / 2)
        return h.sum(axis=-1), d

    def backward(self, d, dl):
        return np.minimum(np.maximum(d, -self.delta), self.delta) * dl[..., None]


@dataclass(frozen=True)
class Hinge:
    """ℓ = Σ_{j ≠ t} max(0, 1 + y_j − y_t), for labels."""

    targets = "classes"

    def forward(self, y, target):
        target = np.asarray(target)
        if target.dtype.kind not in "iu" or target.max(initial=0) >= y.shape[-1]:
            raise ValueError("hinge takes labels")
        true = target[..., None] == np.arange(y.shape[-1])
        margin = 1 + y - np.where(true, y, 0).sum(axis=-1, keepdims=True)
        active = (margin > 0) & ~true
        return np.where(true, 0, np.maximum(margin, 0)).sum(axis=-1), (true, active)

    def backward(self, residual, dl):
        true, active = residual
        dy = np.where(active, dl[..., None], 0 * dl[..., None])
        return np.where(true, -dy.sum(axis=-1, keepdims=True), dy)


@dataclass(frozen=True)
class LogCosh:
    """ℓ = Σ log cosh(y − t), with the larger exponential taken out."""

    def forward(self, y, target):
        if np.ndim(target) != np.ndim(y):
            raise ValueError("a number for each prediction")
        d = y - target
        far = np.abs(d)
        return (far + np.log1p(np.exp(-2 * far)) - math.log(2)).sum(axis=-1), d

    def backward(self, d, dl):
        return np.tanh(d) * dl[..., None]


@dataclass(frozen=True)
class Logistic:
    """ℓ = Σ log(1 + e^y) − t y, for rows of probabilities t of their own."""

    def forward(self, y, target):
        if np.ndim(target) != np.ndim(y):
            raise ValueError("a probability for each prediction")
        soft = np.maximum(y, 0) + np.log1p(np.exp(-np.abs(y)))
        return (soft - target * y).sum(axis=-1), (y, target)

    def backward(self, residual, dl):
        y, target = residual
        e = np.exp(-np.abs(y))
        return (np.where(y > 0, 1, e) / (1 + e) - target) * dl[..., None]


@dataclass(frozen=True)
class Poisson:
    """ℓ = Σ e^y − t y."""

    def forward(self, y, target):
        if np.ndim(target) != np.ndim(y):
            raise ValueError("a count for each prediction")
        rate = np.exp(y)
        return (rate - target * y).sum(axis=-1), (rate, target)

    def backward(self, residual, dl):
        rate, target = residual
        return (rate - target) * dl[..., None]
