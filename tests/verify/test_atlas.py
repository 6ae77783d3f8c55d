"""The atlas of the digits: the figures it must give, what it must refuse, how it is shown."""

import itertools
from dataclasses import dataclass
from io import StringIO
from types import SimpleNamespace

import mpmath
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from pullback import registry
from pullback.errors import ConfigError, PullbackError, RegistryError
from pullback.verify import atlas, atlas_view
from pullback.verify.atlas import digits_of, logits, measure, members, relative_errors
from pullback_basics.cross_entropy import CrossEntropyExact, CrossEntropyFused

FAMILY = [f"cross_entropy_{how}" for how in ("jacobian", "vjp", "fused", "exact")]
COMPILED = ["cross_entropy_fused_numba", "cross_entropy_exact_numba"]
MEMBERS = [*FAMILY, *COMPILED]
LOSSES = [FAMILY[0], FAMILY[2], FAMILY[3]]  # −log ŷ, log-sum-exp, log1p

# Relative errors of dz at the true class, by each member, and of three losses; the true class of 10
# is ahead by the gap. Measured against 450 digits before there was an atlas (shared/numerics.md).
TABLE = {
    ("float64", 4.6): ((9e-16, 6e-16, 6e-16, 1e-16), (5e-16, 5e-16, 1e-16)),
    ("float64", 16): ((4e-11, 1e-10, 9e-11, 1e-16), (9e-11, 1e-10, 4e-17)),
    ("float64", 37.43): ((0.56, 0.56, 0.56, 3e-16), (0.56, 0.56, 2e-18)),
    ("float32", 9.2): ((8e-5, 1e-4, 9e-5, 1e-7), (9e-5, 1e-4, 3e-8)),
    ("float32", 16): ((0.06, 0.06, 0.06, 9e-8), (0.06, 0.06, 3e-8)),
    ("float32", 20): ((1, 1, 1, 2e-8), (1, 1, 7e-9)),
    ("float16", 9.2): ((0.08, 0.08, 0.08, 2e-4), (0.08, 0.08, 1e-4)),
}
FACTOR = 10  # an order of magnitude: which roundings meet is a matter of luck, and of the CPU


@pytest.fixture(scope="module")
def whole():
    """The whole atlas of the cross-entropy."""
    return measure("cross_entropy")


@pytest.fixture(scope="module")
def frame(whole):
    """That of the plain members, which run in float16, too."""
    return whole[whole["variant"].isin(FAMILY)]


@pytest.fixture
def units(monkeypatch):
    """Register losses for one test, by name."""

    def register(**losses):
        for name, cls in losses.items():
            registry.register(kind="loss", name=name)(cls)

    return register


def at(frame, **keys):
    """The one line of these keys."""
    chosen = frame
    for key, value in keys.items():
        chosen = chosen[chosen[key] == value]
    assert len(chosen) == 1, keys
    return chosen.iloc[0]


# The figures.


@pytest.mark.parametrize(("dtype", "gap"), TABLE)
def test_the_table_of_the_numerics(frame, dtype, gap):
    """Each cell: the same order of magnitude, or right to the last place."""
    where = {"dtype": dtype, "gap": gap, "classes": 10, "label": "right"}
    gradients, losses = TABLE[dtype, gap]
    cells = [
        *zip(itertools.repeat("true_class_error"), FAMILY, gradients),
        *zip(itertools.repeat("value_error"), LOSSES, losses),
    ]
    half_ulp = np.finfo(dtype).eps / 2
    for column, variant, expected in cells:
        found = at(frame, variant=variant, **where)[column]
        assert found <= max(FACTOR * expected, half_ulp), (variant, column)
        if expected > 0.01:
            assert found == pytest.approx(expected, rel=0.1), (variant, column)
        elif expected > 10 * np.finfo(dtype).eps:  # digits are lost: no luck makes up for that
            assert found >= expected / FACTOR, (variant, column)


def test_the_grid_is_whole(whole):
    keys = ["variant", "dtype", "classes", "label", "gap"]
    assert len(whole) == len(whole.drop_duplicates(keys)) == 6 * 3 * 3 * 2 * 25
    assert set(whole["variant"]) == set(MEMBERS)


def test_the_exact_member_is_within_four_ulp(frame):
    """And rounded once in the narrow types: half an ulp, and 4 of float64's."""
    for dtype, bound in (("float64", 4), ("float32", 0.5 + 2**-26), ("float16", 0.5 + 2**-26)):
        rows = frame[(frame["variant"] == "cross_entropy_exact") & (frame["dtype"] == dtype)]
        worst = rows[["value_ulps", "gradient_ulps"]].max()
        assert (worst > 0.1).all()  # it has been measured
        assert (worst <= bound).all(), (dtype, worst.to_dict())


@pytest.mark.parametrize("label", ["right", "wrong"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_error_is_that_of_a_formula_on_60_digits(frame, dtype, label):
    """One line from its definition, with nothing of the atlas but the logits."""
    z, labels = (one[[atlas.LABELS.index(label)]] for one in logits(np.array([9.2]), 10, dtype))
    true = 0 if label == "right" else 9
    unit = CrossEntropyFused()
    value, residual = unit.forward(z, labels)
    dz = unit.backward(residual, np.ones(1, dtype))[0]
    with mpmath.workdps(60):
        e = [mpmath.exp(mpmath.mpf(float(one)) - float(z[0, true])) for one in z[0]]
        exact = [one / sum(e) for one in e]
        exact[true] -= 1
        loss = mpmath.log(sum(e))
        errors = [float(abs((float(a) - b) / b)) for a, b in zip(dz, exact, strict=True)]
        of_loss = float(abs(float(value[0]) - loss) / loss)
    line = at(frame, variant=FAMILY[2], dtype=dtype, gap=9.2, classes=10, label=label)
    assert line["value_error"] == pytest.approx(of_loss, rel=1e-12)
    assert line["true_class_error"] == pytest.approx(errors[true], rel=1e-12)
    assert line["gradient_error"] == pytest.approx(max(errors), rel=1e-12)
    place = np.spacing(np.dtype(dtype).type(float(loss))) / float(loss)
    assert line["value_ulps"] == pytest.approx(of_loss / place, rel=1e-6)
    assert line["value_digits"] == pytest.approx(min(-np.log10(of_loss), digits_of(dtype)))


def test_the_logits_have_the_gap_and_the_labels():
    z, labels = logits(np.array([3.0, 50.0]), 4, "float64")
    ahead = z[:, 0] - z[:, 1:].max(axis=1)
    np.testing.assert_allclose(ahead, [3, 3, 50, 50], atol=1e-5)
    assert labels.tolist() == [0, 3, 0, 3]
    assert (z.astype("float32") != z).any()  # or no difference of logits would round


def test_whose_truth_it_is_makes_no_difference():
    z, labels = logits(np.array([2.0, 60.0, 300.0, 800.0]), 3, "float64")
    units = members("cross_entropy")
    truths = [atlas._settled(units[name], z, labels) for name in FAMILY]
    for a, b in itertools.pairwise(truths):
        assert atlas._alike(a, b, atlas.NOTHING).all()


def test_the_truth_is_not_taken_from_too_few_digits():
    """At a gap of 300 ŷ − t has no digit in 110 or 160 of them: more must be asked for."""
    z, labels = logits(np.array([300.0]), 2, "float64")
    exact = atlas._settled(CrossEntropyExact(), z, labels)
    few = atlas._exactly(CrossEntropyFused(), z, labels, 110)
    assert not atlas._alike(few, exact, 0).all()
    assert atlas._alike(atlas._settled(CrossEntropyFused(), z, labels), exact, 0).all()


# What is not a number, or not a normal one.


def test_relative_errors():
    """Normal, subnormal and overflowing truths; what is found is a number, 0, ∞ or none."""
    tiny = float(np.finfo(np.float32).tiny)
    truth = np.array([mpmath.mpf(one) for one in (2, 2, 2, 2, tiny / 2, tiny / 2, 1e39, 1e39)])
    found = np.array([2, 3, np.nan, np.inf, 0, np.nan, 1, np.inf], dtype=np.float32)
    errors = relative_errors(found, truth)
    expected = [0, 0.5, np.inf, np.inf, np.nan, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal(errors, expected)


def test_a_subnormal_truth_is_left_out(frame):
    """e^−104 is subnormal in float32, e^−87 is not; and that of float16 from e^−12 to e^−16."""
    exact = {"variant": "cross_entropy_exact", "classes": 2, "label": "right"}
    for dtype, last, first in (("float32", 87, 104), ("float16", 9.2, 12), ("float64", 700, 745)):
        assert at(frame, dtype=dtype, gap=last, **exact)["value_digits"] > 0
        left_out = at(frame, dtype=dtype, gap=first, **exact)
        assert left_out[["value_digits", "gradient_digits", "value_ulps"]].isna().all()


def test_what_is_no_number_has_no_digit(frame):
    """log 0 for the loss, 0 · ∞ for the gradient of a chain of stages; also where ŷ is right."""
    for label in ("right", "wrong"):
        line = at(frame, variant=FAMILY[1], dtype="float64", classes=10, label=label, gap=800)
        assert line["gradient_digits"] == 0
        assert line["gradient_error"] == line["gradient_ulps"] == np.inf
    assert line["value_digits"] == 0


def test_digits_are_those_of_the_type(frame):
    assert [digits_of(t) for t in ("float64", "float32", "float16")] == pytest.approx(
        [15.95, 7.22, 3.31], abs=0.01
    )
    for dtype, rows in frame.groupby("dtype"):
        for column in ("value_digits", "gradient_digits"):
            known = rows[column].dropna()
            assert known.between(0, digits_of(dtype)).all()
            assert (known > 0.95 * digits_of(dtype)).any()


# Families that are none.


@dataclass(frozen=True)
class Other(CrossEntropyFused):
    """Another function, by a part in 10²⁰, of which no float can tell."""

    def forward(self, y, target):
        value, residual = super().forward(y, target)
        return value + value * 1e-20, residual


@dataclass(frozen=True)
class Steeper(CrossEntropyFused):
    """A gradient that is wrong by a part in 10¹²."""

    def backward(self, residual, dl):
        return super().backward(residual, dl) * (1 + 1e-12)


@dataclass(frozen=True)
class Alone(Steeper):
    family = "alone"


@dataclass(frozen=True)
class Floats(CrossEntropyFused):
    """It cannot be run on exact numbers."""

    family = "floats"

    def forward(self, y, target):
        return super().forward(y.astype(float) if y.dtype.kind == "f" else float(y), target)


@dataclass(frozen=True)
class Endless(CrossEntropyFused):
    """Its last digits are never enough: ℓ ((1 + x) − 1) / x, with x below what 450 digits show."""

    family = "endless"

    def forward(self, y, target):
        value, residual = super().forward(y, target)
        x = np.exp(0 * value - 2000)
        return value * (((1 + x) - 1) / x), residual


@dataclass(frozen=True)
class TwoOnly(CrossEntropyFused):
    family = "pairs"

    def forward(self, y, target):
        if y.shape[-1] > 2:
            raise ValueError("two classes and no more")
        return super().forward(y, target)


@dataclass(frozen=True)
class NeedsAName(CrossEntropyFused):
    who: dict = None
    family = "named"

    def __post_init__(self):
        raise ValueError("nobody said who")


SMALL = {"gaps": (1, 4.6), "classes": (2,), "dtypes": ("float64",)}


def test_a_member_that_computes_another_function_is_refused(units):
    units(cross_entropy_another=Other)
    with pytest.raises(
        PullbackError,
        match=r"cross_entropy_another and .* have different values in exact arithmetic, so that "
        r"they are no variants of one loss: `pullback check cross_entropy_another cross_entropy_",
    ):
        measure("cross_entropy", **SMALL)


def test_a_wrong_gradient_is_not_taken_for_the_truth(units, monkeypatch):
    """The first by name, and the first that would be asked; it is the one that has the errors."""
    units(cross_entropy_a=Steeper)
    monkeypatch.setattr(atlas, "_quickest", lambda tellers, *_: tellers[0])
    frame = measure("cross_entropy", **SMALL)
    assert frame["variant"].iloc[0] == "cross_entropy_a"
    worst = frame.groupby("variant")["gradient_error"].max()
    assert worst["cross_entropy_a"] == pytest.approx(1e-12, rel=0.01)
    assert (worst.drop("cross_entropy_a") < 1e-13).all()


def test_a_slow_member_is_not_asked_for_the_truth(monkeypatch):
    """The order of the names must not decide on seconds or minutes."""
    seconds, clock = {"a": 3.0, "b": 1.0, "c": 2.0}, [0.0]

    def exactly(unit, z, labels, digits):
        clock[0] += seconds[unit]

    monkeypatch.setattr(atlas, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(atlas, "_exactly", exactly)
    assert atlas._quickest(["a", "b", "c"], None, None) == "b"
    assert atlas._quickest(["c", "a"], None, None) == "c"


@pytest.mark.parametrize(
    ("name", "cls", "message"),
    [
        (
            "alone",
            Alone,
            "no member that tells the truth: the gradient of alone is not that of its",
        ),
        ("floats", Floats, "no member that tells the truth: floats does not run on exact numbers"),
        ("endless", Endless, "endless settles on no value or gradient with 1000 digits at the log"),
        ("pairs", TwoOnly, "pairs does not take 100 classes: .* two classes and no more"),
        ("named", NeedsAName, "NeedsAName cannot be made: nobody said who"),
    ],
)
def test_a_family_without_a_truth(units, name, cls, message):
    units(**{name: cls})
    with pytest.raises(PullbackError, match=message):
        measure(name, gaps=(1,), classes=(2, 100), dtypes=("float64",))


@pytest.mark.parametrize(
    ("family", "error", "message"),
    [
        ("cross_entropi", RegistryError, "called 'cross_entropi'; did you mean 'cross_entropy'?"),
        ("cross_entropy_exact", RegistryError, "no family of losses called 'cross_entropy_exact'"),
        ("zzz", RegistryError, "there are: cross_entropy, mse, nll, nll_probabilities"),
        ("softmax", ConfigError, "'softmax' is a family of layers; the atlas is of losses"),
        ("adam", ConfigError, "'adam' is a family of optimizers; the atlas is of losses"),
        ("nll_probabilities", ConfigError, "'nll_probabilities' has a domain of its own"),
    ],
)
def test_no_family_of_losses_on_logits(family, error, message):
    with pytest.raises(error) as raised:
        measure(family)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"dtypes": ("float31",)}, "no atlas in 'float31'; did you mean 'float32'?"),
        ({"gaps": ()}, r"needs gaps from 0 to 3.28e\+04, and they are \[\]"),
        ({"gaps": (1, -1)}, r"needs gaps from 0 to 3.28e\+04, and they are \[1.0, -1.0\]"),
        ({"gaps": (1, np.nan)}, "needs gaps from 0"),
        ({"gaps": (1, 4e4)}, "needs gaps from 0"),
        ({"classes": (10, 1)}, r"needs 2 classes or more, and they are \[10, 1\]"),
        ({"classes": ()}, "needs 2 classes or more"),
    ],
)
def test_no_grid(grid, message):
    with pytest.raises(ConfigError, match=message):
        measure("cross_entropy", **grid)


# A variant that does not run.


@dataclass(frozen=True)
class NoHalf(CrossEntropyFused):
    def forward(self, y, target):
        if y.dtype == np.float16:
            raise TypeError("no half precision here")
        return super().forward(y, target)


@dataclass(frozen=True)
class Column(CrossEntropyFused):
    """Right on exact numbers, and in floats a column."""

    def forward(self, y, target):
        value, residual = super().forward(y, target)
        return value[..., None] if y.dtype == np.float32 else value, residual


@pytest.fixture
def broken(units):
    units(cross_entropy_no_half=NoHalf, cross_entropy_column=Column)
    return measure("cross_entropy", gaps=(1, 16, 800), classes=(2, 3))


def test_a_variant_that_raises_is_shown_as_not_running(broken):
    told = {("cross_entropy_no_half", "float16"), ("cross_entropy_column", "float32")}
    told |= {(name, "float16") for name in COMPILED}
    silent = broken[broken["problem"] != ""]
    assert set(zip(silent["variant"], silent["dtype"], strict=True)) == told
    assert silent[["value_digits", "gradient_error", "value_ulps"]].isna().all(axis=None)
    rest = broken.drop(silent.index)
    assert rest["value_digits"].notna().any()
    shown = printed(broken)
    assert "cross_entropy_no_half does not run in float16: forward raised TypeError: no" in shown
    assert "cross_entropy_column does not run in float32: ℓ and dz have shapes (6, 1)" in shown
    (line,) = [one for one in section(shown, "cross_entropy_no_half") if "float16 right" in one]
    assert line.split() == ["float16", "right"]  # and no "–", which says that nothing is lost


# The table.


def printed(frame, width=80):
    out = StringIO()
    atlas_view.show(frame, Console(file=out, width=width))
    return out.getvalue()


def section(text, variant):
    """The lines of one variant."""
    lines = text.splitlines()
    start = lines.index(next(one for one in lines if one.strip() == variant))
    return list(itertools.takewhile(lambda one: one.startswith("  float"), lines[start + 1 :]))


@pytest.mark.parametrize("width", [80, 120])
def test_the_table(frame, width):
    text = printed(frame, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text.replace("0 … 800", "")  # nothing is cut short
    cells = {
        (variant, *line.split()[:2]): line.split()[2:]
        for variant in FAMILY
        for line in section(text, variant)
    }
    assert len(cells) == 4 * 3 * 2
    assert cells["cross_entropy_fused", "float64", "right"] == ["0.0", "9e+15", "25"] * 2
    assert cells["cross_entropy_vjp", "float64", "wrong"] == ["0.0", "∞", "745"] * 2
    assert cells["cross_entropy_exact", "float64", "right"][2::3] == ["–", "–"]
    for explained in ("0 … 800", "2, 10, 100", "right:", "wrong:", "lost at:"):
        assert explained in text


def test_the_summary_is_the_worst(frame):
    lines = atlas_view.summary(frame)
    assert len(lines) == 4 * 3 * 2
    line = at(lines, variant="cross_entropy_fused", dtype="float32", label="wrong")
    rows = frame[
        (frame["variant"] == "cross_entropy_fused")
        & (frame["dtype"] == "float32")
        & (frame["label"] == "wrong")
    ]
    assert line["gradient_digits"] == rows["gradient_digits"].min()
    assert line["gradient_ulps"] == rows["gradient_ulps"].max()


# The picture.


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draw an atlas: its heat maps by title, and the texts in them by place."""
    figures = []
    save = Figure.savefig

    def savefig(figure, path, **options):
        figures.append(figure)
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)

    def draw(frame):
        atlas_view.picture(frame, tmp_path / "atlas.png")
        return {axes.get_title(loc="left"): axes for axes in figures[-1].axes if axes.images}

    return draw


def texts(axes):
    return {
        (text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts
    }


def test_the_picture_has_a_heat_map_for_each_variant(frame, drawn, tmp_path):
    maps = drawn(frame)
    assert (tmp_path / "atlas.png").read_bytes().startswith(b"\x89PNG")
    assert set(maps) == {f"{one}: {result}" for one in FAMILY for result in ("value", "gradient")}
    columns = [text.get_text() for text in maps[f"{FAMILY[1]}: value"].get_xticklabels()]
    assert list(map(float, columns)) == list(atlas.GAPS)
    ticks = maps[f"{FAMILY[1]}: value"].get_yticklabels()
    rows = [tuple(text.get_text().split()) for text in ticks]
    assert rows == list(itertools.product(atlas.DTYPES, atlas.LABELS))
    for title, axes in maps.items():
        variant, result = title.split(": ")
        shares = np.ma.filled(axes.images[0].get_array(), np.nan)
        assert shares.shape == (6, 25)
        lines = frame[frame["variant"] == variant].groupby(["dtype", "label", "gap"])
        fewest, worst = lines[f"{result}_digits"].min(), lines[f"{result}_error"].max()
        written = texts(axes)
        for (row, of), (column, gap) in itertools.product(enumerate(rows), enumerate(atlas.GAPS)):
            digits = fewest[(*of, gap)]
            if np.isnan(digits):
                assert (row, column) not in written
                continue
            assert shares[row, column] == pytest.approx(digits / digits_of(of[0]))
            text = "×" if np.isinf(worst[(*of, gap)]) else f"{int(digits)}"
            assert written[row, column] == text


def test_the_picture_marks_what_is_no_number_and_what_does_not_run(broken, drawn):
    maps = drawn(broken)
    written = texts(maps["cross_entropy_vjp: gradient"])
    assert written[1, 2] == written[0, 2] == "×"  # float64, a gap of 800
    assert "×" not in texts(maps["cross_entropy_exact: gradient"]).values()
    assert (0, 2) not in texts(maps["cross_entropy_exact: gradient"])  # it underflows: grey
    silent = texts(maps["cross_entropy_no_half: value"])
    assert [row for (row, _), text in silent.items() if text == "does not run"] == [4, 5]
    assert "does not run" not in written.values()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("atlas.gif", r"--output: it is drawn as .png, .svg, .pdf, not .*atlas.gif"),
        ("atlas", r"--output: it is drawn as .png, .svg, .pdf, not .*atlas"),
        ("nowhere/atlas.png", r"--output: there is no folder .*nowhere"),
    ],
)
def test_no_picture_is_told_before_anything_is_measured(monkeypatch, tmp_path, path, message):
    monkeypatch.setattr(atlas_view, "measure", lambda _: pytest.fail("it was measured"))
    with pytest.raises(ConfigError, match=message):
        atlas_view.run("cross_entropy", picture_path=tmp_path / path)


# All of it, and MLflow.


@pytest.mark.filterwarnings(
    "ignore:The .*noload.* loader strategy is deprecated:DeprecationWarning",  # MLflow's store
)
def test_a_run_prints_draws_and_logs(frame, monkeypatch, tmp_path):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    frame = frame[frame["gap"].isin([0, 25, 37.43, 800])].reset_index(drop=True)
    monkeypatch.setattr(atlas_view, "measure", lambda _: frame)
    out, uri = StringIO(), f"sqlite:///{tmp_path}/evidence.db"
    atlas_view.run(
        "cross_entropy",
        picture_path="atlas.svg",
        track=True,
        uri=uri,
        experiment="digits",
        console=Console(file=out, width=80),
    )
    assert "wrote atlas.svg" in out.getvalue()
    assert f"open it:  pullback ui --uri sqlite:///{tmp_path}/evidence.db" in out.getvalue()
    assert "<svg" in (tmp_path / "atlas.svg").read_text(encoding="utf-8")

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("digits")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "atlas of cross_entropy"
    assert run.data.tags["pullback.kind"] == "atlas"
    note = run.data.tags["mlflow.note.content"]
    assert "lost at: the first gap" in note
    assert "| cross_entropy_fused | float64 | right | 0.0 | 9e+15 | 25 | 0.0 | 9e+15 | 25 |" in note
    assert run.data.params["dtype"] == "float64, float32, float16"
    assert run.data.params["classes"] == "2, 10, 100"
    worst = at(
        atlas_view.summary(frame), variant="cross_entropy_vjp", dtype="float32", label="right"
    )
    metrics = run.data.metrics
    assert metrics["cross_entropy_vjp/float32/right/value_ulps"] == worst["value_ulps"]
    assert metrics["cross_entropy_vjp/float32/right/gradient_digits"] == 0
    assert "cross_entropy_vjp/float32/right/gradient_ulps" not in metrics  # it is infinite
    assert len(metrics) > 60

    files = {one.path: one.file_size for one in client.list_artifacts(run.info.run_id)}
    assert set(files) == {"atlas.png", "atlas.csv"}
    assert files["atlas.png"] > 10_000
    logged = pd.read_csv(client.download_artifacts(run.info.run_id, "atlas.csv", str(tmp_path)))
    columns = ["variant", "dtype", "classes", "label", "gap", "value_error", "true_class_error"]
    pd.testing.assert_frame_equal(logged[columns], frame[columns], check_dtype=False)
