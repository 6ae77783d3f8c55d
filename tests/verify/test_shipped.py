"""Every unit that ships passes every check that applies to it, and so do the right ones of the zoo.

A skip hides nothing: which check is skipped for which unit, and why, stands here.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import zoo
from shipped import plain_units

from pullback import registry
from pullback.verify.cases import Subject
from pullback.verify.checks import carry_out, report, subject_of
from pullback.verify.laws import CHECKS
from pullback.verify.laws.derivative import kinks, pullback
from pullback.verify.laws.reach import extremes
from pullback.verify.oracles import ORACLES, exact_value

ROOT = Path(__file__).parents[2]
SHIPPED = plain_units(*CHECKS)
ZOO = [one for one in vars(zoo).values() if registry.kind_of(one)]

OWN_DOMAIN = {"large", "kinks", "extremes", "sizes"}


def may_skip(subject: Subject) -> set[str]:
    """The checks that do not apply to a unit, by what it has and has not."""
    unit, found = subject.unit, set()
    chains = [one for one in [unit, *(u for _, u in subject.relatives())] if hasattr(one, "stages")]
    if not subject.relatives():
        found.add("family")
    if not chains:
        found.add("chain")
    if subject.has_samples:
        found |= OWN_DOMAIN
    if any(hasattr(one, "samples") for one in getattr(unit, "stages", {}).values()):
        found.add("extremes")  # a chain through log leaves its domain
    if not subject.variants():
        found.add("options")
    if subject.kind == "loss" and not hasattr(unit, "value_and_gradient"):
        found.add("at_once")
    return found


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_a_unit_that_ships_passes(kind, name):
    passes(subject_of(name, kind))


@pytest.mark.parametrize("cls", ZOO)
def test_a_right_unit_of_a_stranger_passes(cls):
    passes(subject_of(cls))


def passes(subject):
    found = {one.check: one for one in report(subject).results}
    assert {one.status for one in found.values()} <= {"pass", "skip"}
    assert list(found) == [check.__name__ for check in CHECKS[subject.kind]]
    skipped = {name for name, one in found.items() if one.status == "skip"}
    if subject.kind == "optimizer":
        assert not skipped
    else:
        assert skipped - {"out"} == may_skip(subject)
        assert ("out" in skipped) == ("it takes no out=" in found["out"].message)


@pytest.mark.parametrize("features", range(2, 9))
def test_a_sort_of_equal_numbers_is_given_a_subgradient(features):
    """n equal numbers fall into n! orders, and any of these is right."""
    for seed in range(3):
        row = replace(subject_of(zoo.Sorted), rows=1, features=features, seed=seed)
        assert carry_out(kinks, row).status == "pass"
        twice = carry_out(kinks, row.with_unit(TwiceAtTies()))
        assert twice.status == "fail"


def test_rows_that_mix_by_less_than_a_float_shows_may_all_become_nan():
    far = {"rows": 3, "features": 2, "scale": 1.3399577441056314, "dtype": "float32", "seed": 1209}
    assert carry_out(extremes, replace(subject_of(zoo.Attention), **far)).status == "pass"


@pytest.mark.parametrize("name", ["cross_entropy_fused", "cross_entropy_exact"])
def test_a_constant_may_be_a_short_fraction_by_luck(name):
    """0.05 · 1.25 is 1/16 and 0.625 a sum of rounded numbers; neither is what its author means."""
    options = {"weight": (0.5, 2.0, 1.25, 0.75), "label_smoothing": 0.2}
    unit = registry.lookup("loss", name)(**options)
    smoothed = replace(subject_of(name, "loss"), unit=unit, features=4, seed=100343, scale=0.5)
    assert carry_out(pullback, smoothed).status == "pass"
    assert carry_out(pullback, smoothed.with_unit(Enlarged(name, **options))).status == "fail"


class Enlarged:
    """A loss whose gradients are a trillionth too large."""

    def __init__(self, name, **options):
        self.right = registry.lookup("loss", name)(**options)

    def forward(self, y, target):
        return self.right.forward(y, target)

    def backward(self, residual, dl):
        return self.right.backward(residual, dl) * (1 + 2.0**-40)


class TwiceAtTies(zoo.Sorted):
    def backward(self, back, dy):
        return 2 * super().backward(back, dy)


@pytest.mark.parametrize(("kind", "name"), [one for one in SHIPPED if one[0] != "optimizer"])
def test_a_unit_runs_on_exact_numbers(kind, name):
    """Else the strongest oracle would be left aside, and nobody would see it."""
    for case in subject_of(name, kind).cases():
        exact_value(case)


@pytest.mark.parametrize(("kind", "name"), [one for one in SHIPPED if one[0] != "optimizer"])
def test_the_oracles_agree(kind, name):
    """Three independent ways to the same number, within the bounds that each gives itself."""
    for case in subject_of(name, kind).cases():
        dy = case.cotangent(case.forward()[0])
        first, *others = ([*oracle(case, dy, None)] for oracle in ORACLES.values())
        for other in others:
            for one, two in zip(first, other, strict=True):
                assert all((one.low - two.high <= one.bound + two.bound).ravel())
                assert all((two.low - one.high <= one.bound + two.bound).ravel())
                assert not (two.bound > 1e-4 * two.size).any()  # a bound that says something


def test_all_of_them_are_here():
    assert len(SHIPPED) >= 22
    assert len(ZOO) >= 25


def test_no_check_knows_a_unit():
    """Neither the checks nor the mistakes hold the name of a unit of ours, or its class."""
    names = {name for _, name in SHIPPED if "_" in name}
    names |= {registry.lookup(*one).__name__ for one in SHIPPED} - {"Step", "Log", "Constant"}
    for path in (ROOT / "framework" / "pullback" / "verify").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not {name for name in names if f'"{name}"' in text or f"import {name}" in text}, path


def test_a_campaign_of_right_units_raises_no_alarm():
    """The short form of benchmarks/false_alarms.py."""
    done = campaign("--checks", "400")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("0 false alarms in ")


def test_a_campaign_sees_a_wrong_unit(tmp_path):
    wrong = tmp_path / "wrong.py"
    lines = ["from dataclasses import dataclass", "@dataclass(frozen=True)", "class Wrong:"]
    lines += [" def forward(self, x):", "  return 2 * x, None"]
    wrong.write_text("\n".join([*lines, " def backward(self, r, dy):", "  return dy", ""]))
    done = campaign("--checks", "1", "--units", str(wrong), "--only", "wrong")
    assert done.returncode == 1
    assert "Wrong()" in done.stdout


def campaign(*arguments):
    command = [sys.executable, "benchmarks/false_alarms.py", "--processes", "1", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
