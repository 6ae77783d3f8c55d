"""What the README says is true: its commands run as they stand, in an environment made for them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, under: str = "") -> list[str]:
    """The code blocks of a language, of one section where it is named."""
    text = README
    if under:
        text = re.split(r"^## ", README, flags=re.M)[1:]
        (text,) = (part for part in text if part.startswith(under))
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def environment() -> dict[str, str]:
    """This one without what would let a fresh installation see the checkout."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A copy of the sources, in which the README's first command has been run."""
    copy = tmp_path_factory.mktemp("fresh") / "pullback"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    (command,) = blocks("bash", "The main job")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=900,
        env={**environment(), "COLUMNS": "80"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return copy, done


def test_the_main_job_ends_in_its_table_and_two_lines(fresh):
    copy, done = fresh
    lines = done.stdout.rstrip().splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[:2] == ["test", "test"])
    lines = lines[head:]  # after what pip says
    for variant in ("jacobian", "vjp", "fused", "exact"):
        (row,) = (line for line in lines if line.startswith(f"cross_entropy_{variant} "))
        assert len(re.findall(r"\d ± \d", row)) == 3  # loss, accuracy, time
        assert max(map(len, lines)) <= 80
    assert re.match(r"evidence: runs/\S+$", lines[-2])
    assert lines[-1] == "open it:  pullback ui runs/loss-seed-aeff824a"
    assert len(list(copy.glob("runs/loss-seed-aeff824a/*/end.json"))) == 12
    assert (copy / "mlflow.db").is_file()


def test_the_table_of_the_readme_has_the_form_of_the_real_one(fresh):
    _, done = fresh

    def form(text: str) -> list[str]:
        rows = [line for line in text.splitlines() if "cross_entropy_" in line]
        return [
            re.sub(r"[\d.]+(e-\d+)?", "#", row.split("_", 2)[2]).replace(" ", "") for row in rows
        ]

    (told,) = blocks("text", "The main job")
    assert form(told) == form(done.stdout)


def test_what_was_installed_is_a_wheel_and_whole(fresh, tmp_path):
    copy, _ = fresh
    python = copy / ".venv" / "bin" / "python"
    where = "import pullback, pullback_basics; print(pullback.__path__[0]); "
    where += "from pullback.app.config import shipped; print(shipped())"
    found = subprocess.run(
        [python, "-c", where], cwd=tmp_path, capture_output=True, text=True, env=environment(),
        check=True,
    )  # fmt: skip
    package, conf = map(Path, found.stdout.split())
    assert "site-packages" in package.parts
    assert conf == package / "conf"
    for name in ("py.typed", "units.py", "tracking/journal.py", "conf/net/founding.yaml"):
        assert (package / name).is_file(), name
    shipped = {str(p.relative_to(ROOT / "conf")) for p in (ROOT / "conf").rglob("*.yaml")}
    assert shipped == {str(p.relative_to(conf)) for p in conf.rglob("*.yaml")}
    outside = [*package.parent.glob("tests"), *package.parent.glob("framework")]
    assert not outside


def test_the_second_command_is_the_one_that_ci_runs():
    (command,) = blocks("bash", "Tests")
    assert "-m pytest" in command
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extraction = re.search(r"tests=\$\((awk .*)\)\n", ci)[1]
    found = subprocess.run(
        ["bash", "-c", extraction], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == command.strip()
    assert 'bash -euxo pipefail -c "$tests"' in ci


def test_the_plugin_of_the_readme_runs_as_it_stands(pullback, tmp_path):
    swish, *_ = blocks("python", "Write a plugin")
    (tmp_path / "swish.py").write_text(swish, encoding="utf-8")
    commands = blocks("bash", "Write a plugin")[0].splitlines()
    for command in commands:
        words = command.split()
        assert words[0] == "pullback"
        done = pullback(*words[1:], "training.steps=20", "tracking=none")
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("runs/2*/*/end.json"))) == 1
    assert len(list(tmp_path.glob("runs/net.a1-seed-*/*/end.json"))) == 6


@pytest.mark.parametrize("section", ["The founding question", "From Python"])
def test_the_python_of_the_readme_runs_as_it_stands(section, capsys):
    (code,) = blocks("python", section)
    exec(compile(textwrap.dedent(code), f"README.md, {section}", "exec"), {})
    printed = capsys.readouterr().out
    if section == "The founding question":
        rows = [line.split("[[")[1].rstrip("]") for line in printed.splitlines()]
        assert [[round(float(v), 4) for v in row.split()] for row in rows] == [
            [-0.0474, 0.0474]
        ] * 3
    else:
        assert printed.startswith("finished ")
        assert float(printed.split()[1]) >= 0.85


def test_what_the_readme_says_of_checks_runs_as_it_stands(pullback, tmp_path):
    swish, *_ = blocks("python", "Write a plugin")
    (tmp_path / "swish.py").write_text(swish, encoding="utf-8")
    (command,) = blocks("bash", "Is it right?")
    checked = pullback(*command.split("#")[0].split()[1:])
    assert checked.returncode == 0, checked.stdout
    assert "0 fail" in checked.stdout
    (code,) = blocks("python", "Is it right?")
    (tmp_path / "test_units.py").write_text(code, encoding="utf-8")
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_units.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout


def test_every_command_of_the_table_exists(pullback):
    told = re.findall(r"^\| `pullback (\w+)", README, flags=re.M)
    shown = pullback("--help").stdout
    assert told
    assert all(re.search(rf"^    {command}\b", shown, flags=re.M) for command in told)


def test_links_lead_somewhere():
    for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?://)([^)#]+)\)", text):
            assert (ROOT / target).is_file(), f"{page}: {target}"
