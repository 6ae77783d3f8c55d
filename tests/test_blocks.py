"""The compiled step: the same as stage by stage, whatever the chain; and who takes part."""

import itertools

import numpy as np
import pytest

from pullback import Net, Recipe, build, registry, train
from pullback.acceleration import compiled, ending
from pullback.blocks import compiled_step, text_of
from pullback.errors import ConfigError
from pullback.job import JobError, build_job

EPS = {"float32": np.finfo(np.float32).eps, "float64": np.finfo(np.float64).eps}


def chain(*layers, width=20):
    stages = {}
    for place, name in enumerate(layers):
        affine = {"name": "affine_numba", "width": width}
        stages |= {f"z{place}": affine, f"a{place}": name}
    return stages | {"z": {"name": "affine_numba", "width": "classes"}}


def both(net, loss, x, target, reduction="mean", threads=1):
    """L, y and dθ stage by stage, and by the compiled step."""
    value, y = net.value_and_gradient(x, target, loss, reduction)
    staged = (value, y.copy(), net.gradient.copy())
    step = compiled_step(net, loss, threads)
    assert step is not None
    value, y = step(x, target, reduction)
    return staged, (value, y.copy(), net.gradient.copy())


def batch(rows, inputs, classes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, inputs)).astype(dtype), rng.integers(classes, size=rows)


def alike(staged, compiled, dtype):
    for one, other in zip(staged, compiled, strict=True):
        size = np.abs(one).max()
        np.testing.assert_allclose(other, one, rtol=0, atol=200 * EPS[dtype] * max(size, 1e-3))


LAYERS = ["tanh_numba", "tanh_exact_numba", "sigmoid_numba", "relu_numba"]
FUSED = "cross_entropy_fused_numba"


@pytest.mark.parametrize("dtype", EPS)
def test_it_is_the_same_as_stage_by_stage(dtype):
    for rows, reduction in itertools.product((1, 9, 200), ("mean", "sum")):
        net = Net(chain(*LAYERS, width=7), 3, classes=4, dtype=dtype)
        x, target = batch(rows, 3, 4, dtype)
        alike(*both(net, build("loss", FUSED), x, target, reduction), dtype)


def test_sizes_change_no_text_and_no_result():
    for width, inputs, rows in ((1, 1, 3), (64, 20, 32), (500, 2, 200)):
        net = Net(chain("tanh_numba", width=width), inputs, classes=3)
        x, target = batch(rows, inputs, 3, "float32")
        alike(*both(net, build("loss", FUSED), x, target), "float32")


def test_the_number_of_threads_changes_no_bit():
    loss = build("loss", "cross_entropy_exact_numba")
    x, target = batch(500, 2, 2, "float32")
    found = []
    for threads in (1, 2):
        net = Net(chain("tanh_numba", width=30), 2, classes=2)
        _, compiled = both(net, loss, x, target, threads=threads)
        found.append(compiled)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_unit_without_blocks_leaves_the_net_to_its_stages():
    loss = build("loss", FUSED)
    assert compiled_step(Net(chain("tanh"), 2, classes=2), loss) is None
    assert compiled_step(Net(chain("tanh_numba"), 2, classes=2), build("loss", "mse")) is None
    smoothed = build("loss", {"name": FUSED, "label_smoothing": 0.1})
    assert compiled_step(Net(chain("tanh_numba"), 2, classes=2), smoothed) is None
    assert compiled_step(Net(chain("tanh_numba", width=3000), 20, classes=2), loss) is None  # BLAS
    assert compiled_step(Net(chain("tanh_numba"), 2, classes=2), loss) is not None


def test_what_is_not_finite_is_left_to_the_stages():
    net = Net(chain("tanh_numba"), 2, classes=2)
    x, target = batch(10, 2, 2, "float32")
    x[3] = np.nan
    value, y = compiled_step(net, build("loss", FUSED))(x, target)
    assert np.isnan(value)
    assert np.isnan(y[3]).all()
    assert np.isfinite(np.delete(y, 3, axis=0)).all()


def test_a_label_out_of_range_is_told_as_ever():
    net = Net(chain("tanh_numba"), 2, classes=2)
    x, target = batch(10, 2, 2, "float32")
    target[4] = 2
    with pytest.raises(Exception, match="the target of row 4 is 2, and there are 2 classes"):
        compiled_step(net, build("loss", FUSED))(x, target)


def test_the_text_is_a_stage_a_line():
    net = Net(chain("tanh_numba"), 2, classes=2)
    text = text_of(net, build("loss", "cross_entropy_exact_numba"))
    way = ["forward_1(x_0, ", "forward_2(y_1, ", "forward_3(y_2, ", "loss(y_3, "]
    way += ["back_3(y_2, ", "back_2(y_1, ", "back_1(x_0, "]
    places = [text.index(one) for one in way]
    assert places == sorted(places)


def test_training_takes_it_and_ends_where_the_stages_end(moons, monkeypatch):
    from pullback import training

    def trained():
        net = Net(chain("tanh_numba", width=10), moons.inputs, classes=moons.outputs)
        options = {"loss": FUSED, "optimizer": "adam_numba"}
        return train(net, moons, **options, recipe=Recipe(steps=30)), net.theta.copy()

    result, theta = trained()
    monkeypatch.setattr(training, "compiled_step", lambda *_: None)
    staged, expected = trained()
    np.testing.assert_allclose(theta, expected, rtol=2e-3, atol=1e-5)
    assert not np.array_equal(theta, expected)
    assert result.metrics["train_loss"] == pytest.approx(staged.metrics["train_loss"], rel=1e-4)


# accelerate=


def test_accelerate_takes_the_compiled_forms_that_there_are(config):
    job = build_job(config(accelerate="numba", optimizer={"name": "adam", "lr": 0.5}))
    assert [stage.unit for stage in job.net.stages] == [
        "affine_numba",
        "tanh_numba",
        "affine_numba",
    ]
    assert job.chosen["loss"]["name"] == "cross_entropy_exact_numba"
    assert job.optimizer.lr == 0.5
    assert job.config["net"]["a1"] == "tanh"
    chained = build_job(config(accelerate="numba", loss={"name": "cross_entropy_vjp"}))
    assert chained.chosen["loss"]["name"] == "cross_entropy_vjp"
    assert build_job(config(accelerate="none")).chosen["net"]["a1"] == "tanh"


def test_auto_takes_them_for_a_long_run(config):
    short, long = ({"steps": steps} for steps in (10, 100_000))
    assert build_job(config(accelerate="auto", training=short)).chosen["net"]["a1"] == "tanh"
    assert build_job(config(accelerate="auto", training=long)).chosen["net"]["a1"] == "tanh_numba"


def test_a_missing_extra_is_told_once(config, monkeypatch):
    monkeypatch.setattr(registry, "_is_there", lambda distribution: distribution != "numba")
    with pytest.raises(JobError) as error:
        build_job(config(accelerate="numba"))
    (told,) = error.value.problems
    assert told.startswith("accelerate: ")
    assert told.endswith("pip install 'pullback[numba]'")
    long = build_job(config(accelerate="auto", training={"steps": 100_000}))
    assert long.chosen["net"]["a1"] == "tanh"


def test_an_ending_that_no_unit_has_is_told():
    with pytest.raises(ConfigError, match="must be auto, none, or an ending of names"):
        ending("cobol", 1, 1)
    assert compiled("layer", {"name": "identity"}, "numba") == {"name": "identity"}
    assert compiled("layer", {"name": "affine", "width": 2}, "numba")["name"] == "affine_numba"


@pytest.mark.parametrize("name", ["cross_entropy_fused_numba", "cross_entropy_exact_numba"])
def test_a_class_that_is_ignored_is_so_in_a_compiled_step(name):
    """Blocks count every label that is a class: the unit takes no part then."""
    net = Net({"z": {"name": "affine_numba", "width": 3}}, inputs=2)
    assert compiled_step(net, build("loss", name)) is not None
    assert compiled_step(net, build("loss", {"name": name, "ignore_index": 1})) is None
