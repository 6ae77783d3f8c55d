"""Training twins: two variants from the same seed, and whether they differ or only round otherwise.

Both are trained with the same first θ, data and batches, once in float32 and once in float64. After
each step their distance is measured in units in the last place of each parameter's largest entry,

    u = max |θ_a − θ_b| / ulp(max |θ_a|),    the largest over the parameters.

Rounding is finer in float64, so if the two only round otherwise they are about as many of its ulp
apart as of float32's: u64 ≈ u32. If they compute something else, they are as far apart as before,
which is 2²⁹ times as many: u64 ≈ 2²⁹ u32. The line is drawn in the middle, at 2¹⁴·⁵.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pullback import checkpoint
from pullback.data import Batches
from pullback.errors import ConfigError
from pullback.evaluation import Metrics
from pullback.job import Job, build_job
from pullback.training import Result
from pullback.units import Array

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["identical", "rounding drift", "difference"]

_BETWEEN = 2.0**14.5  # of 1 and 2²⁹, by ratio
_DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Trained:
    """A job, θ before its first step and after each, its losses, and how it ended."""

    job: Job
    theta: Array
    losses: list[float]
    result: Result

    @property
    def ending(self) -> str:
        return self.result.verdict or self.result.status


@dataclass(frozen=True)
class Twins:
    """What became of two jobs. ``frame`` has a row a step: step, the two losses, and the distances
    in ulp of float32 and of float64; ``parted`` is the first step after which they are not the
    same, in the bits of ``dtype`` or, where they differ, in what they compute; None: never.
    """

    kind: Kind
    parted: int | None
    dtype: str
    frame: pd.DataFrame
    endings: tuple[str, str]
    evidence: Mapping[str, Array]

    def save(self, path: Path) -> None:
        """The batch at which they part, θ before it, and the gradient that each has there."""
        facts = {"kind": self.kind, "step": self.parted, "dtype": self.dtype}
        checkpoint.save(path, self.evidence, facts)


def twins(a: Job, b: Job) -> Twins:
    """Train two jobs side by side. ConfigError where they cannot be compared step by step:
    other parameters, other data, other batches."""
    _refuse_strangers(a, b)
    distances: dict[str, list[float]] = {}
    own = str(a.net.dtype)
    with tempfile.TemporaryDirectory() as folder:
        kept: dict[str, tuple[Trained, Trained]] = {}
        for dtype in _DTYPES:
            one, other = (Path(folder) / f"{dtype}-{name}.npy" for name in "ab")
            kept[dtype] = _trained(a, dtype, one), _trained(b, dtype, other)
            distances[dtype] = list(_distances(*kept[dtype]))
        first, second = kept[own]
        kind, parted = _judged(distances, own, (first.result, second.result))
        frame = _frame(first, second, distances)
        evidence = _evidence(kept[own], parted) if parted is not None else {}
    return Twins(kind, parted, own, frame, (first.ending, second.ending), evidence)


def _refuse_strangers(a: Job, b: Job) -> None:
    shapes = [
        {name: {k: v.shape for k, v in params.items()} for name, params in job.net.params.items()}
        for job in (a, b)
    ]
    if shapes[0] != shapes[1]:
        raise ConfigError(f"twins have the same parameters, not {shapes[0]} and {shapes[1]}")
    if a.data.digest != b.data.digest or a.seed != b.seed or a.net.dtype != b.net.dtype:
        raise ConfigError("twins have the same data, seed and dtype")
    if a.recipe.batch_size != b.recipe.batch_size or a.steps != b.steps:
        raise ConfigError("twins have the same batches and as many steps")


def _trained(job: Job, dtype: str, file: Path) -> Trained:
    """A run in a float type, with every θ on the way kept in a file."""
    built = build_job({**job.config, "dtype": dtype})
    recipe = replace(built.recipe, evaluate_every=built.steps + 1, patience=None, select="last")
    built = replace(built, recipe=recipe, reference=None)
    theta = np.lib.format.open_memmap(
        file,
        mode="w+",
        dtype=dtype,
        shape=(built.steps + 1, built.net.theta.size),
    )
    theta[0] = built.net.theta
    losses: list[float] = []

    def observe(step: int, metrics: Metrics) -> None:
        losses.append(metrics["train_loss"])
        if step < built.steps:
            theta[step + 1] = built.net.theta

    with np.errstate(all="ignore"):
        result = built.train(observe=observe)
    return Trained(built, theta, losses, result)


def _distances(a: Trained, b: Trained) -> Iterator[float]:
    """In ulp, before the first step and after each."""
    steps = min(a.result.steps, b.result.steps)
    parts = [view for params in a.job.net.params.values() for view in params.values()]
    edges = np.cumsum([0, *(part.size for part in parts)])
    for x, y in zip(a.theta[: steps + 1], b.theta[: steps + 1], strict=True):
        apart = [
            float(np.abs(x[i:j] - y[i:j]).max() / np.spacing(np.abs(x[i:j]).max()))
            for i, j in itertools.pairwise(edges)
            if j > i
        ]
        yield max(apart, default=0.0)


def _judged(
    distances: Mapping[str, list[float]], own: str, results: tuple[Result, Result]
) -> tuple[Kind, int | None]:
    """What they are, and after which step they first were not the same."""
    for step, (single, double) in enumerate(zip(*distances.values(), strict=False)):
        if double > _BETWEEN * max(single, 1.0):
            return "difference", max(step - 1, 0)
    if (results[0].status == "not finite") != (results[1].status == "not finite"):
        return "difference", min(one.steps for one in results)
    parted = next((step for step, one in enumerate(distances[own]) if one), None)
    return ("identical", None) if parted is None else ("rounding drift", max(parted - 1, 0))


def _frame(a: Trained, b: Trained, distances: Mapping[str, list[float]]) -> pd.DataFrame:
    import pandas as pd

    steps = min(map(len, distances.values()))
    losses = [(one.losses + [math.nan] * steps)[:steps] for one in (a, b)]
    columns = {f"ulp_{dtype}": found[:steps] for dtype, found in distances.items()}
    return pd.DataFrame({"step": range(steps), "loss_a": losses[0], "loss_b": losses[1], **columns})


def _evidence(pair: tuple[Trained, Trained], step: int) -> dict[str, Array]:
    """The batch of a step, θ of both before it, and the gradient that each has at the first's θ."""
    job = pair[0].job
    rows, x, target = Batches(job.data.train, job.recipe.batch_size, job.seed).at(step)
    found = {"x": x, "target": target, "rows": np.arange(len(x)) if rows is None else rows}
    for name, one in zip("ab", pair, strict=True):
        net, theta = one.job.net, pair[0].theta[step]
        net.theta[...] = theta
        with np.errstate(all="ignore"):
            net.value_and_gradient(x, target, one.job.loss, one.job.recipe.reduction)
        found |= {
            f"theta_{name}": np.array(one.theta[step]),
            f"gradient_{name}": net.gradient.copy(),
        }
    return found
