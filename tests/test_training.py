"""Training: it learns, it repeats itself bit for bit, it stops when it should and says why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pullback import Data, Net, Recipe, checkpoint, from_arrays, train
from pullback.data import Batches
from pullback.errors import ConfigError, RunError

STAGES = {
    "z1": {"name": "affine", "width": 30},
    "a1": "tanh",
    "z2": {"name": "affine", "width": "classes"},
}


def a_net(data: Data, seed: int = 0) -> Net:
    return Net(STAGES, data.inputs, classes=data.outputs, dtype="float64", seed=seed)


def test_it_learns(moons):
    net = a_net(moons)
    result = train(net, moons, optimizer={"name": "adam", "lr": 0.02}, recipe=Recipe(steps=300))
    assert result.status == "finished"
    assert result.steps == 300
    assert result.metrics["train_loss"] < 0.2 < result.history[0][1]["train_loss"]
    assert result.metrics["test_accuracy"] > 0.9
    assert result.metrics["step_seconds"] > 0
    assert result.metrics["step_peak_bytes"] > 200 * 30 * 8  # at least the hidden activations


@pytest.mark.parametrize("batch", [None, 32])
def test_it_repeats_itself_bit_for_bit_from_its_seed(moons, batch):
    def run(seed: int) -> np.ndarray:
        net = a_net(moons)
        train(net, moons, recipe=Recipe(steps=40, batch_size=batch), seed=seed)
        return net.theta.copy()

    assert np.array_equal(run(0), run(0))
    assert np.array_equal(run(0), run(1)) == (batch is None)  # only the batches are drawn here


@pytest.mark.parametrize("optimizer", ["sgd", "adam", {"name": "sgd", "momentum": 0.9}])
def test_resuming_is_as_if_nothing_had_happened(moons, tmp_path, optimizer):
    recipe = {"steps": 50, "batch_size": 48, "checkpoint_every": 20, "evaluate_every": 5}
    whole = a_net(moons)
    expected = train(whole, moons, optimizer=optimizer, recipe=Recipe(**recipe))

    class Killed(Exception):
        pass

    def kill(step, metrics):
        if step == 33:
            raise Killed

    broken = a_net(moons)
    with pytest.raises(Killed):
        train(
            broken,
            moons,
            optimizer=optimizer,
            recipe=Recipe(**recipe),
            directory=tmp_path,
            observe=kill,
        )
    assert checkpoint.load(tmp_path / "last.npz")[1]["step"] == 20

    again = a_net(moons, seed=9)  # whatever it starts from, the checkpoint is what counts
    found = train(
        again,
        moons,
        optimizer=optimizer,
        recipe=Recipe(**recipe),
        directory=tmp_path,
        resume=True,
    )
    assert np.array_equal(again.theta, whole.theta)
    assert [step for step, _ in found.history] == list(range(20, 51))
    assert found.history == expected.history[20:]
    timings = ("step_seconds", "step_peak_bytes")
    for key in expected.metrics.keys() - timings:
        assert found.metrics[key] == expected.metrics[key], key


def test_a_checkpoint_of_another_network_is_refused(moons, tmp_path):
    train(a_net(moons), moons, recipe=Recipe(steps=2), directory=tmp_path)
    other = Net({**STAGES, "z1": {"name": "affine", "width": 31}}, 2, classes=2, dtype="float64")
    with pytest.raises(ConfigError, match="another network or optimizer"):
        train(other, moons, recipe=Recipe(steps=2), directory=tmp_path, resume=True)
    with pytest.raises(ConfigError, match="another network or optimizer"):
        train(a_net(moons), moons, optimizer="sgd", directory=tmp_path, resume=True)
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        train(a_net(moons), moons, directory=tmp_path / "nowhere", resume=True)


def test_a_checkpoint_is_written_whole_or_not_at_all(moons, tmp_path, monkeypatch):
    path = tmp_path / "last.npz"
    checkpoint.save(path, {"theta": np.arange(3.0)}, {"step": 1})

    def torn(file, **arrays):
        file.write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", torn)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, {"theta": np.zeros(3)}, {"step": 2})
    arrays, facts = checkpoint.load(path)
    assert arrays["theta"].tolist() == [0, 1, 2]
    assert facts == {"step": 1}
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError, match="is not a checkpoint"):
        checkpoint.load(path)


def test_patience_stops_and_the_best_is_kept(moons, tmp_path):
    recipe = Recipe(steps=500, evaluate_every=5, patience=2, select="best")
    net = a_net(moons)
    too_fast = {"name": "sgd", "lr": 3.0, "momentum": 0.95}
    result = train(net, moons, optimizer=too_fast, recipe=recipe, directory=tmp_path)
    assert result.status == "stopped"
    assert result.steps < 500
    seen = {step: m["validation_loss"] for step, m in result.history if "validation_loss" in m}
    best = min(seen, key=lambda step: (seen[step], step))
    assert result.metrics["best_step"] == best
    assert result.metrics["validation_loss"] == result.metrics["best_validation_loss"] == seen[best]
    assert np.array_equal(checkpoint.load(tmp_path / "best.npz")[0]["theta"], net.theta)


def test_batches_cover_every_epoch_once(moons):
    batches = Batches(moons.train, 64, seed=0)
    rows = [batches.at(step)[0] for step in range(8)]
    first, second = np.concatenate(rows[:4]), np.concatenate(rows[4:])
    assert sorted(first) == sorted(second) == list(range(200))
    assert not np.array_equal(first, second)
    assert [len(part) for part in rows[:4]] == [64, 64, 64, 8]
    assert np.array_equal(batches.at(2)[0], rows[2])  # in any order, from the seed alone
    assert Recipe(epochs=3, batch_size=64).total(200) == 12
    assert Recipe(epochs=3).total(200) == 3


def test_clipping(moons):
    def first_step(**options: float) -> tuple[np.ndarray, float]:
        net = a_net(moons)
        before = net.theta.copy()
        recipe = Recipe(steps=1, **options)
        result = train(net, moons, optimizer={"name": "sgd", "lr": 1.0}, recipe=recipe)
        return before - net.theta, result.history[0][1]["gradient_norm"]

    g, norm = first_step()
    assert np.linalg.norm(g) == pytest.approx(norm)
    clipped, told = first_step(clip_norm=norm / 3)
    assert told == norm  # before clipping
    np.testing.assert_allclose(clipped, g / 3, rtol=1e-4)  # PyTorch's 1e-6 beside the norm
    np.testing.assert_allclose(first_step(clip_norm=norm * 3)[0], g, rtol=1e-12)
    bound = np.abs(g).max() / 2
    np.testing.assert_allclose(first_step(clip_value=bound)[0], np.clip(g, -bound, bound))


def test_the_l2_penalty_is_on_weights_only(moons):
    def first_step(l2: float) -> np.ndarray:
        net = a_net(moons)
        net.theta += 0.5  # so that the biases are not 0
        before = net.theta.copy()
        train(net, moons, optimizer={"name": "sgd", "lr": 1.0}, recipe=Recipe(steps=1, l2=l2))
        return before - net.theta

    net = a_net(moons)
    expected = np.where(net.weights, 0.1 * (net.theta + 0.5), 0)
    np.testing.assert_allclose(first_step(0.1) - first_step(0.0), expected, rtol=1e-9, atol=1e-12)


def test_the_schedule_scales_the_optimizers_rate(moons):
    optimizer = {"name": "sgd", "lr": 0.4}
    schedule = {"name": "step", "step_size": 2, "gamma": 0.5}
    recipe = Recipe(steps=5, evaluate_every=1)
    result = train(a_net(moons), moons, optimizer=optimizer, schedule=schedule, recipe=recipe)
    rates = [m["learning_rate"] for _, m in result.history if "learning_rate" in m]
    assert rates == [0.4, 0.4, 0.2, 0.2, 0.1]


def test_the_gradient_difference_is_measured_and_changes_nothing(moons):
    plain, measured = a_net(moons), a_net(moons)
    recipe = Recipe(steps=30, batch_size=50)
    train(plain, moons, loss="cross_entropy_vjp", recipe=recipe)
    result = train(
        measured, moons, loss="cross_entropy_vjp", reference="cross_entropy_exact", recipe=recipe
    )
    assert np.array_equal(plain.theta, measured.theta)
    assert 0 < result.metrics["gradient_difference"] < 1e-14
    far = train(a_net(moons), moons, loss="mse", reference="cross_entropy_exact", recipe=recipe)
    assert far.metrics["gradient_difference"] > 1e-3  # it is not 0 whatever it compares


def test_evaluation_is_weighted_as_the_loss_says(moons):
    loss = {"name": "cross_entropy_exact", "weight": [1.0, 5.0]}
    net = a_net(moons)
    result = train(net, moons, loss=loss, recipe=Recipe(steps=1))
    y, t = net(moons.test.x), moons.test.t
    each = np.log(np.exp(y).sum(axis=1)) - y[np.arange(100), t]
    w = np.where(t == 1, 5, 1)
    assert result.metrics["test_loss"] == pytest.approx((w * each).sum() / w.sum(), rel=1e-12)
    assert result.metrics["test_accuracy"] == (y.argmax(axis=1) == t).mean()


def test_regression():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(120, 3))
    data = from_arrays(x, x @ [[1.0], [-2.0], [0.5]] + 3, dtype="float64")
    assert data.classes is None
    stages = {"z": {"name": "affine", "width": "classes"}}
    net = Net(stages, 3, classes=data.outputs, dtype="float64")
    result = train(net, data, loss="mse", optimizer={"name": "sgd", "lr": 0.2})
    assert result.metrics["test_loss"] < 1e-20
    assert "test_accuracy" not in result.metrics


@dataclass(frozen=True)
class Explodes:
    """NaN on the way forward, or back, once an input is large."""

    where: str = "forward"

    def forward(self, x):
        bad = self.where == "forward" and np.abs(x).max() > 4
        return (np.full_like(x, np.nan) if bad else x + 0), x

    def backward(self, residual, dy):
        bad = self.where == "backward" and np.abs(residual).max() > 4
        return np.full_like(dy, np.inf) if bad else dy + 0


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_what_is_not_finite_ends_the_run_with_the_stage_and_the_batch(moons, tmp_path, where):
    net = Net({**STAGES, "boom": Explodes(where)}, 2, classes=2, dtype="float64")
    recipe = Recipe(steps=500, batch_size=50)
    fast = {"name": "sgd", "lr": 1.0, "momentum": 0.9}
    result = train(net, moons, optimizer=fast, recipe=recipe, directory=tmp_path)
    assert result.status == "not finite"
    assert 0 < result.steps < 500
    assert f"stopped at step {result.steps}" in result.verdict
    assert f"{where} of the stage boom (explodes) is not finite" in result.verdict
    assert str(tmp_path / "not_finite.npz") in result.verdict
    arrays, facts = checkpoint.load(tmp_path / "not_finite.npz")
    assert facts["step"] == result.steps
    assert np.array_equal(moons.train.x[arrays["rows"]], arrays["x"])
    assert np.array_equal(arrays["theta"], net.theta)
    assert np.isfinite(net.theta).all()  # the update was not made


def test_the_jacobian_chain_breaks_where_exact_does_not(moons):
    """A row 800 behind: log 0 in the chain, a number in the exact form."""
    expected = {"cross_entropy_jacobian": "not finite", "cross_entropy_exact": "finished"}
    for name, status in expected.items():
        net = Net({"z": {"name": "affine", "width": 2}}, 2, dtype="float64")
        net.params["z"]["W"][...] = [[500.0, -500.0], [300.0, -300.0]]
        result = train(net, moons, loss=name, recipe=Recipe(steps=1))
        assert result.status == status
        if status == "not finite":
            assert f"forward of the loss {name} is not finite" in result.verdict


def test_units_and_options_that_do_not_fit_are_refused(moons):
    with pytest.raises(ConfigError, match="loss: nothing is called 'cross_entropi'"):
        train(a_net(moons), moons, loss="cross_entropi")
    with pytest.raises(ConfigError, match=r"optimizer: sgd has no option 'lrr'; did you mean 'lr'"):
        train(a_net(moons), moons, optimizer={"name": "sgd", "lrr": 1})
    with pytest.raises(RunError, match="weight has 3 numbers for 2 classes"):
        train(a_net(moons), moons, loss={"name": "cross_entropy_fused", "weight": [1.0, 2, 3]})
    for wrong in ({"steps": 0}, {"clip_norm": -1}, {"patience": 0}, {"l2": -1}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Recipe(**wrong)


@dataclass(frozen=True)
class PlainDescent:
    """An optimizer as a beginner writes it: no ``out``, or one that it does not use."""

    lr: float = 0.5

    def init(self, theta):
        return {"t": np.zeros((), dtype=np.int64)}

    def step(self, theta, g, state, lr):
        return theta - lr * g, {"t": state["t"] + 1}


@dataclass(frozen=True)
class DeafDescent(PlainDescent):
    def step(self, theta, g, state, lr, out=None):
        return super().step(theta, g, state, lr)


@pytest.mark.parametrize("optimizer", [PlainDescent(), DeafDescent()])
def test_an_optimizer_need_not_write_in_place(moons, optimizer):
    found, expected = a_net(moons), a_net(moons)
    train(found, moons, optimizer=optimizer, recipe=Recipe(steps=20))
    train(expected, moons, optimizer={"name": "sgd", "lr": 0.5}, recipe=Recipe(steps=20))
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-12)


def test_a_last_update_that_breaks_the_net_is_told(moons):
    far = {"name": "sgd", "lr": 1e4}
    net = a_net(moons)
    recipe = Recipe(steps=1)
    result = train(net, moons, loss="cross_entropy_jacobian", optimizer=far, recipe=recipe)
    assert result.status == "not finite"
    assert "stopped at step 1" in result.verdict


def test_the_loss_that_is_reported_is_a_mean_whatever_the_gradient_is_of(moons):
    summed = train(a_net(moons), moons, recipe=Recipe(steps=1, reduction="sum")).history
    mean = train(a_net(moons), moons, recipe=Recipe(steps=1)).history
    assert summed[0][1]["train_loss"] == pytest.approx(mean[0][1]["train_loss"], rel=1e-12)
    assert summed[0][1]["gradient_norm"] == pytest.approx(200 * mean[0][1]["gradient_norm"])


def test_the_history_is_what_was_measured_and_no_more(moons):
    result = train(a_net(moons), moons, recipe=Recipe(steps=2))
    assert set(result.history[-1][1]) == {
        *("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    }


def test_a_unit_cannot_write_to_the_data_that_others_share(moons):
    @dataclass(frozen=True)
    class Writes:
        def forward(self, x):
            x *= 0.5
            return x, None

        def backward(self, residual, dy):
            return dy

    net = Net({"w": Writes(), **STAGES}, 2, classes=2, dtype="float64")
    with pytest.raises(RunError, match=r"stage w \(writes\): forward raised ValueError.*read-only"):
        train(net, moons, recipe=Recipe(steps=1))


def test_resuming_twice_with_everything_that_a_checkpoint_holds(moons, tmp_path):
    """Patience, the best parameters, a reference, a schedule, clipping: killed twice."""
    options = {
        "loss": "cross_entropy_fused",
        "optimizer": {"name": "rmsprop", "momentum": 0.5, "centered": True, "lr": 0.003},
        "schedule": {"name": "cosine", "warmup": 7},
        "reference": "cross_entropy_exact",
        "recipe": Recipe(
            steps=90, batch_size=48, evaluate_every=4, checkpoint_every=11, patience=30,
            select="best", clip_norm=0.5, clip_value=0.2, l2=1e-3,
        ),
    }  # fmt: skip
    whole = a_net(moons)
    expected = train(whole, moons, **options)

    class Killed(Exception):
        pass

    def kill_at(last):
        def kill(step, metrics):
            if step == last:
                raise Killed

        return kill

    for last, resume in ((40, False), (63, True)):
        start = a_net(moons, seed=last if resume else 0)
        with pytest.raises(Killed):
            train(
                start, moons, **options, directory=tmp_path, resume=resume,
                observe=kill_at(last),
            )  # fmt: skip
    again = a_net(moons, seed=5)
    found = train(again, moons, **options, directory=tmp_path, resume=True)
    assert np.array_equal(again.theta, whole.theta)
    assert found.status == expected.status
    for key in expected.metrics.keys() - {"step_seconds", "step_peak_bytes"}:
        assert found.metrics[key] == expected.metrics[key], key
    assert expected.metrics["gradient_difference"] == max(
        m["gradient_difference"] for _, m in expected.history if "gradient_difference" in m
    )
