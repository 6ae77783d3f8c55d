"""The initializers: their moments, their bounds, and what they refuse."""

import math

import numpy as np
import pytest

from pullback.units import Initializer
from pullback_basics.initializers import Given, Glorot, He, ScaledNormal, Zeros

FAN_IN, FAN_OUT = 300, 500
W = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))

# The standard deviation of each for a weight of shape (300, 500).
DRAWN = [
    (ScaledNormal(), math.sqrt(1 / 300)),
    (ScaledNormal(scale=0.1), 0.1 * math.sqrt(1 / 300)),
    (Glorot(), math.sqrt(2 / 800)),
    (Glorot(distribution="normal", gain=3.0), 3 * math.sqrt(2 / 800)),
    (He(), math.sqrt(2 / 300)),
    (He(distribution="uniform"), math.sqrt(2 / 300)),
]
drawn = pytest.mark.parametrize(("initializer", "std"), DRAWN, ids=str)


def draw(initializer, *shape, seed=0):
    return initializer.draw(np.random.default_rng(seed), shape)


@drawn
def test_moments(initializer, std):
    """The third and fourth tell the distributions apart; 150,000 draws give each to about 2 %.

    Catches the fans swapped, a variance taken for a deviation, and a factor 2, √2 or √3.
    """
    w = draw(initializer, FAN_IN, FAN_OUT) / std
    uniform = getattr(initializer, "distribution", "normal") == "uniform"
    assert w.shape == (FAN_IN, FAN_OUT)
    assert w.dtype == np.float64
    assert np.mean(w) == pytest.approx(0, abs=0.02)
    assert np.mean(w**2) == pytest.approx(1, rel=0.02)
    assert np.mean(w**3) == pytest.approx(0, abs=0.05)
    assert np.mean(w**4) == pytest.approx(1.8 if uniform else 3, rel=0.05)
    if uniform:
        assert np.max(np.abs(w)) == pytest.approx(math.sqrt(3), rel=1e-3)


@pytest.mark.parametrize(
    ("initializer", "bound"),
    [
        (Glorot(), math.sqrt(6 / (2 + 6))),
        (Glorot(gain=2.0), 2 * math.sqrt(6 / (2 + 6))),
        (He(distribution="uniform"), math.sqrt(6 / 2)),
    ],
    ids=str,
)
def test_bounds_of_the_papers(initializer, bound):
    w = np.abs(draw(initializer, 1000, 2, 6))
    assert 0.99 * bound < w.max() <= bound


@drawn
def test_axes_before_the_fans_stack_weights(initializer, std):
    """Catches fans that are taken from the front or from the size."""
    w = draw(initializer, 4, FAN_IN, FAN_OUT)
    np.testing.assert_allclose(w.std(axis=(1, 2)), std, rtol=0.02)
    assert not np.array_equal(w[0], w[1])


@drawn
def test_the_generator_decides(initializer, std):
    """Catches a generator that is not used, or a seed of its own."""
    assert std > 0
    np.testing.assert_array_equal(draw(initializer, 2, 3), draw(initializer, 2, 3))
    assert not np.array_equal(draw(initializer, 2, 3), draw(initializer, 2, 3, seed=1))


@drawn
@pytest.mark.parametrize("shape", [(), (5,), (0, 5), (5, 0)])
def test_a_weight_has_two_fans(initializer, std, shape):
    assert std > 0
    with pytest.raises(ValueError, match=r"\(\.\.\., fan in, fan out\), not \(") as error:
        draw(initializer, *shape)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("initializer", [Zeros(), Given(values=np.ones((2, 3)))], ids=str)
def test_nothing_is_drawn(initializer):
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    initializer.draw(rng, (2, 3))
    assert rng.random() == untouched.random()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (4, 2, 3)])
def test_zeros(shape):
    np.testing.assert_array_equal(draw(Zeros(), *shape), np.zeros(shape), strict=True)


@pytest.mark.parametrize("values", [W, [list(row) for row in W], np.array(W), np.array(W, "f4")])
def test_given_values(values):
    np.testing.assert_array_equal(draw(Given(values=values), 2, 3), np.array(W), strict=True)


def test_given_values_are_copied():
    """Catches a parameter that is the option's own array, which training would then write to."""
    values = np.array(W)
    assert not np.shares_memory(draw(Given(values=values), 2, 3), values)


def test_given_can_be_compared_and_hashed():
    """Catches a dataclass that compares its array and so has no truth value."""
    one, other = Given(values=np.array(W)), Given(values=np.array(W))
    assert one != other
    assert len({one, other}) == 2


def test_given_file(tmp_path):
    np.save(tmp_path / "one.npy", np.array(W, dtype=np.float32))
    np.savez(tmp_path / "two.npz", first=np.zeros((2, 3)), second=np.array(W))
    for given in (
        Given(file=str(tmp_path / "one.npy")),
        Given(file=str(tmp_path / "two.npz"), key="second"),
    ):
        np.testing.assert_array_equal(draw(given, 2, 3), np.array(W), strict=True)


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 2, 3), (2, 1)])
def test_given_shape_is_the_parameters(shape, tmp_path):
    """Catches a value that is reshaped, or broadcast over the parameter."""
    path = tmp_path / "w.npy"
    np.save(path, np.array(W))
    for given, source in ((Given(values=W), "values"), (Given(file=str(path)), str(path))):
        with pytest.raises(ValueError, match="shape") as error:
            draw(given, *shape)
        expected = f"{source} has shape (2, 3), but the parameter has shape {shape}"
        assert str(error.value) == expected


def test_given_files_that_are_refused(tmp_path):
    np.savez(tmp_path / "two.npz", first=np.zeros(3), second=np.zeros(3))
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.save(tmp_path / "objects.npy", np.array([{}, {}, {}]), allow_pickle=True)
    (tmp_path / "text.npy").write_text("1 2 3")
    (tmp_path / "empty.npy").touch()
    (tmp_path / "broken.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:100])
    for name, key, message in [
        ("two.npz", "third", "key must be one of first, second, not 'third'"),
        ("two.npz", "", "key must be one of first, second, not ''"),
        ("one.npy", "first", "it holds one array, without a name, and no 'first'"),
        ("objects.npy", "", "cannot be read as an array of numbers"),
        ("text.npy", "", "cannot be read as an array of numbers"),
        ("empty.npy", "", "cannot be read as an array of numbers"),
        ("broken.npz", "first", "cannot be read as an array of numbers"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            draw(Given(file=str(tmp_path / name), key=key), 3)
        assert str(tmp_path / name) in str(error.value)
    with pytest.raises(FileNotFoundError, match="missing"):
        draw(Given(file=str(tmp_path / "missing.npy")), 3)


@pytest.mark.parametrize("values", [[[1.0, 2.0], [3.0]], "numbers", [1j], [None, {}]])
def test_given_values_that_are_no_numbers(values):
    with pytest.raises(ValueError, match=r"^values cannot be read as an array of numbers"):
        draw(Given(values=values), 2)


@pytest.mark.parametrize(
    "initializer",
    [ScaledNormal(), Glorot(), He(), Zeros(), Given(values=W), Given(values=np.array(W))],
    ids=str,
)
def test_conforms(initializer):
    assert isinstance(initializer, Initializer)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (ScaledNormal, {"scale": -1.0}, "scale must be >= 0, not -1.0"),
        (Glorot, {"gain": -1.0}, "gain must be >= 0, not -1.0"),
        (
            Glorot,
            {"distribution": "gaussian"},
            "distribution must be 'uniform' or 'normal', not 'gaussian'",
        ),
        (He, {"distribution": ""}, "distribution must be 'uniform' or 'normal', not ''"),
        (Given, {}, "given needs either values or a file, and not both"),
        (
            Given,
            {"values": W, "file": "w.npy"},
            "given needs either values or a file, and not both",
        ),
        (Given, {"values": W, "key": "w"}, "key 'w' needs a file to look in"),
    ],
)
def test_messages(kind, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        kind(**options)
    assert str(error.value) == message
