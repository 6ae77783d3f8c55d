"""Data sets: four drawn ones in NumPy, four that scikit-learn bundles, and a file of one's own.

``load(rng) -> (x, t)`` with x: (N, F) float64, and t: (N,) int64 labels 0 … C−1, or float64
numbers. The drawn ones take everything random from ``rng``; the others ignore it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = NDArray[Any]

_ROWS = " (the first row of data is row 1)"


@dataclass(frozen=True)
class Moons:
    """Two half circles that interlock: (cos φ, sin φ) and (1 − cos φ, ½ − sin φ), 0 ≤ φ ≤ π.

    x: (n, 2), t: 2 classes, n // 2 examples in the first, in random order. ``noise`` is the
    standard deviation of the normal noise on both coordinates, where a half circle has radius 1.
    Without noise these are the points of ``sklearn.datasets.make_moons``.

    ValueError: n < 2, noise < 0.
    """

    n: int = 400
    noise: float = 0.2

    def __post_init__(self) -> None:
        _at_least("n", self.n, 2)
        _at_least("noise", self.noise, 0)

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        first, second = (np.linspace(0, np.pi, m) for m in _shares(self.n, 2))
        upper = np.column_stack([np.cos(first), np.sin(first)])
        lower = np.column_stack([1 - np.cos(second), 0.5 - np.sin(second)])
        return _shuffled([upper, lower], self.noise, rng)


@dataclass(frozen=True)
class Spirals:
    """Arms that wind out of the origin: (r cos φ, r sin φ), φ = 2π (turns r + k/C), 0 < r ≤ 1.

    x: (n, 2), t: C = ``classes`` arms, as equal in size as n allows, in random order. ``turns`` is
    how often an arm goes round; ``noise`` is the standard deviation of the normal noise on both
    coordinates. Two neighbouring arms are 1/(turns C) apart along a radius.

    Source: the spirals of Stanford's CS231n, with the noise on the points and not on the angle.
    ValueError: classes < 1, n < classes, turns < 0, noise < 0.
    """

    n: int = 600
    classes: int = 3
    turns: float = 1.0
    noise: float = 0.03

    def __post_init__(self) -> None:
        _at_least("classes", self.classes, 1)
        _at_least("n", self.n, self.classes)
        _at_least("turns", self.turns, 0)
        _at_least("noise", self.noise, 0)

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        arms = []
        for k, m in enumerate(_shares(self.n, self.classes)):
            r = np.arange(1, m + 1) / m
            φ = 2 * np.pi * (self.turns * r + k / self.classes)
            arms.append(np.column_stack([r * np.cos(φ), r * np.sin(φ)]))
        return _shuffled(arms, self.noise, rng)


@dataclass(frozen=True)
class Circles:
    """A circle of radius 1 about a circle of radius ``factor``.

    x: (n, 2), t: 2 classes, n // 2 examples on the outer one, in random order. ``noise`` is the
    standard deviation of the normal noise on both coordinates. Without noise these are the points
    of ``sklearn.datasets.make_circles``.

    ValueError: n < 2, noise < 0, factor outside [0, 1).
    """

    n: int = 400
    noise: float = 0.1
    factor: float = 0.5

    def __post_init__(self) -> None:
        _at_least("n", self.n, 2)
        _at_least("noise", self.noise, 0)
        if not 0 <= self.factor < 1:
            raise ValueError(f"factor must be >= 0 and < 1, not {self.factor}")

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        circles = []
        for radius, m in zip((1.0, self.factor), _shares(self.n, 2), strict=True):
            φ = 2 * np.pi * np.arange(m) / m
            circles.append(radius * np.column_stack([np.cos(φ), np.sin(φ)]))
        return _shuffled(circles, self.noise, rng)


@dataclass(frozen=True)
class Blobs:
    """A round cloud for each class: x = c_k + spread · ε, ε normal, c_k uniform in [−10, 10)ᶠ.

    x: (n, features), t: ``classes`` classes, as equal in size as n allows, in random order.
    ``spread`` is the standard deviation of a cloud. The centres c_k are drawn too, so that another
    seed is another problem, and the clouds of some overlap.

    ValueError: classes < 1, n < classes, features < 1, spread < 0.
    """

    n: int = 300
    classes: int = 3
    features: int = 2
    spread: float = 1.0

    def __post_init__(self) -> None:
        _at_least("classes", self.classes, 1)
        _at_least("n", self.n, self.classes)
        _at_least("features", self.features, 1)
        _at_least("spread", self.spread, 0)

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        centres = rng.uniform(-10, 10, (self.classes, self.features))
        shares = _shares(self.n, self.classes)
        clouds = [np.tile(c, (m, 1)) for c, m in zip(centres, shares, strict=True)]
        return _shuffled(clouds, self.spread, rng)


@dataclass(frozen=True)
class Digits:
    """Handwritten digits, 8 × 8 pixels: x: (1797, 64), 0 (paper) to 1 (ink); t: 10 classes.

    A pixel of scikit-learn's copy is 0 to 16; here it is divided by 16.
    Source: E. Alpaydin, C. Kaynak, *Cascading Classifiers*, Kybernetika, 1998 (the test set of
    UCI's optical recognition of handwritten digits).
    """

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        from sklearn.datasets import load_digits

        x, t = _bundled(load_digits)
        return x / 16, t


@dataclass(frozen=True)
class Iris:
    """Iris flowers: x: (150, 4), length and width of sepal and petal in cm; t: 3 species.

    Source: R. A. Fisher, *The use of multiple measurements in taxonomic problems*, Annals of
    Eugenics 7, 1936, as R has it (the copy at UCI has two wrong rows).
    """

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        from sklearn.datasets import load_iris

        return _bundled(load_iris)


@dataclass(frozen=True)
class Wine:
    """Italian wines: x: (178, 13), chemical measurements, each in its own unit; t: 3 growers.

    The standard deviations of the columns run from 0.12 to 314: standardise them.
    Source: M. Forina et al., *PARVUS*, Genoa (UCI's wine recognition data).
    """

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        from sklearn.datasets import load_wine

        return _bundled(load_wine)


@dataclass(frozen=True)
class BreastCancer:
    """Tumours of the breast: x: (569, 30), measures of cell nuclei; t: 0 malignant, 1 benign.

    The standard deviations of the columns run from 0.003 to 569: standardise them.
    Source: W. N. Street, W. H. Wolberg, O. L. Mangasarian, *Nuclear feature extraction for breast
    tumor diagnosis*, IS&T/SPIE 1905, 1993 (UCI's Wisconsin diagnostic data).
    """

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        from sklearn.datasets import load_breast_cancer

        return _bundled(load_breast_cancer)


@dataclass(frozen=True)
class File:
    """A file of one's own: CSV (.csv, .csv.gz) with a header, Parquet (.parquet) or NumPy (.npz).

    In a table ``target`` is a column, and the features are all others, or those that ``features``
    names, in that order; they must be numbers (True and False count as 1 and 0). In an NPZ file
    ``target`` is the name of an array (N,) or (N, K), and x: (N, …) is the one called ``x``.

    Labels become 0 … C−1 in sorted order: 1, 2, 5 → 0, 1, 2 and cat, dog → 0, 1. ``kind`` says
    what the target is: ``auto`` takes integers, strings, booleans and categories as labels and
    floats as numbers; ``labels`` takes all as labels, ``numbers`` all as numbers (integers that
    count something).

    FileNotFoundError: there is no such file. ValueError: an unknown suffix, a file that cannot be
    read, a column that is not there, a value that is missing or not a number.
    """

    path: str
    target: str
    features: tuple[str, ...] = ()
    kind: Literal["auto", "labels", "numbers"] = "auto"

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "labels", "numbers"):
            raise ValueError(f"kind must be 'auto', 'labels' or 'numbers', not {self.kind!r}")
        if self.target in self.features:
            raise ValueError(f"'{self.target}' is the target and cannot be one of the features")
        if self._suffix() == ".npz" and self.features:
            raise ValueError("features chooses columns of a table; an NPZ file has the array 'x'")

    def load(self, rng: np.random.Generator) -> tuple[Array, Array]:
        path = Path(self.path).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path.absolute()}; check path")
        if self._suffix() == ".npz":
            return self._from_arrays(path)
        return self._from_table(path)

    def _suffix(self) -> str:
        for suffix in (".csv", ".csv.gz", ".npz", ".parquet"):
            if self.path.lower().endswith(suffix):
                return suffix
        raise ValueError(
            f"cannot tell what {self.path} is: its name must end in .csv, .csv.gz, .npz or .parquet"
        )

    def _from_arrays(self, path: Path) -> tuple[Array, Array]:
        if not is_zipfile(path):
            raise ValueError(
                f"{path} cannot be read: it is not an NPZ file; numpy.savez writes one"
            )
        with np.load(path, allow_pickle=False) as file:
            for name in ("x", self.target):
                if name not in file:
                    raise ValueError(f"{path.name} has no array '{name}'{_nearest(name, file)}")
            try:
                x, t = file["x"], file[self.target]
            except (ValueError, BadZipFile) as error:
                raise ValueError(f"{path} cannot be read: {error}") from error
        if x.dtype.kind not in "biuf":
            raise ValueError(f"the array 'x' of {path.name} must hold numbers, not {x.dtype}")
        return x.astype(np.float64), _target(t, self.target, self.kind)

    def _from_table(self, path: Path) -> tuple[Array, Array]:
        table = _read_table(path, self._suffix())
        names = self.features or tuple(name for name in table.columns if name != self.target)
        for name in (self.target, *names):
            if name not in table.columns:
                raise ValueError(
                    f"{path.name} has no column '{name}'{_nearest(name, table.columns)}"
                )
        if not names:
            raise ValueError(f"{path.name} has no column but the target '{self.target}'")
        if not self.features and any(str(name).startswith("Unnamed: ") for name in names):
            raise ValueError(
                f"{path.name} has a column without a name, as a saved index has; "
                "name the columns to use in features"
            )
        x = np.column_stack([_numbers(table[name]) for name in names])
        _refuse_missing(table[self.target])
        return x, _target(table[self.target].to_numpy(), self.target, self.kind)


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise ValueError(f"{name} must be >= {least}, not {value}")


def _shares(n: int, parts: int) -> list[int]:
    """n as a sum of parts that differ by one at most; the first is n // parts."""
    return [(n * (k + 1)) // parts - (n * k) // parts for k in range(parts)]


def _shuffled(parts: list[Array], noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """The points of all classes with normal noise on them, and their labels, in random order."""
    x = np.concatenate(parts)
    t = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    x = x + noise * rng.standard_normal(x.shape)
    order = rng.permutation(len(x))
    return x[order], t[order]


def _bundled(load: Callable[..., Any]) -> tuple[Array, Array]:
    x, t = load(return_X_y=True)
    return x.astype(np.float64), t.astype(np.int64)


def _nearest(name: str, names: Any) -> str:
    known = [str(one) for one in names]
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; there are: {', '.join(known)}"


def _read_table(path: Path, suffix: str) -> pd.DataFrame:
    import pandas as pd

    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        # In pieces, pandas would guess the type of a long column for each piece on its own.
        table = pd.read_csv(path, low_memory=False)
    except (ValueError, OSError, EOFError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    # pandas would take the first values as an index and shift the names of the others.
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError(f"the rows of {path.name} have more values than its header has names")
    return table


def _refuse_missing(column: pd.Series[Any]) -> None:
    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"column '{column.name}' has no value in row {missing.argmax() + 1}{_ROWS}"
        )


def _numbers(column: pd.Series[Any]) -> Array:
    import pandas as pd

    _refuse_missing(column)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64)
    # Through text, or pandas would take a date for its nanoseconds.
    numbers = pd.to_numeric(column.astype(str), errors="coerce").to_numpy(np.float64)
    wrong = np.isnan(numbers)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column '{column.name}' has {str(column.iloc[row])!r} in row {row + 1}{_ROWS}, "
            "which is not a number; encode the column, or choose others with features"
        )
    return numbers


def _target(values: Array, name: str, wanted: str) -> Array:
    if values.dtype == object:
        values = np.array(values.tolist())
    kind = values.dtype.kind
    if kind not in "biufUS" or (wanted == "numbers" and kind in "US"):
        needed = "numbers" if wanted == "numbers" else "labels or numbers"
        raise ValueError(f"the target '{name}' must hold {needed}, not {values.dtype}")
    if wanted == "numbers" or (wanted == "auto" and kind == "f"):
        return values.astype(np.float64)
    if values.ndim != 1:
        raise ValueError(f"the labels '{name}' must have the shape (N,), not {values.shape}")
    if kind == "f" and np.isnan(values).any():
        raise ValueError(f"the labels '{name}' have a nan, which is no class")
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
