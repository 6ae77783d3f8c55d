"""The negative log-likelihood, of log-probabilities and of probabilities."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback_basics.targets import ClassTargets, weighted

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class NLL(ClassTargets):
    """ℓ = −Σ T l, for log-probabilities l;  dl = −T dℓ.

    l: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N). Keeps T.
    T = w ∘ ((1 − ε) t + ε / C), from the options; for a plain label, ℓ = −l_label.

    Source: the founding question, (6) and its sign in (7); ``torch.nn.functional.nll_loss``.
    Raises: ValueError for targets that do not fit.
    Loses no digits beyond rounding; those of l may have been lost before.
    """

    family = "nll"

    @property
    def stages(self) -> dict[str, Any]:
        """The founding question's (6), and the sign in its (7)."""
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"PL": LogLikelihood(**options), "ℓ": Negative()}

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        rows = self.target_rows(target, y)
        return -weighted(rows, y).sum(axis=-1), rows

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        slope: Array = -residual
        return np.multiply(slope, dl[..., None], out=out)


@dataclass(frozen=True)
class LogLikelihood(ClassTargets):
    """PL = Σ T l;  dl = T dPL.

    l: (..., N, C), target: labels (..., N) or rows (..., N, C), PL: (..., N). Keeps T.

    Source: the founding question, (6), whose ẏ is T.
    Raises: ValueError for targets that do not fit.
    Loses no digits beyond rounding.
    """

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        rows = self.target_rows(target, y)
        return weighted(rows, y).sum(axis=-1), rows

    def backward(self, residual: Any, dPL: Array) -> Array:
        slope: Array = residual * dPL[..., None]
        return slope


@dataclass(frozen=True)
class Negative:
    """y = −x;  dx = −dy.

    x, y: any shape. Keeps nothing. No digit is lost.
    """

    def forward(self, x: Array) -> tuple[Array, None]:
        return -x, None

    def backward(self, residual: None, dy: Array) -> Array:
        return -dy


@dataclass(frozen=True)
class NLLProbabilities(ClassTargets):
    """ℓ = −Σ T log ŷ, for probabilities ŷ;  dŷ = −(T / ŷ) dℓ.

    ŷ: (..., N, C), target: labels (..., N) or rows (..., N, C), ℓ: (..., N). Keeps T and ŷ.
    T = w ∘ ((1 − ε) t + ε / C), from the options.

    Source: (5)–(6) of the founding question as one stage.
    Raises: ValueError for targets that do not fit.
    Loses digits: log ŷ near ŷ = 1, where the rounding of ŷ is larger than its distance from 1; at
    ŷ = 0 of the true class ℓ is ∞. The ``cross_entropy`` losses take logits and need not.
    """

    family = "nll_probabilities"

    def forward(self, y: Array, target: Array) -> tuple[Array, Any]:
        rows = self.target_rows(target, y)
        with np.errstate(divide="ignore"):  # log 0 of a class that counts for nothing
            return -weighted(rows, np.log(y)).sum(axis=-1), (rows, y)

    def backward(self, residual: Any, dl: Array, out: Array | None = None) -> Array:
        rows, y = residual
        slope: Array = -rows / np.where(rows == 0, 1, y)
        return np.multiply(slope, dl[..., None], out=out)

    def samples(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Predictions and targets from the domain, for a check: distributions, and labels."""
        return rng.dirichlet(np.ones(3), size=4), rng.integers(3, size=4)
