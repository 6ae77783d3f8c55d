"""``pullback check`` as a person sees it: what is told, in how many lines, with which status."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from pullback import cli
from pullback.verify import checks, command
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import START, STATUSES, Report, Result
from pullback.verify.table import questions

WRONG = Path(__file__).with_name("wrong_units.py")
SCREEN = 24  # lines of the smallest terminal
README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run ``pullback check`` in this process, in an empty directory: (status, out, err)."""
    monkeypatch.chdir(tmp_path)

    def run(*words, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        try:
            status = cli.main(["check", *words])
        except SystemExit as stopped:
            status = stopped.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def wrong(call):
    """Check one unit of wrong_units.py."""

    def run(name, *words, **options):
        return call(name, *words, "--plugins", str(WRONG), **options)

    return run


def test_what_is_asked_reads_alone_and_fits_on_a_line():
    for kind in CHECKS:
        before = 11 + max(map(len, questions(kind)))
        for name, asks in questions(kind).items():
            assert re.fullmatch(r"Is .+\?", asks), name
            assert before + len(asks) <= 80, name


@pytest.mark.parametrize("columns", [80, 120])
def test_a_right_unit_is_shown_check_by_check(call, columns):
    status, out, err = call("softmax", columns=columns)
    assert (status, err) == (0, "")
    assert max(map(len, out.splitlines())) <= columns
    assert not re.search(r" $", out, re.M)
    for name, asks in questions("layer").items():
        (line,) = (line for line in out.splitlines() if re.match(rf". {name}\b", line))
        assert (asks in line) == line.startswith("✓")
    assert re.search(r"^✓ pullback +50\.0  Is backward the pullback", out, re.M)
    assert re.search(r"^– options +it has no option", out, re.M)
    passed, skipped = out.count("✓") - 1, out.count("–") - 1
    last = out.splitlines()[-1]
    told = f"✓ {passed} pass · ✗ 0 fail · – {skipped} skip · ? 0 inconclusive, 1 unit, "
    assert last.startswith(told)
    assert passed + skipped == len(CHECKS["layer"])


def test_two_units_have_a_table_each(call):
    status, out, _ = call("tanh", "identity")
    assert status == 0
    assert len(re.findall(r"^  check +digits  what it asks$", out, re.M)) == 2
    assert out.splitlines()[-1].count("2 units") == 1


def test_many_units_have_a_row_each_and_every_reason_is_told_once(call):
    names = ["tanh", "softmax", "identity", "relu"]
    status, out, _ = call(*names)
    assert status == 0
    for name in names:
        assert re.search(rf"^{name} +(?:[✓–] ){{18}} +\d+\.\d$", out, re.M)
    assert out.count("it has no option that can be varied") == 1
    assert "\n      options: tanh, softmax, identity, relu\n" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "what it asks" not in out
    _, out, _ = call(*names, "--verbose")
    assert out.count("what it asks") == len(names)


def test_a_name_stands_for_its_family_where_that_is_wanted(call):
    status, out, _ = call("tanh_exact", "--family")
    assert status == 0
    members = ["tanh", "tanh_exact", "tanh_exact_numba", "tanh_numba"]
    assert re.findall(r"^(tanh\w*) +[✓–]", out, re.M) == members


def test_the_readmes_unit_passes(call, tmp_path):
    text = README.read_text(encoding="utf-8")
    code = re.search(r"```python\n(# swish\.py\n.*?)```", text, re.S)[1]
    (tmp_path / "swish.py").write_text(code, encoding="utf-8")
    status, out, err = call("swish.py")
    assert (status, err) == (0, "")
    assert out.startswith("swish  layer · family swish · swish.py\n")
    assert " ✗ 0 fail " in out


# Of a wrong unit: what is told first, what else, and what is not told.
FAILURES = {
    "diagonal": (
        r"✗ diagonal\.backward: gradient of z is off by [\d.]+ at \(\d, \d\): backward .+, .+ .+",
        ["looks like: diagonal only: only the diagonal of the Jacobian was used"],
    ),
    "dropped": (
        r"✗ dropped\.backward: gradient of x is off by",
        ["looks like: upstream gradient dropped:"],
    ),
    "writes": (r"✗ writes: pure: backward writes into", ["looks like: damage in place:"]),
    "summed": (r"✗ summed: shapes: dx has shape \(3,\)", ["? pullback, kinks: dx has shape (3,)"]),
    "raises": (r"✗ raises: backward raised RuntimeError: <script>", ["& [bold]no[/bold]"]),
    "narrow": (r"✗ narrow\.backward: gradient of x is off", ["looks like: float32 in the middle:"]),
    "not_summed": (r"✗ not_summed: shapes: db has shape \(4, 5\)", ["not summed over the rows:"]),
    "squares": (r"✗ squares\.backward: gradient of y is off", ["upstream gradient dropped:"]),
    "uphill": (r"✗ uphill: descends: ½ θᵀAθ is", ["the first step points uphill"]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_comes_first_and_fits_on_a_screen(wrong, name):
    first, also = FAILURES[name]
    status, out, err = wrong(name)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    _, body = out.split("\n\n", 1)  # the head has as many lines as the path of the file needs
    paragraph = " ".join(line.strip() for line in body.splitlines()[:4])
    assert re.match(first, paragraph), out
    told = " ".join(line.strip() for line in lines)
    for text in also:
        assert text in told
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= 80
    assert "Traceback" not in out
    assert re.search(r"✗ [1-9]\d* fail", lines[-1])


def test_a_wrong_gradient_is_told_once_whatever_checks_see_it(wrong):
    _, out, _ = wrong("diagonal", columns=200)
    assert out.count("gradient of z is off") == 1
    assert out.count("looks like") == 1
    assert re.search(r"^  seen by: pullback, large, kinks", out, re.M)
    passed = re.search(r"^✓ (.*)$", out, re.M)[1].split(", ")
    assert {"linear", "shapes", "dtypes"} <= set(passed)
    assert not {"pullback", "large", "options"} & set(passed)


def test_verbose_shows_every_check_of_a_wrong_unit(wrong):
    _, out, _ = wrong("diagonal", "--verbose", columns=200)
    for name in questions("layer"):
        assert re.search(rf"^[✓✗–] {name} ", out, re.M)
    assert re.search(r"^✗ kinks +gradient of z is off", out, re.M)
    assert "--verbose" not in out


def test_many_wrong_units_have_a_grid_and_each_its_paragraph(call):
    status, out, err = call(str(WRONG))
    assert (status, err) == (1, "")
    assert re.search(r"^diagonal +✗ ", out, re.M)
    assert re.search(r"^writes +✓ ", out, re.M)
    assert re.search(r"^needs +– could not be started$", out, re.M)
    assert "the option 'f' of Needs has no default" in out
    assert "it has no option that can be varied" not in out  # what is wrong drowns in such
    assert out.index("✗ diagonal.backward") < out.index("? inconclusive\n")
    assert out.count("looks like: upstream gradient dropped") == 2  # in two units
    assert max(map(len, out.splitlines())) <= 80


def test_a_unit_that_cannot_be_made_is_not_a_pass(wrong):
    status, out, _ = wrong("needs")
    assert status == 2
    assert "– start: the option 'f' of Needs has no default: from Python, check(Needs(f=…))" in out
    assert "✓ 0 pass" in out


def test_what_a_unit_prints_and_warns_of_does_not_go_among_ours(call, tmp_path):
    body = """
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Loud:
    def forward(self, x):
        print("here I am")
        return x.astype(np.float32).astype(x.dtype), x

    def backward(self, x, dy):
        return dy
"""
    (tmp_path / "loud.py").write_text(body)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        _, out, err = call("loud.py")
    assert "here I am" not in out
    assert "here I am" in err
    assert not [one for one in seen if one.category is np.exceptions.ComplexWarning]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to check"),
        (["sofmax"], "did you mean 'softmax'?"),
        (["softmax", "zzz"], "there is no layer, loss or optimizer called 'zzz'; there are: "),
        (["moons"], "'moons' is a dataset, and no layer, loss or optimizer"),
        (["nope.py"], "'nope.py' is not a file"),
        (["syntax.py"], "(line 1 of "),
        (["empty.py"], "defines no unit"),
        (["syntax"], "; for the file, syntax.py"),
        (["--mutants", "zzz"], "called 'zzz'"),
        (["--mutants", "--html", "x.html"], "--mutants: it takes no --html beside it"),
        (["--mutants", "--verbose"], "--mutants: it takes no --verbose beside it"),
        (["tanh", "--html", "no/x.html"], "cannot write no/x.html: No such file or directory"),
    ],
)
def test_a_mistake_is_told_in_one_line(call, tmp_path, words, told):
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "empty.py").write_text("x = 1\n")
    status, _, err = call(*words)
    assert status == 2
    assert told in err
    assert err.startswith("pullback: ")
    assert err.count("\n") == 1


def test_json_is_all_that_is_known(call):
    status, out, err = call("softmax", "--json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    (report,) = document["reports"]
    assert [one["check"] for one in report["results"]] == list(questions("layer"))
    assert document["counts"] == report["counts"]
    assert sum(document["counts"].values()) == len(CHECKS["layer"])
    assert list(document["counts"]) == list(STATUSES)
    assert {"pullback", "numpy", "python"} == set(document["versions"])


def test_json_knows_no_nan(capsys):
    result = Result("pullback", "fail", "x", found=float("nan"), expected=float("inf"))
    args = cli._parser("check").parse_args(["check", "--json", "x"])
    command._tell([Report("layer", "x", "x", "", [result])], 0.0, args)
    (found,) = json.loads(capsys.readouterr().out)["reports"][0]["results"]
    assert (found["found"], found["expected"]) == (None, None)


def test_ctrl_c_ends_in_one_line(call, monkeypatch):
    def interrupted(subject):
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "report", interrupted)
    assert call("softmax") == (130, "", "pullback: interrupted\n")


def _wait_for_children(pid):
    """Until the process has others that work for it, where the system tells that."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 60
    while children.is_file() and not children.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_in_a_long_check_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "pullback", "check", "--mutants", "all"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts jobs in the background has them ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        _wait_for_children(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out, err) == (130, "", "pullback: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_a_pipe_has_no_colours_and_a_terminal_without_them_neither(pullback):
    done = pullback("check", "identity", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    forced = pullback("check", "identity", FORCE_COLOR="1")
    assert "\x1b[32m✓" in forced.stdout
    assert "\x1b[3" not in pullback("check", "identity", FORCE_COLOR="1", NO_COLOR="1").stdout


def test_start_stands_for_a_unit_alone():
    report = Report("layer", "x", "x", "", [Result(START, "fail", "it cannot be made: no")])
    assert report.told() == ["x: it cannot be made: no"]
