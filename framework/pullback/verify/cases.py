"""What a unit is checked at: its options, crossed; its inputs; a loss's targets."""

from __future__ import annotations

import inspect
import itertools
import types
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import numpy as np

from pullback import registry
from pullback.errors import ConfigError, RegistryError
from pullback.options import Option, options_of
from pullback.units import Array
from pullback.verify.outcome import Failed, Skipped

ROWS, FEATURES = 4, 3  # FEATURES is the number of classes of a loss, too
GAP = 25.0  # by which a confident row is ahead, or behind
MOST_VARIANTS = 16


class UnitError(Failed):
    """forward or backward raised, or returned something that cannot be a result."""


@dataclass(frozen=True)
class Case:
    """A unit and what forward takes: inputs, which have a gradient each, and a loss's target."""

    label: str
    unit: Any
    inputs: tuple[Any, ...]
    target: tuple[Any, ...] = ()

    @property
    def names(self) -> list[str]:
        """What forward calls its inputs: x, W, b."""
        given = list(inspect.signature(self.unit.forward).parameters)[: len(self.inputs)]
        return given + [f"input {place}" for place in range(len(given), len(self.inputs))]

    def forward(self, **options: Any) -> tuple[Any, Any]:
        """y and the residual; UnitError where forward raises or returns no pair."""
        pair = carried_out(self.unit.forward, *self.inputs, *self.target, **options)
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise UnitError(f"forward returned {type(pair).__name__}, and not (y, residual)")
        if not isinstance(pair[0], np.ndarray | np.generic):
            raise UnitError(f"forward returned {type(pair[0]).__name__} for y, no array")
        return pair

    def backward(self, residual: Any, dy: Any, **options: Any) -> tuple[Any, ...]:
        """The gradients, one for each input; UnitError where there is another number of them."""
        result = carried_out(self.unit.backward, residual, dy, **options)
        several = len(self.inputs) > 1
        gradients = result if isinstance(result, tuple) and several else (result,)
        if len(gradients) != len(self.inputs):
            wanted = ", ".join(f"d{name}" for name in self.names)
            raise UnitError(
                f"backward returned {a_number(len(gradients))}, and forward takes "
                f"{len(self.inputs)} inputs: it must return ({wanted})"
            )
        for name, one in zip(self.names, gradients, strict=True):
            if not isinstance(one, np.ndarray | np.generic):
                raise UnitError(f"backward returned {type(one).__name__} for d{name}, no array")
        return gradients

    def both(self, dy: Any = None) -> tuple[Any, tuple[Any, ...]]:
        """y and the gradients for dy; for a random one, if none is given."""
        y, residual = self.forward()
        return y, self.backward(residual, self.cotangent(y) if dy is None else dy.copy())

    def at_once(self, dl: Any, **options: Any) -> tuple[Any, Any]:
        """ℓ and dy by a loss's value_and_gradient; UnitError where it raises or returns no pair."""
        method = self.unit.value_and_gradient
        pair = carried_out(method, *self.inputs, *self.target, dl, **options)
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise UnitError(f"value_and_gradient returned {type(pair).__name__}, and not (ℓ, dy)")
        return pair

    def and_plain(self) -> Iterator[Case]:
        """This one, then the same of the units of its family that its class is derived from.

        A compiled unit takes floats alone, and the plain one that it is derived from any numbers.
        """
        yield self
        cls = type(self.unit)
        for base in cls.__mro__[1:]:
            if registry.kind_of(base) and registry.family(base) == registry.family(cls):
                options = {one.name: getattr(self.unit, one.name) for one in options_of(base)}
                yield replace(self, unit=base(**options))

    def cotangent(self, like: Any, seed: int = 1) -> Array:
        """Random numbers; all ones would hide what the rows of a Jacobian add up to."""
        drawn: Array = np.random.default_rng(seed).normal(size=np.shape(like))
        kind = like.dtype if like.dtype.kind == "f" else np.dtype(float)
        return np.asarray(drawn, dtype=kind)

    def with_inputs(self, convert: Callable[[Any], Any]) -> Case:
        return replace(self, inputs=tuple(convert(one) for one in self.inputs))

    def with_rows(self, rows: slice) -> Case:
        """The same with these rows alone, or with none."""
        x, *params = self.inputs
        return replace(
            self, inputs=(x[rows], *params), target=tuple(one[rows] for one in self.target)
        )

    def exactly(self, exact: Callable[[Any], Any]) -> Case:
        """In exact numbers, the rows of a target included: they are data, no constants."""
        target = tuple(t if t.dtype.kind in "iub" else exact(t) for t in self.target)
        return replace(self.with_inputs(exact), target=target)

    def astype(self, dtype: Any) -> Case:
        """The same in another precision, the rows of a target included."""
        target = tuple(t if t.dtype.kind in "iub" else t.astype(dtype) for t in self.target)
        return replace(self.with_inputs(lambda one: one.astype(dtype)), target=target)


def a_number(gradients: int) -> str:
    return "1 gradient" if gradients == 1 else f"{gradients} gradients"


def carried_out(method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """What a method of the unit returns; UnitError, with its words, where it raises."""
    try:
        with np.errstate(all="ignore"):
            return method(*arguments, **options)
    except Exception as error:
        told = f"{method.__name__} raised {type(error).__name__}: {error}"
        raise UnitError(told) from error


@dataclass(frozen=True)
class Subject:
    """A unit that is to be checked, the name it goes by, and what its ordinary inputs are like."""

    kind: str
    name: str
    unit: Any
    rows: int = ROWS
    features: int = FEATURES
    scale: float = 1.0
    dtype: str = "float64"
    seed: int = 0

    @property
    def cls(self) -> type:
        return type(self.unit)

    def rng(self, draw: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, draw, zlib.crc32(self.name.encode())])

    def cases(self, draw: int = 0) -> list[Case]:
        """The unit as it is given, at ordinary and confident inputs, or at its own samples."""
        of_kind = layer_cases if self.kind == "layer" else loss_cases
        return [case.astype(self.dtype) for case in of_kind(self, self.rng(draw))]

    def case(self, draw: int = 0) -> Case:
        """One ordinary case."""
        return self.cases(draw)[0]

    def sized(self, rows: int, features: int) -> Subject:
        """The same at another shape, where the unit does not bring samples of its own."""
        return replace(self, rows=rows, features=features)

    def fits(self) -> bool:
        """Whether forward takes this shape: it may refuse one with a ValueError."""
        try:
            for case in self.cases():
                case.forward()
        except UnitError as error:
            if isinstance(error.__cause__, ValueError):
                return False
            raise
        return True

    def fitted(self) -> Subject:
        """With a number of features that forward takes, if there is one up to 12."""
        every = (self.sized(self.rows, n) for n in (self.features, *range(1, 13)))
        return next((one for one in every if one.fits()), self)

    def with_unit(self, unit: Any) -> Subject:
        return replace(self, unit=unit)

    @property
    def has_samples(self) -> bool:
        return hasattr(self.unit, "samples")

    def variants(self) -> list[tuple[str, Any]]:
        """The unit with other options: each alone, each two of them, and all."""

        def accepts(unit: Any) -> None:
            self.with_unit(unit).case().forward()

        return variants(self.unit, accepts, self.features)

    def relatives(self) -> list[tuple[str, Any]]:
        """The other members of its family that take its options."""
        mine = registry.family(self.cls, self.name)
        options = {one.name: getattr(self.unit, one.name) for one in options_of(self.cls)}
        found = []
        for name in registry.names(self.kind):
            if name == self.name:
                continue
            try:
                cls = registry.lookup(self.kind, name)
            except RegistryError:
                continue
            if registry.family(cls, name) == mine and cls is not self.cls:
                taken = {one.name for one in options_of(cls)}
                found.append((name, cls(**{k: v for k, v in options.items() if k in taken})))
        return found


Check: TypeAlias = Callable[[Subject], "float | None"]


def instance(cls: type) -> Any:
    """A unit with its defaults; options without one get a plain value of their type."""
    values: dict[Any, Any] = {int: 5, float: 0.5, bool: True, str: "x"}
    needed = {}
    for option in options_of(cls):
        if option.required and option.type not in values:
            raise Skipped(
                f"the option '{option.name}' of {cls.__name__} has no default: "
                f"from Python, check({cls.__name__}({option.name}=…))"
            )
        if option.required:
            needed[option.name] = values[option.type]
    try:
        return cls(**needed)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{cls.__name__} cannot be made: {error}") from error


def variants(
    unit: Any, accepts: Callable[[Any], None], features: int = FEATURES
) -> list[tuple[str, Any]]:
    """Units with other values of the options; those that ``accepts`` raises for are left out."""
    single = [
        {option.name: value}
        for option in options_of(type(unit))
        for value in _other_values(option, getattr(unit, option.name), features)
    ]
    sets = [one for one in single if _accepted(unit, one, accepts)]
    pairs = [{**a, **b} for a, b in itertools.combinations(sets, 2) if a.keys() != b.keys()]
    everything = {key: value for one in sets for key, value in one.items()}
    chosen = [*sets, everything, *pairs] if len(sets) > 2 else [*sets, *pairs]
    found: dict[str, Any] = {}
    for one in chosen[:MOST_VARIANTS]:
        label = " ".join(f"{key}={value}" for key, value in sorted(one.items()))
        if one and label not in found and _accepted(unit, one, accepts):
            found[label] = replace(unit, **one)
    return list(found.items())


def _accepted(unit: Any, options: dict[str, Any], accepts: Callable[[Any], None]) -> bool:
    try:
        accepts(replace(unit, **options))
    except (ValueError, TypeError, UnitError):
        return False
    return True


def _other_values(option: Option, value: Any, features: int) -> list[Any]:
    """Values of an option's type that differ from the one it has."""
    if option.kind:
        return []
    origin, inner = get_origin(option.type), get_args(option.type)
    if origin in (Union, types.UnionType):
        plain = next(one for one in inner if one is not type(None))
        origin, inner, of_type = get_origin(plain), get_args(plain), plain
    else:
        of_type = option.type
    tried: list[Any] = []
    if origin is Literal:
        tried = list(inner)
    elif of_type is bool:
        tried = [not value]
    elif of_type is int:
        tried = [1] if value is None or value < 0 else [value + 1]
    elif of_type is float:
        tried = [0.2 if not value else value / 2]
    elif origin is tuple and inner[:1] == (float,):
        tried = [tuple(itertools.islice(itertools.cycle((0.5, 2.0, 1.25, 0.75, 1.5)), features))]
    return [one for one in tried if one != value]


def predictions(subject: Subject, rng: np.random.Generator) -> dict[str, Array]:
    """Random rows; then a number of the first is far ahead, and one of the second far behind."""
    x = subject.scale * rng.normal(size=(subject.rows, subject.features))
    confident = x.copy()
    confident[0, 0] += GAP
    if subject.rows > 1 and subject.features > 1:
        confident[1, 1] -= GAP
    return {"normal": x, "confident": confident}


def sampled(unit: Any, rng: np.random.Generator) -> tuple[Array, ...]:
    samples = carried_out(unit.samples, rng)
    return samples if isinstance(samples, tuple) else (samples,)


def layer_cases(subject: Subject, rng: np.random.Generator) -> Iterator[Case]:
    """Inputs, and the parameters that init draws, each moved by a random number."""
    unit = subject.unit
    given: dict[str, tuple[Array, ...]] = (
        {"its samples": sampled(unit, rng)}
        if subject.has_samples
        else {label: (x,) for label, x in predictions(subject, rng).items()}
    )
    for label, (x, *params) in given.items():
        if hasattr(unit, "init") and not params:
            drawn = carried_out(unit.init, rng, x.shape[1:])
            params = [np.asarray(one) + rng.normal(size=np.shape(one)) for one in drawn.values()]
        yield Case(label, unit, (x, *params))


def loss_cases(subject: Subject, rng: np.random.Generator) -> Iterator[Case]:
    """Labels of every class, the first far ahead and the second far behind; rows with Σt ≠ 1."""
    unit, rows, features = subject.unit, subject.rows, subject.features
    if subject.has_samples:
        y, target = sampled(unit, rng)
        yield Case("its samples", unit, (y,), (target,))
        soft = rng.uniform(0.1, 1, size=y.shape)
        if target.dtype.kind in "iu" and _takes(unit, y, soft):
            yield Case("its samples, rows", unit, (y,), (soft,))
        return
    labels = np.arange(rows) % features
    labels[-1] = rng.integers(features)
    soft = rng.dirichlet(np.ones(features), size=rows) * rng.uniform(0.5, 2, size=(rows, 1))
    found = [
        Case(f"{label}, {kind}", unit, (y,), (target,))
        for label, y in predictions(subject, rng).items()
        for kind, target in {"labels": labels, "rows": soft}.items()
    ]
    taken = [case for case in found if _takes(unit, *case.inputs, *case.target)]
    if not taken:
        found[0].forward()  # it says why
    yield from taken


def _takes(unit: Any, y: Array, target: Array) -> bool:
    try:
        carried_out(unit.forward, y, target)
    except UnitError as error:
        if isinstance(error.__cause__, ValueError | TypeError | IndexError):
            return False
        raise
    return True
