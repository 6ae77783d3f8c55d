"""Wrong units as people write them: the check that must refuse each, and the name it must give.

They are written by hand, and not planted: what a person types is not a transformation of what is
right. What they are made from is right, so that a wrong one is refused for what it does wrong.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from wrong_units import Diagonal, Dropped, Right, Writes

from pullback import check


@dataclass(frozen=True)
class Rows:
    """ŷ = softmax z, right as it stands."""

    def forward(self, z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def backward(self, residual, dy):
        y = residual
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Parameters:
    """y = x W + b, right as it stands."""

    def init(self, rng, shape):
        return {"W": rng.normal(size=(shape[0], 5)), "b": np.zeros((1, 5))}

    def forward(self, x, W, b):
        return x @ W + b, (x, W)

    def backward(self, residual, dy):
        x, W = residual
        x, W = np.swapaxes(x, -1, -2), np.swapaxes(W, -1, -2)
        return dy @ W, x @ dy, dy.sum(axis=-2, keepdims=True)


@dataclass(frozen=True)
class OnLogits:
    """ℓ = log Σ eᶻ − z_label, right as it stands; target: labels."""

    def forward(self, y, target):
        t = (target[..., None] == np.arange(y.shape[-1])).astype(y.real.dtype)
        d = y - y.max(axis=-1, keepdims=True)
        e = np.exp(d)
        total = e.sum(axis=-1, keepdims=True)
        return np.log(total[..., 0]) - (t * d).sum(axis=-1), (e / total, t)

    def backward(self, residual, dl):
        y, t = residual
        return (y - t) * dl[..., None]


RIGHT = [Right, Rows, Parameters, OnLogits]
WRONG: list[tuple[type, str, str]] = [
    (Diagonal, "pullback", "diagonal only"),
    (Dropped, "pullback", "upstream gradient dropped"),
    (Writes, "pure", "damage in place"),
]


def wrong(caught_by, mistake=""):
    """Note a class as a unit that a check must refuse, and the name of what is wrong."""

    def noted(cls):
        cls = dataclass(frozen=True)(cls)
        WRONG.append((cls, caught_by, mistake))
        return cls

    return noted


@wrong("pullback", "sign")
class SignFlipped(Right):
    def backward(self, residual, dy):
        return -super().backward(residual, dy)


@wrong("pullback", "sign")
class SignOfTheLossFlipped(OnLogits):
    def backward(self, residual, dl):
        return -super().backward(residual, dl)


@wrong("pullback")
class Nothing(Rows):
    """What a cotangent of ones would not show: the rows of J add up to 0."""

    def backward(self, residual, dy):
        return np.zeros_like(dy)


@wrong("pullback", "upstream gradient dropped")
class UpstreamOfTheLossDropped(OnLogits):
    def backward(self, residual, dl):
        y, t = residual
        return y - t


@wrong("pullback", "already ŷ − y")
class FusedByConvention(Rows):
    """The gradient of a loss that is to follow, in the place of the layer's own."""

    def backward(self, residual, dy):
        return residual - dy


@wrong("pullback", "wrong residual")
class WrongResidual(Right):
    """1 − x² for 1 − y²."""

    def forward(self, x):
        return np.tanh(x), x


@wrong("pullback", "sum over the rows")
class WrongRows(Rows):
    """The sum of the product over the rows, not over the classes."""

    def backward(self, residual, dy):
        return residual * (dy - (dy * residual).sum(axis=0, keepdims=True))


@wrong("pullback", "float32 in the middle")
class RoundedToFloat32(Rows):
    def backward(self, residual, dy):
        return super().backward(residual, dy.astype(np.float32)).astype(dy.dtype)


@wrong("pullback", "transposed weight")
class TransposedWeight(Parameters):
    """W for Wᵀ, with the shapes made to fit."""

    def backward(self, residual, dy):
        _, W = residual
        transposed = np.reshape(W, (*W.shape[:-2], W.shape[-1], W.shape[-2]))
        return (dy @ transposed, *super().backward(residual, dy)[1:])


@wrong("pullback", "first row only")
class BiasNotSummed(Parameters):
    """The gradient of the first row for that of all."""

    def backward(self, residual, dy):
        return (*super().backward(residual, dy)[:2], dy[..., :1, :])


@wrong("shapes", "not summed over the rows")
class BiasOfEveryRow(Parameters):
    def backward(self, residual, dy):
        return (*super().backward(residual, dy)[:2], dy)


@wrong("pullback", "mean of the rows in a weight")
class WeightAveraged(Parameters):
    def backward(self, residual, dy):
        dx, dW, db = super().backward(residual, dy)
        return dx, dW / dy.shape[-2], db


@wrong("pullback", "mean of the rows in all parameters")
class EverythingAveraged(Parameters):
    """1/m, as in a lecture whose loss is a sum."""

    def backward(self, residual, dy):
        dx, dW, db = super().backward(residual, dy)
        return dx, dW / dy.shape[-2], db / dy.shape[-2]


@wrong("shapes", "gradients of parameters swapped")
class GradientsSwapped(Parameters):
    def backward(self, residual, dy):
        dx, dW, db = super().backward(residual, dy)
        return dx, db, dW


@wrong("pullback")
class GradientLeftOut(Parameters):
    def backward(self, residual, dy):
        return super().backward(residual, dy)[:2]


@wrong("pullback", "mean taken twice")
class MeanInTheLoss(OnLogits):
    """The engine's 1/N once more."""

    def backward(self, residual, dl):
        return super().backward(residual, dl) / len(dl)


@wrong("pullback", "ŷ − y where Σy ≠ 1")
class RowsOfSumOne(OnLogits):
    """ŷ − t for soft rows, whose sum may be another: in general it is ŷ Σt − t."""

    def forward(self, y, target):
        if target.dtype.kind in "iu":
            return super().forward(y, target)
        d = y - y.max(axis=-1, keepdims=True)
        e = np.exp(d)
        total = e.sum(axis=-1, keepdims=True)
        return (target * (np.log(total) - d)).sum(axis=-1), (e / total, target)


@wrong("dtypes", "float64 constant")
class TurnedToFloat64(Rows):
    """An identity matrix without a dtype."""

    def backward(self, residual, dy):
        y = residual
        J = y[..., :, None] * (np.eye(y.shape[-1]) - y[..., None, :])
        return (dy[..., None, :] @ J)[..., 0, :]


@wrong("shapes", "loss in a column")
class OneLossInAColumn(OnLogits):
    def forward(self, y, target):
        value, residual = super().forward(y, target)
        return value[..., None], residual

    def backward(self, residual, dl):
        return super().backward(residual, dl[..., 0])


@wrong("precision", "float16 in the middle")
class RoundedToFloat16(Right):
    """Right in float64, and without digits in float32."""

    def backward(self, residual, dy):
        dx = super().backward(residual, dy)
        return dx.astype(np.float16).astype(dy.dtype) if dy.dtype == np.float32 else dx


@wrong("linear", "gradient clipped")
class Clipped(Right):
    """Right for every cotangent of an ordinary size."""

    def backward(self, residual, dy):
        return np.clip(super().backward(residual, dy), -100, 100)


@wrong("pure", "input written to")
class WritesIntoItsInput(Rows):
    def forward(self, z):
        z -= z.max(axis=-1, keepdims=True)
        return super().forward(z)


@wrong("pure", "residual used up")
class WritesIntoItsResidual(Right):
    def forward(self, x):
        y = np.tanh(x)
        return y, y.copy()

    def backward(self, residual, dy):
        residual *= residual
        return (1 - residual) * dy


@wrong("pure", "stale state on self")
class StateOnSelf(Right):
    def forward(self, x):
        object.__setattr__(self, "y", np.tanh(x))
        return self.y, None

    def backward(self, residual, dy):
        return (1 - self.y * self.y) * dy


@wrong("pure", "stale state on self")
class StateOnTheClass(Right):
    last = None

    def forward(self, x):
        type(self).last = np.tanh(x)
        return self.last, None

    def backward(self, residual, dy):
        return (1 - self.last * self.last) * dy


@wrong("deterministic", "random order of summation")
class AnotherEachTime(Right):
    """A mask drawn in forward, from a generator that goes on."""

    rng = np.random.default_rng(0)

    def forward(self, x):
        mask = self.rng.integers(2, size=x.shape).astype(x.real.dtype)
        return mask * x, mask

    def backward(self, residual, dy):
        return residual * dy


@wrong("out", "out ignored")
class BufferLeftAlone(Right):
    def backward(self, residual, dy, out=None):
        return super().backward(residual, dy)


@wrong("out", "added into the buffer")
class BufferAddedTo(Parameters):
    """Gradients summed into what the buffers held before."""

    def backward(self, residual, dy, out=(None, None, None)):
        gradients = super().backward(residual, dy)
        if out[0] is None:
            return gradients
        return tuple(np.add(one, g, out=one) for one, g in zip(out, gradients, strict=True))


@wrong("out")
class BufferRead(Right):
    """y is in out, and out is overwritten before y was used."""

    def forward(self, x, out=None):
        return np.tanh(x, out=out), x if out is None else out

    def backward(self, residual, dy):
        return (1 - np.tanh(residual) ** 2) * dy


@wrong("out", "other gradients left out with dx")
class OtherGradientsWithoutDx(Parameters):
    def backward(self, residual, dy, needs_dx=True):
        dx, dW, db = super().backward(residual, dy)
        return (dx, dW, db) if needs_dx else (None, dW, 0 * db)


class AtOnce(OnLogits):
    """Both in one call, right as it stands."""

    def value_and_gradient(self, y, target, dl, out=None):
        losses, residual = self.forward(y, target)
        dy = self.backward(residual, dl)
        if out is None:
            return losses, dy
        out[...] = dy
        return losses, out


@wrong("at_once", "upstream gradient dropped")
class AtOnceForASum(AtOnce):
    def value_and_gradient(self, y, target, dl, out=None):
        return super().value_and_gradient(y, target, np.ones_like(dl), out=out)


@wrong("at_once")
class AtOnceOfAMean(AtOnce):
    """L in the place of ℓ."""

    def value_and_gradient(self, y, target, dl, out=None):
        losses, dy = super().value_and_gradient(y, target, dl, out=out)
        return np.full_like(losses, losses.mean()), dy


@wrong("at_once", "classes in one byte")
class AtOnceInOneByte(AtOnce):
    """Classes from 128 on have no gradient."""

    def value_and_gradient(self, y, target, dl, out=None):
        losses, dy = super().value_and_gradient(y, target, dl, out=out)
        dy[:, 128:] = 0
        return losses, dy


@wrong("at_once", "float32 in the middle")
class AtOnceInSinglePrecision(AtOnce):
    def value_and_gradient(self, y, target, dl, out=None):
        losses, dy = super().value_and_gradient(y, target, dl, out=out)
        dy[...] = dy.astype(np.float32)
        return losses, dy


@wrong("at_once", "out ignored")
class AtOnceInAnotherArray(AtOnce):
    def value_and_gradient(self, y, target, dl, out=None):
        return super().value_and_gradient(y, target, dl)


@wrong("at_once", "added into the buffer")
class AtOnceAdded(AtOnce):
    def value_and_gradient(self, y, target, dl, out=None):
        losses, dy = super().value_and_gradient(y, target, dl)
        return losses, dy if out is None else np.add(out, dy, out=out)


@wrong("at_once", "input written to")
class AtOnceOverTheLogits(AtOnce):
    """Its exponentials are in the place of y, which others read."""

    def value_and_gradient(self, y, target, dl, out=None):
        found = super().value_and_gradient(y, target, dl, out=out)
        np.exp(y, out=y)
        return found


@wrong("at_once")
class AtOnceBroken(AtOnce):
    def value_and_gradient(self, y, target, dl, out=None):
        return super().value_and_gradient(y, target, dl)[1]


@wrong("extremes", "maximum of the whole batch")
class GlobalMaximum(Rows):
    """The largest of all rows taken out of each."""

    def forward(self, z):
        e = np.exp(z - z.max())
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y


@wrong("stacked")
class FirstAxis(Parameters):
    """.T and axis 0 in the place of the last axes."""

    def backward(self, residual, dy):
        x, W = residual
        return dy @ W.T, x.T @ dy, dy.sum(axis=0, keepdims=True)


@wrong("sizes", "0/0 for no row")
class MeanOfNoRows(Parameters):
    """Divided by the number of rows and multiplied again: a bias of 0 / 0."""

    def backward(self, residual, dy):
        dx, dW, _ = super().backward(residual, dy)
        return dx, dW, dy.mean(axis=-2, keepdims=True) * dy.shape[-2]


@pytest.mark.parametrize("cls", RIGHT)
def test_what_they_are_made_from_is_right(cls):
    assert check(cls).counts["fail"] == 0


@pytest.mark.parametrize(("cls", "caught_by", "mistake"), WRONG)
def test_a_wrong_unit_is_caught_and_named(cls, caught_by, mistake):
    report = check(cls)
    assert report[caught_by].status == "fail"
    if mistake:
        assert mistake in {one.mistake for one in report.failures}


def test_most_of_them_have_a_name():
    assert sum(bool(mistake) for *_, mistake in WRONG) >= 0.85 * len(WRONG)


def test_what_is_told_is_enough_to_go_on_with():
    """The input, the place, both values, by which oracle, the mistake, the smallest example."""
    found = check(Diagonal)["pullback"]
    assert found.message.startswith("gradient of z is off by ")
    assert f"at {found.place}: backward " in found.message
    assert "50 digits" in found.message
    assert (found.input, found.oracle, found.mistake) == ("z", "50 digits", "diagonal only")
    assert "every ŷ_j depends on every z_i" in found.explanation
    assert found.example.startswith("z = [[")
    assert "give dz = [[" in found.example
    assert abs(found.found - found.expected) > 1e-3
