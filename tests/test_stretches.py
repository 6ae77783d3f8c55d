"""Many steps in one kernel: as one after the other; several runs together: as each alone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pullback import Net, Recipe, build
from pullback.data import Batches, Data, Part
from pullback.registry import name_of
from pullback.stretches import Maker, finish, kind_of, together
from pullback.training import course

OPTIMIZERS = [
    {"name": "adam_numba", "lr": 0.01, "weight_decay": 0.01},
    {"name": "adam_numba", "lr": 0.01, "amsgrad": True},
    {"name": "sgd_numba", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
]
RECIPE = Recipe(steps=33, evaluate_every=10, checkpoint_every=16, batch_size=12)


def data(rows=50, seed=0, dtype="float32"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows + 20, 3)).astype(dtype)
    t = (x.sum(axis=1) > 0).astype(np.int64)
    nothing = Part(x[:0], t[:0])
    known = Part(x[:rows], t[:rows]), Part(x[rows:], t[rows:])
    return Data(*known, nothing, np.zeros(3), np.ones(3), 2)


def begun(
    optimizer=OPTIMIZERS[0],
    recipe=RECIPE,
    seed=0,
    by_stretches=True,
    scale=1.0,
    dtype="float32",
    threads=1,
    rows=50,
):
    """A course, and what it is the course of."""
    stages = {
        "z1": {"name": "affine_numba", "width": 6},
        "a1": "tanh_numba",
        "z2": {"name": "affine_numba", "width": 2},
    }
    net = Net(stages, 3, seed=seed, dtype=dtype)
    net.theta *= scale
    told = []
    going = course(
        net,
        data(rows, seed=seed, dtype=dtype),
        loss=build("loss", "cross_entropy_exact_numba"),
        optimizer=build("optimizer", optimizer),
        schedule=build("schedule", "cosine"),
        recipe=recipe,
        seed=seed,
        reference=None,
        threads=threads,
        observe=lambda step, metrics: told.append((step, metrics)),
        by_stretches=by_stretches,
    )
    return going, net, told


def same(one, other):
    """The same steps with the same metrics, to the rounding of their norms."""
    assert [step for step, _ in one] == [step for step, _ in other]
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert a[key] == pytest.approx(b[key], rel=1e-5), key


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_a_stretch_is_as_one_step_after_the_other_bit_for_bit(optimizer):
    going, net, told = begun(optimizer)
    assert finish(going).status == "finished"
    plainly, other, seen = begun(optimizer, by_stretches=False)
    finish(plainly)
    assert net.theta.tobytes() == other.theta.tobytes()
    same(told, seen)


@pytest.mark.parametrize("batch_size", [None, 7, 12])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"reduction": "sum"},
        {"l2": 0.1},
        {"clip_norm": 0.2, "clip_value": 0.1},
        {"clip_norm": 3},
    ],
    ids=str,
)
def test_so_is_one_of_batches_penalised_and_clipped(batch_size, more):
    recipe = replace(RECIPE, batch_size=batch_size, **more)
    going, net, told = begun(recipe=recipe)
    finish(going)
    plainly, other, seen = begun(recipe=recipe, by_stretches=False)
    finish(plainly)
    np.testing.assert_allclose(net.theta, other.theta, rtol=2e-5, atol=1e-6)  # the norm rounds
    same(told, seen)


def test_stretches_end_where_a_run_is_looked_at_saved_or_has_a_short_batch():
    going, _, _ = begun()
    lengths, made = [], None
    make = Maker()
    try:
        while True:
            stretch = going.send(made)
            lengths.append(len(stretch.rates))
            (made,) = make([stretch])
    except StopIteration:
        pass
    # looks at 0, 10, 20, 30; saved at 16, 32; five batches an epoch, the fifth of two rows
    assert lengths == [3, 4, 3, 1, 2, 3, 4, 1]
    assert sum(lengths) == 33 - 12


def test_batches_are_the_same_in_an_order():
    batches = Batches(data().train, 12, 3)
    assert batches.short_from(0) == 4
    assert batches.short_from(4) == 4
    assert batches.short_from(5) == 9
    for step, rows in zip(range(4), batches.order(range(4)), strict=True):
        assert batches.at(step)[0].tolist() == rows.tolist()
    assert Batches(data().train, None, 0).order(range(3)).shape == (3, 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_runs_together_are_each_as_alone_bit_for_bit(threads):
    variants = list(itertools.product(range(5), (0.02, 0.3)))

    def every():
        return [
            begun({"name": "adam_numba", "lr": lr}, seed=seed, scale=1 + seed)
            for seed, lr in variants
        ]

    alone, beside = every(), every()
    results = [finish(going) for going, _, _ in alone]
    joint = together([going for going, _, _ in beside], threads)
    for (_, net, told), (_, other, seen) in zip(alone, beside, strict=True):
        assert net.theta.tobytes() == other.theta.tobytes()
        assert told == seen
    for one, other in zip(results, joint, strict=True):
        assert one.metrics["train_loss"] == other.metrics["train_loss"]


def test_more_threads_change_no_bit_of_a_run():
    """Of rows enough that each thread has some."""
    recipe = Recipe(steps=20, evaluate_every=10)
    nets = []
    for threads in (1, 2):
        going, net, _ = begun(recipe=recipe, threads=threads, rows=400)
        finish(going)
        nets.append(net.theta.tobytes())
    assert nets[0] == nets[1]


def test_one_that_fails_leaves_the_others_alone():
    def every():
        return [begun({"name": "adam_numba", "lr": lr}) for lr in (0.1, 1e39, 0.2)]

    beside = every()
    results = together([going for going, _, _ in beside])
    assert [one.status for one in results] == ["finished", "not finite", "finished"]
    assert "stopped at step 1" in results[1].verdict
    going, _, _ = every()[1]
    alone = finish(going)
    assert alone.verdict == results[1].verdict
    assert alone.steps == results[1].steps
    assert beside[0][2][-1][0] == beside[2][2][-1][0] == 33
    assert beside[0][1].theta.tobytes() != beside[2][1].theta.tobytes()


def test_runs_of_different_kinds_are_made_beside_each_other():
    variants = OPTIMIZERS
    beside = [begun(one) for one in variants]
    together([going for going, _, _ in beside])
    for one, (_, net, _) in zip(variants, beside, strict=True):
        going, other, _ = begun(one)
        finish(going)
        assert net.theta.tobytes() == other.theta.tobytes()


def test_what_is_raised_while_a_stretch_is_made_is_raised_in_those_that_wait(monkeypatch):
    def interrupted(self, stretches):
        raise KeyboardInterrupt

    monkeypatch.setattr(Maker, "__call__", interrupted)

    def careful(going):
        try:
            return (yield from going)
        except KeyboardInterrupt:
            return "interrupted"

    beside = [careful(begun(seed=seed)[0]) for seed in range(2)]
    assert together(beside) == ["interrupted", "interrupted"]


def test_a_result_may_end_all():
    def other():
        yield from begun()[0]
        return "done"

    def careful(going):
        try:
            return (yield from going)
        except KeyboardInterrupt:
            return "interrupted"

    short = begun(recipe=replace(RECIPE, steps=12))[0]
    beside = [short, careful(other())]
    results = together(beside, ends_all=lambda one: one != "interrupted")
    assert results[0].status == "finished"
    assert results[1] == "interrupted"


@pytest.mark.parametrize(
    ("layer", "loss", "optimizer"),
    [
        ("softmax", "cross_entropy_exact_numba", "sgd_numba"),
        ("tanh_numba", "mse", "sgd_numba"),
        ("tanh_numba", "cross_entropy_exact_numba", "sgd"),
    ],
)
def test_without_a_kernel_there_are_no_stretches(layer, loss, optimizer):
    net = Net({"z": {"name": "affine_numba", "width": 2}, "a": layer}, 3)
    units = build("loss", loss), build("optimizer", optimizer)
    assert kind_of(net, *units, units[1].init(net.theta)) is None, name_of(units[1])
