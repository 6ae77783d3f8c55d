"""The staged computation: the founding question's symbols, equations and numbers, and others'."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from networks import STAGES, founding, rows

from pullback import Net, build, register, registry, trace
from pullback.errors import ConfigError, RunError
from pullback.tracing.local import opened
from pullback.tracing.table import plain

# As the question writes them down, (1) to (7) and back, with what it had lost.
FORWARD = [
    (1, "z1", "x W1 + b1", (1, 500)),
    (2, "a1", "tanh z1", (1, 500)),
    (3, "z2", "a1 W2 + b2", (1, 2)),
    (4, "ŷ", "softmax z2", (1, 2)),
    (5, "l", "log ŷ", (1, 2)),
    (6, "PL", "Σ t l", (1,)),
    (7, "L", "−(1/N) Σ PL", ()),
]
BACK = [
    (7, "dPL", "−1/N", (1,)),
    (6, "dl", "t dPL", (1, 2)),
    (5, "dŷ", "(1/ŷ) ∘ dl", (1, 2)),
    (4, "dz2", "ŷ ∘ (dŷ − Σ dŷ ŷ)", (1, 2)),
    (3, "dW2", "a1ᵀ dz2", (500, 2)),
    (3, "db2", "Σ dz2 over the rows", (1, 2)),
    (3, "da1", "dz2 W2ᵀ", (1, 500)),
    (2, "dz1", "(1 − a1²) da1", (1, 500)),
    (1, "dW1", "xᵀ dz1", (2, 500)),
    (1, "db1", "Σ dz1 over the rows", (1, 500)),
]


def told(steps):
    return [(one.number, one.symbol, one.equation, one.value.shape) for one in steps]


def test_the_founding_network_is_the_questions():
    found = founding()
    assert told(found.forward) == FORWARD
    assert told(found.backward) == BACK
    assert list(found.given) == ["x", "W1", "b1", "W2", "b2", "t"]


@pytest.mark.parametrize("number", [1, 5])
def test_the_numbers_are_those_of_a_hand_computation(number):
    """Every value and gradient of the question, written out with plain NumPy, to 1e-12."""
    found = founding(number)
    x, W1, b1, W2, b2 = (found[name] for name in ("x", "W1", "b1", "W2", "b2"))
    t = np.eye(2)[rows(number)[1]]
    z1 = x @ W1 + b1
    a1 = (np.exp(z1) - np.exp(-z1)) / (np.exp(z1) + np.exp(-z1))
    z2 = a1 @ W2 + b2
    ŷ = np.exp(z2) / np.exp(z2).sum(axis=1, keepdims=True)
    ln = np.log(ŷ)
    PL = (ln * t).sum(axis=1)
    dPL = np.full(number, -1 / number)
    dl = t * dPL[:, None]
    dŷ = dl / ŷ
    dz2 = np.empty_like(z2)
    for n in range(number):
        J = np.diag(ŷ[n]) - np.outer(ŷ[n], ŷ[n])
        dz2[n] = dŷ[n] @ J
    da1 = dz2 @ W2.T
    dz1 = da1 / np.cosh(z1) ** 2
    expected = {
        "z1": z1, "a1": a1, "z2": z2, "ŷ": ŷ, "l": ln, "PL": PL, "L": -PL.sum() / number,
        "dPL": dPL, "dl": dl, "dŷ": dŷ, "dz2": dz2, "dW2": a1.T @ dz2,
        "db2": dz2.sum(axis=0, keepdims=True), "da1": da1, "dz1": dz1, "dW1": x.T @ dz1,
        "db1": dz1.sum(axis=0, keepdims=True),
    }  # fmt: skip
    for symbol, value in expected.items():
        assert found[symbol].shape == np.shape(value)
        np.testing.assert_allclose(found[symbol], value, rtol=1e-12, atol=1e-15, err_msg=symbol)
    np.testing.assert_allclose(dz2, (ŷ - t) / number, rtol=1e-12)


LOSSES = ["cross_entropy_jacobian", "cross_entropy_fused", "cross_entropy_exact", "mse"]
LOSSES += [{"name": "cross_entropy_vjp", "label_smoothing": 0.1}]
LOSSES += [{"name": "cross_entropy_vjp", "weight": [0.5, 2.0, 1.25]}]
LOSSES += [{"name": "cross_entropy_fused", "ignore_index": 1}]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_every_gradient_is_the_engines_and_of_the_shape_of_its_value(loss):
    found = founding(5, loss, classes=3)
    net = Net(STAGES, 2, classes=3, dtype="float64", seed=5)
    value, _ = net.value_and_gradient(*rows(5, 3), build("loss", loss))
    assert found["L"] == pytest.approx(value, rel=1e-15)
    for stage, number in (("z1", 1), ("z2", 2)):
        for key in "Wb":
            np.testing.assert_allclose(
                found[f"d{key}{number}"], net.gradients[stage][key], rtol=1e-13
            )
    for step in found.backward:
        assert step.value.shape == found[step.of].shape, step.symbol


def test_a_weighted_mean_is_told_as_one():
    weighted = founding(5, {"name": "cross_entropy_vjp", "weight": [0.5, 2.0]})
    assert weighted.forward[-1].equation == "−(1/Σw) Σ PL"
    assert weighted.backward[0].equation == "−1/Σw"
    assert "T" in weighted.given


def test_what_a_stage_keeps_is_counted_in_bytes_without_parameters():
    kept = {one.symbol: one.kept for one in founding().forward}
    assert kept["z1"] == 2 * 8  # x
    assert kept["a1"] == kept["z2"] == 500 * 8  # a1, once as tanh's y and once as affine's x
    assert kept["ŷ"] == kept["l"] == kept["PL"] == 16


@dataclass(frozen=True)
class Cubed:
    def forward(self, u):
        return u**3, {"u": u, "list": [u, np.ones(2)]}

    def backward(self, residual, dy):
        return 3 * residual["u"] ** 2 * dy


def test_a_strangers_unit_needs_no_docstring():
    register(Cubed)
    stages = {
        "h": {"name": "affine", "width": 3},
        "act": "cubed",
        "out": {"name": "affine", "width": 2},
    }
    found = founding(2, "mse", stages=stages)
    by_symbol = {one.symbol: one for one in found.steps}
    assert {"W_h", "b_h", "W_out"} <= set(found.given)
    assert by_symbol["act"].equation == ""
    assert by_symbol["act"].kept == 2 * 3 * 8 + 16
    assert by_symbol["dh"].value.shape == (2, 3)
    assert "act   2×3" in plain(found)


def test_symbols_that_are_taken_get_a_prime():
    stages = {"l": {"name": "affine", "width": "classes"}}
    found = founding(1, stages=stages)
    assert [one.symbol for one in found.forward] == ["l", "ŷ", "l′", "PL", "L"]
    assert found.forward[3].equation == "Σ t l′"


def test_the_frame_has_a_row_for_each_step():
    found = founding()
    frame = found.frame
    assert list(frame["symbol"]) == [one.symbol for one in found.steps]
    assert list(frame["way"].unique()) == ["forward", "back"]
    assert frame.set_index("symbol").loc["dW2", "shape"] == (500, 2)


@pytest.mark.parametrize("number", [1, 6])
@pytest.mark.parametrize("loss", ["cross_entropy_vjp", "cross_entropy_exact"])
def test_it_fits_a_terminal(number, loss):
    text = str(founding(number, loss))
    assert max(map(len, text.splitlines())) <= 80
    assert "−0\n" not in text
    assert not re.search(r" -0(?![.\d])", text)
    assert "…" in text


def test_an_unknown_symbol_is_told():
    with pytest.raises(ConfigError, match="did you mean 'dz2'"):
        founding()["dz22"]


def test_what_a_unit_cannot_do_is_told_with_its_stage():
    net = Net(STAGES, 2, classes=2, dtype="float64")
    with pytest.raises(RunError, match="cross_entropy_vjp"):
        trace(net, build("loss", "cross_entropy_vjp"), np.ones((1, 2)), np.array([7]))


# One stage opened


def test_the_softmax_of_a_row_is_two_by_two_and_the_gradient_is_a_row():
    """The question's 1×2 or 2×2: J is 2×2, and dŷ J is 1×2."""
    found = founding(3)
    for row in range(3):
        local = opened(found, "z2", row)
        ŷ = found["ŷ"][row]
        assert local.jacobian.shape == (2, 2)
        np.testing.assert_allclose(local.jacobian, np.diag(ŷ) - np.outer(ŷ, ŷ), rtol=1e-12)
        assert local.product.shape == (2,)
        np.testing.assert_allclose(local.product, found["dz2"][row], rtol=1e-12)
        np.testing.assert_allclose(local.by_backward, local.jacobian, atol=1e-15)


def test_the_rows_of_an_affine_jacobian_are_the_columns_of_its_weight():
    local = opened(founding(), "a1")
    np.testing.assert_allclose(local.jacobian, founding()["W2"].T, rtol=1e-12)


def test_a_loss_is_opened_too_and_a_wrong_backward_shows():
    local = opened(founding(), "l")
    assert local.jacobian.shape == (1, 2)
    stages = {**STAGES, "z1": {"name": "affine", "width": 3}, "a1": "off"}
    register(Off)
    wrong = opened(founding(stages=stages), "z1")
    assert abs(wrong.by_backward - wrong.jacobian).max() > 0.1


@dataclass(frozen=True)
class Off:
    """y = 2 x;  dx = 3 dy."""

    def forward(self, x):
        return 2 * x, None

    def backward(self, residual, dy):
        return 3 * dy


def test_a_value_that_no_stage_takes_is_told():
    with pytest.raises(ConfigError, match=r"--stage: no stage takes 'L'; did you mean 'PL'"):
        opened(founding(), "L")


def test_the_chain_of_the_negative_log_likelihood_is_registered_nowhere():
    assert "log_likelihood" not in registry.names("loss")
    assert list(build("loss", "nll").stages) == ["PL", "ℓ"]
