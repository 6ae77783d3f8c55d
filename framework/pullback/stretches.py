"""Many steps at once, of one run or of several: gradient, clipping and update in one kernel.

Training looks at a run every so many steps; those between, a stretch, need nothing but their
batches and their learning rates. Where the net has a compiled step (:mod:`pullback.blocks`) and
the optimizer a kernel, a stretch is one call of a kernel made of these. Several runs that differ in
numbers alone are spread over threads, each as it would be alone, bit for bit.

An optimizer takes part by ``blocks = (kernel,)`` with ``kernel(theta, g, state, numbers)``, in
place: ``state`` has the arrays of its state that are like θ as rows, in their order, and
``numbers`` is what the unit's ``numbers(lr, t)`` gives for a step after t others, in float64. An
entry t of the state, if there is one, counts the steps.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from pullback import blocks
from pullback.net import Net
from pullback.units import Array, Loss, Optimizer, State

T = TypeVar("T")

_TEMPLATE = '''\
"""{title}

many steps of several runs; written by Pullback.
"""

import numpy as np
from numba import njit, prange

from {step} import step, step_in_threads
from {module} import {kernel} as update


@njit(error_model="numpy")
def take(x, target, rows, batch, labels):
    for r in range(rows.size):
        for k in range(x.shape[1]):
            batch[r, k] = x[rows[r], k]
        labels[r] = target[rows[r]]


@njit(error_model="numpy", fastmath={{"reassoc", "contract"}})
def length(g):
    total = 0.0
    for i in range(g.size):
        total += np.float64(g[i]) * np.float64(g[i])
    return np.sqrt(total)


@njit(error_model="numpy")
def prepared(g, theta, penalised, l2, most, longest):
    """Make g the gradient of the objective; its norm before it is clipped."""
    real = g.dtype.type
    if l2:
        for i in range(g.size):
            if penalised[i]:
                g[i] += real(l2) * theta[i]
    norm = length(g)
    if most < np.inf:
        for i in range(g.size):
            g[i] = min(max(g[i], real(-most)), real(most))
    if longest < np.inf:
        size = norm if most == np.inf else length(g)
        g *= real(min(1.0, longest / (size + 1e-6)))
    return norm


{functions}'''

_FUNCTION = '''\
@njit(error_model="numpy", cache=True, nogil=True, parallel={parallel})
def {name}(
    x, target, order, scale, theta, state, numbers, penalised, bounds, losses, norms,
    gradient, batch, labels, parts, own, room, wide, y, n, shapes, rows, edges,
):
    """How many steps each run made; one that is not finite is not made, nor are those after it."""
    made = np.zeros(len(theta), np.int64)
    for c in prange(len(gradient)):
        for i in range(c, len(theta), len(gradient)):
            for s in range(losses.shape[1]):
                xs, ts = x[i], target[i]
                if order.shape[2]:
                    take(x[i], target[i], order[i, s], batch[c], labels[c])
                    xs, ts = batch[c], labels[c]
                losses[i, s] = scale * {step}(
                    xs, ts, scale, theta[i], gradient[c], parts[c], own[c], room[c], wide[c], y[c],
                    n, shapes, rows, edges,
                )
                if not np.isfinite(losses[i, s]):
                    break
                norms[i, s] = prepared(
                    gradient[c], theta[i], penalised, bounds[i, 0], bounds[i, 1], bounds[i, 2]
                )
                if not np.isfinite(norms[i, s]):
                    break
                update(theta[i], gradient[c], state[i], numbers[i, s])
                made[i] += 1
    return made
'''
# Alone, alone over threads, and several over threads.
_WAYS = {
    "alone": ("step", False),
    "in_threads": ("step_in_threads", False),
    "together": ("step", True),
}


@dataclass(frozen=True, eq=False)
class Stretch:
    """So many steps that a run wants made, from where it stands.

    ``units`` is what :func:`kind_of` says of them; ``order`` has the rows of each batch, none
    where a batch is all of them; ``bounds`` are the penalty, and what an entry and the norm of the
    gradient are clipped at, or ∞; ``threads`` are those that it has where it is made alone.
    """

    units: Hashable
    net: Net
    loss: Loss
    optimizer: Optimizer
    state: State
    x: Array
    target: Array
    order: Array
    rates: list[float]
    mean: bool
    bounds: tuple[float, float, float]
    threads: int

    @property
    def kind(self) -> Hashable:
        """Stretches of one kind can be made together."""
        sizes = (self.x.shape, self.target.shape, self.target.dtype.str, self.order.shape)
        return (self.units, sizes, len(self.rates), self.mean)

    def numbers(self) -> Array:
        """What the optimizer takes at each step."""
        taken = int(self.state["t"]) if "t" in self.state else 0
        return np.array(
            [self.optimizer.numbers(lr, taken + s) for s, lr in enumerate(self.rates)]  # type: ignore[attr-defined]
        )

    @property
    def rows(self) -> int:
        """Of a batch."""
        return self.order.shape[1] or len(self.x)

    @property
    def kept(self) -> list[Array]:
        """The arrays of the optimizer's state that are like θ."""
        return [one for one in self.state.values() if one.ndim]


@dataclass(frozen=True)
class Made:
    """What became of a stretch: a loss and a norm for each step that was made, and its time."""

    losses: list[float]
    norms: list[float]
    seconds: float


def kind_of(net: Net, loss: Loss, optimizer: Optimizer, state: State) -> Hashable | None:
    """What the units of runs that can be made together have in common; None without kernels."""
    if not (getattr(optimizer, "blocks", None) and blocks.compiles(net, loss)):
        return None
    shapes = [one.shape for stage in net.stages for one in stage.params.values()]
    of_state = [(key, one.ndim) for key, one in state.items()]
    text = blocks.text_of(net, loss)
    return (text, type(optimizer), net.inputs, str(net.dtype), tuple(shapes), tuple(of_state))


def finish(course: Generator[Stretch, Made, T]) -> T:
    """Go through a course to its result, making the stretches that it gives out."""
    return together([course])[0]


def together(
    courses: Sequence[Generator[Stretch, Made, T]],
    threads: int = 1,
    ends_all: Callable[[T], bool] | None = None,
) -> list[T]:
    """Go through courses side by side: stretches of one kind are made together, over ``threads``.

    What is raised while a stretch is made is raised in the courses that wait for it. After a result
    that ``ends_all`` of them, the others are interrupted.
    """
    make, results, waiting = Maker(threads), dict[int, T](), dict[int, Stretch]()

    def go_on(i: int, move: Callable[[], Stretch]) -> None:
        waiting.pop(i, None)
        try:
            waiting[i] = move()
        except StopIteration as end:
            results[i] = end.value

    with np.errstate(all="ignore"):  # what is not finite ends in a verdict, not in a warning
        for i, course in enumerate(courses):
            go_on(i, course.__next__)
        while waiting:
            if ends_all and any(map(ends_all, results.values())):
                for i in list(waiting):
                    go_on(i, functools.partial(courses[i].throw, KeyboardInterrupt()))
            for some in _by_kind(waiting):
                try:
                    made = make([waiting[i] for i in some])
                except BaseException as error:
                    for i in some:
                        go_on(i, functools.partial(courses[i].throw, error))
                else:
                    for i, one in zip(some, made, strict=True):
                        go_on(i, functools.partial(courses[i].send, one))
    return [results[i] for i in range(len(courses))]


def _by_kind(waiting: Mapping[int, Stretch]) -> list[list[int]]:
    kinds: dict[Hashable, list[int]] = {}
    for i, stretch in waiting.items():
        kinds.setdefault(stretch.kind, []).append(i)
    return list(kinds.values())


@dataclass
class Maker:
    """Makes stretches, several over so many threads; its arrays are kept for the next."""

    threads: int = 1
    _modules: dict[Hashable, Any] = field(default_factory=dict)
    _rooms: dict[Hashable, tuple[Any, ...]] = field(default_factory=dict)
    _sources: list[Array] = field(default_factory=list)
    _data: tuple[Array, Array] = (np.empty(0), np.empty(0))

    def __call__(self, stretches: Sequence[Stretch]) -> list[Made]:
        """All of them, which are of one kind."""
        kernel, rooms = self._prepared(stretches)
        started = time.perf_counter()
        first, x_and_target = stretches[0], self._stacked(stretches)
        theta, state = _taken(stretches)
        losses, norms = np.empty((2, len(stretches), len(first.rates)))
        made = kernel(
            *x_and_target,
            np.stack([one.order for one in stretches]),
            1 / first.rows if first.mean else 1.0,
            theta,
            state,
            np.stack([one.numbers() for one in stretches]),
            first.net.weights,
            np.array([one.bounds for one in stretches]),
            losses,
            norms,
            *rooms,
        )
        _given_back(stretches, theta, state, made)
        each = (time.perf_counter() - started) / max(int(made.sum()), 1)
        return [
            Made(losses[i, :k].tolist(), norms[i, :k].tolist(), each * int(k))
            for i, k in enumerate(made)
        ]

    def _prepared(self, stretches: Sequence[Stretch]) -> tuple[Any, tuple[Any, ...]]:
        """The kernel, and the arrays that its workers work in."""
        first, several = stretches[0], len(stretches) > 1
        threads = self.threads if several else first.threads
        way = "together" if several else "alone" if threads == 1 else "in_threads"
        if threads > 1:
            import numba

            numba.set_num_threads(threads)
        if first.units not in self._modules:
            self._modules[first.units] = _kernels(first)
        key = (first.units, first.rows, way)
        if key not in self._rooms:
            workers = threads if several else 1
            self._rooms[key] = _rooms(first, workers, 1 if several else threads)
        return getattr(self._modules[first.units], way), self._rooms[key]

    def _stacked(self, stretches: Sequence[Stretch]) -> tuple[Array, Array]:
        """The data of all, which stay the same from one stretch to the next."""
        sources = [one.x for one in stretches]
        known = len(sources) == len(self._sources)
        if not known or any(a is not b for a, b in zip(sources, self._sources, strict=True)):
            stacked = sources, [one.target for one in stretches]
            x, target = (blocks.constant(np.stack(one)) for one in stacked)
            self._sources, self._data = sources, (x, target)
        return self._data


def _taken(stretches: Sequence[Stretch]) -> tuple[Array, Array]:
    """θ of each run as a row, and the rows of its optimizer's state."""
    theta = np.stack([one.net.theta for one in stretches])
    state = np.empty((len(stretches), len(stretches[0].kept), theta.shape[1]), theta.dtype)
    for rows, one in zip(state, stretches, strict=True):
        for row, kept in zip(rows, one.kept, strict=True):
            row[...] = kept
    return theta, state


def _given_back(stretches: Sequence[Stretch], theta: Array, state: Array, made: Array) -> None:
    for i, one in enumerate(stretches):
        one.net.theta[...] = theta[i]
        for kept, row in zip(one.kept, state[i], strict=True):
            kept[...] = row
        if "t" in one.state:
            one.state["t"] += made[i]


def _rooms(first: Stretch, workers: int, threads: int) -> tuple[Any, ...]:
    """What so many workers work in, each of so many threads, and the sizes of blocks."""
    room = blocks.Room.of(first.net, first.rows, threads)

    def each(one: Array) -> Array:
        return np.empty((workers, *one.shape), one.dtype)

    block = blocks.aligned((workers, *room.block.shape), room.block.dtype)
    return (
        each(first.net.gradient),
        np.empty((workers, first.rows, *first.x.shape[1:]), first.x.dtype),
        np.empty((workers, first.rows, *first.target.shape[1:]), first.target.dtype),
        *(each(room.parts), each(room.own), block, each(room.wide), each(room.y)),
        *(room.features, room.shapes, room.rows, room.edges),
    )


def _kernels(stretch: Stretch) -> Any:
    """The module of a chain of units and an optimizer, from the user's cache."""
    chain = blocks.kernels(stretch.net, stretch.loss)
    (update,) = stretch.optimizer.blocks  # type: ignore[attr-defined]
    plain = update.py_func
    text = _TEMPLATE.format(
        title=f"{chain.__doc__.partition(chr(10))[0]} · {type(stretch.optimizer).__name__}",
        step=chain.__name__,
        module=plain.__module__,
        kernel=plain.__name__,
        functions="\n\n".join(
            _FUNCTION.format(name=name, step=step, parallel=parallel)
            for name, (step, parallel) in _WAYS.items()
        ),
    )
    return blocks.module(text, frozenset([plain.__module__]))
