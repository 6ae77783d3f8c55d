"""Mistakes that optimizers have been shipped with, to be planted in any right one.

A mistake makes a wrong unit from a right one: a subclass with the same options, whose step does
something else with what the right one gives. Each check of an optimizer is there because it sees
one of them that no other check sees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pullback.units import Array, State
from pullback.verify.mistakes.catalogue import Mistake
from pullback.verify.mistakes.planting import planted

Point: TypeAlias = tuple[Array, State]

BLOCK = 64


IN_A_STEP: list[Mistake] = []


def mistake(explanation: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Add what a function plants to the mistakes, under the function's name."""

    def add(plant: Callable[[Any], Any]) -> Callable[[Any], Any]:
        IN_A_STEP.append(Mistake(plant.__name__.replace("_", " "), explanation, plant))
        return plant

    return add


# How a wrong unit is made.


@dataclass(frozen=True)
class Call:
    """A call of step: the instance, what it is given, and the right step of it."""

    unit: Any
    cls: Any
    theta: Array
    g: Array
    state: State
    lr: float

    def right(self, **other: Any) -> Point:
        """What the right step returns, for what is given or for something else."""
        given = {"theta": self.theta, "g": self.g, "state": self.state, "lr": self.lr} | other
        moved, kept = self.cls.step(self.unit, *given.values())
        return moved, kept


def _wrong(unit: Any, change: Callable[[Call], Point], **methods: Any) -> Any:
    """A unit whose step is a change of the right one, with out= as it has to be."""

    def step(
        self: Any, theta: Array, g: Array, state: State, lr: float, out: Point | None = None
    ) -> Point:
        found = change(Call(self, type(unit), theta, g, state, lr))
        return found if out is None else _into(out, found)

    return planted(unit, step=step, **methods)


def _wrong_with_out(unit: Any, fill: Callable[[Call, Point], Point]) -> Any:
    """A unit whose step is right without out=, and wrong with it."""

    def step(
        self: Any, theta: Array, g: Array, state: State, lr: float, out: Point | None = None
    ) -> Point:
        call = Call(self, type(unit), theta, g, state, lr)
        return call.right() if out is None else fill(call, out)

    return planted(unit, step=step)


def _into(out: Point, found: Point) -> Point:
    """The result in the buffers; what has none is added."""
    out[0][...] = found[0]
    for key, value in found[1].items():
        if isinstance(out[1].get(key), np.ndarray):
            out[1][key][...] = value
        else:
            out[1][key] = value
    return out


def _init_with(unit: Any, key: str, first: Callable[[Array], Any]) -> Callable[..., State]:
    """An init whose state has one entry more."""
    right: Any = type(unit).init

    def init(self: Any, theta: Array) -> State:
        return {**right(self, theta), key: first(theta)}

    return init


def _without(key: str, state: State) -> State:
    return {name: value for name, value in state.items() if name != key}


def _if_it_shows(unit: Any, wrong: Any) -> Any:
    """The wrong unit; None where its steps are the right ones, as those by the sign of g alone."""
    theta = np.zeros(3)
    results = []
    for one in (unit, wrong):
        moved, state = one.step(theta, np.array([-0.1, 0.3, 0.7]), one.init(theta), 1.0)
        moved, _ = one.step(moved, np.array([0.2, 0.6, -0.3]), state, 1.0)
        results.append(moved)
    return None if np.array_equal(*results) else wrong


def _fading(count: int) -> float:
    """A factor on lr that falls with the steps taken, as an inverse time decay does."""
    return 1 / (1 + 0.01 * count)


# The rule.


@mistake("The gradient is added where it has to be subtracted, so that the objective grows.")
def uphill(unit: Any) -> Any:
    return _wrong(unit, lambda call: call.right(g=-call.g))


@mistake(
    "The momentum has the wrong sign: from the second step on the gradients of before outweigh the "
    "one of now, and the objective grows."
)
def momentum_backwards(unit: Any) -> Any:
    def change(call: Call) -> Point:
        g = call.g - 2 * call.state["last"]
        moved, kept = call.right(g=g, state=_without("last", call.state))
        return moved, {**kept, "last": call.g}

    return _wrong(unit, change, init=_init_with(unit, "last", np.zeros_like))


@mistake("The step uses the option lr where it is given lr, so that no schedule has an effect.")
def rate_ignored(unit: Any) -> Any:
    return _wrong(unit, lambda call: call.right(lr=call.unit.lr))


@mistake("The step is multiplied by lr twice, so that it shrinks with its square.")
def rate_twice(unit: Any) -> Any:
    return _wrong(unit, lambda call: call.right(lr=call.lr * call.lr))


@mistake(
    "The decay of the weights does not go through lr and cannot be switched off: they go on "
    "shrinking where a schedule has ended at 0."
)
def decay_beside_the_rate(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        return moved - 1e-4 * call.theta, kept

    return _wrong(unit, change)


@mistake(
    "The step is divided by the mean of g² and not by its root, so that a longer gradient gives a "
    "shorter step."
)
def root_left_out(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        return call.theta + (moved - call.theta) / (1 + call.g * call.g), kept

    return _wrong(unit, change)


@mistake("Without an ε in the denominator an entry whose gradient is 0 gives 0 / 0, which is nan.")
def zero_by_zero(unit: Any) -> Any:
    return _wrong(unit, lambda call: call.right(g=call.g * (call.g / call.g)))


@mistake(
    "A fourth power is infinite in float32 for numbers above 4e9, where the square that was meant "
    "goes on to 2e19: infinity by infinity is nan."
)
def overflow(unit: Any) -> Any:
    def change(call: Call) -> Point:
        fourth = call.g * call.g * call.g * call.g
        return call.right(g=call.g * (fourth / (fourth + 1e-30)))

    return _wrong(unit, change)


@mistake("The branch of an option is wrong: with another value than that given it goes uphill.")
def option_backwards(unit: Any) -> Any:
    names = {field.name for field in dataclasses.fields(unit) if field.init} - {"lr"}
    given = {name: getattr(unit, name) for name in names}

    def change(call: Call) -> Point:
        other = any(getattr(call.unit, name) != value for name, value in given.items())
        return call.right(g=-call.g if other else call.g)

    return _wrong(unit, change) if given else None


# Entries.


@mistake("The last entry of θ is left out by a loop that ends one too early, and never learns.")
def last_entry_left_out(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        entries = np.arange(call.theta.shape[-1])
        return np.where(entries < entries[-1], moved, call.theta), kept

    return _wrong(unit, change)


@mistake(
    f"A θ of many entries is updated in blocks of {BLOCK}, and the rest, which fills none, is "
    f"forgotten."
)
def last_block_left_out(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        size = call.theta.shape[-1]
        done = size - size % BLOCK if size > BLOCK else size
        return np.where(np.arange(size) < done, moved, call.theta), kept

    return _wrong(unit, change)


@mistake(
    "A norm over the whole array is used where one of each run is meant, so that the runs of a "
    "stack depend on one another."
)
def one_norm_for_all(unit: Any) -> Any:
    def change(call: Call) -> Point:
        return call.right(g=call.g / (1 + np.sqrt((call.g * call.g).sum())))

    return _if_it_shows(unit, _wrong(unit, change))


# Numbers.


@mistake("The gradient passes through float32, so that a float64 keeps 7 of its 16 digits.")
def float32_in_the_middle(unit: Any) -> Any:
    def change(call: Call) -> Point:
        return call.right(g=call.g.astype(np.float32).astype(call.g.dtype))

    return _if_it_shows(unit, _wrong(unit, change))


@mistake(
    "np.zeros(θ.shape) has no dtype: beside a θ of float32 the state is float64, twice as large "
    "and half as fast."
)
def state_of_float64(unit: Any) -> Any:
    right: Any = type(unit).init

    def init(self: Any, theta: Array) -> State:
        state = right(self, theta)
        return {key: _widened(value) for key, value in state.items()}

    shapes = [np.shape(value) for value in unit.init(np.zeros(3)).values()]
    return planted(unit, init=init) if (3,) in shapes else None


def _widened(value: Array) -> Array:
    return value.astype(np.float64) if value.dtype.kind == "f" else value


@mistake("A NumPy number of float64 in the formula turns a θ of float32 into one of float64.")
def theta_of_float64(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        return moved * np.float64(1), kept

    return _wrong(unit, change)


@mistake(
    "The step adds noise of its own, so that no run can be repeated, resumed, or compared with "
    "another."
)
def noise(unit: Any) -> Any:
    rng = np.random.default_rng(0)
    return _wrong(unit, lambda call: call.right(lr=call.lr * rng.uniform(0.9, 1)))


# State.


@mistake(
    "The count of the steps is kept on the unit: a resumed run begins again, and two runs with one "
    "unit count together."
)
def count_on_self(unit: Any) -> Any:
    def change(call: Call) -> Point:
        count = vars(call.unit).get("_count", 0) + 1
        object.__setattr__(call.unit, "_count", count)
        return call.right(lr=call.lr * _fading(count))

    return _wrong(unit, change)


@mistake("The count of the steps is kept on the class, which all runs of a process share.")
def count_on_the_class(unit: Any) -> Any:
    def change(call: Call) -> Point:
        type(call.unit)._count += 1
        return call.right(lr=call.lr * _fading(type(call.unit)._count))

    return _wrong(unit, change, _count=0)


@mistake("The count of the steps is a global of the module, which all runs of a process share.")
def count_in_a_global(unit: Any) -> Any:
    counts = [0]

    def change(call: Call) -> Point:
        counts[0] += 1
        return call.right(lr=call.lr * _fading(counts[0]))

    return _wrong(unit, change)


@mistake("The count of the steps is Python's int, which cannot be restored in place.")
def count_is_no_array(unit: Any) -> Any:
    def change(call: Call) -> Point:
        count: Any = call.state["count"] + 1
        moved, kept = call.right(state=_without("count", call.state), lr=call.lr * _fading(count))
        return moved, {**kept, "count": count}

    return _wrong(unit, change, init=_init_with(unit, "count", lambda _: 0))


@mistake(
    "A buffer is made at the first step and not in init, so that a checkpoint has no place to be "
    "restored to, and a resumed run begins without it."
)
def buffer_made_late(unit: Any) -> Any:
    def change(call: Call) -> Point:
        mean = (call.g + call.state.get("late", call.g)) / 2
        moved, kept = call.right(g=mean, state=_without("late", call.state))
        return moved, {**kept, "late": mean}

    return _wrong(unit, change)


@mistake("The step writes into the gradient, which belongs to the network.")
def writes_gradient(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved = call.right()
        call.g[...] *= 0.5
        return moved

    return _wrong(unit, change)


@mistake("Without out= the step writes into θ, and the caller has lost where it came from.")
def writes_theta(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        call.theta[...] = moved
        return call.theta, kept

    return _wrong(unit, change)


@mistake("Without out= the step writes into the state that it is given.")
def writes_state(unit: Any) -> Any:
    def change(call: Call) -> Point:
        moved, kept = call.right()
        return moved, _into((moved, call.state), (moved, kept))[1]

    return _wrong(unit, change) if unit.init(np.zeros(3)) else None


@mistake("θ is returned in a buffer that is used again at the next step, of whatever run.")
def shared_buffer(unit: Any) -> Any:
    buffers: dict[Any, Array] = {}

    def change(call: Call) -> Point:
        moved, kept = call.right()
        buffer = buffers.setdefault((moved.shape, moved.dtype), np.empty_like(moved))
        buffer[...] = moved
        return buffer, kept

    return _wrong(unit, change)


# out=


@mistake("out= is taken and not used: who holds the buffers never sees a step.")
def out_ignored(unit: Any) -> Any:
    return _wrong_with_out(unit, lambda call, _: call.right())


@mistake("The step is added to what the buffer of out= held before, which may be anything.")
def buffer_not_cleared(unit: Any) -> Any:
    def fill(call: Call, out: Point) -> Point:
        moved, kept = call.right()
        if out[0] is not call.theta:
            moved = out[0] + (moved - call.theta)
        return _into(out, (moved, kept))

    return _wrong_with_out(unit, fill)


@mistake("The buffer of out= is cleared before θ is read, which is lost where the two are one.")
def buffer_cleared_too_early(unit: Any) -> Any:
    def fill(call: Call, out: Point) -> Point:
        out[0][...] = 0
        return _into(out, call.right())

    return _wrong_with_out(unit, fill)
