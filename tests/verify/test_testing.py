"""What whoever writes units sees of the checks: in pytest, and from Python."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from wrong_units import Diagonal, Needs, Right, Uphill, Writes

from pullback import Report, check
from pullback.errors import ConfigError, RegistryError
from pullback.testing import parametrize_with_checks
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import Result

TESTS = """
from wrong_units import Diagonal, Needs, NotSummed, Right, Uphill
from pullback.testing import parametrize_with_checks

@parametrize_with_checks([Right, Diagonal(), NotSummed(width=7), Needs, "identity", Uphill])
def test_the_law(unit, check):
    check(unit)
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A session of pytest in a package of a stranger's, by two processes: its status and output."""
    package = tmp_path_factory.mktemp("package")
    units = Path(__file__).with_name("wrong_units.py").read_text(encoding="utf-8")
    (package / "wrong_units.py").write_text(units, encoding="utf-8")
    (package / "test_units.py").write_text(TESTS, encoding="utf-8")
    words = ["-m", "pytest", "-n", "2", "-v", "-rs", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, *words], cwd=package, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout


def outcomes(text):
    """The outcome of each test, by its id."""
    lines = re.findall(r"(PASSED|FAILED|SKIPPED) .*?::test_the_law\[(.*)\]", text)
    return {name: outcome for outcome, name in lines}


def test_every_check_of_every_unit_is_a_test_with_a_name(ran):
    status, text = ran
    assert status == 1
    found = outcomes(text.split("= FAILURES =")[0])
    of_layers = [one.__name__ for one in CHECKS["layer"]]
    names = [f"{unit}-{one}" for unit in ("right", "diagonal", "identity") for one in of_layers]
    names += [f"not_summed(width=7)-{one}" for one in of_layers]
    names += [f"uphill-{one.__name__}" for one in CHECKS["optimizer"]]
    assert set(found) == {*names, "needs-start"}
    assert found["right-pullback"] == found["identity-pure"] == found["uphill-pure"] == "PASSED"
    assert found["diagonal-pullback"] == found["uphill-descends"] == "FAILED"
    assert found["right-options"] == found["needs-start"] == "SKIPPED"


def test_a_failure_is_what_is_wrong_and_no_line_of_ours(ran):
    _, text = ran
    told = text.split("[diagonal-pullback] _")[1].split("\n____")[0]
    assert "E       AssertionError: diagonal.backward: gradient of z is off by" in told
    assert "E       looks like: diagonal only: " in told
    assert "check = diagonal-pullback: Is backward the pullback of its own forward?" in told
    assert "unit = Diagonal()" in told
    assert ">       check(unit)" in told
    assert re.findall(r"^(\S+\.py):\d+:", told, re.M) == ["test_units.py"]


def test_a_skip_says_why(ran):
    _, text = ran
    assert "it has no option that can be varied" in text
    assert "the option 'f' of Needs has no default: from Python, check(Needs(f=…))" in text
    assert "inconclusive: db has shape (4, 7): see the check shapes" in text


@dataclass(frozen=True)
class Scaled(Right):
    scale: float = 1.0
    shape: tuple[int, ...] = ()
    own: object = field(default_factory=object)


def ids(*units, **options):
    return [one.id for one in parametrize_with_checks(*units, **options).mark.args[1]]


def test_names_tell_units_apart_and_are_the_same_in_every_process():
    names = ids([Scaled(), Scaled(scale=2.0, shape=(3, 4))])
    assert names[0] == "scaled-pullback"
    assert names[len(CHECKS["layer"])] == "scaled(scale=2.0, shape=(3, 4))-pullback"
    assert len(set(names)) == len(names)
    assert not [name for name in names if "0x" in name]
    assert names == ids([Scaled(), Scaled(scale=2.0, shape=(3, 4))])


def test_one_unit_is_as_good_as_a_list_of_one():
    assert ids(Right) == ids([Right()])
    assert ids("tanh") == ids(["tanh"])


@pytest.mark.parametrize(
    ("unit", "error", "told"),
    [
        (3, ConfigError, "int is no unit: there are checks for layers, losses and optimizers"),
        ("tahn", RegistryError, "did you mean 'tanh'?"),
        ("zzz", RegistryError, "there are: "),
    ],
)
def test_what_is_no_unit_is_refused_where_it_stands(unit, error, told):
    for call in (check, lambda one: parametrize_with_checks([one])):
        with pytest.raises(error, match=re.escape(told)):
            call(unit)


def test_a_unit_that_nobody_can_make_is_made_by_whoever_asks():
    with pytest.raises(ConfigError, match=r"from Python, check\(Needs\(f=…\)\)"):
        check(Needs)
    assert check(Needs(f=2.0))


# A report, from Python.


@pytest.fixture(scope="module")
def right():
    return check("softmax")


@pytest.fixture(scope="module")
def wrong():
    return check(Diagonal)


def test_a_report_is_true_where_nothing_failed(right, wrong):
    assert right
    assert not wrong
    assert check(Uphill()).failures[0].check == "descends"
    right.raise_for_failures()


def test_a_report_has_each_check_by_name(right):
    assert right["pullback"].digits == 50.0
    assert right["options"].status == "skip"
    told = "softmax has no check 'pulback'; did you mean 'pullback'?"
    with pytest.raises(KeyError, match=re.escape(told)):
        _ = right["pulback"]


def test_printed_it_is_what_the_command_shows(right, wrong):
    lines = str(right).splitlines()
    assert lines[0].startswith("softmax  layer · family softmax · pullback ")
    assert re.search(r"^✓ pullback +50\.0  Is backward the pullback", str(right), re.M)
    assert lines[-1] == "✓ 16 pass · ✗ 0 fail · – 2 skip · ? 0 inconclusive"
    assert str(wrong).splitlines()[2].startswith("✗ diagonal.backward: gradient of z is off")
    for text in (str(right), str(wrong)):
        assert max(map(len, text.splitlines())) <= 80
        assert "\x1b" not in text


def test_at_the_prompt_it_is_a_line_and_what_is_wrong(right, wrong):
    assert repr(right) == "softmax: 16 pass · 0 fail · 2 skip · 0 inconclusive"
    first, *told = repr(wrong).split("\n")
    assert re.fullmatch(r"diagonal: \d+ pass · \d fail · \d skip · 0 inconclusive", first)
    assert told == "\n".join(wrong.told()).split("\n")


def test_raised_it_is_everything_that_is_wrong(wrong):
    with pytest.raises(AssertionError) as raised:
        wrong.raise_for_failures()
    told = str(raised.value)
    assert told.startswith("diagonal.backward: gradient of z is off by")
    assert told.count("looks like") == 1
    for one in wrong.failures:
        assert one.check in told
    with pytest.raises(AssertionError, match="writes: pure: backward writes into"):
        check(Writes).raise_for_failures()


def of(*results):
    return Report("layer", "x", "x", "", list(results)).told()


def test_alike_failures_are_told_together_and_others_apart():
    a = Result("pullback", "fail", "gradient of x is off by 1", oracle="50 digits")
    b = Result("kinks", "fail", "gradient of x is off by 2", oracle="50 digits")
    named = {"mistake": "sign", "explanation": "a minus"}
    c = Result("sizes", "fail", "gradient of x is off by 3", oracle="50 digits", **named)
    d, e = Result("pure", "fail", "it writes", **named), Result("layout", "fail", "it writes")
    f = Result("out", "fail", "it writes")
    assert of(a, b) == ["x.backward: gradient of x is off by 1\nseen by: pullback, kinks"]
    together = "looks like: sign: a minus\nseen by: pullback, sizes"
    assert of(a, c) == [f"x.backward: gradient of x is off by 3\n{together}"]
    assert of(e, f) == ["x: it writes\nseen by: layout, out"]
    # What has a name comes first, and is explained once.
    assert of(e, c, d) == [
        "x.backward: gradient of x is off by 3\nlooks like: sign: a minus\nseen by: sizes",
        "x: pure: it writes\nlooks like: sign: as above",
        "x: layout: it writes",
    ]
    shape = Result("shapes", "fail", "dx has shape ()")
    assert of(c, shape)[0] == "x: shapes: dx has shape ()"
