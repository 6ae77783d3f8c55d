"""Every backward stage of a derivation against an oracle, with right gradients arriving."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pullback.derivations import hints, source
from pullback.derivations.draws import Draw, Whole, called, draws
from pullback.derivations.naming import name_of_shape, name_of_value
from pullback.derivations.source import Derivation, Stage
from pullback.derivations.verdict import Judged, Verdicts
from pullback.errors import ConfigError
from pullback.units import Array
from pullback.verify.account import Computed
from pullback.verify.gradients import deviation, exact_gradients, told_apart
from pullback.verify.oracles import EPS, ROUNDINGS, Unavailable
from pullback.verify.outcome import Inconclusive

SEED = 0


def explain(path: Path | str, seed: int | None = None) -> Verdicts:
    """What is right and what is wrong in a derivation file, judged at random values.

    Its code is run as it stands. ``seed`` draws the values; without one they are always the same.
    Raises ConfigError for a file that is no derivation, or whose forward stages fail or are not
    those of its form.
    """
    found, seed = source.load(Path(path)), SEED if seed is None else seed
    points, wanted = _points(found, seed), set[str]()
    if found.form:
        model = source.solution(found.form)
        wanted = {one.name for one in model.backward.values() if one.of not in model.forward}
    stages = [_judged(stage, points) for stage in found.backward.values()]
    stages += [_missing(name) for name in sorted(wanted - set(found.backward))]
    return Verdicts(str(path), found.form, (seed,), tuple(stages))


def _points(found: Derivation, seed: int) -> Sequence[Draw]:
    """Where it is judged: a form at what its own solution is given, whose forward it has."""
    if not found.form:
        return list(draws(found, seed))
    model = source.solution(found.form)
    right = _points_of_form(found.form, seed)
    if found.text_forward == model.text_forward:
        return right  # with the right gradients that are known of it
    mine = list(draws(replace(found, given=model.given), seed))
    for one, other in zip(mine, right, strict=True):
        _same_forward(found, one, other)
    return mine


@functools.cache
def _points_of_form(form: str, seed: int) -> Sequence[Draw]:
    return list(draws(source.solution(form), seed))


def _same_forward(found: Derivation, mine: Draw, right: Draw) -> None:
    """The forward stages of a form are given: a change of them is told before anything else."""
    for name, stage in found.forward.items():
        if name in right.values and not _same(mine.values[name], right.values[name]):
            told = f"line {stage.line}: {name} is not what the form '{found.form}' computes"
            raise ConfigError(told, str(found.path))


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-6, atol=1e-9))


def _missing(name: str) -> Judged:
    return Judged(name, 0, "to do", "it is not in the file")


def _judged(stage: Stage, points: Sequence[Draw]) -> Judged:
    """Right at every point; or what is wrong at the first where it is not."""
    judged = Judged(
        stage.name, stage.line, "right", solution=_solution(stage, points[0].model.form)
    )
    for point in points:
        try:
            found = called(stage, point, {}, point.values[stage.of])
        except NotImplementedError:
            return replace(judged, status="to do")
        except Exception as error:
            return replace(judged, status="wrong", message=_raised(stage, error))
        if found.dtype == object:
            return replace(judged, status="to do")
        shape, wanted = found.shape, point.values[stage.of].shape
        if shape != wanted:
            message = f"it has shape {_shape(shape)}, and {stage.of} has {_shape(wanted)}"
            return _wrong(judged, message, name_of_shape(stage, point, found), of_shape=True)
        message = _off(stage, point, found)
        if message:
            return _wrong(judged, message, name_of_value(stage, points))
    return judged


def _wrong(judged: Judged, message: str, mistake: str, *, of_shape: bool = False) -> Judged:
    return replace(
        judged,
        status="wrong",
        message=message,
        mistake=mistake,
        hint=hints.hint(mistake, of_shape=of_shape),
        explanation=hints.explanation(mistake),
    )


def _off(stage: Stage, point: Draw, found: Array) -> str:
    """How far a gradient of the right shape is off; nothing where it is right.

    In exact numbers, up to the rounding of its constants, if its code and forward run on them; in
    floats with some roundings else.
    """
    whole = Whole(point.exact or point, stage.of, stage)
    truth = whole.draw.right(stage.of)
    own = _exactly(whole) if point.exact else None
    if own is None:
        own = Computed(np.atleast_1d(found), ROUNDINGS * EPS * truth.size)
    beyond = deviation(own, truth)
    if not beyond.any():
        return ""
    at = np.unravel_index(np.nan_to_num(beyond, nan=np.inf).argmax(), beyond.shape)
    mine, right = float(own.value[at]), float(truth.middle[at])
    where = f" at {list(map(int, at))}" if found.ndim else ""
    return f"it is {told_apart(mine, right)}{where}, and {told_apart(right, mine)} is right"


def _exactly(whole: Whole) -> Computed | None:
    """What the stage gives in exact numbers; None where it does not run on them."""
    try:
        return exact_gradients(whole.case, np.ones(1))[1][0]
    except (Unavailable, Inconclusive):
        return None


def _raised(stage: Stage, error: Exception) -> str:
    """What a stage raised, and in which line of the file."""
    file = stage.function.__code__.co_filename
    lines = [
        one.lineno for one in traceback.extract_tb(error.__traceback__) if one.filename == file
    ]
    where = f" (line {lines[-1]})" if lines else ""
    return f"it raised {type(error).__name__}: {error}{where}"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _solution(stage: Stage, form: str) -> str:
    """The right stage of the form; nothing of a derivation of one's own."""
    if not form or stage.name not in source.solution(form).backward:
        return ""
    return source.solution(form).text_of(stage.name)
