"""Twins: rounding is told from a difference, at the step where they part."""

from __future__ import annotations

import numpy as np
import pytest

from pullback import checkpoint
from pullback.errors import ConfigError
from pullback.job import build_job
from pullback.twins import twins

FILE = '''
from dataclasses import dataclass
import numpy as np
from pullback_basics.activations import Tanh


class Single(Tanh):
    """Rounds to float32 on the way back."""

    def backward(self, y, dy, out=None):
        return ((1 - y * y) * dy).astype(np.float32).astype(dy.dtype)


class Late(Tanh):
    """Wrong where a gradient is large, which none is in the first steps."""

    def backward(self, y, dy, out=None):
        return (1 - y * y) * dy * np.where(np.abs(dy).max() > 0.045, 1.001, 1).astype(dy.dtype)


class Other(Tanh):
    """The same in another order."""

    def backward(self, y, dy, out=None):
        return dy - y * y * dy
'''


@pytest.fixture
def job(tmp_path, config):
    file = tmp_path / "mine.py"
    file.write_text(FILE, encoding="utf-8")

    def make(layer="tanh", **changes):
        whole = config(
            training={"steps": 40, "batch_size": 32},
            plugins=[str(file)],
            loss={"name": "cross_entropy_fused"},
            optimizer={"name": "sgd", "lr": 0.3},
            dataset={"name": "moons", "n": 200},
        )
        stages = {**whole["net"], "z1": {"name": "affine", "width": 8}, "a1": layer}
        return build_job(whole | {"net": stages} | changes)

    return make


def test_the_same_twice_is_identical(job):
    found = twins(job(), job())
    assert (found.kind, found.parted) == ("identical", None)
    assert (found.frame[["ulp_float32", "ulp_float64"]] == 0).all(axis=None)
    assert list(found.frame["loss_a"]) == list(found.frame["loss_b"])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({}, {"layer": "other"}),
        ({}, {"loss": {"name": "cross_entropy_jacobian"}}),
        ({"dtype": "float64"}, {"dtype": "float64", "loss": {"name": "cross_entropy_exact"}}),
    ],
    ids=["order", "loss", "float64"],
)
def test_the_same_in_another_order_is_rounding_drift(job, a, b):
    found = twins(job(**a), job(**b))
    assert found.kind == "rounding drift"
    assert found.parted is not None
    assert 0 < found.frame["ulp_float32"].max() < 1e4
    assert 0 < found.frame["ulp_float64"].max() < 1e4


@pytest.mark.parametrize(
    "other",
    [
        {"layer": "single"},
        {"layer": "relu"},
        {"optimizer": {"name": "sgd", "lr": 0.300001}},
        {"optimizer": {"name": "adam", "lr": 0.3}},
        {"training": {"steps": 40, "batch_size": 32, "l2": 1e-6}},
    ],
    ids=["float32 in the middle", "relu", "rate", "adam", "l2"],
)
def test_what_computes_something_else_is_a_difference(job, other):
    found = twins(job(), job(**other))
    assert (found.kind, found.parted) == ("difference", 0)


def test_the_batch_at_which_they_part_is_kept(job, tmp_path):
    """Wrong from some step on: there the gradients at the same θ are apart, and not before."""
    found = twins(job(), job(layer="late"))
    assert (found.kind, found.parted) == ("difference", 7)
    found.save(tmp_path / "parted.npz")
    arrays, facts = checkpoint.load(tmp_path / "parted.npz")
    assert facts == {"kind": "difference", "step": found.parted, "dtype": "float32"}
    np.testing.assert_array_equal(arrays["theta_a"], arrays["theta_b"])
    assert arrays["x"].shape == (24, 2)  # the last of an epoch's 120 rows
    assert len(set(arrays["rows"])) == 24
    apart = np.abs(arrays["gradient_a"] - arrays["gradient_b"]).max()
    assert apart > 1e-4 * np.abs(arrays["gradient_a"]).max()
    before = found.frame[found.frame["step"] <= found.parted]
    assert (before[["ulp_float32", "ulp_float64"]] == 0).all(axis=None)


def test_one_that_breaks_and_one_that_does_not_differ(job):
    rate = {"name": "sgd", "lr": 1e6}
    found = twins(
        job(optimizer=rate, loss={"name": "cross_entropy_vjp"}),
        job(optimizer=rate, loss={"name": "cross_entropy_exact"}),
    )
    assert found.kind == "difference"
    assert "where the loss is" in found.endings[0]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"seed": 1}, "the same data, seed and dtype"),
        ({"training": {"steps": 41, "batch_size": 32}}, "the same batches and as many steps"),
        ({"training": {"steps": 40}}, "the same batches and as many steps"),
        ({"net": {"z2": {"name": "affine", "width": "classes"}}}, "the same parameters"),
    ],
)
def test_strangers_are_no_twins(job, other, told):
    with pytest.raises(ConfigError, match=told):
        twins(job(), job(**other))


def test_the_command(pullback, tmp_path):
    words = ["net.z1.width=5", "training.steps=30", "reference=null"]
    losses = "loss=cross_entropy_vjp,cross_entropy_fused"
    done = pullback("twins", losses, *words, "--save", "p.npz", "--csv", "d.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a: loss=cross_entropy_vjp: finished\nb: loss=")
    assert "rounding drift: " in done.stdout
    assert checkpoint.load(tmp_path / "p.npz")[1]["kind"] == "rounding drift"
    assert len((tmp_path / "d.csv").read_text().splitlines()) == 32
    done = pullback("twins", "loss=cross_entropy_vjp", *words)
    assert done.returncode == 2
    assert "twins are two jobs, and these are 1" in done.stderr
