"""What is composed once for each choice of groups is what Hydra composes each time."""

import pytest
from hydra import initialize

from pullback.app import plugins
from pullback.app.composition import Composer
from pullback.errors import ConfigError

JOBS = [
    ["loss=cross_entropy_vjp", "seed=1"],
    ["loss=cross_entropy_vjp", "seed=2", "net.a1=relu"],
    ["loss=mse", "dataset=iris", "seed=3"],
    ["experiment=founding", "optimizer.lr=0.5", "+net.z1.W={name:he}"],
    ["experiment=founding", "schedule=cosine", "optimizer.lr=0.5"],
    ["net=digits", "dataset=digits", "~net.a1"],
    ["net=digits", "net.z1.width=7"],
    ["optimizer={name:sgd,lr:2}", "training.steps=3"],
    ["+net.z9={name:affine,width:classes}"],
    ["++training.l2=0.5", "training.batch_size=null"],
    ["tracking=none", "tracking.experiment='a b'", "dtype=float64"],
    ["training={steps:9}", "training.l2=1e-3"],
    ["net.z1.width=50", "net.z1={name:affine,width:60}"],
]
WRONG = [
    ["training.stps=3"],
    ["loss=cross_entropy_vpj"],
    ["training.steps=many"],
    ["~net.a9"],
    ["net@x=digits"],
    ["+seed=3"],
]


@pytest.fixture(scope="module")
def composer():
    plugins.load([])
    with initialize(config_path=None, version_base="1.3"):
        made = Composer("train", [])
        made.job(["seed=9", "training.steps=7"])  # nothing of one job is left for the next
        yield made


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_the_same_config(composer, overrides):
    expected = composer.whole(overrides)[0]
    for _ in range(2):
        found = composer.job(overrides)
        assert found == expected
        assert list(found) == list(expected)
        assert list(found["net"]) == list(expected["net"])


@pytest.mark.parametrize("overrides", WRONG, ids=" ".join)
def test_the_same_mistake(composer, overrides):
    told = []
    for compose in (composer.whole, composer.job):
        with pytest.raises(ConfigError) as caught:
            compose(overrides)
        told.append(str(caught.value))
    assert told[0] == told[1]
