"""Initializers: the first value of a parameter.

``draw(rng, shape)`` is a float64 array. The last two axes of a weight are (fan in, fan out), the
numbers of inputs and of outputs of its layer; axes before them stack weights and do not count.
"""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from pullback.units import Array


@dataclass(frozen=True)
class ScaledNormal:
    """w ~ N(0, σ²), σ = scale / √fan_in: inputs of variance 1 give outputs of variance
    scale².

    shape: (..., fan_in, fan_out).

    Source: LeCun, Bottou, Orr and Müller, "Efficient backprop" (1998), section 4.6, for scale 1.
    Raises ValueError if scale is below 0, or the shape has no fan in or fan out.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _not_negative("scale", self.scale)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        fan_in, _ = _fans(shape)
        return _sample(rng, "normal", self.scale / math.sqrt(fan_in), shape)


@dataclass(frozen=True)
class Glorot:
    """w of variance σ² = gain² · 2 / (fan_in + fan_out), uniform in ±√3 σ or normal.

    A compromise between keeping the variance of the values forward and that of the gradients
    backward. shape: (..., fan_in, fan_out). The paper's is uniform with gain 1.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (AISTATS 2010); PyTorch's xavier_uniform_ and xavier_normal_.
    Raises ValueError if gain is below 0, distribution is neither uniform nor normal, or the shape
    has no fan in or fan out.
    """

    distribution: Literal["uniform", "normal"] = "uniform"
    gain: float = 1.0

    def __post_init__(self) -> None:
        _known(self.distribution)
        _not_negative("gain", self.gain)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        fan_in, fan_out = _fans(shape)
        return _sample(rng, self.distribution, self.gain * math.sqrt(2 / (fan_in + fan_out)), shape)


@dataclass(frozen=True)
class He:
    """w of variance σ² = 2 / fan_in, normal or uniform in ±√3 σ.

    The 2 makes up for the half of its inputs that a ReLU sets to 0. shape: (..., fan_in, fan_out).
    The paper's is normal.

    Source: He, Zhang, Ren and Sun, "Delving deep into rectifiers" (arXiv:1502.01852); PyTorch's
    kaiming_normal_ and kaiming_uniform_ with nonlinearity="relu".
    Raises ValueError if distribution is neither normal nor uniform, or the shape has no fan in or
    fan out.
    """

    distribution: Literal["uniform", "normal"] = "normal"

    def __post_init__(self) -> None:
        _known(self.distribution)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        fan_in, _ = _fans(shape)
        return _sample(rng, self.distribution, math.sqrt(2 / fan_in), shape)


@dataclass(frozen=True)
class Zeros:
    """0, for a bias. Any shape. Draws nothing from rng.

    Weights that are all 0 make all units of a layer alike, and they then stay alike.
    """

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return np.zeros(shape)


# Arrays have neither a hash nor one truth value for ==, so that only identity is left.
@dataclass(frozen=True, eq=False)
class Given:
    """The numbers of ``values``, or those of a ``file``; draws nothing from rng.

    values: a nested list or tuple of numbers, or an array. file: a .npy file, or a .npz file with
    the array's name as ``key``; a relative name counts from the working directory, and the file is
    read in ``draw``. The shape must be the parameter's; nothing is broadcast. Numbers are taken as
    float64, and integers above 2⁵³ lose digits in that.

    Raises ValueError unless exactly one of values and file is given; in ``draw``, if the shape is
    another, there is no such key, or it does not read as numbers (pickled objects are refused).
    FileNotFoundError if there is no such file.
    """

    values: Any = None
    file: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if (self.values is None) == (not self.file):
            raise ValueError("given needs either values or a file, and not both")
        if self.key and not self.file:
            raise ValueError(f"key {self.key!r} needs a file to look in")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        source = self.file or "values"
        try:
            value = np.array(self._load() if self.file else self.values, dtype=np.float64)
        except (TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{source} cannot be read as an array of numbers: {error}") from error
        if value.shape != tuple(shape):
            raise ValueError(
                f"{source} has shape {value.shape}, but the parameter has shape {tuple(shape)}"
            )
        return value

    def _load(self) -> Array:
        # np.load does not close a file that turns out to be broken.
        with Path(self.file).open("rb") as stream:
            content = np.load(stream, allow_pickle=False)
            if isinstance(content, np.ndarray):
                if self.key:
                    raise ValueError(f"it holds one array, without a name, and no {self.key!r}")
                return content
            if self.key not in content:
                raise ValueError(f"key must be one of {', '.join(content)}, not {self.key!r}")
            array: Array = content[self.key]
            return array


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) < 2 or 0 in shape[-2:]:
        raise ValueError(f"a weight's shape is (..., fan in, fan out), not {tuple(shape)}")
    return shape[-2], shape[-1]


def _sample(
    rng: np.random.Generator, distribution: str, std: float, shape: tuple[int, ...]
) -> Array:
    if distribution == "normal":
        return rng.normal(0.0, std, shape)
    half_width = math.sqrt(3) * std
    return rng.uniform(-half_width, half_width, shape)


def _known(distribution: str) -> None:
    if distribution not in ("uniform", "normal"):
        raise ValueError(f"distribution must be 'uniform' or 'normal', not {distribution!r}")


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must be >= 0, not {value}")
