"""A package of a stranger's, installed as they would install it and used by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "third_party"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """PYTHONPATH with the folder that the package was installed into."""
    target = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, PACKAGE],
        check=True,
    )
    return {"PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}


def test_it_is_listed_with_its_provider(pullback, installed):
    found = json.loads(pullback("list", "layer", "--json", **installed).stdout)
    (swish,) = (unit for unit in found if unit["name"] == "swish")
    assert swish["provider"] == "pullback-swish 2.5.0"
    assert swish["equation"].startswith("y = x σ(βx)")
    assert swish["options"] == {"beta": 1.0}
    assert "swish" not in pullback("list", "layer").stdout  # nor where it is not installed


def test_its_units_are_options_like_ours(pullback, installed, tmp_path):
    done = pullback(
        "train",
        "net.a1=swish",
        "optimizer=sign_descent",
        "optimizer.lr=0.001",
        "training.steps=300",
        "tracking=none",
        **installed,
    )
    assert done.returncode == 0, done.stderr
    (run,) = tmp_path.glob("runs/*/*/run.json")
    providers = json.loads(run.read_text())["providers"]
    assert providers["net.a1"] == providers["optimizer"] == "pullback-swish 2.5.0"
    lines = (run.parent / "metrics.jsonl").read_text().splitlines()
    first, last = (json.loads(line)["train_loss"] for line in (lines[0], lines[-1]))
    assert last < 0.6 * first


def test_its_checks_are_the_schemas(pullback, installed):
    wrong = pullback("train", "loss=huber", "loss.delta=-1", "tracking=none", **installed)
    assert wrong.returncode == 2
    assert "loss: delta must be positive, not -1.0" in wrong.stderr
    wrong = pullback("train", "net.a1={name: swish, beat: 2}", "tracking=none", **installed)
    assert wrong.returncode == 2
    assert "net.a1: swish has no option 'beat'; did you mean 'beta'?" in wrong.stderr
