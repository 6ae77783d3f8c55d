"""Preparing data: the split, the statistics of the training part, the digest, and every message."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from pullback.data import Data, Part, Split, from_arrays, prepare
from pullback.errors import ConfigError
from pullback.units import Dataset


@dataclass(frozen=True)
class Given:
    """What it is given, whatever that is."""

    x: Any
    t: Any

    def load(self, rng):
        return self.x, self.t


@dataclass(frozen=True)
class Drawn:
    n: int = 50

    def load(self, rng):
        return rng.normal(3, 2, (self.n, 2)), rng.integers(0, 3, self.n)


def numbered(n):
    """x with each row's own number, so that a row can be followed through the split."""
    return np.column_stack([np.arange(n), np.arange(n) ** 2]).astype(float)


def parts(data):
    return data.train, data.validation, data.test


@pytest.mark.parametrize(
    ("split", "n", "sizes"),
    [
        (Split(), 100, (60, 20, 20)),
        (Split(), 1797, (1079, 359, 359)),
        (Split(0, 0), 1, (1, 0, 0)),
        (Split(1, 2), 10, (7, 1, 2)),
        (Split(30, 0.1), 100, (60, 30, 10)),
        (Split(0.25, 0), 6, (4, 2, 0)),
        (Split(), 2, (2, 0, 0)),
    ],
)
def test_split_sizes(split, n, sizes):
    assert split.sizes(n) == sizes
    data = from_arrays(numbered(n), np.zeros(n, int), split=split)
    assert tuple(len(part) for part in parts(data)) == sizes
    assert tuple(len(part.t) for part in parts(data)) == sizes


def test_parts_share_no_row_and_leave_none_out():
    n = 101
    data = from_arrays(numbered(n), np.arange(n), standardise=False)
    rows = np.concatenate([part.x[:, 0] for part in parts(data)])
    assert sorted(rows) == list(range(n))
    assert (np.diff(rows) != 1).any()
    for part in parts(data):
        np.testing.assert_array_equal(part.x[:, 0], part.t)


def test_rows_come_in_the_order_of_the_seed_training_first():
    n = 20
    data = from_arrays(numbered(n), np.arange(n), seed=5, standardise=False)
    order = np.random.default_rng([5, 1]).permutation(n)
    np.testing.assert_array_equal(data.train.t, order[:12])
    np.testing.assert_array_equal(data.validation.t, order[12:16])
    np.testing.assert_array_equal(data.test.t, order[16:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Split(validation=-1), "validation must be >= 0, not -1"),
        (lambda: Split(test=float("nan")), "test must be >= 0, not nan"),
        (lambda: Split(test=1.5), "test must be a fraction below 1 or a whole number, not 1.5"),
        (
            lambda: Split(test=float("inf")),
            "test must be a fraction below 1 or a whole number, not inf",
        ),
        (
            lambda: Split(0.5, 0.5).sizes(10),
            "nothing is left for training: of 10 rows, validation takes 5 and test 5",
        ),
        (
            lambda: prepare(Drawn(10), split=Split(9, 4)),
            "Drawn: nothing is left for training: of 10 rows, validation takes 9 and test 4",
        ),
    ],
)
def test_splits_that_cannot_be(make, message):
    with pytest.raises(ConfigError) as raised:
        make()
    assert str(raised.value) == message


def test_standardisation_is_fitted_on_the_training_part_only():
    n = 60
    x, t = numbered(n) + 7, np.zeros(n, int)
    raw = from_arrays(x, t, standardise=False, dtype="float64")
    # Where the held-out rows are far away, a fit on everything cannot agree with one on training.
    x[np.concatenate([raw.validation.x, raw.test.x])[:, 0].astype(int) - 7] += 1e6
    data = from_arrays(x, t, dtype="float64")
    np.testing.assert_allclose(data.mean, raw.train.x.mean(axis=0))
    np.testing.assert_allclose(data.scale, raw.train.x.std(axis=0))
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1)
    assert data.validation.x.min() > 100
    assert data.test.x.min() > 100


@pytest.mark.parametrize("standardise", [True, False])
def test_standardise_treats_new_examples_as_the_parts(standardise):
    x, t = Drawn().load(np.random.default_rng(1))
    data = from_arrays(x, t, standardise=standardise)
    order = np.random.default_rng([0, 1]).permutation(len(x))
    again = data.standardise(x[order])
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, np.concatenate([part.x for part in parts(data)]))
    np.testing.assert_array_equal(data.standardise(x[order[0]]), data.train.x[0])


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9 / 3])
def test_a_constant_column_is_only_centred(value):
    x = np.column_stack([np.full(30, value), np.arange(30)])
    data = from_arrays(x, np.zeros(30, int), dtype="float64")
    assert data.scale[0] == 1
    np.testing.assert_allclose(data.train.x[:, 0], 0, atol=1e-6)


def test_without_standardisation_x_is_as_it_was():
    data = from_arrays(numbered(10), np.arange(10), standardise=False)
    np.testing.assert_array_equal(data.train.x, numbered(10)[data.train.t])
    np.testing.assert_array_equal(data.mean, [0, 0])
    np.testing.assert_array_equal(data.scale, [1, 1])


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64])
def test_labels(dtype):
    data = prepare(
        Given(numbered(9).astype(int), np.array([0, 4] * 4 + [1], np.uint8)), dtype=dtype
    )
    assert (data.classes, data.outputs, data.inputs) == (5, 5, (2,))
    for part in parts(data):
        assert part.x.dtype == dtype
        assert part.t.dtype == np.int64


def test_classes_count_the_labels_of_every_part():
    t = np.zeros(10, int)
    t[np.random.default_rng([0, 1]).permutation(10)[-1]] = 6
    data = from_arrays(numbered(10), t)
    assert data.train.t.max() == 0
    assert data.classes == 7


def test_booleans_are_labels():
    data = from_arrays(numbered(10), np.arange(10) > 4)
    assert data.classes == 2
    assert data.train.t.dtype == np.int64


@pytest.mark.parametrize(("shape", "outputs"), [((10,), 1), ((10, 1), 1), ((10, 3), 3)])
def test_numbers_become_columns_and_are_left_as_they_are(shape, outputs):
    t = np.random.default_rng(0).normal(5, 9, shape)
    data = from_arrays(numbered(10), t, standardise=False, dtype="float64")
    assert data.classes is None
    assert data.outputs == outputs
    for part in parts(data):
        assert part.t.shape == (len(part), outputs)
        np.testing.assert_array_equal(part.t, t.reshape(10, -1)[part.x[:, 0].astype(int)])
    assert from_arrays(numbered(10), t).train.t.dtype == np.float32


def test_examples_may_have_more_than_one_axis():
    x = np.random.default_rng(0).normal(size=(10, 4, 5))
    data = from_arrays(x, np.zeros(10, int))
    assert data.inputs == data.mean.shape == data.scale.shape == (4, 5)


def test_empty_parts_keep_their_shape():
    data = from_arrays(numbered(10), np.zeros((10, 2)), split=Split(0, 0))
    assert len(data.validation) == len(data.test) == 0
    assert data.test.x.shape == (0, 2)
    assert data.test.t.shape == (0, 2)
    assert len(data.digest) == 16


def test_the_arrays_that_were_given_are_not_written():
    x, t = numbered(10), np.arange(10.0)
    x.setflags(write=False)
    t.setflags(write=False)
    data = from_arrays(x, t, standardise=False, dtype="float64")
    assert not np.shares_memory(data.train.x, x)
    assert not np.shares_memory(data.train.t, t)


def test_a_seed_gives_the_same_data_again_and_another_seed_other_data():
    assert prepare(Drawn(), seed=1).digest == prepare(Drawn(), seed=1).digest
    assert len({prepare(Drawn(), seed=seed).digest for seed in range(5)}) == 5


def test_prepare_draws_and_shuffles_from_two_streams_of_the_seed():
    x, t = Drawn().load(np.random.default_rng([7, 0]))
    assert prepare(Drawn(), seed=7).digest == from_arrays(x, t, seed=7).digest


def test_a_digest_is_16_hexadecimal_digits():
    digest = prepare(Drawn()).digest
    assert len(digest) == 16
    assert int(digest, 16) >= 0


def copy(data, **changes):
    fields = {
        name: getattr(data, name) for name in ("train", "validation", "test", "mean", "scale")
    }
    return Data(**{**fields, **changes}, classes=data.classes)


@pytest.mark.parametrize("name", ["train", "validation", "test"])
@pytest.mark.parametrize("which", ["x", "t"])
def test_the_digest_changes_with_one_bit_of_a_part(name, which):
    data = prepare(Drawn())
    part = getattr(data, name)
    arrays = {"x": part.x.copy(), "t": part.t.copy()}
    assert copy(data, **{name: Part(**arrays)}).digest == data.digest
    arrays[which].reshape(-1)[-1:].view(np.uint8)[0] ^= 1
    assert copy(data, **{name: Part(**arrays)}).digest != data.digest


@pytest.mark.parametrize("name", ["mean", "scale"])
def test_the_digest_changes_with_one_bit_of_the_statistics(name):
    data = prepare(Drawn())
    array = getattr(data, name).copy()
    array.view(np.uint8)[0] ^= 1
    assert copy(data, **{name: array}).digest != data.digest


def test_the_digest_changes_with_shape_dtype_and_split():
    data = from_arrays(np.zeros((12, 2)), np.zeros(12, int))
    others = [
        copy(data, mean=data.mean.view(np.int64)),
        copy(data, mean=data.mean[None]),
        from_arrays(np.zeros((12, 2)), np.zeros(12, int), split=Split(3, 2)),
    ]
    assert data.digest not in {other.digest for other in others}


X, T = numbered(4), np.zeros(4, int)


def with_value(array, place, value):
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("x", "t", "message"),
    [
        (X, T[:3], "x has 4 rows and t has 3"),
        (X[:0], T[:0], "x (0, 2) is empty"),
        (X[:, :0], T, "x (4, 0) is empty"),
        (X[:, 0], T, "x must have the shape (N, features), not (4,)"),
        (X.astype(str), T, f"x must hold numbers, not {X.astype(str).dtype}"),
        (X.astype(object), T, "x must hold numbers, not object"),
        (X * 1j, T, "x must hold numbers, not complex128"),
        (X, T.astype(str), f"t must hold integer labels or floats, not {T.astype(str).dtype}"),
        (
            X,
            T[:, None],
            "t must be integer labels (N,) or floats (N,) or (N, K), not int64 (4, 1)",
        ),
        (
            X,
            np.zeros((4, 1, 1)),
            "t must be integer labels (N,) or floats (N,) or (N, K), not float64 (4, 1, 1)",
        ),
        (
            X,
            np.int64(1),
            "t must be integer labels (N,) or floats (N,) or (N, K), not int64 ()",
        ),
        (
            with_value(X, (2, 1), np.nan),
            T,
            "x is nan in row 2, column 1 (counted from 0); it must be finite",
        ),
        (
            with_value(np.zeros((4, 2, 3)), (3, 1, 2), -np.inf),
            T,
            "x is -inf in row 3, column 1, 2 (counted from 0); it must be finite",
        ),
        (
            X,
            with_value(np.zeros(4), 1, np.inf),
            "t is inf in row 1 (counted from 0); it must be finite",
        ),
        (X, with_value(T, 3, -2), "t is -2 in row 3 (counted from 0); labels count from 0"),
        (
            X,
            with_value(np.zeros(4), 1, 1e300),
            "t has values that float32 cannot hold; scale them down",
        ),
    ],
)
def test_what_a_data_set_may_not_return(x, t, message):
    with pytest.raises(ConfigError) as raised:
        prepare(Given(x, t))
    assert str(raised.value) == f"Given: {message}"
    with pytest.raises(ConfigError) as raised:
        from_arrays(x, t)
    assert str(raised.value) == f"data: {message}"


def test_x_that_the_dtype_cannot_hold():
    with pytest.raises(ConfigError, match=r"^data: x has values that float32 cannot hold"):
        from_arrays(X * 1e300, T, standardise=False)


class Single:
    def load(self, rng):
        return X


class Failing:
    def __init__(self, error):
        self.error = error

    def load(self, rng):
        raise self.error


def test_load_must_return_a_pair():
    with pytest.raises(ConfigError, match=r"^Single: load must return \(x, t\)$"):
        prepare(Single())


@pytest.mark.parametrize("error", [ValueError("no column 'y'"), FileNotFoundError("no column 'y'")])
def test_what_load_says_is_passed_on(error):
    with pytest.raises(ConfigError, match=r"^Failing: no column 'y'$") as raised:
        prepare(Failing(error))
    assert raised.value.__cause__ is error


def test_a_mistake_in_the_code_of_load_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError):
        prepare(Failing(ZeroDivisionError()))


@pytest.mark.parametrize("dtype", ["float", "int32", "flaot32", complex, "M8[s]"])
def test_dtypes(dtype):
    if dtype == "float":
        assert prepare(Drawn(), dtype=dtype).train.x.dtype == np.float64
        return
    with pytest.raises(
        ConfigError, match=r"^dtype must be a float such as float32 or float64, not "
    ):
        prepare(Drawn(), dtype=dtype)


def test_negative_seeds():
    for make in (lambda: prepare(Drawn(), seed=-1), lambda: from_arrays(X, T, seed=-1)):
        with pytest.raises(ConfigError, match=r"^seed must be >= 0, not -1$"):
            make()


def test_a_data_set_needs_only_load():
    assert isinstance(Drawn(), Dataset)
    assert isinstance(Single(), Dataset)
