"""Sweeps go on where they were left, whatever ended them, and do nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from killing import disturbed, sweep, table

from pullback import locks
from pullback.tracking.journal import read_end, read_metrics, read_run

QUICK = ["net.z1.width=4", "training.steps=5", "reference=null", "tracking=none"]
QUICK += ["tracking.pictures=false"]

UNITS = '''
import os, signal
from dataclasses import dataclass
from pathlib import Path
import numpy as np


@dataclass(frozen=True)
class Double:
    def forward(self, x):
        return 2 * x, None

    def backward(self, residual, dy):
        return 2 * dy


@dataclass(frozen=True)
class Same:
    """Does what a file beside the sweep says, if it is there."""

    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        if Path("once").exists():
            Path("once").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if Path("kill").exists():
            print("it was here", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if Path("memory").exists():
            raise MemoryError("no room")
        if Path("raise").exists():
            raise ValueError("tripped")
        return dy
'''


@pytest.fixture
def here(tmp_path):
    (tmp_path / "mine.py").write_text(UNITS, encoding="utf-8")
    return tmp_path


def ids(cwd: Path) -> dict[str, str]:
    return {run.parent.name: read_run(run.parent)["id"] for run in cwd.glob("runs/*/*/run.json")}


def directory(cwd: Path) -> Path:
    (found,) = cwd.glob("runs/*/sweep.json")
    return found.parent


def test_the_same_sweep_again_does_what_is_missing(pullback, here):
    """Nothing the second time; the new points of a longer axis the third; both runs of a doubled
    point are one."""
    words = ["train", "-m", "loss=cross_entropy_vjp,cross_entropy_fused", *QUICK]
    first = pullback(*words, "seed=0,1,1")
    assert first.returncode == 0, first.stderr
    assert "jobs:     4 done\n" in first.stdout
    before = ids(here)
    ends = {run.name: (run / "end.json").stat().st_mtime_ns for run in directory(here).glob("?")}
    again = pullback(*words, "seed=1,0")
    assert again.returncode == 0, again.stderr
    assert "jobs:     4 done (4 of them before)\n" in again.stdout
    assert again.stderr == ""
    assert ids(here) == before

    shown = pullback(*words, "seed=range(0,4)", "--dry-run")
    assert "8 jobs, 4 done, 4 to do: about " in shown.stdout
    assert ids(here) == before
    more = pullback(*words, "seed=range(0,4)")
    assert "jobs:     8 done (4 of them before)\n" in more.stdout
    assert before.items() <= ids(here).items()
    assert len(ids(here)) == 8
    for run, written in ends.items():
        assert (directory(here) / run / "end.json").stat().st_mtime_ns == written


def test_a_changed_unit_runs_its_own_jobs_again(pullback, here):
    words = ["train", "-m", "plugins=[mine.py]", "net.a1=double,same", *QUICK]
    assert pullback(*words).returncode == 0
    before = ids(here)
    (here / "mine.py").write_text(UNITS.replace("2 * x", "x + x"), encoding="utf-8")
    again = pullback(*words)
    assert again.returncode == 0, again.stderr
    assert "jobs:     2 done (1 of them before)\n" in again.stdout
    assert [line.split()[0] for line in again.stderr.splitlines()] == ["2/2"]
    assert before.items() <= ids(here).items()
    assert set(ids(here)) - set(before) == {"2"}
    rows = (directory(here) / "comparison.csv").read_text().splitlines()
    assert len(rows) == 3
    assert read_run(directory(here) / "2")["overrides"] == ["net.a1=double"]


@pytest.mark.parametrize(
    ("what", "status", "message"),
    [
        ("kill", "killed", "the worker process was ended by SIGKILL (out of memory, or killed"),
        ("memory", "failed", "MemoryError"),
        ("raise", "failed", "stage a1 (same): backward raised ValueError: tripped"),
    ],
)
def test_a_job_that_dies_is_told_kept_and_done_again(pullback, here, what, status, message):
    (here / what).touch()
    words = ["train", "-m", "plugins=[mine.py]", "net.a1=double,same", *QUICK]
    done = pullback(*words)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "jobs:     1 done, 1 failed\n" in done.stdout
    (told,) = [line for line in done.stderr.splitlines() if line.startswith(f"{status}: net.a1")]
    assert message in told
    end = read_end(directory(here) / "1")
    assert end["status"] == status
    assert message in end["message"]
    log = (directory(here) / "1" / "train.log").read_text()
    assert "begins in " in log
    assert ("it was here" in log) == (what == "kill")

    (here / what).unlink()
    before = ids(here)
    again = pullback("resume", str(directory(here)))
    assert again.returncode == 0, again.stderr
    assert "jobs:     2 done (1 of them before)\n" in again.stdout
    assert ids(here)["0"] == before["0"]


def test_a_job_is_tried_again_as_often_as_asked(pullback, here):
    (here / "once").touch()
    words = ["plugins=[mine.py]", "net.a1=same", "seed=0,1", *QUICK]
    done = pullback("train", "-m", *words, "retries=1", "workers=1")
    assert done.returncode == 0, done.stderr
    assert "(attempt 2)" in done.stderr
    assert "jobs:     2 done\n" in done.stdout


def test_the_first_failure_may_end_the_sweep(pullback, here):
    (here / "raise").touch()
    words = ["plugins=[mine.py]", "net.a1=same", "seed=range(0,6)", *QUICK]
    done = pullback("train", "-m", *words, "fail_fast=true", "workers=1")
    assert done.returncode == 1
    assert "jobs:     0 done, 1 failed, 5 skipped: fail_fast ended the sweep\n" in done.stdout
    assert len(ids(here)) == 1


def test_one_process_at_a_time_conducts_a_sweep(pullback, here):
    words = ["train", "-m", "seed=0,1", *QUICK, "hydra.sweep.dir=there"]
    (here / "there").mkdir()
    with locks.held(here / "there"):
        done = pullback(*words)
    assert done.returncode == 2
    assert "another process is at the sweep in" in done.stderr


def test_another_sweep_does_not_go_into_the_same_directory(pullback, here):
    assert pullback("train", "-m", "seed=0,1", *QUICK, "hydra.sweep.dir=there").returncode == 0
    done = pullback("train", "-m", "loss=mse", "seed=0,1", *QUICK, "hydra.sweep.dir=there")
    assert done.returncode == 2
    assert "hydra.sweep.dir: there is another sweep in" in done.stderr


def test_an_interrupted_sweep_says_how_to_go_on(here):
    """Ctrl-C reaches the sweep alone; the runs under way write down how far they are."""
    words = ["seed=0,1,2,3", "training.steps=200000", "tracking.uri=sqlite:///m.db", "workers=2"]
    words += ["accelerate=none"]  # or it waits for the compiler
    process = subprocess.Popen(
        [sys.executable, "-m", "pullback", "train", "-m", *words],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 60
    while len(list(here.glob("runs/*/*/last.npz"))) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "jobs:     0 done, 4 skipped: the sweep was interrupted" in out
    assert f"go on with: pullback resume {directory(here).relative_to(here)}" in err
    assert [read_end(directory(here) / str(i))["status"] for i in range(2)] == ["interrupted"] * 2
    with closing(sqlite3.connect(here / "m.db")) as database:
        statuses = [status for (status,) in database.execute("SELECT status FROM runs")]
    assert sorted(statuses) == ["KILLED"] * 3  # the sweep, and the two


KILLED = {"workers": (8, [])}
if "PULLBACK_LONG" in os.environ:
    KILLED["stacked"] = (4, ["hydra/launcher=stacked", "accelerate=numba"])


@pytest.mark.parametrize(("jobs", "words"), KILLED.values(), ids=KILLED)
def test_a_sweep_that_is_killed_loses_nothing(tmp_path, jobs, words):
    """Two kills of its processes at random moments; the long form is killing.py itself."""
    one, other = tmp_path / "one", tmp_path / "other"
    for place in (one, other):
        place.mkdir()
    whole = sweep(one, jobs, "tracking=none", *words)
    whole.communicate(timeout=120)
    assert whole.returncode == 0
    assert disturbed(other, jobs, 2, random.Random(4), "tracking=none", *words) > 0
    assert table(one) == table(other)


def measured(here):
    """What each run measured, by its name; not when."""
    found = {}
    for run in (here / "runs").glob("*/*/run.json"):
        found[json.loads(run.read_text())["name"]] = [
            {key: repr(value) for key, value in line.items() if key != "time"}
            for line in read_metrics(run.parent)
        ]
    return found


def test_runs_that_are_stacked_are_as_alone_and_one_that_fails_leaves_the_others(pullback, here):
    """Bit for bit; the three of another width are a kernel's of their own."""
    words = ["train", "-m", *QUICK, "training.steps=25", "accelerate=numba", "net.z1.width=4,6"]
    words += ["optimizer.lr=0.01,0.1,1e39"]
    assert pullback(*words).returncode == 1
    alone = measured(here)
    (here / "runs").rename(here / "before")
    done = pullback(*words, "hydra/launcher=stacked")
    assert done.returncode == 1
    assert len(alone) == 6
    assert measured(here) == alone
    ends = [read_end(run.parent) for run in (here / "runs").glob("*/*/run.json")]
    assert sorted(end["status"] for end in ends) == ["failed"] * 2 + ["finished"] * 4
    logs = [log.read_text() for log in (here / "runs").glob("*/*/train.log")]
    assert sum("trained together with others: see " in log for log in logs) == 5


def test_a_worker_that_dies_with_a_stack_is_replaced_and_all_are_tried_again(pullback, here):
    (here / "once").touch()
    words = ["train", "-m", "plugins=[mine.py]", "net.a1=same", "seed=0,1,2", *QUICK]
    assert pullback(*words, "stack=2", "workers=1", "retries=1").returncode == 0
    ends = [read_end(run.parent) for run in (here / "runs").glob("*/*/run.json")]
    assert [end["status"] for end in ends] == ["finished"] * 3


def test_the_manifest_is_written_first(pullback, here):
    """Before a worker is started: a sweep that dies at once can be resumed."""
    (here / "kill").touch()
    words = ["train", "-m", "plugins=[mine.py]", "net.a1=same", "seed=0,1", *QUICK]
    assert pullback(*words).returncode == 1
    facts = json.loads((directory(here) / "sweep.json").read_text())
    assert [job["overrides"] for job in facts["jobs"]] == [["seed=0"], ["seed=1"]]
    assert set(facts["runs"]) == {job["identity"] for job in facts["jobs"]}
