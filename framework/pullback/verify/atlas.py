"""The accuracy atlas of a loss family: how many digits each variant keeps, and where it loses them.

A row of logits has one class ahead of the others by a gap, and its label is that class ("right")
or another ("wrong"). Value and gradient of every variant are measured there, in each precision,
against the truth: forward and backward of a member of the family on numbers of 110, 160, 450 and
1000 digits, until two of these agree. Whose truth it is makes no difference: members must have the
same values in exact arithmetic, and the gradient must be what differences of forward give.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback import registry
from pullback.errors import ConfigError, PullbackError, RegistryError, nearest
from pullback.units import KINDS, Array
from pullback.verify.cases import Case, UnitError, instance
from pullback.verify.exact import EXACT
from pullback.verify.functions import mp
from pullback.verify.outcome import Skipped
from pullback.verify.scalars import each_exactly, values

if TYPE_CHECKING:
    import pandas as pd

GAPS: tuple[float, ...] = (0, 1, 2, 4.6, 7, 9.2, 12, 16, 20, 25, 30, 37.43, 50, 70, 87, 104, 120)
GAPS += (200, 300, 400, 500, 600, 700, 745, 800)
CLASSES = (2, 10, 100)
DTYPES = ("float64", "float32", "float16")
LABELS = ("right", "wrong")

LEVEL = 0.3  # of the other logits: no short fraction, so that differences of logits round
SPREAD = 2.0**-19  # of the other logits: too small to matter, and each rounds in its own way

DIGITS = (110, 160, 450, 1000)
AGREE = mp.mpf(10) ** -30  # relative
COMPARED = 50  # digits of a comparison, which needs no more than AGREE and those of a type
NOTHING = mp.mpf(10) ** -330  # below what any type holds, which 450 digits are enough to see

RESULTS = ("value", "gradient")
KEYS = ["variant", "dtype", "label"]


def measure(
    family: str,
    *,
    gaps: Sequence[float] = GAPS,
    classes: Sequence[int] = CLASSES,
    dtypes: Sequence[str] = DTYPES,
) -> pd.DataFrame:
    """One line for each variant, dtype, number of classes, label and gap.

    ``value_error`` is the relative error of ℓ, ``gradient_error`` the worst of the entries of dz,
    ``true_class_error`` that of the label's entry; ``_ulps`` are units of the last place of the
    truth, ``_digits`` are −log10 of the error, from 0 to what the type can have. What is not finite
    has no digit. A truth that is no normal number of the type is left out: NaN. ``problem`` says
    why a variant does not run in a dtype, and all is NaN.

    Raises RegistryError for a family that nobody provides, ConfigError for one that takes no logits
    and labels, PullbackError where its members contradict one another or the differences.
    """
    import pandas as pd

    ahead = np.asarray(gaps, dtype=float)
    _must_be_a_grid(ahead, classes, dtypes)
    units = members(family)
    some = ahead[[0, len(ahead) // 2, -1]]
    tellers = _truth_tellers(family, units, *logits(some, min(classes), "float64"))
    teller = _quickest(tellers, *logits(some[1:2], max(classes), "float64"))
    tables = []
    for dtype, number in itertools.product(dtypes, classes):
        z, labels = logits(ahead, number, dtype)
        truth = _settled(teller, z, labels)
        at = {"label": LABELS * len(ahead), "gap": np.repeat(ahead, len(LABELS))}
        for name, unit in units.items():
            line = {"variant": name, "dtype": dtype, "classes": number, **at}
            tables.append(pd.DataFrame({**line, **_compared(unit, z, labels, truth)}))
    return pd.concat(tables, ignore_index=True).sort_values(
        "variant", kind="stable", ignore_index=True
    )


def _must_be_a_grid(gaps: Array, classes: Sequence[int], dtypes: Sequence[str]) -> None:
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise ConfigError(f"there is no atlas in '{dtype}'{nearest(dtype, DTYPES)}")
    room = min((float(np.finfo(dtype).max) for dtype in dtypes), default=0) / 2
    if not (gaps.size and ((gaps >= 0) & (gaps < room)).all()):
        raise ConfigError(f"an atlas needs gaps from 0 to {room:.3g}, and they are {gaps.tolist()}")
    if not classes or min(classes) < 2:
        raise ConfigError(f"an atlas needs 2 classes or more, and they are {list(classes)}")


def members(family: str) -> dict[str, Any]:
    """The losses of a family by name, with their defaults."""
    found: dict[str, dict[str, type]] = {}
    for kind in KINDS:
        for name in registry.names(kind):
            try:
                cls = registry.lookup(kind, name)
            except RegistryError:  # nobody can tell what family it would be of
                continue
            found.setdefault(f"{kind} {registry.family(cls, name)}", {})[name] = cls
    if f"loss {family}" not in found:
        for kind in KINDS:
            if f"{kind} {family}" in found:
                raise ConfigError(
                    f"'{family}' is a family of {kind}s; the atlas is of losses that take logits "
                    f"and integer labels"
                )
        known = [one.removeprefix("loss ") for one in found if one.startswith("loss ")]
        raise RegistryError(
            f"there is no family of losses called '{family}'{nearest(family, known)}"
        )
    for name, cls in found[f"loss {family}"].items():
        if hasattr(cls, "samples"):
            raise ConfigError(
                f"the atlas is of losses that take logits; '{name}' has a domain of its own"
            )
    try:
        return {name: instance(cls) for name, cls in found[f"loss {family}"].items()}
    except Skipped as reason:
        raise ConfigError(reason.message) from reason


def logits(gaps: Array, classes: int, dtype: str) -> tuple[Array, Array]:
    """Two rows for each gap, by which the first class is ahead; the label of the second is last."""
    z = np.tile(LEVEL - np.linspace(0, SPREAD, classes), (2 * len(gaps), 1))
    z[:, 0] += np.repeat(gaps, 2)
    return z.astype(dtype), np.tile([0, classes - 1], len(gaps))


# The truth


def _results(unit: Any, z: Array, labels: Array, dl: Array) -> Array:
    """ℓ and dz of each row, side by side: (N, 1 + C)."""
    value, (dz,) = Case("", unit, (z,), (labels,)).both(dl)
    if value.shape != labels.shape or dz.shape != z.shape:
        raise UnitError(f"ℓ and dz have shapes {value.shape} and {dz.shape} for z {z.shape}")
    return np.concatenate([value[:, None], dz], axis=1)


def _exactly(unit: Any, z: Array, labels: Array, digits: int) -> Array:
    """The same in so many digits, for floats or numbers of type mpf."""
    with mp.workdps(digits):
        dl = EXACT.array(np.ones(len(z)))
        return values(_results(unit, EXACT.array(z), labels, dl))


def _settled(unit: Any, z: Array, labels: Array) -> Array:
    """The truth: in as many digits as it takes until more of them change nothing."""
    found = _exactly(unit, z, labels, DIGITS[0])
    rows = np.arange(len(z))
    for fewer, digits in itertools.pairwise(DIGITS):
        before, found[rows] = found[rows], _exactly(unit, z[rows], labels[rows], digits)
        alike = _alike(before, found[rows], NOTHING if fewer >= 450 else 0)
        rows = rows[~alike.all(axis=1)]
    if rows.size:
        raise PullbackError(
            f"{registry.name_of(unit)} settles on no value or gradient with {DIGITS[-1]} digits at "
            f"the logits {z[rows[0]][:3].tolist()} … and the label {labels[rows[0]]}"
        )
    return found


def _alike(a: Array, b: Array, negligible: Any) -> Array:
    with mp.workdps(COMPARED):
        size = np.maximum(abs(a), abs(b))
        alike = (abs(a - b) <= AGREE * size) & ((size > 0) | bool(negligible))
        return np.asarray(alike | (size < negligible), dtype=bool)


def _truth_tellers(family: str, units: Mapping[str, Any], z: Array, labels: Array) -> list[Any]:
    """The members that run on exact numbers and whose dz is that of differences there."""
    told: dict[str, Array] = {}
    tellers, problems = [], []
    for name, unit in units.items():
        try:
            told[name] = _exactly(unit, z, labels, DIGITS[-1])
        except (UnitError, TypeError) as error:
            problems.append(f"{name} does not run on exact numbers: {error}")
    for (one, a), (other, b) in itertools.pairwise(told.items()):
        if not _alike(a[:, 0], b[:, 0], NOTHING).all():
            raise PullbackError(
                f"{one} and {other} have different values in exact arithmetic, so that they are no "
                f"variants of one loss: `pullback check {one} {other}`"
            )
    for name, exact in told.items():
        if _alike(exact[:, 1:], _slopes(units[name], z, labels), NOTHING).all():
            tellers.append(units[name])
        else:
            problems.append(
                f"the gradient of {name} is not that of its value: `pullback check {name}`"
            )
    if not tellers:
        raise PullbackError(f"{family} has no member that tells the truth: {'; '.join(problems)}")
    return tellers


def _quickest(units: Sequence[Any], z: Array, labels: Array) -> Any:
    """Any of them would do; a Jacobian of 100 classes takes ten times as long as a product."""
    seconds, problem = {}, ""
    for place, unit in enumerate(units):
        started = time.perf_counter()
        try:
            _exactly(unit, z, labels, DIGITS[1])
            seconds[place] = time.perf_counter() - started
        except UnitError as error:
            problem = f"{registry.name_of(unit)} does not take {z.shape[1]} classes: {error}"
    if not seconds:
        raise PullbackError(problem)
    return units[min(seconds, key=seconds.__getitem__)]


def _slopes(unit: Any, z: Array, labels: Array) -> Array:
    """dz by central differences of forward, whose own error is the square of the step."""
    slopes = np.empty(z.shape, dtype=object)
    with mp.workdps(DIGITS[-1]):
        step = mp.mpf(10) ** -(DIGITS[-1] // 3)
        for at in range(z.shape[1]):
            aside = each_exactly(np.arange(z.shape[1]) == at) * step
            above, below = (
                _exactly(unit, each_exactly(z) + sign * aside, labels, DIGITS[-1])[:, 0]
                for sign in (1, -1)
            )
            slopes[:, at] = (above - below) / (2 * step)
    return slopes


# The comparison


def _compared(unit: Any, z: Array, labels: Array, truth: Array) -> dict[str, Array]:
    """Errors, ulps and digits of a variant, row by row; NaN where it does not run at all."""
    problem = ""
    try:
        found = _results(unit, z, labels, np.ones(len(z), z.dtype))
        with np.errstate(over="ignore"):
            errors = relative_errors(found.astype(z.dtype), truth)
    except UnitError as error:
        errors, problem = np.full(truth.shape, np.nan), str(error)
    ulps = errors / _last_place(truth, z.dtype)
    value, gradient = errors[:, 0], np.fmax.reduce(errors[:, 1:], axis=1)
    return {
        "value_digits": _digits(value, z.dtype),
        "gradient_digits": _digits(gradient, z.dtype),
        "value_ulps": ulps[:, 0],
        "gradient_ulps": np.fmax.reduce(ulps[:, 1:], axis=1),
        "value_error": value,
        "gradient_error": gradient,
        "true_class_error": errors[np.arange(len(z)), 1 + labels],
        "problem": np.full(len(z), problem, dtype=object),
    }


def relative_errors(found: Array, truth: Array) -> Array:
    """Of floats, entry by entry: NaN where the truth is not normal, ∞ for what is not finite."""
    info, finite = np.finfo(found.dtype), np.isfinite(found)
    errors = np.full(truth.shape, np.nan)
    with mp.workdps(COMPARED):
        size = abs(truth)
        held = (size <= float(info.max)).astype(bool)
        there = held & finite & (size >= float(info.tiny)).astype(bool)
        errors[there] = abs(each_exactly(found[there]) - truth[there]) / size[there]
    errors[held & ~finite] = np.inf  # a NaN for what underflows is wrong, too
    return errors


def _last_place(truth: Array, dtype: np.dtype[Any]) -> Array:
    """The unit of the last place of the truth, relative to it, where it is normal."""
    size, info = abs(truth).astype(float), np.finfo(dtype)
    size = np.where((size >= float(info.tiny)) & (size <= float(info.max)), size, 1)
    return np.asarray(np.spacing(size.astype(dtype)).astype(float) / size)


def _digits(errors: Array, dtype: Any) -> Array:
    with np.errstate(divide="ignore"):
        return np.clip(-np.log10(errors), 0, digits_of(dtype)) + 0.0  # and no -0


def digits_of(dtype: Any) -> float:
    """The digits of a result that is rounded once: 15.95, 7.22, 3.31."""
    return float(-np.log10(float(np.finfo(dtype).eps) / 2))
