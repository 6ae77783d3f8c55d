"""The compiled step: the block kernels of a net's units as one kernel, forward and back.

A unit takes part by an attribute ``blocks``: functions compiled by Numba, or None where its options
have no kernel. Their arrays are (features, rows) with some dozens of rows, padded with zeros, so
that what one stage writes is still in cache when the next reads it, and the innermost loop runs
over rows in every layer alike:

layer
    ``forward(x, params, y)`` and ``backward(x, y, dy, params, dx, dparams)``, which fill y, dx and
    dparams, and may write over dy. ``params`` and ``dparams`` are tuples of matrices; dx has no
    features where nobody needs it.
loss
    ``loss(y, target, scale, dy, room) -> Σ ℓ`` over the rows that have a target, with
    dy = scale · ∂ℓ/∂y for these and 0 for the others. ``room`` is (features + 8, rows) float64, to
    be used as it likes. NaN leaves the batch to the stages, one after another.

The text of the kernel is written for a chain of units, not for its sizes: it reads like the staged
computation that it is, lies in the user's cache, and so does what Numba compiles from it.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pullback import sourcefile
from pullback.loss import Reduction
from pullback.net import Net
from pullback.units import Array, Loss

_BLOCK_BYTES = 1024 * 1024  # of activations and their gradients: a second-level cache
_MOST_ROWS, _LANES = 128, 8  # in a block; it is made of whole vectors
_LINE = 64  # bytes of a line of the cache
_ROWS_PER_CHUNK, _MOST_CHUNKS = 96, 8  # what a thread takes at once, so that no sum depends on them
_IN_THREADS = "step_in_threads"  # of the two steps in a kernel's module
_MOST_PARAMETERS = 50_000  # beyond, whole batches in BLAS are as fast or faster

_TEMPLATE = '''\
"""{title}

forward, and back, of one block of rows after another; written by Pullback.
"""

from numba import njit, prange

{imports}


@njit(error_model="numpy")
def matrix(flat, at, rows, columns):
    return flat[at : at + rows * columns].reshape(rows, columns)


@njit(error_model="numpy")
def put_columns(x, block):
    """The rows of x as columns; those that are left over are 0."""
    block[:, len(x) :] = 0
    for n in range(len(x)):
        for k in range(x.shape[1]):
            block[k, n] = x[n, k]


@njit(error_model="numpy")
def put_rows(block, y):
    for n in range(len(y)):
        for k in range(y.shape[1]):
            y[n, k] = block[k, n]


@njit(error_model="numpy", cache=True)
def chunk(x, target, scale, theta, gradient, own, room, wide, y, n, shapes, rows):
    """The sum of the losses of these rows; their gradient is added up in ``gradient``."""
    gradient[:] = 0
    at = 0
{parameters}
    here = 0
{buffers}
    nothing = matrix(room, 0, 0, rows)
    total = 0.0
    for start in range(0, len(x), rows):
        stop = min(start + rows, len(x))
        put_columns(x[start:stop], x_0)
{forward}
        total += loss({last}, target[start:stop], scale, d{last}, wide)
        put_rows({last}, y[start:stop])
{backward}
        gradient += own
    return total


{steps}'''

# One text for two functions: Numba keeps what it compiled by the function alone.
_STEP = '''\
@njit(error_model="numpy", cache=True, nogil=True, parallel={parallel})
def {name}(x, target, scale, theta, gradient, parts, own, room, wide, y, n, shapes, rows, edges):
    """The sum of the losses; ``gradient`` becomes that of scale times it."""
    totals = np.empty(len(edges) - 1)
    for c in prange(len(edges) - 1):
        a, b, at = edges[c], edges[c + 1], c % len(room)
        totals[c] = chunk(
            x[a:b], target[a:b], scale, theta, parts[c], own[at], room[at], wide[at], y[a:b],
            n, shapes, rows,
        )
    for i in range(gradient.size):  # an assignment of arrays would be compiled with its errors
        gradient[i] = parts[0][i]
    total = totals[0]
    for c in range(1, len(edges) - 1):
        gradient += parts[c]
        total += totals[c]
    return total
'''


class CompiledStep:
    """L, y and dL/dθ of a net on a batch, by one kernel.

    It is called as ``Net.value_and_gradient`` is, and to the rounding gives the same; bit for bit
    the same with any number of threads. What is not finite, and what its kernels do not take, it
    leaves to the net.
    """

    def __init__(self, net: Net, loss: Loss, threads: int = 1) -> None:
        self.net, self.loss, self.threads = net, loss, threads
        self._step = getattr(kernels(net, loss), "step" if threads == 1 else _IN_THREADS)
        self._rooms: dict[int, Room] = {}
        if threads > 1:
            import numba

            numba.set_num_threads(threads)

    def __call__(
        self, x: Array, target: Array, reduction: Reduction = "mean"
    ) -> tuple[float, Array]:
        rows = len(x)
        if rows not in self._rooms:
            self._rooms[rows] = Room.of(self.net, rows, self.threads)
        room = self._rooms[rows]
        scale = 1 / rows if reduction == "mean" else 1.0
        value = scale * self._step(
            constant(x), constant(target), scale, self.net.theta, self.net.gradient, room.parts,
            room.own, room.block, room.wide, room.y, room.features, room.shapes, room.rows,
            room.edges,
        )  # fmt: skip
        if not math.isfinite(value):
            return self.net.value_and_gradient(x, target, self.loss, reduction)
        return value, room.y


def compiled_step(net: Net, loss: Loss, threads: int = 1) -> CompiledStep | None:
    """The compiled step of a net; None where one of its units has no block kernels.

    ``threads``: over how many the rows of a batch are spread.
    """
    return CompiledStep(net, loss, threads) if compiles(net, loss) else None


def compiles(net: Net, loss: Loss) -> bool:
    """Whether all units have block kernels, and the net is not so large that BLAS alone counts."""
    flat = all(len(stage.inputs) == len(stage.outputs) == 1 for stage in net.stages)
    matrices = all(one.ndim == 2 for stage in net.stages for one in stage.params.values())
    small = net.theta.size <= _MOST_PARAMETERS
    return (
        flat
        and matrices
        and small
        and all(getattr(one, "blocks", None) for one in _units(net, loss))
    )


@dataclass(frozen=True)
class Room:
    """What a step on so many rows works in: blocks, the gradient of each chunk, and sizes."""

    parts: Array
    own: Array
    block: Array
    wide: Array
    y: Array
    features: Array
    shapes: Array
    rows: int
    edges: Array

    @classmethod
    def of(cls, net: Net, rows: int, threads: int) -> Room:
        features = [net.inputs[0], *(stage.outputs[0] for stage in net.stages)]
        chunks = min(max(rows // _ROWS_PER_CHUNK, 1), _MOST_CHUNKS)
        edges = np.linspace(0, rows, chunks + 1).astype(np.int64)
        numbers = features[0] + 2 * sum(features[1:])
        in_block = _rows(int(np.diff(edges).max()), numbers * net.dtype.itemsize)
        shapes = [one.shape for stage in net.stages for one in stage.params.values()]
        at_once = 1 if threads == 1 else chunks  # one room for all stays in cache
        return cls(
            parts=np.empty((chunks, net.theta.size), net.dtype),
            own=np.empty((at_once, net.theta.size), net.dtype),
            block=aligned((at_once, numbers * in_block), net.dtype),
            wide=np.empty((at_once, features[-1] + 8, in_block)),
            y=np.empty((rows, features[-1]), net.dtype),
            features=np.array(features),
            shapes=np.array(shapes or np.empty((0, 2)), dtype=np.int64),
            rows=in_block,
            edges=edges,
        )


def constant(array: Array) -> Array:
    """The array as one that is not written to: kernels are compiled for such, and not twice."""
    view = array.view()
    view.flags.writeable = False
    return view


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An empty array whose rows begin where a line of the cache does, and may be longer."""
    line = _LINE // dtype.itemsize
    *others, columns = shape
    columns = math.ceil(columns / line) * line
    size = math.prod(others) * columns
    whole = np.empty(size + line, dtype)
    first = -whole.ctypes.data % _LINE // dtype.itemsize
    return whole[first : first + size].reshape(*others, columns)


def _rows(rows: int, bytes_each: int) -> int:
    """The rows of a block: even parts of a chunk, in whole vectors, that a cache can hold."""
    most = min(max(_BLOCK_BYTES // bytes_each // _LANES * _LANES, _LANES), _MOST_ROWS)
    even = math.ceil(rows / math.ceil(rows / most)) if rows else 1
    return math.ceil(even / _LANES) * _LANES


def kernels(net: Net, loss: Loss) -> Any:
    """The module of a chain of units, from the user's cache."""
    text = text_of(net, loss)
    functions = [one for unit in _units(net, loss) for one in unit.blocks]
    return module(text, frozenset(one.py_func.__module__ for one in functions))


@functools.cache
def module(text: str, modules: frozenset[str]) -> Any:
    """The module that a text is, from the user's cache; a change of these modules makes another."""
    digest = hashlib.sha256(text.encode())
    for file in sorted(path for name in modules for path in _sources(name)):
        digest.update(file.read_bytes())
    name = f"pullback_step_{digest.hexdigest()[:16]}"
    path = _cache() / f"{name}.py"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    return sourcefile.load(path, name)


def _sources(module: str) -> list[Path]:
    """The files that a kernel may have been compiled from: its own, and those of its package."""
    file = Path(str(sys.modules[module].__file__))
    return sorted(file.parent.glob("*.py")) if "." in module else [file]


def _cache() -> Path:
    """A directory of the user's own that can be written to."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with_room = next((one for one in (home, *home.parents) if one.is_dir()), home)
    if os.access(with_room, os.W_OK):
        return home / "pullback" / "steps"
    return Path(tempfile.gettempdir()) / f"pullback-{os.getuid()}" / "steps"


def _units(net: Net, loss: Loss) -> list[Any]:
    return [*(stage.layer for stage in net.stages), loss]


def text_of(net: Net, loss: Loss) -> str:
    """The kernel's own text: a stage a line, forward, and back."""
    imports, parameters, buffers, forward, backward = ["import numpy as np"], [], [], [], []
    buffers += ["x_0 = matrix(room, here, n[0], rows)", "here += x_0.size"]
    x, place = "x_0", 0
    for number, stage in enumerate(net.stages, start=1):
        y = f"y_{number}"
        blocks = stage.layer.blocks  # type: ignore[attr-defined]
        for role, function in zip(("forward", "back"), blocks, strict=True):
            imports.append(_import(function, f"{role}_{number}"))
        mine = [f"p_{number}_{which}" for which in range(len(stage.params))]
        for name in mine:
            shape = f"shapes[{place}, 0], shapes[{place}, 1]"
            parameters += [f"{name} = matrix(theta, at, {shape})"]
            parameters += [f"d{name} = matrix(own, at, {shape})", f"at += {name}.size"]
            place += 1
        for name in (y, f"d{y}"):
            buffers += [f"{name} = matrix(room, here, n[{number}], rows)", f"here += {name}.size"]
        params, dparams = _tuple(mine), _tuple([f"d{name}" for name in mine])
        dx = "nothing" if number == 1 else f"d{x}"
        forward.append(f"forward_{number}({x}, {params}, {y})  # {stage.unit}")
        backward.append(f"back_{number}({x}, {y}, d{y}, {params}, {dx}, {dparams})")
        x = y
    imports.append(_import(loss.blocks[0], "loss"))  # type: ignore[attr-defined]
    names = " · ".join([*(stage.unit for stage in net.stages), type(loss).__name__])
    return _TEMPLATE.format(
        title=names,
        imports="\n".join(imports),
        parameters=_indented(parameters, 4),
        buffers=_indented(buffers, 4),
        forward=_indented(forward, 8),
        backward=_indented(backward[::-1], 8),
        last=x,
        steps="\n\n".join(
            _STEP.format(name=name, parallel=name == _IN_THREADS) for name in ("step", _IN_THREADS)
        ),
    )


def _import(function: Any, name: str) -> str:
    plain = function.py_func
    return f"from {plain.__module__} import {plain.__name__} as {name}"


def _tuple(names: list[str]) -> str:
    return f"({names[0]},)" if len(names) == 1 else f"({', '.join(names)})"


def _indented(lines: list[str], spaces: int) -> str:
    return "\n".join(" " * spaces + line for line in lines)
