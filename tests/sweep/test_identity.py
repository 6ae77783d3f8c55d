"""What determines a run's result, and what does not."""

from __future__ import annotations

import sys

import pytest

from pullback import registry
from pullback.identity import identity, source
from pullback.job import build_job

FILE = """
from dataclasses import dataclass
import numpy as np

SLOPE = {slope}
TABLE = np.array([1.0, 2.0])


def gate(x):
    return {gate}


def unused(x):
    return {unused}


@dataclass(frozen=True)
class Swish:
    beta: float = {beta}

    def forward(self, x):
        return x * gate(x), x

    def backward(self, residual, dy):
        return dy * {swish}


@dataclass(frozen=True)
class Leaky:
    def forward(self, x):
        return np.where(x > 0, x, SLOPE * x), x

    def backward(self, x, dy):
        return np.where(x > 0, dy, SLOPE * dy)


class Leakier(Leaky):
    def forward(self, x):
        return np.where(x > 0, x, SLOPE * x * float(TABLE[0])), x
"""
PARTS = {"slope": "0.1", "gate": "1 / (1 + np.exp(-x))", "unused": "x", "beta": "1.0"}
PARTS |= {"swish": "gate(residual)"}


@pytest.fixture
def of(tmp_path, monkeypatch, config):
    """The identity of a config, with a file of units as it stands."""

    files = iter(range(100))

    def identities(layer="tanh", parts=None, **changes):
        if parts is not None:
            monkeypatch.setattr(registry, "_registered", {})
            file = tmp_path / str(next(files)) / "mine.py"
            file.parent.mkdir()
            file.write_text(FILE.format(**PARTS | parts), encoding="utf-8")
            changes["plugins"] = [str(file)]
        whole = config(loss={"name": "cross_entropy_vjp"})
        whole["net"] = {**whole["net"], "a1": layer}
        return identity(build_job(whole | changes))

    yield identities
    for name in [name for name in sys.modules if name.startswith("pullback_plugin_mine")]:
        del sys.modules[name]


def test_it_is_the_same_every_time(of):
    assert of() == of()
    assert len(of()) == 16


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"dtype": "float64"},
        {"loss": {"name": "cross_entropy_fused"}},
        {"optimizer": {"name": "adam", "lr": 0.01}},
        {"training": {"steps": 5}},
        {"dataset": {"name": "moons", "n": 60}},
        {"reference": "cross_entropy_exact"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_the_result_changes_it(of, change):
    assert of(**change) != of()


def test_how_runs_are_shown_and_conducted_does_not(of):
    conducted = {"tracking": {"name": "mlflow", "uri": "x", "experiment": "y"}, "retries": 3}
    assert of(**conducted, workers=2, fail_fast=True) == of()
    assert of(layer={"name": "tanh"}) == of()


def test_a_unit_in_another_place_is_the_same(of):
    """The digest is of the text, and a file may be moved."""
    assert of("leaky", {}) == of("leaky", {})


@pytest.mark.parametrize(
    ("layer", "part", "new", "differs"),
    [
        ("swish", "swish", "gate(residual) * 2", True),
        ("swish", "beta", "2.0", True),
        ("swish", "gate", "1 / (1 + np.exp(-2 * x))", True),
        ("swish", "slope", "0.2", False),
        ("swish", "unused", "2 * x", False),
        ("leaky", "slope", "0.2", True),
        ("leaky", "swish", "gate(residual) * 2", False),
        ("leaky", "gate", "0", False),
        ("leakier", "slope", "0.3", True),
        ("tanh", "swish", "0", False),
    ],
)
def test_a_change_to_a_file_changes_what_uses_the_changed_part(of, layer, part, new, differs):
    assert (of(layer, {}) != of(layer, {part: new})) == differs


def test_a_chain_has_the_source_of_its_stages():
    from pullback_basics.cross_entropy import CrossEntropyFused, CrossEntropyVJP

    text = source(CrossEntropyVJP)
    for one in ("class Softmax", "class Log", "class NLL", "class ClassTargets", "def weighted"):
        assert one in text
    assert "class SoftmaxJacobian" not in text
    assert "class Softmax(" not in source(CrossEntropyFused)


def test_a_compiled_unit_has_the_source_of_its_kernels():
    text = source(registry.lookup("layer", "tanh_numba"))
    for part in ("def tanh_block", "def tanh_back_block", "def reduced"):
        assert part in text
    assert "def relu_block" not in text
