"""The network: one flat θ, a tape, and a gradient that is right through every stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pullback import Net, build
from pullback.errors import ConfigError, RunError
from pullback.loss import loss_and_cotangent, loss_value

STAGES = {
    "z1": {"name": "affine", "width": 7},
    "a1": "tanh",
    "z2": {"name": "affine", "width": "classes"},
}
RNG = np.random.default_rng(1)
X = RNG.normal(size=(6, 4))
LABELS = RNG.integers(3, size=6)


def founding(dtype: str = "float64", seed: int = 0) -> Net:
    return Net(STAGES, 4, classes=3, dtype=dtype, seed=seed)


def complex_step(net: Net, loss, x, labels) -> np.ndarray:
    """dL/dθ by one forward pass a parameter, exact to rounding."""
    theta, found = net.theta.copy(), np.empty(net.theta.shape)
    for i in range(theta.size):
        values, at = [], 0
        moved = theta.astype(complex)
        moved[i] += 1e-200j
        y = x.astype(complex)
        for stage in net.stages:
            values = []
            for parameter in stage.params.values():
                values.append(moved[at : at + parameter.size].reshape(parameter.shape))
                at += parameter.size
            y, _ = stage.layer.forward(y, *values)
        losses, _ = loss.forward(y, labels)
        found[i] = losses.mean().imag / 1e-200
    return found


@pytest.mark.parametrize("name", ["cross_entropy_vjp", "cross_entropy_exact", "mse"])
def test_the_gradient_of_theta_is_the_complex_step_derivative_of_the_mean_loss(name):
    net, loss = founding(), build("loss", name)
    value, y = net.value_and_gradient(X, LABELS, loss)
    assert y.shape == (6, 3)
    assert value == pytest.approx(loss_value(loss, net(X), LABELS), rel=1e-14)
    expected = complex_step(net, loss, X, LABELS)
    assert np.abs(expected).max() > 1e-2  # else the comparison would show nothing
    np.testing.assert_allclose(net.gradient, expected, rtol=1e-12, atol=1e-15)


def test_parameters_and_gradients_are_views_of_the_flat_vectors():
    net = founding()
    assert net.theta.shape == (4 * 7 + 7 + 7 * 3 + 3,)
    net.theta[:] = np.arange(net.theta.size)
    assert net.params["z1"]["W"][0].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert net.params["z2"]["b"].tolist() == [[56, 57, 58]]
    net.gradients["z1"]["b"][...] = 5
    assert net.gradient[28:35].tolist() == [5] * 7


def test_every_gradient_has_the_shape_of_its_value():
    net = founding()
    net.value_and_gradient(X, LABELS, build("loss", "cross_entropy_jacobian"))
    for name, params in net.params.items():
        for key, value in params.items():
            assert net.gradients[name][key].shape == value.shape


def test_first_parameters_depend_on_the_seed_and_the_stage_alone():
    one, same, other = founding(), founding(), founding(seed=1)
    assert np.array_equal(one.theta, same.theta)
    assert not np.array_equal(one.params["z1"]["W"], other.params["z1"]["W"])
    inserted = {"z0": {"name": "affine", "width": 4}, **STAGES}
    longer = Net(inserted, 4, classes=3, dtype="float64")
    assert np.array_equal(one.params["z1"]["W"], longer.params["z1"]["W"])
    assert not np.array_equal(one.params["z1"]["W"][:3, :3], one.params["z2"]["W"][:3, :3])


def test_buffers_do_not_change_a_bit_and_are_used_again():
    net, loss = founding(), build("loss", "cross_entropy_exact")
    fresh, tape = net.forward(X)
    _, dy = loss_and_cotangent(loss, fresh, LABELS)
    net.backward(tape, dy)
    without = net.gradient.copy()
    net.gradient[:] = np.nan
    _, first = net.value_and_gradient(X, LABELS, loss)
    assert np.array_equal(net.gradient, without)
    assert np.array_equal(first, fresh)
    _, second = net.value_and_gradient(X, LABELS, loss)
    assert second is first or second.base is first.base or np.shares_memory(first, second)


def test_a_prediction_is_the_callers_own():
    net = founding()
    kept = net(X)
    copy = kept.copy()
    net.value_and_gradient(X + 1, LABELS, build("loss", "mse"))
    assert np.array_equal(kept, copy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_type_is_kept_everywhere(dtype):
    net = founding(dtype)
    _, y = net.value_and_gradient(X.astype(dtype), LABELS, build("loss", "cross_entropy_fused"))
    assert y.dtype == net.theta.dtype == net.gradient.dtype == np.dtype(dtype)


def test_l2_applies_to_the_weights_and_not_to_the_biases():
    net = founding()
    assert net.weights[:28].all()
    assert not net.weights[28:35].any()
    assert net.weights.sum() == 28 + 21


def test_reductions():
    net, loss = founding(), build("loss", {"name": "nll", "ignore_index": 2, "weight": [1, 3, 1]})
    y, labels = np.log(np.full((4, 3), 1 / 3)), np.array([0, 1, 2, 1])
    each = loss_value(loss, y, labels, "none")
    np.testing.assert_allclose(each, np.log(3) * np.array([1, 3, 0, 3]), rtol=1e-15)
    assert loss_value(loss, y, labels, "sum") == pytest.approx(7 * np.log(3))
    assert loss_value(loss, y, labels) == pytest.approx(np.log(3))  # weights 1 + 3 + 3
    _, dy = loss_and_cotangent(loss, y, labels)
    assert dy[1, 1] == pytest.approx(-3 / 7)
    assert not dy[2].any()
    with pytest.raises(ConfigError, match="reduction mean or sum, not 'none'"):
        net.value_and_gradient(X, LABELS, loss, "none")
    with pytest.raises(RunError, match="every target of the batch is ignored"):
        loss_and_cotangent(loss, y, np.full(4, 2))


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ({}, "at least one stage"),
        ({"a1": "tahn"}, r"net\.a1: nothing is called 'tahn'.*did you mean 'tanh'"),
        ({"z": {"width": 3}}, r"net\.z: a layer needs its 'name'"),
        ({"z": {"name": "affine"}}, r"net\.z: affine needs a value for 'width'"),
        ({"z": {"name": "affine", "width": 0}}, r"net\.z: width must be at least 1"),
        ({"z": {"name": "affine", "width": "many"}}, r"net\.z\.width: .*'many'.*Integer"),
        (
            {"z": {"name": "affine", "width": 3, "W": {"name": "given", "values": [[1.0, 2.0]]}}},
            r"net\.z: affine cannot take an input of shape \('N', 4\).*\(4, 3\)",
        ),
    ],
)
def test_a_network_that_does_not_fit_is_refused_with_the_stage(stages, message):
    with pytest.raises(ConfigError, match=message):
        Net(stages, 4, classes=3)


@dataclass(frozen=True)
class Widens:
    def forward(self, x):
        return x.astype(np.float64), None

    def backward(self, residual, dy):
        return dy


@dataclass(frozen=True)
class JacobianReturned:
    """The founding question's doubt: the C × C Jacobian in the place of the 1 × C product."""

    def forward(self, x):
        return x, x

    def backward(self, residual, dy):
        return np.broadcast_to(np.eye(residual.shape[-1]), (*residual.shape, residual.shape[-1]))


@dataclass(frozen=True)
class FlatBias:
    def init(self, rng, shape):
        return {"b": np.zeros((1, shape[-1]))}

    def forward(self, x, b):
        return x + b, None

    def backward(self, residual, dy):
        return dy, dy.sum(axis=0)


@dataclass(frozen=True)
class Breaks:
    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        raise ZeroDivisionError("oops")


@dataclass(frozen=True)
class MeanLoss:
    def forward(self, y, target):
        return y.mean(), None

    def backward(self, residual, dl):
        return dl


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (JacobianReturned(), r"stage j \(jacobian_returned\): dx has shape \(6, 4, 4\).*\(6, 4\)"),
        (FlatBias(), r"stage j \(flat_bias\): db has shape \(4,\) and b has shape \(1, 4\)"),
        (Breaks(), r"stage j \(breaks\): backward raised ZeroDivisionError: oops"),
    ],
)
def test_a_wrong_stage_is_named(layer, message):
    # A stage in front, so that the engine has a use for dx.
    net = Net({"first": "identity", "j": layer}, 4, dtype="float64")
    with pytest.raises(RunError, match=message):
        net.value_and_gradient(X, RNG.normal(size=(6, 4)), build("loss", "mse"))


def test_a_stage_that_changes_the_type_is_refused():
    with pytest.raises(ConfigError, match=r"net\.w: widens turns float32 into float64"):
        Net({"w": Widens()}, 4)


def test_a_loss_that_averages_itself_is_told_to_return_one_value_a_row():
    with pytest.raises(RunError, match=r"mean_loss: forward returned shape \(\).*one value for"):
        Net({"a": "identity"}, 4).value_and_gradient(X.astype("f"), LABELS, MeanLoss())


@dataclass(frozen=True)
class AtOnce:
    """½(y − t)², whose two parts must not be asked for where both are to be had at once."""

    losses: tuple[int, ...] = (6,)

    def forward(self, y, target):
        raise AssertionError

    def backward(self, residual, dl):
        raise AssertionError

    def value_and_gradient(self, y, target, dl, out=None):
        d = y - target
        losses = (d * d).sum(axis=-1) / 2
        return np.resize(losses, self.losses), np.multiply(d, dl[..., None], out=out)


@dataclass(frozen=True)
class AtOnceOfOneRow(AtOnce):
    def value_and_gradient(self, y, target, dl, out=None):
        losses, dy = super().value_and_gradient(y, target, dl)
        return losses, dy[0]


def test_value_and_gradient_of_a_loss_are_had_at_once_where_they_can_be():
    net, target = Net({"a": "identity"}, 4, dtype="float64"), RNG.normal(size=(6, 4))
    value, y = net.value_and_gradient(X, target, AtOnce())
    assert value == pytest.approx(((X - target) ** 2).sum() / 12)
    _, dy = loss_and_cotangent(AtOnce(), y, target, "sum")
    np.testing.assert_allclose(dy, X - target)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (AtOnce((1,)), r"at_once: value_and_gradient returned shape \(1,\).*one value for each"),
        (AtOnceOfOneRow(), r"value_and_gradient returned a gradient of shape \(4,\) for a pred"),
    ],
)
def test_a_wrong_loss_at_once_is_named(loss, message):
    net = Net({"a": "identity"}, 4, dtype="float64")
    with pytest.raises(RunError, match=message):
        net.value_and_gradient(X, RNG.normal(size=(6, 4)), loss)


@pytest.mark.parametrize("way", ["forward", "value_and_gradient"])
def test_a_loss_returns_two_things(way):
    class Alone(MeanLoss):
        def forward(self, y, target):
            return y[:, 0]

    if way == "value_and_gradient":
        Alone.value_and_gradient = lambda self, y, target, dl: y
    with pytest.raises(RunError, match=rf"alone: {way} returned ndarray, and not \(ℓ, "):
        loss_and_cotangent(Alone(), X, X)


def test_weights_that_cannot_be_had_are_the_losss_mistake():
    class Weighs(AtOnce):
        def example_weights(self, target):
            raise KeyError("no weights")

    with pytest.raises(RunError, match="weighs: example_weights raised KeyError"):
        loss_and_cotangent(Weighs(), X, X)


def test_a_label_out_of_range_is_told_of_whatever_the_weights():
    loss = build("loss", {"name": "nll", "weight": [1, 3, 1]})
    with pytest.raises(RunError, match="the target of row 1 is 3, and there are 3 classes"):
        loss_and_cotangent(loss, np.zeros((2, 3)), np.array([0, 3]))
