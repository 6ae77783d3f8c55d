"""An affine layer and the activation behind it, as one unit: z is written over by y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pullback_basics.activations import Relu, Tanh
from pullback_basics.affine import Affine

if TYPE_CHECKING:
    from pullback.units import Array, Initializer


class _Then:
    """What the two units below share; each says which activation it is."""

    width: int
    W: Initializer
    b: Initializer
    activation: Any

    @property
    def stages(self) -> dict[str, Any]:
        """The units of the chain by the symbol of their output; the first has the parameters."""
        return {"z": Affine(self.width, self.W, self.b), "y": self.activation}

    def forward(self, x: Array, W: Array, b: Array, out: Array | None = None) -> tuple[Array, Any]:
        affine, activation = self.stages.values()
        z, kept = affine.forward(x, W, b, out=out)
        y, slope = activation.forward(z, out=z)
        return y, (kept, slope)

    def backward(
        self, residual: Any, dy: Array, out: Any = (None, None, None), needs_dx: bool = True
    ) -> tuple[Array | None, Array, Array]:
        affine, activation = self.stages.values()
        kept, slope = residual
        dz = activation.backward(slope, dy)
        gradients: tuple[Array | None, Array, Array]
        gradients = affine.backward(kept, dz, out=out, needs_dx=needs_dx)
        return gradients


@dataclass(frozen=True)
class AffineTanh(_Then, Affine):
    """z = x W + b, y = tanh z;  dz = (1 − y²) dy, dx = dz Wᵀ,  dW = xᵀ dz,  db = Σ dz.

    x: (..., N, F), W: (..., F, width), b: (..., 1, width), y: (..., N, width). Keeps x, W and y.

    Source: the founding question, (1) and (2); a chain of ``affine`` and ``tanh``.
    Loses digits: where these do.
    Raises: ValueError as ``affine`` does.

    Options: those of ``affine``.
    """

    family = "affine_tanh"
    activation = Tanh()


@dataclass(frozen=True)
class AffineRelu(_Then, Affine):
    """z = x W + b, y = max(z, 0);  dz = dy where y > 0, dx = dz Wᵀ,  dW = xᵀ dz,  db = Σ dz.

    x: (..., N, F), W: (..., F, width), b: (..., 1, width), y: (..., N, width). Keeps x, W and y.

    Source: a chain of ``affine`` and ``relu``.
    Loses digits: where ``affine`` does.
    Raises: ValueError as ``affine`` does.

    Options: those of ``affine``.
    """

    family = "affine_relu"
    activation = Relu()
