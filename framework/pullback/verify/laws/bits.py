"""What several checks ask: the same bits, the same shape, nothing kept, nothing written."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from pullback.verify.account import output_names
from pullback.verify.cases import Case, Subject
from pullback.verify.mistakes import named
from pullback.verify.outcome import Failed, Skipped

Shape: TypeAlias = tuple[int, ...]


def needs_free_shapes(subject: Subject) -> None:
    """Skipped for a unit that brings its own samples."""
    if subject.has_samples:
        raise Skipped("samples() gives the only inputs that are tried")


def same_each(case: Case, found: Any, right: Any, when: str, mistake: str = "") -> None:
    """y and every gradient, bit for bit."""
    for name, one, expected in zip(output_names(case), found, right, strict=True):
        same(one, expected, f"{name} {when}", mistake)


def same(found: Any, right: Any, what: str, mistake: str = "") -> None:
    """Bit for bit, with the shape; Failed with the first place that differs and what it may be."""
    if np.shape(found) != np.shape(right):
        raise Failed(f"{what} has shape {np.shape(found)}, and not {np.shape(right)}")
    if not np.array_equal(found, right, equal_nan=True):
        differ = ~((found == right) | (np.isnan(found) & np.isnan(right)))
        at = tuple(int(i) for i in np.argwhere(differ)[0])
        raise Failed(
            f"{what} differs at {at}: {float(np.asarray(found)[at]):.17g}, "
            f"and not {float(np.asarray(right)[at]):.17g}",
            place=at,
            **named(mistake),
        )


def shapes_of(case: Case, gradients: tuple[Any, ...]) -> None:
    """Every gradient has the shape of its value."""
    for name, gradient, value in zip(case.names, gradients, case.inputs, strict=True):
        if gradient.shape != value.shape:
            raise Failed(
                f"d{name} has shape {gradient.shape} and {name} has shape {value.shape}, at "
                f"{case.label}: a gradient has the shape of its value",
                input=name,
                **named(_seen_from(gradient.shape, value.shape, case)),
            )


def _seen_from(gradient: Shape, value: Shape, case: Case) -> str:
    rows, of_loss = case.inputs[0].shape[0], bool(case.target)
    others = [one.shape for one in case.inputs[1:]]
    return mistake_of_shape(gradient, value, rows, others, of_loss=of_loss)


def mistake_of_shape(
    gradient: Shape, value: Shape, rows: int, others: Sequence[Shape] = (), *, of_loss: bool = False
) -> str:
    """The name of the mistake, where the shape of a gradient alone tells it."""
    if gradient == (*value, *value[-1:]):
        return "the Jacobian itself"
    if of_loss and value == (rows, 1) and gradient == (rows, rows):
        return "loss in a column"
    if 1 in value and gradient == tuple(n for n in value if n != 1):
        return "axes of length 1 squeezed"
    if gradient == value[::-1]:
        return "transposed gradient"
    if value[:1] == (1,) and gradient == (rows, *value[1:]):
        return "not summed over the rows"
    return "gradients of parameters swapped" if gradient in others else ""


def frozen(array: Any) -> Any:
    """A copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


def memory(unit: Any) -> dict[str, bytes | str]:
    """What is kept on the unit and on its classes."""
    places = {"self": unit} | {f"the class {one.__name__}": one for one in type(unit).__mro__[:-1]}
    return {
        f"{name} on {place}": fingerprint(value)
        for place, holder in places.items()
        for name, value in getattr(holder, "__dict__", {}).items()
        if not name.startswith("__")
    }


def nothing_new(unit: Any, kept: dict[str, bytes | str]) -> None:
    """Failed where the unit's memory is another than it was."""
    for name, value in memory(unit).items():
        if kept.get(name) != value:
            raise Failed(
                f"it keeps {name} from one call to the next: a residual, or an optimizer's state, "
                f"is what is carried",
                **named("stale state on self"),
            )


def fingerprint(value: Any) -> bytes | str:
    """The same for equal values."""
    try:
        return pickle.dumps(value)
    except Exception:  # a function, a lock: what cannot be pickled is told by its name
        return repr(value)
