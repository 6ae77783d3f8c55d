"""A person's own file is run from the text that stands in it now, and leaves nothing behind."""

import inspect
import os
import subprocess
import sys

import pytest

from pullback import sourcefile


def values(tmp_path, body):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", body],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


EDITED = """
import os
from pathlib import Path
from pullback import explain
from pullback.derivations.source import FORMS

path = Path("mine.py")
right = (FORMS / "founding.py").read_text()
for text in (right, right.replace("return t * dPL", "return t - dPL")):
    path.write_text(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    print(bool(explain(path)))
"""


def test_a_derivation_is_judged_as_it_stands_now(tmp_path):
    """Edited within the second, to the same size: with bytecode written it was called right."""
    assert values(tmp_path, EDITED) == ["True", "False"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_a_module_is_what_the_file_says(tmp_path):
    file = tmp_path / "mine.py"
    for number in (1, 2):
        file.write_text(f"def value():\n    return {number}\n", encoding="utf-8")
        os.utime(file, (1_700_000_000, 1_700_000_000))
        module = sourcefile.load(file, "mine_of_the_test")
        assert module.value() == number
        assert inspect.getsource(module.value) == f"def value():\n    return {number}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_the_source_of_a_function_is_found_behind_any_line_break(tmp_path):
    """A form feed ends no line, and a file says how it is encoded."""
    file = tmp_path / "latin.py"
    text = "# coding: latin-1\nA = 'é'\n\x0cB = 2\ndef f():\n    return A\n"
    file.write_bytes(text.encode("latin-1").replace(b"\n", b"\r\n"))
    module = sourcefile.load(file, "latin_of_the_test")
    assert module.f() == "é"
    assert inspect.getsource(module.f) == "def f():\n    return A\n"


def test_a_file_that_fails_leaves_no_module(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("1 / 0\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError):
        sourcefile.load(file, "mine_that_fails")
    assert "mine_that_fails" not in sys.modules
