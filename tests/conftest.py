"""What the tests share: a command line as a user has it, and data that is quick to learn."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pullback import Data, Split, from_arrays

Run = Callable[..., subprocess.CompletedProcess[str]]


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
def moons() -> Data:
    """200 points to learn from, 100 for validation, 100 for the test; two features, two classes."""
    rng = np.random.default_rng(0)
    angle, label = rng.uniform(0, np.pi, 400), rng.integers(2, size=400)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(label[:, None] == 1, [1, 0.5] - x, x) + 0.2 * rng.normal(size=(400, 2))
    return from_arrays(x, label, split=Split(100, 100), dtype="float64")
