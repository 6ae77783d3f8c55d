"""Memory that was freed is kept for the next step, instead of being given back to the system.

glibc maps a large array anew each time that one is asked for, and the system fills each new page
with zeros: the temporary arrays of a step of some hundred kB cost three times what is computed in
them. A process that trains asks for the same sizes again and again.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt, from malloc.h
_LARGEST = 1 << 30  # bytes, of what is kept


@functools.cache
def keep() -> None:
    """From here on this process keeps what it frees; nothing happens where the C library is other.

    The process stays as large as it ever was.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            mallopt(parameter, _LARGEST)
