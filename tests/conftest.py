"""What the tests share: a command line as a user has it, and data that is quick to learn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pullback import Data, Split, from_arrays, registry

Run = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that no worker is left alone with it."""
    items.sort(key=lambda item: item.path.name != "test_kills.py")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is known to it alone."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))


@pytest.fixture
def pullback(tmp_path: Path) -> Run:
    """Run ``pullback ARGS`` in an empty directory, in a process of its own."""

    def run(*args: str, cwd: Path = tmp_path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pullback", *args],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "COLUMNS": "100", **env},
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def config() -> Callable[..., dict[str, Any]]:
    """A resolved config of a small network, with what is changed in it at the top."""

    def make(**changes: Any) -> dict[str, Any]:
        width = {"name": "affine", "width": "classes"}
        whole = {
            "seed": 0,
            "dtype": "float32",
            "reference": None,
            "accelerate": "none",
            "threads": 1,
            "workers": "auto",
            "stack": 1,
            "retries": 0,
            "fail_fast": False,
            "standardise": True,
            "training": {"steps": 4},
            "split": {"validation": 0.2, "test": 0.2},
            "tracking": {
                "name": "none",
                "uri": "",
                "experiment": "",
                "pictures": True,
                "model": True,
            },
            "plugins": [],
            "net": {"z1": {"name": "affine", "width": 5}, "a1": "tanh", "z2": width},
            "loss": {"name": "cross_entropy_exact"},
            "optimizer": {"name": "adam"},
            "schedule": {"name": "constant"},
            "dataset": {"name": "moons", "n": 50},
        }
        return whole | changes

    return make


@pytest.fixture(scope="session")
def moons() -> Data:
    """200 points to learn from, 100 for validation, 100 for the test; two features, two classes."""
    rng = np.random.default_rng(0)
    angle, label = rng.uniform(0, np.pi, 400), rng.integers(2, size=400)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(label[:, None] == 1, [1, 0.5] - x, x) + 0.2 * rng.normal(size=(400, 2))
    return from_arrays(x, label, split=Split(100, 100), dtype="float64")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's browser, without a network."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        pytest.fail("the pages are looked at in Chromium: apt-get install chromium")
    quiet = ("background-networking", "component-update", "sync", "gpu", "quic")
    flags = ["--no-sandbox", "--no-first-run", *(f"--disable-{one}" for one in quiet)]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open HTML in the browser; in the end nothing was asked of a network, and nothing failed."""
    asked: list[str] = []
    problems: list[str] = []
    contexts = []

    def refuse(route: Any) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:")):
            route.continue_()
        else:
            asked.append(url)
            route.abort()

    def open_page(text: str, width: int = 1200, height: int = 800, **options: Any) -> Any:
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        size = {"width": width, "height": height}
        context = chromium.new_context(viewport=size, **options)
        contexts.append(context)
        page = context.new_page()
        page.route("**/*", refuse)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: line.type == "error" and problems.append(line.text))
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == []
    assert problems == []


@pytest.fixture(scope="session")
def saved() -> Callable[..., None]:
    """Keep a picture of a page for a person to look at, where ``PULLBACK_SCREENSHOTS`` says so."""

    def save(page: Any, name: str, **options: Any) -> None:
        if "PULLBACK_SCREENSHOTS" in os.environ:
            folder = Path(os.environ["PULLBACK_SCREENSHOTS"])
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{name}.png", **options)

    return save
