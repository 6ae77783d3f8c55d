"""Whether variants differ: by hand, beside SciPy, and how often nothing is called something."""

import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from pullback.compare import table
from pullback.compare.filters import matching
from pullback.compare.frame import aggregate, sorted_by
from pullback.compare.statistics import IDENTICAL, NOT_SHOWN, TOO_FEW, paired
from pullback.errors import PullbackError


def runs(values, status=None, **options):
    """A frame of runs as :func:`load` gives it: by variant, the metric at each seed."""
    rows = []
    for variant, metrics in values.items():
        for seed, metric in enumerate(metrics):
            row = {
                ("run", "status"): (status or {}).get((variant, seed), "finished"),
                ("run", "seconds"): 2.0,
                ("option", "loss.name"): variant,
                ("option", "seed"): seed,
                ("metric", "test_loss"): metric,
            }
            rows.append(row)
    frame = pd.DataFrame(rows)
    frame.columns = pd.MultiIndex.from_tuples(frame.columns)
    for name in options:
        given = [options[name][variant] for variant, metrics in values.items() for _ in metrics]
        frame["option", name] = pd.Series(given, dtype=object)
    return frame


def test_two_variants_by_hand():
    found = paired(runs({"a": [1.0, 2.0, 4.0], "b": [1.5, 2.0, 5.0]}), "test_loss")
    (row,) = found.to_dict("records")
    assert (row["variant"], row["other"], row["pairs"]) == ("a", "b", 3)
    assert row["difference"] == pytest.approx(-0.5)
    sd = 0.5  # of -0.5, 0, -1
    half = 4.302652729911275 * sd / math.sqrt(3)
    assert (row["low"], row["high"]) == pytest.approx((-0.5 - half, -0.5 + half))
    assert row["effect"] == pytest.approx(-1.0 * (1 - 3 / 7))
    assert row["finding"] == NOT_SHOWN


def test_two_variants_beside_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 12))
    row = paired(runs({"a": a, "b": b}), "test_loss").iloc[0]
    interval = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))


def test_the_intervals_of_several_comparisons_are_wider():
    rng = np.random.default_rng(0)
    values = dict(zip("abcd", rng.normal(size=(4, 8)), strict=True))
    found = paired(runs(values), "test_loss")
    assert (len(found), found.attrs["together"]) == (6, 6)
    row = found.iloc[0]
    interval = stats.ttest_rel(values["a"], values["b"]).confidence_interval(1 - 0.05 / 6)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))


def test_a_difference_that_the_seeds_hide_is_found_in_pairs():
    """The seeds differ by 10, the variants by 0.1: beside each other, not in two heaps."""
    rng = np.random.default_rng(1)
    seeds = rng.normal(scale=10, size=10)
    values = {"a": seeds, "b": seeds + 0.1 + rng.normal(scale=0.05, size=10)}
    assert stats.ttest_ind(values["a"], values["b"]).pvalue > 0.5
    assert paired(runs(values), "test_loss").iloc[0]["finding"] == "lower"
    turned = {"b": values["b"], "a": values["a"]}
    assert paired(runs(turned), "test_loss").iloc[0]["finding"] == "higher"
    shuffled = {"a": seeds, "b": values["b"][::-1]}
    assert paired(runs(shuffled), "test_loss").iloc[0]["finding"] == NOT_SHOWN


def test_what_cannot_differ_and_what_cannot_be_judged():
    same = paired(runs({"a": [1.0, 2.0], "b": [1.0, 2.0]}), "test_loss").iloc[0]
    assert (same["finding"], same["difference"], same["low"]) == (IDENTICAL, 0, 0)
    single = paired(runs({"a": [1.0], "b": [2.0]}), "test_loss").iloc[0]
    assert (single["finding"], single["difference"]) == (TOO_FEW, -1)
    assert math.isnan(single["low"])
    constant = paired(runs({"a": [1.0, 2.0], "b": [2.0, 3.0]}), "test_loss").iloc[0]
    assert constant["finding"] == "lower"


def test_only_seeds_that_both_ended_count():
    status = {("a", 1): "failed", ("b", 2): "killed"}
    values = {"a": [1.0, 50.0, 3.0, 4.0], "b": [1.5, 2.0, 50.0, 4.5]}
    row = paired(runs(values, status), "test_loss").iloc[0]
    assert (row["pairs"], row["difference"]) == (2, -0.5)


def test_no_metric_and_no_second_variant():
    with pytest.raises(PullbackError, match="no run has a metric 'tst_loss'; did you mean"):
        paired(runs({"a": [1.0]}), "tst_loss")
    assert paired(runs({"a": [1.0, 2.0]}), "test_loss").empty


def test_where_nothing_differs_it_is_seldom_said():
    """Four variants that are the same but for noise: any difference shown in 5 % at most.

    Of 400 sweeps, 30 would be three standard deviations too many.
    """
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(400):
        seeds = rng.normal(size=8)
        values = {name: seeds + 0.3 * rng.normal(size=8) for name in "abcd"}
        found = paired(runs(values), "test_loss")
        wrong += bool((found["finding"] != NOT_SHOWN).any())
    assert 0 < wrong < 33


def test_it_fits_80_columns():
    names = ("cross_entropy_jacobian", "cross_entropy_fused", "cross_entropy_exact")
    rng = np.random.default_rng(0)
    values = {name: 1e-7 * rng.normal(size=5) for name in names}
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(table.render_paired(paired(runs(values), "test_loss")))
    text = console.export_text()
    assert "…" not in text
    assert sum("no difference shown" in line for line in text.splitlines()) == 3
    assert "3 intervals" in text


# Which runs


RATES = {"optimizer.lr": {"a": 0.1, "b": 0.01, "c": None}}


@pytest.fixture
def three():
    values = {"a": [1.0, 2.0], "b": [3.0, math.nan], "c": [5.0, 6.0]}
    return runs(values, {("c", 1): "failed"}, **RATES)


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("loss == 'a'", [0, 1]),
        ("loss.name != 'a'", [2, 3, 4, 5]),
        ("optimizer.lr > 0.05", [0, 1]),
        ("optimizer.lr <= 0.1 and seed == 1", [1, 3]),
        ("optimizer.lr == null or loss in ('b', 'x')", [2, 3, 4, 5]),
        ("not (status == 'finished')", [5]),
        ("1 <= test_loss < 3.5", [0, 1, 2]),
        ("loss not in ['a', 'b']", [4, 5]),
        ("seed < 'x'", []),
    ],
)
def test_which_runs_an_expression_is_about(three, expression, kept):
    assert list(matching(three, expression).index) == kept


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("loss == ", "cannot be read"),
        ("los == 'a'", "'los' is no option or metric; did you mean 'loss'?"),
        ("seed", "'seed' is no comparison"),
        ("print(1) == 1", "'print(1)' is neither a name nor a value"),
        ("loss.name.upper() == 'A'", "is neither a name nor a value"),
        ("__import__('os').system('x') == 0", "is neither a name nor a value"),
        ("[x for x in loss] == 1", "is neither a name nor a value"),
        ("seed is None", "is compared by something else"),
        ("\x00", "cannot be read"),
    ],
)
def test_what_is_no_comparison_is_told_and_not_run(three, expression, told):
    with pytest.raises(PullbackError) as caught:
        matching(three, expression)
    assert told in str(caught.value)


def test_sorted_by_a_metric_or_an_option(three):
    compared = aggregate(three)
    assert list(sorted_by(compared, "-test_loss")["option", "loss"]) == ["c", "a", "b"]
    assert list(sorted_by(compared, "loss")["option", "loss"]) == ["a", "b", "c"]
    with pytest.raises(PullbackError, match="nothing here is called 'los'; did you mean 'loss'"):
        sorted_by(compared, "los")


def test_the_command_compares_and_chooses(pullback, tmp_path):
    for number, (loss, seed) in enumerate([("a", 0), ("a", 1), ("b", 0), ("b", 1)]):
        run = tmp_path / "runs" / str(number)
        run.mkdir(parents=True)
        options = {"loss.name": loss, "seed": seed}
        (run / "run.json").write_text(json.dumps({"name": "x", "options": options}))
        end = {"status": "finished", "metrics": {"test_loss": seed + 0.1 * (loss == "b")}}
        (run / "end.json").write_text(json.dumps(end))
    done = pullback("compare", "runs", "--sort=-test_loss")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("a ", "b "))][:2] == ["b", "a"]
    assert "lower" in done.stdout
    done = pullback("compare", "runs", "--where", "seed > 3")
    assert done.returncode == 2
    assert "it is true of none of these runs" in done.stderr
