"""Bad input, a few hundred of what ``tests/fuzzing.py`` tries by the thousand; and what it sees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest

HERE = Path(__file__).parent


def run(*words, cwd):
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(HERE)},
        check=False,
    )


def test_bad_input_ends_in_success_or_one_message(tmp_path):
    words = (HERE / "fuzzing.py", "--inputs", "150", "--seed", "5", "--processes", "1")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["message"] > 100
    assert counts["success"] > 2


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("os.system('true')", "os.system"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("open('../outside', 'w')", "outside"),
        ("open('inside', 'w'); open('../read')", ""),
        ("import os; os.mkdir('../folder')", "folder"),
        ("import os; os.rename('here', '../there')", "there"),
        ("import payload", "import payload"),
        ("import socket; socket.socket().connect(('127.0.0.1', 9))", "socket.connect"),
        ("import subprocess; subprocess.run(['git', 'describe'])", ""),
    ],
)
def test_what_is_done_is_seen(tmp_path, does, told):
    (tmp_path / "read").write_text("")
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "here").write_text("")
    code = (
        "import fuzzing, pathlib, contextlib, os, subprocess\n"
        "watch = fuzzing.Watch()\n"
        "watch.inside = pathlib.Path.cwd()\n"
        f"with contextlib.suppress(OSError, ImportError):\n    {does}\n"
        "watch.inside = None\n"
        "print('; '.join(watch.found))\n"
    )
    done = run("-c", code, cwd=tmp_path / "case")
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert bool(done.stdout.strip()) == bool(told)


@pytest.mark.parametrize(
    ("status", "shown", "said", "found"),
    [
        (0, "fine", "", "success"),
        (2, "", "pullback: seed: not a number", "message"),
        (2, "", "", "no message"),
        (1, "", "Traceback (most recent call last)", "a traceback"),
        (3, "", "x", "exit status 3"),
        (2, "", "x" * 5000, "a message of 5000 letters"),
        (2, "", "a \x1b[31m b", "a message that moves the cursor"),
        (0, "a \u202e b", "", "a message that moves the cursor"),
    ],
)
def test_how_an_input_ended(tmp_path, status, shown, said, found):
    class Quiet:
        found = ()

    assert fuzzing.judged(status, shown, said, Quiet(), tmp_path / "case") == found


def test_a_payload_that_was_called(tmp_path):
    class Quiet:
        found = ()

    (tmp_path / "canary").write_text("called")
    assert fuzzing.judged(0, "", "", Quiet(), tmp_path / "case") == "the payload was called"
