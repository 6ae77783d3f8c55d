"""Who may write where: locks that the system lets go of when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BETWEEN_TRIES = 0.05  # seconds


def hold(path: Path, *, wait: bool = False, patience: float = 0.0) -> int | None:
    """Lock a file or a directory; its descriptor, or None where another has it.

    The lock is with the descriptor and its copies: processes that inherit it hold it, too. One that
    was killed may still have it while the system writes its files; it is waited for as long as
    ``patience`` says, in seconds.
    """
    kind = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, kind, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        if patience <= 0:
            return None
        time.sleep(_BETWEEN_TRIES)
        return hold(path, patience=patience - _BETWEEN_TRIES)
    return descriptor


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for the lock, and let go of it at the end."""
    descriptor = hold(path, wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody has the lock now."""
    descriptor = hold(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
