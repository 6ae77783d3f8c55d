"""Proofs of units: all that ship and strangers', in every branch; and wrong ones, which fall."""

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from shipped import plain_units

from pullback import prove, registry
from pullback.errors import ConfigError, RegistryError
from pullback.proving.branches import branches
from pullback.proving.claims import AreSame, IsDerivative
from pullback.proving.proof import settle
from pullback.verify.checks import subject_of
from pullback.verify.mistakes import MISTAKES

KINDS = ("layer", "loss")
UNITS = plain_units(*KINDS)
ZOO = Path(__file__).parents[1] / "verify" / "zoo.py"


@pytest.mark.parametrize(("kind", "name"), UNITS)
def test_a_unit_that_ships_is_proved(kind, name):
    assert settle(IsDerivative(subject_of(name, kind))).status == "proved"


def zoo():
    return [one for one in registry.load_plugin(str(ZOO)) if one.kind in KINDS]


@pytest.mark.parametrize("number", range(27))
def test_a_strangers_unit_is_proved_without_preparation(number):
    units = zoo()
    assert len(units) == 27
    subject = subject_of(units[number].load())
    assert settle(IsDerivative(subject)).status == "proved"


@pytest.mark.parametrize("kind", KINDS)
def test_ten_classes_are_proved(kind):
    name = {"layer": "softmax_jacobian", "loss": "cross_entropy_fused"}[kind]
    proof = settle(IsDerivative(subject_of(name)), [10])
    assert proof.status == "proved"
    assert [(one.rows, one.features) for one in proof.steps] == [(1, 10), (2, 10)]


def different(kind, wrong, right):
    """Whether a wrong unit's results are others than the right one's, at ordinary inputs."""
    for case in right.sized(2, 2).cases():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pairs = zip(replace(case, unit=wrong).both()[1], case.both()[1], strict=True)
        for found, expected in pairs:
            if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-9):
                return True
    return False


# Of units that may be wrong in different ways; with PULLBACK_LONG in the environment, of all.
PLANTED = ("affine", "softmax", "tanh", "relu", "log", "cross_entropy_vjp", "nll", "mse")
CHOSEN = [one for one in UNITS if one[1] in PLANTED or "PULLBACK_LONG" in os.environ]


@pytest.mark.parametrize(("kind", "name"), CHOSEN)
def test_planted_mistakes_are_refuted(kind, name):
    """Each that changes a gradient has a counter-example; no other is called refuted by chance."""
    subject, refuted = subject_of(name, kind), 0
    for mistake in MISTAKES[kind]:
        wrong = mistake.plant(subject.unit)
        if wrong is None or mistake.wrong is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            proof = settle(IsDerivative(subject.with_unit(wrong)), [2])
        if different(kind, wrong, subject):
            assert proof.status == "refuted", mistake.name
            assert proof.result.message
            refuted += 1
        else:
            assert proof.status in ("proved", "refuted"), mistake.name
    assert refuted >= 6


def test_the_counter_example_is_named():
    (proof,) = prove(subject_of("softmax").with_unit(Diagonal()).unit).proofs
    assert proof.status == "refuted"
    assert proof.result.mistake == "diagonal only"
    assert proof.result.example.startswith("z = [[")


@dataclass(frozen=True)
class Diagonal:
    def forward(self, z):
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def backward(self, y, dy):
        return y * (1 - y) * dy


@dataclass(frozen=True)
class Compiled:
    """y = sin x in a kernel that takes floats alone."""

    scale: float = 1.0

    def forward(self, x):
        return np.array([np.sin(float(one)) for one in x.ravel()]).reshape(x.shape), x

    def backward(self, x, dy):
        return self.scale * dy * np.cos(x.astype(float))


def test_what_does_not_run_on_symbols_is_checked_in_numbers():
    (proof,) = prove(Compiled()).proofs
    assert proof.status == "checked"
    assert "TypeError" in proof.reason or "float64" in proof.reason
    (proof,) = prove(Compiled(scale=2.0)).proofs
    assert proof.status == "refuted"
    assert proof.reason


@dataclass(frozen=True)
class Rare:
    """Right in all but one of eight branches: x₁ > 0, x₂ < 0 and |x₁| > 4."""

    def forward(self, x):
        return x * x, x

    def backward(self, x, dy):
        odd = (x[..., :1] > 4) & (x[..., 1:2] < 0)
        return np.where(odd, x, 2 * x) * dy


def test_a_branch_that_is_rarely_taken_is_found():
    assert prove(Rare()).proofs[0].status == "refuted"


def test_every_branch_of_a_small_unit_is_met():
    (alone, _) = branches(subject_of("relu"), 3)
    signs = {tuple(case.inputs[0][0] > 0) for case in alone.cases}
    assert len(alone.cases) == len(signs) == 8
    (alone, _) = branches(subject_of("cross_entropy_fused"), 3)
    labels = {
        (int(case.target[0][0]), int(case.inputs[0].argmax()))
        for case in alone.cases
        if case.target[0].dtype.kind == "i"
    }
    assert labels == {(label, top) for label in range(3) for top in range(3)}


def test_of_many_classes_each_is_the_label_and_the_largest():
    (alone, _) = branches(subject_of("cross_entropy_fused"), 5)
    pairs = {
        (int(case.target[0][0]), int(case.inputs[0].argmax()))
        for case in alone.cases
        if case.target[0].dtype.kind == "i"
    }
    assert len(pairs) == 25


def test_two_variants_are_the_same_function():
    chain = subject_of("cross_entropy_vjp")
    fused = subject_of("cross_entropy_fused")
    assert settle(AreSame(fused, chain.name, chain.unit)).status == "proved"
    exact = subject_of("cross_entropy_exact")
    proof = settle(AreSame(exact, chain.name, chain.unit))
    assert proof.status == "equal"  # e^−64 is a rounded constant of its code, far behind
    assert sum(one.proved for one in proof.steps) > 50


def test_two_functions_are_not_the_same():
    softmax, log_softmax = subject_of("softmax"), subject_of("log_softmax")
    proof = settle(AreSame(softmax, "log_softmax", log_softmax.unit))
    assert proof.status == "refuted"
    assert "by log_softmax" in proof.result.message


@dataclass(frozen=True)
class Nearly(Diagonal):
    """The softmax, a billionth beside it."""

    def backward(self, y, dy):
        return (1 + 1e-9) * y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def test_a_billionth_is_a_counter_example():
    assert prove(Nearly()).proofs[0].status == "refuted"


@dataclass(frozen=True)
class Hidden:
    """y = sin² x + cos² x + x, whose sum the normal form does not see to be 1."""

    def forward(self, x):
        return np.sin(x) ** 2 + np.cos(x) ** 2 + x, x

    def backward(self, x, dy):
        return dy * (np.sin(x) ** 2 + np.cos(x) ** 2)


def test_what_formulas_do_not_show_is_equal_and_not_proved():
    findings = prove(Hidden())
    assert findings.proofs[0].status == "equal"
    assert findings
    assert "formulas do not show it" in str(findings)


def test_a_writing_backward_is_proved_by_its_result():
    @dataclass(frozen=True)
    class Writes:
        def forward(self, x):
            return x * 2, None

        def backward(self, residual, dy):
            dy *= 2
            return dy

    assert prove(Writes()).proofs[0].status == "proved"


@pytest.mark.parametrize(
    ("unit", "error", "told"),
    [
        ("sgd", ConfigError, "'sgd' is an optimizer|sgd is an optimizer, and no layer or loss"),
        ("sofmax", RegistryError, "did you mean 'softmax'"),
        (3, ConfigError, "int is no unit"),
    ],
)
def test_what_is_no_layer_and_no_loss_is_refused(unit, error, told):
    with pytest.raises(error, match=told):
        prove(unit)
