"""What is trained in ``speed.py``: data, first parameters, and the losses that are right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pullback import Net, build
from pullback.loss import loss_value

CHECKED = 5  # steps whose losses are judged
BATCHES = 60  # drawn beforehand, used again and again


@dataclass(frozen=True)
class Training:
    """inputs–hidden–classes with tanh, on rows that are drawn; ``runs`` of it side by side.

    The learning rate of run k is ``lr`` (1 + k/runs).
    """

    name: str
    sizes: tuple[int, int, int]
    rows: int
    batch: int | None
    optimizer: str
    lr: float
    dtype: str = "float32"
    runs: int = 1

    @property
    def steps(self) -> str:
        return f"{self.name}, {self.dtype}"

    def rate(self, run: int) -> float:
        return self.lr * (1 + run / self.runs)

    def data(self) -> tuple[Any, Any, Any]:
        """x, labels, and the rows of each batch; none where a batch is all of them."""
        rng = np.random.default_rng(1)
        x = rng.standard_normal((self.rows, self.sizes[0])).astype(self.dtype)
        t = rng.integers(self.sizes[2], size=self.rows)
        order = np.empty((BATCHES, 0), np.int64)
        if self.batch:
            order = np.stack([rng.permutation(self.rows)[: self.batch] for _ in range(BATCHES)])
        return x, t, order

    def parameters(self) -> list[Any]:
        """W1, b1, W2, b2."""
        rng = np.random.default_rng(2)
        n = self.sizes
        shapes = ((n[0], n[1]), (1, n[1]), (n[1], n[2]), (1, n[2]))
        drawn = [rng.standard_normal(one) / np.sqrt(one[0]) for one in shapes]
        return [one.astype(self.dtype) for one in drawn]

    def net(self, ending: str = "", as_one: bool = False) -> Net:
        """With the parameters above; ``ending`` is that of compiled units.

        ``as_one``: the hidden layer and its tanh are one unit, affine_tanh.
        """
        _, hidden, classes = self.sizes
        last = {"name": f"affine{ending}", "width": classes}
        stages: dict[str, Any] = {
            "z1": {"name": f"affine{ending}", "width": hidden},
            "a1": f"tanh{ending}",
            "z2": last,
        }
        if as_one:
            stages = {"a1": {"name": f"affine_tanh{ending}", "width": hidden}, "z2": last}
        net = Net(stages, self.sizes[0], dtype=self.dtype)
        net.theta[...] = np.concatenate([one.ravel() for one in self.parameters()])
        return net

    def truth(self, run: int = 0) -> list[float]:
        """The losses of the first steps, in float64 by the plain units."""
        wide = replace(self, dtype="float64")
        net, loss = wide.net(), build("loss", "cross_entropy_exact")
        net.theta[...] = np.concatenate([one.ravel() for one in self.parameters()])
        optimizer = build("optimizer", {"name": self.optimizer, "lr": self.rate(run)})
        state = optimizer.init(net.theta)
        x, t, order = self.data()
        found = []
        for step in range(CHECKED):
            rows = order[step] if self.batch else slice(None)
            value, _ = net.value_and_gradient(x[rows].astype(float), t[rows], loss)
            found.append(value)
            net.theta[...], state = optimizer.step(net.theta, net.gradient, state, optimizer.lr)
        return found


@dataclass(frozen=True)
class CrossEntropy:
    """Loss and gradient of the cross-entropy of N × C logits."""

    rows: int
    classes: int
    dtype: str = "float32"

    @property
    def steps(self) -> str:
        return f"cross-entropy, {self.rows} × {self.classes}, {self.dtype}"

    def data(self) -> tuple[Any, Any]:
        rng = np.random.default_rng(3)
        z = rng.standard_normal((self.rows, self.classes), dtype=np.float32)
        return z.astype(self.dtype), np.arange(self.rows) % self.classes

    def truth(self) -> list[float]:
        """The mean loss, and the gradient at the first labels and beside them."""
        z, t = self.data()
        few = z[:CHECKED].astype(float)
        whole = 0.0
        for start in range(0, self.rows, 64):
            part = z[start : start + 64].astype(float)
            loss = build(
                "loss", "cross_entropy_exact" if self.classes < 2000 else "cross_entropy_fused"
            )
            whole += float(loss_value(loss, part, t[start : start + 64], "sum"))
        p = np.exp(few - few.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(few)), t[: len(few)]] -= 1
        return [whole / self.rows, *picked(p / self.rows)]


def picked(dz: Any) -> list[float]:
    """Some numbers of a gradient that tell whether it is right."""
    first = np.asarray(dz[:CHECKED], dtype=float)
    return [*first[:, :2].ravel().tolist(), float(np.abs(first).sum())]


TRAININGS = [
    Training("founding 2-500-2, N = 200", (2, 500, 2), 200, None, "sgd", 0.01),
    Training("founding 2-500-2, N = 200", (2, 500, 2), 200, None, "sgd", 0.01, "float64"),
    Training("digits 64-100-10, batch 32, Adam", (64, 100, 10), 1437, 32, "adam", 1e-3),
    Training("MNIST-size 784-500-10, batch 128", (784, 500, 10), 10_000, 128, "sgd", 0.1),
]
SWEEP = Training("64 runs of founding", (2, 500, 2), 200, None, "sgd", 0.01, runs=64)
ENTROPIES = [
    CrossEntropy(*size)
    for size in ((200, 2), (200, 10), (200, 1000), (1024, 1000), (1024, 10_000), (1024, 128_000))
]
