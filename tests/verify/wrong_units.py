"""Wrong units as people write them: what a person is told of each. A plugin, as zoo.py is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Diagonal:
    """ŷ = softmax z. Only the diagonal of the Jacobian."""

    def forward(self, z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def backward(self, y, dy):
        return y * (1 - y) * dy


@dataclass(frozen=True)
class Right:
    """y = tanh x, rightly: the wrong ones differ in one line."""

    def forward(self, x):
        y = np.tanh(x)
        return y, y

    def backward(self, y, dy):
        return (1 - y * y) * dy


@dataclass(frozen=True)
class Dropped(Right):
    """The gradient that arrives is dropped."""

    def backward(self, y, dy):
        return 1 - y * y


@dataclass(frozen=True)
class Writes(Right):
    """It writes into its cotangent."""

    def backward(self, y, dy):
        dy *= 1 - y * y
        return dy


@dataclass(frozen=True)
class Summed(Right):
    """Its gradient has another shape."""

    def backward(self, y, dy):
        return ((1 - y * y) * dy).sum(axis=0)


@dataclass(frozen=True)
class Raises(Right):
    """It raises, in words that a page must not take for its own."""

    def backward(self, y, dy):
        raise RuntimeError("<script>alert('no')</script> & [bold]no[/bold]")


@dataclass(frozen=True)
class Narrow:
    """y = x². Its gradient was float32 on the way."""

    def forward(self, x):
        return x * x, x

    def backward(self, x, dy):
        return (2 * x * dy).astype(np.float32).astype(dy.dtype)


@dataclass(frozen=True)
class NotSummed:
    """y = x W + b. The gradient of b is not summed over the rows."""

    width: int

    def init(self, rng, shape):
        return {"W": rng.normal(size=(shape[-1], self.width)), "b": np.zeros((1, self.width))}

    def forward(self, x, W, b):
        return np.matmul(x, W) + b, (x, W)

    def backward(self, residual, dy):
        x, W = residual
        return np.matmul(dy, np.swapaxes(W, -1, -2)), np.matmul(np.swapaxes(x, -1, -2), dy), dy


@dataclass(frozen=True)
class Needs:
    """y = f x, where f is an object that nobody can guess."""

    f: object

    def forward(self, x):
        return self.f * x, x

    def backward(self, x, dy):
        return self.f * dy


@dataclass(frozen=True)
class Squares:
    """ℓ = Σ (y − t)². The gradient that arrives is dropped."""

    def forward(self, y, target):
        d = y - target
        return (d * d).sum(axis=-1), d

    def backward(self, d, dl):
        return 2 * d


@dataclass(frozen=True)
class Uphill:
    """θ ← θ + lr g."""

    lr: float = 0.01

    def init(self, theta):
        return {}

    def step(self, theta, g, state, lr):
        return theta + lr * g, state
