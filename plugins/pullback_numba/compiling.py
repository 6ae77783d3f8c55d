"""How kernels are compiled, and how arrays are handed to them.

A kernel is a function of arrays that Numba compiles, once for each type, and keeps on disk. Those
called ``…_block`` are for the compiled step as well (see ``pullback.blocks``): their arrays are
(features, rows), so that the innermost loop runs over rows, whatever the layer, and vectorises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  # Numba's np.dot: loaded before threads are limited

F = TypeVar("F", bound=Callable[..., Any])

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def kernel(function: F) -> F:
    """Compile: products and sums contract to one rounding, 1 / 0 is ∞, the GIL is let go."""
    compiled: F = numba.njit(cache=True, error_model="numpy", fastmath={"contract"}, nogil=True)(
        function
    )
    return compiled


def summing(function: F) -> F:
    """The same for a kernel whose sums may be added up in any order, which lets them vectorise."""
    compiled: F = numba.njit(
        cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"}, nogil=True
    )(function)
    return compiled


def exactly(function: F) -> F:
    """The same, operation by operation as it is written, each with its own rounding."""
    compiled: F = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return compiled


def contiguous(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, of one dtype and in C order; TypeError for one that no kernel is made for."""
    dtype = arrays[0].dtype
    if dtype not in DTYPES:
        raise TypeError(f"compiled for float32 and float64, not for {dtype}")
    return tuple(np.ascontiguousarray(one, dtype=dtype) for one in arrays)


def as_row(array: Any) -> Any:
    """A contiguous array of any shape as (1, size), which is a block of one feature."""
    return array.reshape(1, array.size)


def given(out: Any, found: Any) -> Any:
    """A result in the array that was given for it; itself where none was, or where it is there."""
    if out is None:
        return found
    if not np.shares_memory(out, found):
        out[...] = found
    return out
