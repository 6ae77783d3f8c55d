"""How a net is trained, in numbers: steps, batches, penalty, clipping, stopping, checkpoints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


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
        for name, words in (("reduction", ("mean", "sum")), ("select", ("last", "best"))):
            if getattr(self, name) not in words:
                told = f"{name} must be {' or '.join(words)}, not '{getattr(self, name)}'"
                raise ValueError(told)
        if not self.l2 >= 0:
            raise ValueError(f"l2 must not be negative, and it is {self.l2}")

    def total(self, rows: int) -> int:
        """The number of steps for so many rows of training data."""
        if self.epochs is None:
            return self.steps
        return self.epochs * math.ceil(rows / min(self.batch_size or rows, rows))
