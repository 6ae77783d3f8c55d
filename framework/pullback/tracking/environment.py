"""What a result depends on beside its config: versions, the machine, the commit, the threads."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "pullback",
    "numpy",
    "hydra-core",
    "omegaconf",
    "mlflow",
    "pandas",
    "scikit-learn",
    "numba",
)


def environment() -> dict[str, Any]:
    """Facts as JSON values; ``git`` is null outside a repository."""
    return {**_of_process(Path.cwd()), "blas_threads": blas_threads()}


@functools.cache
def _of_process(directory: Path) -> dict[str, Any]:
    """What does not change while a process imports nothing anew: a sweep asks for every run."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "git": commit(directory),
        **{package: _version(package) for package in _PACKAGES},
    }


def blas_threads() -> int | None:
    """The number of threads that NumPy's BLAS uses now; None where it does not tell."""
    from threadpoolctl import threadpool_info

    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools, default=None)


def commit(directory: Path) -> str | None:
    """The commit that is checked out there, with ``-dirty`` where files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
