"""The data sets: their geometry, their seeds, files of every kind, and every message."""

import gzip
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pullback_basics.datasets import (
    Blobs,
    BreastCancer,
    Circles,
    Digits,
    File,
    Iris,
    Moons,
    Spirals,
    Wine,
)

DRAWN = [Moons(), Spirals(), Circles(), Blobs(), Blobs(n=50, classes=7, features=5)]


def rng(seed=0):
    return np.random.default_rng(seed)


def load(dataset):
    return dataset.load(rng())


def by_place(x, t):
    """The rows with their labels, in an order that does not depend on theirs."""
    rows = np.column_stack([x, t]).round(12) + 0.0
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("n", [2, 3, 400, 401])
def test_moons_are_those_of_sklearn(n):
    from sklearn.datasets import make_moons

    ours, theirs = by_place(*load(Moons(n, noise=0))), by_place(*make_moons(n))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 400, 401])
def test_circles_are_those_of_sklearn(n):
    from sklearn.datasets import make_circles

    ours = by_place(*load(Circles(n, noise=0, factor=0.3)))
    np.testing.assert_allclose(ours, by_place(*make_circles(n, factor=0.3)), atol=1e-12)


def test_spirals_follow_their_equation():
    x, t = load(Spirals(n=90, classes=3, turns=1.5, noise=0))
    r = np.hypot(*x.T)
    assert np.bincount(t).tolist() == [30, 30, 30]
    np.testing.assert_allclose(np.sort(r[t == 2]), np.arange(1, 31) / 30)
    angle = 2 * np.pi * (1.5 * r + t / 3)
    np.testing.assert_allclose(x, (r * [np.cos(angle), np.sin(angle)]).T, atol=1e-12)


def test_blobs_lie_on_their_centres_without_spread():
    x, t = load(Blobs(n=40, classes=4, features=3, spread=0))
    assert len(np.unique(x, axis=0)) == 4
    assert all(len(np.unique(x[t == k], axis=0)) == 1 for k in range(4))
    assert np.abs(x).max() <= 10


@pytest.mark.parametrize(
    ("made", "still"),
    [
        (Moons(20_000, noise=0.3), Moons(20_000, noise=0)),
        (Spirals(20_000, noise=0.3), Spirals(20_000, noise=0)),
        (Circles(20_000, noise=0.3), Circles(20_000, noise=0)),
        (Blobs(20_000, spread=0.3), Blobs(20_000, spread=0)),
    ],
)
def test_noise_is_a_standard_deviation(made, still):
    noise = load(made)[0] - load(still)[0]
    np.testing.assert_allclose(noise.std(axis=0), 0.3, rtol=0.03)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.01)


@pytest.mark.parametrize("dataset", DRAWN, ids=repr)
def test_drawn_sets_depend_on_the_seed_and_on_nothing_else(dataset):
    x, t = dataset.load(rng(3))
    again, other = dataset.load(rng(3)), dataset.load(rng(4))
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(t, again[1])
    assert not np.array_equal(x, other[0])
    assert not np.array_equal(t, other[1])


@pytest.mark.parametrize("dataset", DRAWN, ids=repr)
def test_drawn_sets_are_shuffled_and_balanced(dataset):
    x, t = load(dataset)
    assert x.dtype == np.float64
    assert t.dtype == np.int64
    assert len(x) == len(t) == dataset.n
    assert np.ptp(np.bincount(t)) <= 1
    assert (np.diff(t) != 0).sum() > len(t) / 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Moons(n=0), "n must be >= 2, not 0"),
        (lambda: Moons(noise=-1), "noise must be >= 0, not -1"),
        (lambda: Moons(noise=float("nan")), "noise must be >= 0, not nan"),
        (lambda: Spirals(classes=0), "classes must be >= 1, not 0"),
        (lambda: Spirals(n=2, classes=3), "n must be >= 3, not 2"),
        (lambda: Spirals(turns=-0.5), "turns must be >= 0, not -0.5"),
        (lambda: Spirals(noise=-1), "noise must be >= 0, not -1"),
        (lambda: Circles(n=1), "n must be >= 2, not 1"),
        (lambda: Circles(noise=-1), "noise must be >= 0, not -1"),
        (lambda: Circles(factor=1), "factor must be >= 0 and < 1, not 1"),
        (lambda: Circles(factor=-0.1), "factor must be >= 0 and < 1, not -0.1"),
        (lambda: Blobs(classes=0), "classes must be >= 1, not 0"),
        (lambda: Blobs(n=1), "n must be >= 3, not 1"),
        (lambda: Blobs(features=0), "features must be >= 1, not 0"),
        (lambda: Blobs(spread=-2), "spread must be >= 0, not -2"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize(
    ("dataset", "shape", "classes"),
    [
        (Digits(), (1797, 64), 10),
        (Iris(), (150, 4), 3),
        (Wine(), (178, 13), 3),
        (BreastCancer(), (569, 30), 2),
    ],
    ids=repr,
)
def test_stored_sets(dataset, shape, classes):
    x, t = load(dataset)
    assert x.shape == shape
    assert x.dtype == np.float64
    assert t.dtype == np.int64
    assert np.unique(t).tolist() == list(range(classes))
    np.testing.assert_array_equal(x, dataset.load(rng(1))[0])


def test_digits_are_between_0_and_1():
    x, _ = load(Digits())
    assert x.min() == 0
    assert x.max() == 1


TABLE = pd.DataFrame(
    {
        "a": [1, 2, 3, 4],
        "b": [0.5, 1.5, 2.5, 3.5],
        "seen": [True, False, True, True],
        "animal": ["dog", "cat", "dog", "eel"],
        "grade": [5, 1, 2, 5],
        "price": [1.0, 2.0, 3.0, 4.0],
    }
)


@pytest.fixture(params=["t.csv", "t.csv.gz", "T.CSV", "t.parquet"])
def table(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".parquet":
        TABLE.to_parquet(path)
    else:
        TABLE.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("animal", [1, 0, 1, 2]), ("grade", [2, 0, 1, 2]), ("seen", [1, 0, 1, 1])],
)
def test_table_with_labels(table, target, expected):
    x, t = load(File(table, target, features=("b", "a")))
    np.testing.assert_array_equal(x, [[0.5, 1], [1.5, 2], [2.5, 3], [3.5, 4]])
    assert x.dtype == np.float64
    assert t.dtype == np.int64
    assert t.tolist() == expected


def test_table_with_numbers(table):
    x, t = load(File(table, "price", features=("seen",)))
    np.testing.assert_array_equal(x, [[1], [0], [1], [1]])
    assert t.dtype == np.float64
    assert t.tolist() == [1, 2, 3, 4]


def test_labels_says_what_the_target_is(table):
    _, numbers = load(File(table, "grade", features=("a",), kind="numbers"))
    assert numbers.dtype == np.float64
    assert numbers.tolist() == [5, 1, 2, 5]
    _, labels = load(File(table, "price", features=("a",), kind="labels"))
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="the target 'animal' must hold numbers, not "):
        load(File(table, "animal", features=("a",), kind="numbers"))


def test_all_other_columns_are_the_features(tmp_path):
    path = tmp_path / "t.csv"
    TABLE.drop(columns="animal").to_csv(path, index=False)
    x, _ = load(File(str(path), "grade"))
    np.testing.assert_array_equal(x[:, 0], TABLE["a"])
    np.testing.assert_array_equal(x[:, 3], TABLE["price"])
    assert x.shape == (4, 4)


def test_categories_dates_and_nullable_types_of_parquet(tmp_path):
    path = str(tmp_path / "t.parquet")
    pd.DataFrame(
        {
            "whole": pd.array([1, 2, 3], "Int64"),
            "day": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]),
            "kind": pd.Categorical(["b", "a", "b"], categories=["b", "a"]),
            "mark": pd.array([7, 3, 7], "Int64"),
        }
    ).to_parquet(path)
    x, t = load(File(path, "kind", features=("whole",)))
    assert x.tolist() == [[1], [2], [3]]
    assert t.tolist() == [1, 0, 1]
    assert load(File(path, "mark", features=("whole",)))[1].tolist() == [1, 0, 1]
    with pytest.raises(
        ValueError, match=r"column 'day' has '2020-01-01.*' in row 1 .*not a number"
    ):
        load(File(path, "kind"))
    with pytest.raises(ValueError, match="the target 'day' must hold labels or numbers, not "):
        load(File(path, "day", features=("whole",)))


def test_npz(tmp_path):
    path = str(tmp_path / "t.npz")
    x = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    rows = np.ones((3, 2), dtype=np.float32)
    np.savez(path, x=x, y=np.array([4, 2, 4], np.uint8), name=np.array(["b", "a", "b"]), rows=rows)
    loaded, t = load(File(path, "y"))
    assert loaded.dtype == np.float64
    np.testing.assert_array_equal(loaded, x)
    assert t.tolist() == [1, 0, 1]
    assert load(File(path, "name"))[1].tolist() == [1, 0, 1]
    numbers = load(File(path, "rows"))[1]
    assert numbers.dtype == np.float64
    assert numbers.shape == (3, 2)


def test_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    assert len(load(File("~/t.csv", "grade", features=("a",)))[0]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"path": "t.xlsx", "target": "y"},
            "cannot tell what t.xlsx is: its name must end in .csv, .csv.gz, .npz or .parquet",
        ),
        (
            {"path": "t.csv", "target": "y", "kind": "True"},
            "kind must be 'auto', 'labels' or 'numbers', not 'True'",
        ),
        (
            {"path": "t.csv", "target": "y", "features": ("a", "y")},
            "'y' is the target and cannot be one of the features",
        ),
        (
            {"path": "t.npz", "target": "y", "features": ("a",)},
            "features chooses columns of a table; an NPZ file has the array 'x'",
        ),
    ],
)
def test_file_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        File(**options)


def test_file_that_is_not_there(tmp_path):
    path = tmp_path / "t.csv"
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no file {path}; check path")):
        load(File(str(path), "y"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "animl"}, r"has no column 'animl'; did you mean 'animal'\?"),
        ({"target": "zzz"}, "has no column 'zzz'; there are: a, b, seen, animal, grade, price"),
        (
            {"target": "grade", "features": ("a", "pryce")},
            r"has no column 'pryce'; did you mean 'price'\?",
        ),
        (
            {"target": "grade"},
            r"column 'animal' has 'dog' in row 1 \(the first row of data is row 1\), "
            "which is not a number; encode the column, or choose others with features",
        ),
    ],
)
def test_columns_that_cannot_be_used(table, options, message):
    with pytest.raises(ValueError, match=message):
        load(File(table, **options))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,y\n1,0\n,1\n", r"column 'a' has no value in row 2 \(the first row of data is row 1\)"),
        ("a,y\n1,0\n2,\n", "column 'y' has no value in row 2"),
        ("a,y\n1,0\n2,1\nthree,1\n", "column 'a' has 'three' in row 3"),
        ("y\n1\n", "has no column but the target 'y'"),
        ("", "cannot be read: "),
        ('a,y\n"1,2\n', "cannot be read: "),
        ("a,y\n0,1,2\n", "the rows of t.csv have more values than its header has names"),
        (",a,y\n0,1,2\n", "t.csv has a column without a name, as a saved index has; name the "),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(File(str(path), "y"))


def test_a_column_without_a_name_may_be_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(",a,y\n0,1,2\n")
    assert load(File(str(path), "y", features=("a",)))[0].tolist() == [[1]]


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet", "t.npz"])
@pytest.mark.parametrize(
    "content", [b"not what it says", gzip.compress(b"a,y\n" * 99, mtime=0)[:-20]]
)
def test_files_that_are_not_what_they_are_called(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be read: "):
        load(File(str(path), "y"))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.ones((2, 1)), "y": [0, 1]}, "t.npz has no array 'x'; there are: X, y"),
        ({"x": np.ones((2, 1)), "yy": [0, 1]}, r"t.npz has no array 'y'; did you mean 'yy'\?"),
        (
            {"x": [["1"], ["2"]], "y": [0, 1]},
            "the array 'x' of t.npz must hold numbers, not <U1",
        ),
        ({"x": np.ones((2, 1)), "y": [1j, 2]}, "the target 'y' must hold labels or numbers, not"),
        (
            {"x": np.ones((2, 1)), "y": [[0, 1], [1, 0]]},
            r"the labels 'y' must have the shape \(N,\), not \(2, 2\)",
        ),
        (
            {"x": np.ones((2, 1)), "y": np.array([0, None])},
            "cannot be read: Object arrays cannot be loaded",
        ),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, arrays, message):
    path = tmp_path / "t.npz"
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match=message):
        load(File(str(path), "y"))


def test_nan_is_no_label(tmp_path):
    path = tmp_path / "t.npz"
    np.savez(path, x=np.ones((2, 1)), y=[1.0, np.nan])
    with pytest.raises(ValueError, match="the labels 'y' have a nan, which is no class"):
        load(File(str(path), "y", kind="labels"))


def test_import_and_drawing_load_no_large_library():
    code = (
        "import sys, numpy as np, pullback_basics.datasets as d, pullback.data\n"
        "pullback.data.prepare(d.Moons())\n"
        "print(sorted({'sklearn', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_the_plugin_does_not_import_the_framework():
    code = (
        "import sys, pullback_basics.datasets\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'pullback'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
