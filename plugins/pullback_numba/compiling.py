"""How kernels are compiled, and how arrays are handed to them.

A kernel is a function of arrays that Numba compiles, once for each type, and keeps on disk. Those
called ``…_block`` are for the compiled step as well (see ``pullback.blocks``): their arrays are
(features, rows), so that the innermost loop runs over rows, whatever the layer, and vectorises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  # Numba's np.dot: loaded before threads are limited

if TYPE_CHECKING:
    from pullback.units import Array

Kernel: TypeAlias = Callable[..., Any]

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def kernel(function: Kernel) -> Kernel:
    """Compile: products and sums contract to one rounding, 1 / 0 is ∞, the GIL is let go."""
    return _compiled(function, {"contract"})


def summing(function: Kernel) -> Kernel:
    """The same for a kernel whose sums may be added up in any order, which lets them vectorise."""
    return _compiled(function, {"contract", "reassoc", "nsz"})


def exactly(function: Kernel) -> Kernel:
    """The same, operation by operation as it is written, each with its own rounding."""
    return _compiled(function, False)


def scalar(function: Kernel) -> Kernel:
    """A function of numbers for the kernels, which become part of them."""
    part: Kernel = numba.njit(inline="always", fastmath={"contract"})(function)
    return part


def _compiled(function: Kernel, liberties: Any) -> Kernel:
    compiled: Kernel = numba.njit(cache=True, error_model="numpy", fastmath=liberties, nogil=True)(
        function
    )
    return compiled


@numba.njit(inline="always")
def flat(block: Any) -> Any:
    """A block, which is contiguous, as a vector: one long loop instead of short ones."""
    return block.reshape(block.size)


def contiguous(*arrays: Any) -> tuple[Any, ...]:
    """The arrays, of one dtype and in C order; TypeError for one that no kernel is made for."""
    dtype = arrays[0].dtype
    if dtype not in DTYPES:
        raise TypeError(f"compiled for float32 and float64, not for {dtype}")
    return tuple(np.ascontiguousarray(one, dtype=dtype) for one in arrays)


def as_row(array: Any) -> Any:
    """A contiguous array of any shape as (1, size), which is a block of one feature."""
    return array.reshape(1, array.size)


def room_for(out: Array | None, like: Array) -> Array:
    """Where a kernel writes a result of that size: ``out``, where it lies in order."""
    if out is None or not out.flags.c_contiguous:
        return np.empty_like(like)
    return out.reshape(like.shape)


def into(out: Array | None, found: Array) -> Array:
    """A result in the array that was given for it; itself where none was, or where it is there."""
    if out is None:
        return found
    if not np.shares_memory(out, found):
        out[...] = found
    return out
