"""The documentation: every block of it runs as it stands, and prints what it says."""

import subprocess
import sys
from pathlib import Path

import pytest
from blocks import Outcome, blocks, outcomes

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(one.name for one in DOCS.glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_as_it_stands(page, tmp_path):
    text = (DOCS / page).read_text(encoding="utf-8")
    for one in outcomes(text, tmp_path):
        assert one.agrees, f"$ {one.command}\n{one.found}"


def test_every_block_is_of_a_kind_that_is_run():
    for page in PAGES:
        for block in blocks((DOCS / page).read_text(encoding="utf-8")):
            assert block.language in ("python", "console", "text", "toml"), page


@pytest.mark.parametrize(
    ("told", "found", "agrees"),
    [
        ("a\nb\n", "a\nb", True),
        ("a\n", "a\nb\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\n", "a\nb\n", True),
        ("took … s\n", "took 1.3 s\n", True),
        ("took … s\n", "took 1.3 ms\n", False),
        ("", "a\n", False),
        ("(1.0)\n", "(1x0)\n", False),
    ],
)
def test_what_is_told_is_compared(told, found, agrees):
    assert Outcome("", told, found).agrees == agrees


def test_a_page_that_is_wrong_is_found_out(tmp_path):
    page = "```console\n$ echo one\ntwo\n```\n\n```python\nprint(1)\n```\n\n```text\n2\n```\n"
    assert [one.agrees for one in outcomes(page, tmp_path)] == [False, False]


def test_the_site_is_built_and_asks_nobody_for_anything(tmp_path, chromium):
    """Without a warning; and each of its pages opens offline."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asked, context = [], chromium.new_context()
    tab = context.new_page()
    tab.on("request", lambda one: asked.append(one.url))
    for page in tmp_path.glob("*.html"):
        tab.goto(page.as_uri())
        assert tab.locator("h1").count() == 1, page
    context.close()
    assert len(asked) > len(PAGES)
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
