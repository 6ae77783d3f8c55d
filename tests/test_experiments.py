"""The shipped experiments learn what they say they learn."""

from __future__ import annotations

import numpy as np
import pytest
from hydra import compose, initialize
from omegaconf import OmegaConf
from threadpoolctl import threadpool_limits

from pullback import train
from pullback.app import config
from pullback.job import Job, build_job
from pullback.training import Result


def job(*overrides: str) -> Job:
    config.install([])
    with initialize(config_path=None, version_base="1.3"):
        composed = compose("train", overrides=list(overrides))
    return build_job(OmegaConf.to_container(composed, resolve=True))


def run(job: Job) -> Result:
    with threadpool_limits(1, user_api="blas"):
        return job.train()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("variant", ["jacobian", "vjp", "fused", "exact"])
def test_founding(variant, seed):
    """2–500–2, 200 points of the two moons (noise 0.2), judged on 2,000 fresh ones."""
    built = job("experiment=founding", f"loss=cross_entropy_{variant}", f"seed={seed}")
    assert (len(built.data.train), len(built.data.test)) == (200, 2000)
    assert {k: v.shape for k, v in built.net.params["z1"].items()} == {"W": (2, 500), "b": (1, 500)}
    assert {k: v.shape for k, v in built.net.params["z2"].items()} == {"W": (500, 2), "b": (1, 2)}
    assert run(built).metrics["test_accuracy"] >= 0.95


def test_digits():
    result = run(job("experiment=digits"))
    assert result.metrics["validation_accuracy"] >= 0.96


def test_the_defaults_learn():
    result = run(job())
    assert result.metrics["test_accuracy"] >= 0.9
    assert result.metrics["train_loss"] < 0.2


def test_a_default_run_is_what_the_python_api_does():
    """The application adds nothing of its own to a result."""
    first, second = job("training.steps=5"), job("training.steps=5")
    run(first)
    train(second.net, second.data, recipe=second.recipe)  # adam, constant, exact: train's defaults
    assert np.array_equal(first.net.theta, second.net.theta)
