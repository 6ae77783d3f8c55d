"""The code blocks of a Markdown page as a person runs them, one after the other in one folder.

A block ``python title="swish.py"`` is a file; another ``python`` block is run, and the ``text``
block right after it is what it prints. In a ``console`` block a line ``$ command`` is run, and the
lines below it are its output; ``…`` in them stands for anything. ``python tests/blocks.py PAGE…``
writes the output of every command into the pages, as it is now.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)
# What no two runs have in common, and what is told of it.
PASSING = {
    r"-?\d\.\de-\d+ ± \d\.\de-\d+": "…",
    r"\d+\.\d s\b": "… s",
    r"runs/[\d/-]+": "runs/…",
    r"\d[\d.]*e-1\d": "…",
}


@dataclass(frozen=True)
class Block:
    """One block: its language, the file it is, and what it says."""

    language: str
    title: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """Of one command, or of one Python block: what is told, and what came out."""

    command: str
    told: str
    found: str

    @property
    def agrees(self) -> bool:
        """Whether what is told is what came out, up to dots."""
        return pattern(self.told).fullmatch(trimmed(self.found)) is not None


def blocks(page: str) -> list[Block]:
    return [Block(*one.groups(default="")) for one in BLOCK.finditer(page)]


def pattern(told: str) -> re.Pattern[str]:
    """Dots on a line of their own are any lines, within one any characters."""
    lines = [
        "(?:.*\n)*" if line.strip() == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in trimmed(told).splitlines()
    ]
    return re.compile("".join(lines))


def trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def outcomes(page: str, folder: Path) -> Iterator[Outcome]:
    """Run every block of a page in a folder."""
    found = blocks(page)
    for place, block in enumerate(found):
        if block.title:
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            yield from _commands(block, folder)
        elif block.language == "python":
            after = found[place + 1] if place + 1 < len(found) else block
            told = after.text if after.language == "text" else ""
            yield Outcome(block.text, told, _python(block.text, folder))


def _commands(block: Block, folder: Path) -> Iterator[Outcome]:
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, _, told = part.partition("\n")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            env={**os.environ, "PATH": path, "COLUMNS": "80"},
            check=False,
        )
        yield Outcome(command, told, done.stdout)


def _python(code: str, folder: Path) -> str:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.chdir(folder):
        exec(compile(code, "the page", "exec"), {"__name__": "page"})
    return text.getvalue()


def refreshed(page: str) -> str:
    """The page with the output that its commands have now."""
    with tempfile.TemporaryDirectory() as folder:
        for one in outcomes(page, Path(folder)):
            new = trimmed(one.found)
            for passing, told in PASSING.items():
                new = re.sub(passing, told, new)
            for before in (f"$ {one.command}\n", f"{one.command}```\n\n```text\n"):
                page = page.replace(f"{before}{one.told}", f"{before}{new}", 1)
    return page


if __name__ == "__main__":
    for name in sys.argv[1:]:
        file = Path(name)
        file.write_text(refreshed(file.read_text(encoding="utf-8")), encoding="utf-8")
