"""How far a training has come: what a checkpoint holds, and a resumed run goes on from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pullback import checkpoint
from pullback.errors import ConfigError
from pullback.net import Net
from pullback.registry import name_of
from pullback.units import Optimizer, State

LAST, BEST = "last.npz", "best.npz"

_FACTS = ("step", "best_loss", "best_step", "waited", "gradient_difference")


@dataclass
class Progress:
    """θ and the optimizer's state, which others change, and what the loop remembers beside them."""

    net: Net
    optimizer: Optimizer
    state: State
    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    waited: int = 0
    gradient_difference: float = 0.0

    def __post_init__(self) -> None:
        self.best_theta = self.net.theta.copy()

    def keep_best(self, loss: float, step: int) -> None:
        """θ as it is now is the best so far."""
        self.best_loss, self.best_step, self.waited = loss, step, 0
        self.best_theta[...] = self.net.theta

    def save(self, directory: Path) -> None:
        """Write both checkpoints; each is there whole, or as it was before."""
        state = {f"state.{key}": value for key, value in self.state.items()}
        arrays = {"theta": self.net.theta, "best_theta": self.best_theta, **state}
        facts = {"layout": self._layout(), **{key: getattr(self, key) for key in _FACTS}}
        checkpoint.save(directory / LAST, arrays, facts)
        best = facts | {"step": self.best_step}
        checkpoint.save(directory / BEST, {"theta": self.best_theta}, best)

    def restore(self, directory: Path) -> None:
        """Take up the last checkpoint; ConfigError where it is of another network or optimizer."""
        arrays, facts = checkpoint.load(directory / LAST)
        if facts["layout"] != self._layout():
            raise ConfigError(
                f"the checkpoint in {directory} is of another network or optimizer: it has "
                f"{facts['layout']}, this run has {self._layout()}"
            )
        self.net.theta[...] = arrays["theta"]
        self.best_theta[...] = arrays["best_theta"]
        for key, value in self.state.items():
            value[...] = arrays[f"state.{key}"]
        for key in _FACTS:
            setattr(self, key, facts[key])

    def _layout(self) -> dict[str, Any]:
        shapes = {
            f"{name}.{key}": list(value.shape)
            for name, params in self.net.params.items()
            for key, value in params.items()
        }
        return {
            "parameters": shapes,
            "dtype": str(self.net.dtype),
            "optimizer": name_of(self.optimizer),
            "state": sorted(self.state),
        }
