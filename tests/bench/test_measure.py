"""Variants beside each other: who is wrong is not timed, who is too fast is told of."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pandas as pd
import pytest

from pullback import cli, registry
from pullback.bench import truth
from pullback.bench.measure import COPY, _frame, _lines, measure
from pullback.bench.peers import contenders
from pullback.bench.race import Contender, entered
from pullback.bench.statistics import crossings, exponents, interval
from pullback.bench.table import memory, notes, seconds
from pullback.bench.trials import UnitTrial, Workload, inputs_of, make, unit_of

VARIANTS = '''
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class CubeRight:
    """y = x³;  dx = 3x² dy."""
    family = "cube"
    def forward(self, x):
        return x * x * x, x
    def backward(self, x, dy):
        return 3 * x * x * dy

@dataclass(frozen=True)
class CubeWrong(CubeRight):
    """y = x³;  dx = 2x² dy."""
    def backward(self, x, dy):
        return 2 * x * x * dy

@dataclass(frozen=True)
class CubeLate(CubeRight):
    """y = x³;  dx = 3x² dy, but for the features from the 2000th on."""
    def backward(self, x, dy):
        dx = 3 * x * x * dy
        dx[..., 2000:] = 0
        return dx
'''


@pytest.fixture(scope="module")
def cubes(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "cubes.py"
    path.write_text(VARIANTS, encoding="utf-8")
    registry.load_plugin(str(path))
    return str(path)


@pytest.fixture(scope="module")
def raced(cubes):
    sizes = [Workload(4, 30, "float32"), Workload(2, 2500, "float32")]
    names = ["cube_right", "cube_wrong", "cube_late"]
    return measure("layer", names, sizes, files=[cubes], rounds=3)


def line(frame, variant, features):
    return frame[(frame["variant"] == variant) & (frame["C"] == features)].iloc[0]


def test_a_wrong_variant_is_not_timed_and_does_not_throw_out_the_right_one(raced):
    for features in (30, 2500):
        wrong = line(raced, "cube_wrong", features)
        assert wrong["wrong"]
        assert "it fails `pullback check`: gradient of x is off" in wrong["problem"]
        assert np.isnan(wrong["seconds"])
        assert line(raced, "cube_right", features)["seconds"] > 0


def test_what_is_wrong_at_a_size_alone_is_seen_by_its_digits(raced):
    assert line(raced, "cube_late", 30)["seconds"] > 0
    late = line(raced, "cube_late", 2500)
    assert late["wrong"]
    assert "it is right to 0." in late["problem"]
    assert np.isnan(late["seconds"])


def test_a_line_says_time_ratio_memory_and_digits(raced):
    right = line(raced, "cube_right", 2500)
    assert right["fastest"]
    assert right["ratio"] == 1
    assert right["low"] <= right["seconds"] <= right["high"]
    assert 6 < right["digits"] < 7.3
    assert right["computed_bytes"] == 2 * (2 * 2500 * 4)  # y and dx; x is an input
    assert right["peak_bytes"] > right["computed_bytes"]
    assert line(raced, COPY, 2500)["seconds"] > 0
    again = line(raced, "cube_right again", 2500)
    assert 0 < again["ratio_low"] <= again["ratio"] <= again["ratio_high"]


def times(**medians):
    return {name: np.full(9, value) for name, value in medians.items()}


def test_faster_than_a_copy_is_flagged():
    known = {"a": {}, "b": {}, "copy": {}}
    lines = _lines(times(a=5e-6, b=20e-6, copy=10e-6), known, {}, [])
    problems = {one["variant"]: one.get("problem", "") for one in lines}
    assert "faster than a copy of x" in problems["a"]
    assert not problems["b"]
    assert not problems["copy"]


def test_the_control_is_compared_with_its_own_first():
    known = {"a": {}, "b": {}, "b again": {}}
    first = [Contender("b", make)]
    lines = _lines(times(a=1.0, b=4.0, **{"b again": 5.0}), known, {}, first)
    assert {one["variant"]: one["ratio"] for one in lines} == {"a": 1, "b": 4, "b again": 1.25}


def test_ratios_are_of_the_same_rounds():
    slow_machine = np.array([1.0, 1.0, 7.0, 1.0, 3.0])
    lines = _lines({"a": slow_machine, "b": 2 * slow_machine}, {"a": {}, "b": {}}, {}, [])
    assert (lines[1]["ratio"], lines[1]["ratio_low"], lines[1]["ratio_high"]) == (2, 2, 2)


def grown(**powers):
    lines = []
    for c in (2, 10, 100, 1000):
        for name, (factor, power) in powers.items():
            value = factor * c**power
            lines.append({"N": 5, "C": c, "dtype": "float32", "variant": name, "seconds": value})
            lines[-1] |= {"low": 0.99 * value, "high": 1.01 * value, "peak_bytes": c}
    return _frame(lines)


def test_exponents_are_those_of_growth():
    found = exponents(grown(square=(1e-6, 2), linear=(3e-5, 1))).set_index("variant")
    assert found["time"].to_dict() == pytest.approx({"square": 2, "linear": 1})
    assert found["memory"].to_dict() == pytest.approx({"square": 1, "linear": 1})


def test_two_variants_cross_where_their_lines_do():
    (only,) = crossings(grown(square=(1e-6, 2), linear=(3e-5, 1)))
    assert only[:4] == (5, "float32", "square", "linear")
    assert only[4] == pytest.approx(30)
    assert not crossings(grown(a=(1, 1), b=(1.001, 1.0001)))  # within their intervals


def test_an_interval_holds_its_median_and_narrows_with_rounds():
    rng = np.random.default_rng(3)
    few, many = (interval(rng.normal(10, 1, size=n)) for n in (5, 200))
    for middle, low, high in (few, many):
        assert low <= middle <= high
    assert many[2] - many[1] < few[2] - few[1]


@pytest.mark.parametrize("kind", ["layer", "loss", "optimizer"])
def test_the_truth_is_had_from_a_plain_member(kind):
    name = {"layer": "tanh", "loss": "cross_entropy_exact", "optimizer": "adam"}[kind]
    family = registry.family(registry.lookup(kind, name), name)
    workload = Workload(5, 4, "float64")
    right = truth.truth(kind, truth.family_names(kind, family), workload)
    assert right is not None
    answer = make(kind, name, (), workload).answer()
    assert truth.digits(answer, right, "float64") > 14
    answer[0] = answer[0] + 1e-5
    assert truth.digits(answer, right, "float64") < truth.half_of("float64")


def test_digits_of_other_shapes_and_of_nan_are_none():
    right = [np.ones(3, np.longdouble)]
    assert truth.digits([np.ones(2)], right, "float64") == 0
    assert truth.digits([np.full(3, np.nan)], right, "float64") == 0
    assert truth.digits([np.ones(3)], right, "float64") == pytest.approx(15.95, abs=0.01)


def test_the_jacobian_needs_its_memory_and_the_product_does_not():
    peaks = {}
    for name in ("softmax", "softmax_jacobian"):
        unit = unit_of("layer", name, 100)
        given = inputs_of("layer", unit, Workload(8, 100, "float64"))
        peaks[name] = UnitTrial("layer", unit, given).costs()["peak_bytes"]
    assert peaks["softmax_jacobian"] > 8 * 100 * 100 * 8 > 10 * peaks["softmax"]


def test_a_width_that_must_be_given_is_c():
    assert unit_of("layer", "affine", 7).width == 7


def test_times_and_memories_are_readable():
    assert [seconds(one) for one in (1.234e-7, 4.56e-3, 7.0)] == ["0.123 µs", "4.56 ms", "7 s"]
    assert [memory(one) for one in (12, 3456, 7.8e6, np.nan)] == ["12 B", "3.46 kB", "7.8 MB", ""]


def test_what_was_not_timed_is_told():
    frame = _frame([{"N": 1, "C": 2, "dtype": "float32", "variant": "a", "problem": "why"}])
    assert notes(frame)[-1] == "not timed: a at 1 × 2 float32: why"


def test_the_command_prints_json_draws_and_writes(cubes, tmp_path, capsys):
    picture, table = tmp_path / "bench.svg", tmp_path / "bench.csv"
    words = ["bench", cubes, "--sizes", "2x4,2x2500", "--rounds", "2", "--json"]
    assert cli.main([*words, "--output", str(picture), "--csv", str(table)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {one["variant"] for one in found["lines"]} >= {"cube_right", "cube_wrong", COPY}
    assert "cube_right" in picture.read_text(encoding="utf-8")
    assert len(pd.read_csv(table)) == len(found["lines"])


def test_a_unit_alone_is_raced_with_its_family(capsys):
    assert cli.main(["bench", "softmax_jacobian", "--sizes", "3x4", "--rounds", "2"]) == 0
    told = capsys.readouterr().out
    assert "softmax_jacobian" in told
    assert "softmax again" in told
    assert "noise: softmax again is the same code in another process" in told.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tanh", "relu"], "a race is of units that compute the same"),
        (["tanh", "--sizes", "3"], "--sizes: takes NxC, as in 200x10, and not '3'"),
        (["tanh", "--sizes", "0x3"], "--sizes: N and C are at least 1"),
        (["tanh", "--dtype", "float8"], "--dtype: there is float32 and float64"),
        (["tanh", "--baseline", "tf"], "--baseline: there is torch and jax, and no 'tf'"),
        (["tanh", "--rounds", "0"], "--rounds: must be positive"),
        (["tanh", "--output", "x.gif"], "--output: it is drawn as .png, .svg, .pdf"),
    ],
)
def test_a_mistake_is_one_line(words, told, capsys):
    assert cli.main(["bench", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_peer_that_has_not_the_family_says_so(capsys):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    words = ["bench", "sgd", "--sizes", "2x3", "--rounds", "2", "--baseline", "torch"]
    assert cli.main(words) == 0
    assert "torch at 2 × 3 float32: has no function of this family" in capsys.readouterr().out


@pytest.mark.parametrize("peer", ["torch", "jax"])
@pytest.mark.parametrize("name", ["cross_entropy_fused", "affine", "softmax", "tanh"])
def test_a_peer_computes_what_the_family_does(peer, name):
    if importlib.util.find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed")

    kind = "loss" if "entropy" in name else "layer"
    family = registry.family(registry.lookup(kind, name), name)
    workload = Workload(5, 4, "float32")
    right = truth.truth(kind, [name], workload)
    with entered(contenders([peer], kind, name, family), seconds=60) as field:  # JAX minds a fork
        field[peer].prepare(workload)
        assert truth.digits(field[peer].answer(), right, "float32") > 5
