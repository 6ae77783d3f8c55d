"""From a data set to what a run trains on: shuffled, split, standardised and cast.

Everything random comes from the seed: ``default_rng([seed, 0])`` draws the data set,
``default_rng([seed, 1])`` the order of its rows and ``default_rng([seed, 3, epoch])`` the batches,
so that each stays as it is whatever the others consume.
"""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pullback.errors import ConfigError
from pullback.units import Array, Dataset


@dataclass(frozen=True, eq=False)
class Part:
    """Examples and targets that belong together: x (N, …) and t (N,) labels or (N, K) numbers."""

    x: Array
    t: Array

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Data:
    """The three parts of a data set, as :func:`prepare` makes them.

    ``mean`` and ``scale`` (the shape of one example, float64) are what x was standardised with: 0
    and 1 where it was not. ``classes`` is None where the targets are numbers.
    """

    train: Part
    validation: Part
    test: Part
    mean: Array
    scale: Array
    classes: int | None

    @property
    def inputs(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.x.shape[1:]

    @property
    def outputs(self) -> int:
        """C for labels, K for numbers: how many values a network has to predict."""
        return self.train.t.shape[1] if self.classes is None else self.classes

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of a SHA-256 of every array: bytes, shape and dtype."""
        arrays = [self.mean, self.scale]
        for part in (self.train, self.validation, self.test):
            arrays += [part.x, part.t]
        sha = hashlib.sha256()
        for array in arrays:
            sha.update(f"{array.dtype.str} {array.shape} ".encode())
            sha.update(array.tobytes())
        return sha.hexdigest()[:16]

    def standardise(self, x: ArrayLike) -> Array:
        """(x − mean) / scale, in the dtype of the parts: new examples as the network expects them.

        x: (..., *inputs), in the units of the data set.
        """
        return ((np.asarray(x) - self.mean) / self.scale).astype(self.train.x.dtype)


class Batches:
    """The rows of each step: all, or the next of a permutation that seed and epoch decide."""

    def __init__(self, part: Part, size: int | None, seed: int) -> None:
        self.part, self.seed = part, seed
        self.size = min(size or len(part), len(part))
        self.per_epoch = math.ceil(len(part) / self.size)
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def at(self, step: int) -> tuple[Array | None, Array, Array]:
        """The indices of a step's rows (None for all), their x and their targets."""
        if self.size == len(self.part):
            return None, self.part.x, self.part.t
        rows = self._rows(step)
        return rows, self.part.x[rows], self.part.t[rows]

    def order(self, steps: range) -> Array:
        """The indices of some steps' rows: (steps, size); (steps, 0) where a step has them all.

        None of the steps is a short one.
        """
        if self.size == len(self.part):
            return np.empty((len(steps), 0), np.int64)
        return np.array([self._rows(step) for step in steps]).reshape(len(steps), self.size)

    def short_from(self, step: int) -> int:
        """The first step from here whose batch is smaller, being what an epoch has left."""
        if len(self.part) % self.size == 0:
            return sys.maxsize
        return step + (self.per_epoch - 1 - step) % self.per_epoch

    def _rows(self, step: int) -> Array:
        epoch, place = divmod(step, self.per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, 3, epoch])
            self._epoch, self._order = epoch, rng.permutation(len(self.part))
        return self._order[place * self.size : (place + 1) * self.size]


@dataclass(frozen=True)
class Split:
    """How many of N rows are kept for validation and for the test; the rest is for training.

    A number below 1 is a fraction of N, rounded to the nearest row; a number from 1 is a count of
    rows; 0 is none. ConfigError: a number below 0, or a count that is not whole.
    """

    validation: float = 0.2
    test: float = 0.2

    def __post_init__(self) -> None:
        for name, value in (("validation", self.validation), ("test", self.test)):
            if not value >= 0:
                raise ConfigError(f"{name} must be >= 0, not {value}")
            if value >= 1 and value % 1 != 0:
                raise ConfigError(
                    f"{name} must be a fraction below 1 or a whole number, not {value}"
                )

    def sizes(self, n: int) -> tuple[int, int, int]:
        """Rows for training, validation and test; ConfigError if none is left for training."""
        validation, test = (
            round(value * n) if value < 1 else int(value) for value in (self.validation, self.test)
        )
        if validation + test >= n:
            raise ConfigError(
                f"nothing is left for training: of {n} rows, validation takes {validation} "
                f"and test {test}"
            )
        return n - validation - test, validation, test


def prepare(
    dataset: Dataset,
    *,
    split: Split = Split(),
    seed: int = 0,
    standardise: bool = True,
    dtype: DTypeLike = "float32",
) -> Data:
    """The data set of one seed, ready for training; see :func:`from_arrays` for how.

    A ValueError or an OSError of ``load`` becomes a ConfigError with the same words.
    """
    name = type(dataset).__name__
    try:
        loaded: Any = dataset.load(_rng(seed, 0))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{name}: {error}") from error
    if not isinstance(loaded, tuple) or len(loaded) != 2:
        raise ConfigError(f"{name}: load must return (x, t)")
    x, t = loaded
    return from_arrays(
        x, t, split=split, seed=seed, standardise=standardise, dtype=dtype, name=name
    )


def from_arrays(
    x: ArrayLike,
    t: ArrayLike,
    *,
    split: Split = Split(),
    seed: int = 0,
    standardise: bool = True,
    dtype: DTypeLike = "float32",
    name: str = "data",
) -> Data:
    """Shuffle, split, standardise and cast arrays: x (N, …) and t, labels (N,) or numbers.

    The rows are shuffled by the seed; the first are for training, then come those for validation
    and those for the test. x is standardised by the mean and the standard deviation of the training
    part alone (a column that is constant there is only centred), then cast to ``dtype``. Integer
    and boolean t are labels and become int64; floats are numbers, cast to ``dtype`` and not
    standardised, and (N,) becomes (N, 1). ``name`` is what messages call the data.

    ConfigError: x and t differ in length or have no rows, x is not numeric, a value is not finite
    or does not fit ``dtype``, a label is negative, ``dtype`` is no float, ``seed`` is negative,
    nothing is left to train on.
    """
    x, t = _checked(np.asarray(x), np.asarray(t), name)
    floats = _float_dtype(dtype)
    try:
        n_train, n_validation, _ = split.sizes(len(x))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    order = _rng(seed, 1).permutation(len(x))
    x, t = x[order].astype(np.float64), t[order]

    mean, scale = np.zeros(x.shape[1:]), np.ones(x.shape[1:])
    if standardise:
        mean, scale = _mean_and_scale(x[:n_train])
    x = _cast((x - mean) / scale, floats, f"{name}: x")
    classes = None
    if t.dtype.kind == "f":
        t = _cast(t.reshape(len(t), -1), floats, f"{name}: t")
    else:
        t = t.astype(np.int64)
        classes = int(t.max()) + 1

    for array in (x, t):  # the jobs of a sweep share them: no unit may write to its input
        array.setflags(write=False)
    ends = [n_train, n_train + n_validation]
    parts = zip(np.split(x, ends), np.split(t, ends), strict=True)
    train, validation, test = (Part(*part) for part in parts)
    return Data(train, validation, test, mean, scale, classes)


def _rng(seed: int, stream: int) -> np.random.Generator:
    if seed < 0:
        raise ConfigError(f"seed must be >= 0, not {seed}")
    return np.random.default_rng([seed, stream])


def _float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        floats = np.dtype(dtype)
    except TypeError:
        floats = np.dtype(object)
    if floats.kind != "f":
        raise ConfigError(f"dtype must be a float such as float32 or float64, not {dtype}")
    return floats


def _checked(x: Array, t: Array, name: str) -> tuple[Array, Array]:
    if x.dtype.kind not in "biuf":
        raise ConfigError(f"{name}: x must hold numbers, not {x.dtype}")
    if x.ndim < 2:
        raise ConfigError(f"{name}: x must have the shape (N, features), not {x.shape}")
    if t.dtype.kind not in "biuf":
        raise ConfigError(f"{name}: t must hold integer labels or floats, not {t.dtype}")
    if t.ndim not in ((1, 2) if t.dtype.kind == "f" else (1,)):
        raise ConfigError(
            f"{name}: t must be integer labels (N,) or floats (N,) or (N, K), "
            f"not {t.dtype} {t.shape}"
        )
    if len(x) != len(t):
        raise ConfigError(f"{name}: x has {len(x)} rows and t has {len(t)}")
    if x.size == 0:
        raise ConfigError(f"{name}: x {x.shape} is empty")
    for which, array in (("x", x), ("t", t)):
        bad = ~np.isfinite(array)
        if bad.any():
            raise ConfigError(f"{name}: {which} is {_first(array, bad)}; it must be finite")
    if t.dtype.kind != "f" and t.min() < 0:
        raise ConfigError(f"{name}: t is {_first(t, t < 0)}; labels count from 0")
    return x, t


def _first(array: Array, bad: Array) -> str:
    """``nan in row 3, column 1 (counted from 0)``: the first value that is bad, and its place."""
    place = np.argwhere(bad)[0].tolist()
    column = f", column {', '.join(map(str, place[1:]))}" if len(place) > 1 else ""
    return f"{array[tuple(place)]} in row {place[0]}{column} (counted from 0)"


def _mean_and_scale(x: Array) -> tuple[Array, Array]:
    mean, std = x.mean(axis=0), x.std(axis=0)
    # The rounded mean of a constant need not be the constant, and std is then not quite 0.
    constant = (x.max(axis=0) == x.min(axis=0)) | (std == 0)
    return mean, np.where(constant, 1.0, std)


def _cast(values: Array, dtype: np.dtype[Any], what: str) -> Array:
    with np.errstate(over="ignore"):
        cast: Array = values.astype(dtype)
    if not np.isfinite(cast).all():
        raise ConfigError(f"{what} has values that {dtype} cannot hold; scale them down")
    return cast
