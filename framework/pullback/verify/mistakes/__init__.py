"""The named mistakes: what people get wrong in a backward, and in an optimizer."""

from __future__ import annotations

from collections.abc import Sequence

from pullback.verify.mistakes import conduct, digits, optimizers, pullbacks
from pullback.verify.mistakes.catalogue import IN_A_BACKWARD, Mistake, named

MISTAKES: dict[str, Sequence[Mistake]] = {
    "layer": IN_A_BACKWARD,
    "loss": IN_A_BACKWARD,
    "optimizer": optimizers.IN_A_STEP,
}

__all__ = ["MISTAKES", "Mistake", "conduct", "digits", "named", "optimizers", "pullbacks"]
