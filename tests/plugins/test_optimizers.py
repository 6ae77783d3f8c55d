"""The optimizers: by hand, by law, and against recorded trajectories of PyTorch.

What a test catches is said in it where its name does not say so.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pullback.units import Optimizer
from pullback_basics import optimizers
from pullback_basics.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

RECORD = json.loads((Path(__file__).parent / "data/optimizers.json").read_text(encoding="utf-8"))

PLAIN = [
    SGD(),
    SGD(momentum=0.9),
    SGD(momentum=0.9, dampening=0.3),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(),
    RMSprop(alpha=0.8, momentum=0.9),
    RMSprop(alpha=0.8, centered=True),
    RMSprop(alpha=0.8, centered=True, momentum=0.9),
    Adagrad(),
    Adagrad(lr_decay=0.01, initial_accumulator_value=0.5),
    Adam(),
    Adam(beta1=0.7, beta2=0.6, amsgrad=True),
]
DECAYING = [
    SGD(weight_decay=0.1),
    SGD(momentum=0.9, nesterov=True, weight_decay=0.1),
    RMSprop(centered=True, momentum=0.9, weight_decay=0.1),
    Adagrad(weight_decay=0.1),
    Adam(weight_decay=0.1),
    AdamW(),
    AdamW(beta2=0.6, amsgrad=True, weight_decay=0.1),
]
everything = pytest.mark.parametrize("optimizer", PLAIN + DECAYING, ids=str)
undecayed = pytest.mark.parametrize("optimizer", [*PLAIN, AdamW(weight_decay=0.0)], ids=str)
decaying = pytest.mark.parametrize("optimizer", DECAYING, ids=str)


def problem(*shape, steps=6, dtype=np.float64):
    """θ, and the gradient and the rate of each step."""
    rng = np.random.default_rng(1)
    gradients = rng.normal(size=(steps, *shape)).astype(dtype)
    return rng.normal(size=shape).astype(dtype), gradients, (0.1 / np.arange(1, steps + 1)).tolist()


def run(optimizer, theta, gradients, rates, state=None):
    state = optimizer.init(theta) if state is None else state
    for g, lr in zip(gradients, rates, strict=True):
        theta, state = optimizer.step(theta, g, state, lr)
    return theta, state


def copied(theta, state):
    return theta.copy(), {name: value.copy() for name, value in state.items()}


def frozen(*arrays):
    for array in arrays:
        array.flags.writeable = False


def assert_same(ours, theirs):
    """Equal bit for bit: θ and the state."""
    np.testing.assert_array_equal(ours[0], theirs[0], strict=True)
    assert ours[1].keys() == theirs[1].keys()
    for name, value in ours[1].items():
        np.testing.assert_array_equal(value, theirs[1][name], strict=True)


# By hand: θ = 1, then the gradients 2 and −1 with lr = 0.1.

BY_HAND = [
    # 1 − 0.2 = 0.8; 0.8 + 0.1
    (SGD(), 0.8, 0.9),
    # g = 2 + 0.5 · 1 = 2.5; g = −1 + 0.5 · 0.75 = −0.625
    (SGD(weight_decay=0.5), 0.75, 0.8125),
    # b = 2; b = 0.5 · 2 − 1 = 0
    (SGD(momentum=0.5), 0.8, 0.8),
    # b = 2, not 0.5; b = 0.5 · 2 − 0.25 = 0.75
    (SGD(momentum=0.5, dampening=0.75), 0.8, 0.725),
    # 2 + 0.5 · 2 = 3; −1 + 0.5 · 0 = −1
    (SGD(momentum=0.5, nesterov=True), 0.7, 0.8),
    # v = 0.25 · 4 = 1, 2 / (1 + 1) = 1; v = 0.75 + 0.25 = 1, −1 / (1 + 1)
    (RMSprop(alpha=0.75, eps=1.0), 0.9, 0.95),
    # g / (√v + ε) = 1 and −0.5 as before; b = 1; b = 0.5 − 0.5 = 0
    (RMSprop(alpha=0.75, eps=1.0, momentum=0.5), 0.9, 0.9),
    # v = 2, m = 1, √(2 − 1) = 1; v = 1.5, m = 0, −1 / √1.5
    (RMSprop(alpha=0.5, eps=0.0, centered=True), 0.8, 0.8 + 0.1 / math.sqrt(1.5)),
    # s = 4, 2 / (2 + 3); s = 5, lr / (1 + 4) from the second step on
    (
        Adagrad(eps=3.0, lr_decay=4.0),
        0.96,
        0.96 + 0.02 / (math.sqrt(5) + 3),
    ),
    # s = 5 + 4 = 9; s = 10
    (Adagrad(eps=0.0, initial_accumulator_value=5.0), 1 - 0.2 / 3, 1 - 0.2 / 3 + 0.1 / 10**0.5),
    # m = 1, m̂ = 2, v = 1, v̂ = 4, 2 / (2 + 2); m = 0
    (Adam(beta1=0.5, beta2=0.75, eps=2.0), 0.95, 0.95),
    # m = 1.5, m̂ = 2, v = 1, v̂ = 4; m = −0.375, m̂ = −0.4, v = 1, v̂ = 1 / (7 / 16) = 16 / 7
    (Adam(beta1=0.25, beta2=0.75, eps=2.0), 0.95, 0.95 + 0.04 / (math.sqrt(16 / 7) + 2)),
    # v = 4 and then 1, of which v_max keeps 4 (β₂ = 0: v̂ = v)
    (Adam(beta1=0.0, beta2=0.0, eps=0.0, amsgrad=True), 0.9, 0.95),
    # g = 2 + 2 · 1 = 4, ĝ = 1; g = −1 + 2 · 0.9 = 0.8, ĝ = 1
    (Adam(beta1=0.0, beta2=0.0, eps=0.0, weight_decay=2.0), 0.9, 0.8),
    # 1 · 0.8 − 0.1; 0.7 · 0.8 + 0.1
    (AdamW(beta1=0.0, beta2=0.0, eps=0.0, weight_decay=2.0), 0.7, 0.66),
]


@pytest.mark.parametrize(("optimizer", "first", "second"), BY_HAND, ids=str)
def test_two_steps_by_hand(optimizer, first, second):
    theta = np.array([1.0])
    theta, state = optimizer.step(theta, np.array([2.0]), optimizer.init(theta), 0.1)
    assert theta[0] == pytest.approx(first, rel=1e-14)
    theta, _ = optimizer.step(theta, np.array([-1.0]), state, 0.1)
    assert theta[0] == pytest.approx(second, rel=1e-14)


# Against PyTorch.


@pytest.mark.parametrize(
    "case", RECORD["cases"], ids=lambda case: f"{case['optimizer']} {case['options']}"
)
def test_trajectory_of_pytorch(case):
    """Catches every slip in a rule that one or two steps do not show, and self.lr used for lr."""
    optimizer = getattr(optimizers, case["optimizer"])(**case["options"])
    theta = np.array(RECORD["theta"])
    state = optimizer.init(theta)
    steps = zip(RECORD["gradients"], RECORD["lr"], case["thetas"], strict=True)
    for g, lr, expected in steps:
        theta, state = optimizer.step(theta, np.array(g), state, lr)
        np.testing.assert_allclose(theta, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RECORD["defaults"])
def test_options_and_defaults_of_pytorch(name):
    assert asdict(getattr(optimizers, name)()) == RECORD["defaults"][name]


def test_every_optimizer_is_recorded():
    names = [case["optimizer"] for case in RECORD["cases"]]
    assert {type(optimizer).__name__ for optimizer in PLAIN + DECAYING} == set(names)
    assert len(names) == 18


# The law of an optimizer.


@everything
def test_conforms(optimizer):
    assert isinstance(optimizer, Optimizer)


@everything
def test_inputs_are_not_written(optimizer):
    theta, gradients, rates = problem(5)
    state = optimizer.init(theta)
    for g, lr in zip(gradients, rates, strict=True):
        before = copied(theta, state)
        frozen(theta, g, *state.values())
        new_theta, new_state = optimizer.step(theta, g, state, lr)
        assert_same((theta, state), before)
        assert not np.shares_memory(new_theta, theta)
        assert not np.shares_memory(new_theta, g)
        assert not any(np.shares_memory(new_state[name], state[name]) for name in state)
        theta, state = new_theta, new_state


@everything
@pytest.mark.parametrize("fresh_theta", [False, True])
@pytest.mark.parametrize("fresh_state", [False, True])
def test_out_gives_the_same_bits(optimizer, fresh_theta, fresh_state):
    """Catches a θ that is written before it is read, and buffers whose old values are used."""
    theta, gradients, rates = problem(5)
    pure = theta, optimizer.init(theta)
    here = copied(*pure)
    for g, lr in zip(gradients, rates, strict=True):
        frozen(g)
        pure = optimizer.step(pure[0], g, pure[1], lr)
        buffer = np.full_like(theta, np.nan) if fresh_theta else here[0]
        buffers = (
            {name: np.full_like(value, 77) for name, value in here[1].items()}
            if fresh_state
            else here[1]
        )
        before = copied(*here)
        after = optimizer.step(here[0], g, here[1], lr, out=(buffer, buffers))
        assert after[0] is buffer
        assert after[1] is buffers
        assert_same(after, pure)
        if fresh_theta and fresh_state:
            assert_same(here, before)
        here = after


@everything
def test_in_place_keeps_the_arrays(optimizer):
    """Catches a state whose arrays are replaced: views of them, as in a stack, would go stale."""
    theta, gradients, rates = problem(5)
    state = optimizer.init(theta)
    arrays = dict(state)
    for g, lr in zip(gradients, rates, strict=True):
        optimizer.step(theta, g, state, lr, out=(theta, state))
    assert all(state[name] is array for name, array in arrays.items())
    assert state.keys() == arrays.keys()


@everything
def test_leading_axis_is_a_loop(optimizer):
    """Catches a norm or a mean over everything in what should be elementwise."""
    theta, gradients, rates = problem(3, 5)
    stacked, stacked_state = run(optimizer, theta, gradients, rates)
    for i in range(3):
        alone, state = run(optimizer, theta[i], gradients[:, i], rates)
        parts = {name: v[i] if v.ndim else v for name, v in stacked_state.items()}
        assert_same((alone, state), (stacked[i], parts))


@everything
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(optimizer, dtype):
    theta, gradients, rates = problem(5, dtype=dtype)
    new_theta, state = run(optimizer, theta, gradients, rates)
    assert new_theta.dtype == dtype
    for name, value in state.items():
        assert isinstance(value, np.ndarray)
        if name == "t":
            assert (value.dtype, value.shape, int(value)) == (np.int64, (), len(rates))
        else:
            assert (value.dtype, value.shape) == (dtype, theta.shape)


@everything
def test_float32_is_float64_rounded(optimizer):
    """Catches a count or a correction that is computed in the dtype of θ."""
    theta, gradients, rates = problem(5, steps=40, dtype=np.float32)
    single, _ = run(optimizer, theta, gradients, rates)
    double, _ = run(optimizer, theta.astype(float), gradients.astype(float), rates)
    np.testing.assert_allclose(single, double, rtol=0, atol=3e-6)


@everything
def test_state_has_its_shape_from_the_start(optimizer):
    """Catches a buffer that appears with the first step: out and a checkpoint need it before."""
    theta, gradients, rates = problem(2, 5)
    start = optimizer.init(theta)
    _, end = run(optimizer, theta, gradients, rates)
    assert {k: (v.shape, v.dtype) for k, v in start.items()} == {
        k: (v.shape, v.dtype) for k, v in end.items()
    }


@everything
def test_stored_and_continued(optimizer, tmp_path):
    """Catches anything that is carried outside the state."""
    theta, gradients, rates = problem(5)
    whole = run(optimizer, theta, gradients, rates)
    half, state = run(optimizer, theta, gradients[:3], rates[:3])
    np.savez(tmp_path / "checkpoint.npz", theta=half, **state)
    with np.load(tmp_path / "checkpoint.npz") as stored:
        restored = {name: stored[name] for name in stored.files}
    again = type(optimizer)(**asdict(optimizer))
    assert_same(run(again, restored.pop("theta"), gradients[3:], rates[3:], restored), whole)


def test_plain_sgd_keeps_nothing():
    assert SGD(weight_decay=0.1).init(np.ones(3)) == {}


# What the rules imply.


@undecayed
def test_no_gradient_no_step(optimizer):
    """Also catches 0 / 0."""
    theta, gradients, rates = problem(5)
    new_theta, _ = run(optimizer, theta, np.zeros_like(gradients), rates)
    np.testing.assert_array_equal(new_theta, theta)


@undecayed
def test_only_the_gradient_moves_theta(optimizer):
    """The way is the same from everywhere. Catches a decay that cannot be turned off."""
    theta, gradients, rates = problem(5)
    here, _ = run(optimizer, theta, gradients, rates)
    there, _ = run(optimizer, theta + 100, gradients, rates)
    np.testing.assert_allclose(there - here, 100, rtol=0, atol=1e-12)


@decaying
def test_decay_is_towards_zero(optimizer):
    theta, gradients, rates = problem(5)
    new_theta, _ = run(optimizer, 10 * theta, np.zeros_like(gradients), rates)
    assert np.all(np.abs(new_theta) < np.abs(10 * theta))


@decaying
def test_no_rate_no_step(optimizer):
    """Catches a decay or a momentum that does not go through lr."""
    theta, gradients, rates = problem(5)
    new_theta, _ = run(optimizer, theta, gradients, [0.0 for _ in rates])
    np.testing.assert_array_equal(new_theta, theta)


def test_adamw_decays_by_its_rate_alone():
    """Catches a decay that Adam divides by √v̂, as its own is."""
    theta, gradients, rates = problem(5)
    decayed, _ = run(AdamW(weight_decay=0.1), theta, np.zeros_like(gradients), rates)
    np.testing.assert_allclose(decayed, theta * math.prod(1 - lr * 0.1 for lr in rates), rtol=1e-14)


def test_adamw_without_decay_is_adam():
    theta, gradients, rates = problem(5)
    adam = run(Adam(), theta, gradients, rates)
    assert_same(run(AdamW(weight_decay=0.0), theta, gradients, rates), adam)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("optimizer", [Adam(eps=1e-30), Adam(eps=1e-30, amsgrad=True)], ids=str)
def test_first_step_of_adam_is_the_rate(optimizer, scale):
    """Catches a missing correction of m or of v: the step is then (1 − β₁) or 1 / √(1 − β₂) off."""
    theta, gradients, _ = problem(5)
    g = scale * gradients[0]
    new_theta, _ = optimizer.step(theta, g, optimizer.init(theta), 0.1)
    np.testing.assert_allclose(new_theta - theta, -0.1 * np.sign(g), rtol=1e-12)


@pytest.mark.parametrize(
    "optimizer",
    [
        RMSprop(eps=0.0),
        RMSprop(eps=0.0, centered=True, momentum=0.9),
        Adagrad(eps=0.0, lr_decay=0.2),
        Adam(eps=0.0),
        Adam(eps=0.0, amsgrad=True),
        AdamW(eps=0.0),
    ],
    ids=str,
)
def test_scale_of_the_gradient_does_not_matter(optimizer):
    """Bit for bit, for a power of two. Catches a missing root or square."""
    theta, gradients, rates = problem(5)
    expected, _ = run(optimizer, theta, gradients, rates)
    scaled, _ = run(optimizer, theta, 1024 * gradients, rates)
    np.testing.assert_array_equal(scaled, expected)


@pytest.mark.parametrize("optimizer", PLAIN[:4], ids=str)
def test_sgd_is_linear_in_the_gradient(optimizer):
    theta, gradients, rates = problem(5)
    start = np.zeros_like(theta)
    expected, _ = run(optimizer, start, gradients, rates)
    scaled, _ = run(optimizer, start, 1024 * gradients, rates)
    np.testing.assert_array_equal(scaled, 1024 * expected)


@undecayed
def test_descends_a_quadratic(optimizer):
    """½ Σ c θ², c = 1 … 4, with its own gradients. Catches a step uphill, or one that stalls."""
    curvature = np.arange(1.0, 5.0)
    theta = np.array([1.0, -1.0, 0.5, -0.5])
    start = 0.5 * np.sum(curvature * theta**2)
    state = optimizer.init(theta)
    for t in range(500):
        theta, state = optimizer.step(theta, curvature * theta, state, 0.1 * (1 - t / 500))
    assert 0.5 * np.sum(curvature * theta**2) < 1e-2 * start


# Options.


@pytest.mark.parametrize("kind", [SGD, RMSprop, Adagrad, Adam, AdamW])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_options_below_zero_are_refused(kind, value):
    signed = {"dampening"}
    for option, default in asdict(kind()).items():
        if isinstance(default, bool) or option in signed:
            continue
        with pytest.raises(ValueError, match=f"^{option} must be >= 0.*, not {value}$"):
            kind(**{option: value})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (SGD, {"momentum": -1}, "momentum must be >= 0, not -1"),
        (
            SGD,
            {"nesterov": True},
            "nesterov needs momentum > 0 and dampening = 0, not momentum 0.0 and dampening 0.0",
        ),
        (
            SGD,
            {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
            "nesterov needs momentum > 0 and dampening = 0, not momentum 0.9 and dampening 0.1",
        ),
        (RMSprop, {"alpha": 1.0}, "alpha must be >= 0 and < 1, not 1.0"),
        (Adam, {"beta1": 1.0}, "beta1 must be >= 0 and < 1, not 1.0"),
        (AdamW, {"beta2": 1.5}, "beta2 must be >= 0 and < 1, not 1.5"),
    ],
)
def test_messages(kind, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        kind(**options)
    assert str(error.value) == message
