"""A network: named stages over one flat θ; forward with its tape, and the way back along it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pullback.errors import ConfigError, PullbackError, RunError
from pullback.loss import Reduction, loss_and_cotangent
from pullback.options import build
from pullback.registry import name_of
from pullback.units import Array, Layer, Loss, takes

Tape = list[Any]  # what each stage keeps for its backward

_INIT_STREAM = 2  # of the seed; the data draw from 0 and 1, the batches from 3


@dataclass(frozen=True)
class Stage:
    """One layer in its place: its parameters and their gradients are views of θ and g."""

    name: str
    layer: Layer
    params: dict[str, Array]
    gradients: dict[str, Array]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_first: bool

    @property
    def unit(self) -> str:
        return name_of(self.layer)

    def forward_options(self, y: Array | None = None) -> dict[str, Any]:
        """What its forward is called with beside x and parameters; y is room for its output."""
        takes_out = y is not None and takes(type(self.layer), "forward", "out")
        return {"out": y} if takes_out else {}

    def backward_options(self, dx: Array | None = None) -> dict[str, Any]:
        """The same of its backward; dx is room for that gradient."""
        options: dict[str, Any] = {}
        if takes(type(self.layer), "backward", "needs_dx"):
            options["needs_dx"] = not self.is_first
        if dx is not None and takes(type(self.layer), "backward", "out"):
            options["out"] = (dx, *self.gradients.values()) if self.params else dx
        return options


@dataclass(frozen=True)
class Buffers:
    """Room for a number of rows: every stage's output, and the gradients of its input and of ℓ.

    ``forward`` and ``backward`` are the options that hand it to each stage.
    """

    y: list[Array]
    dy: Array
    dl: Array
    forward: list[dict[str, Any]]
    backward: list[dict[str, Any]]


class Net:
    """y = f_k(… f_2(f_1(x; θ_1); θ_2) …; θ_k), an ordered mapping of named stages.

    x: (N, *inputs). ``stages`` maps names to layers: units, registered names, or names with options
    (``{"name": "affine", "width": 500}``). An option that is the word ``classes`` stands for the
    number given as ``classes``. Each stage's first parameters depend on the seed and its name
    alone.

    ``theta`` is every parameter in one vector and ``gradient`` the last gradient of it; ``params``
    and ``gradients`` are views of them by stage and name.

    Raises ConfigError, with the stage, for a name, an option or a shape that does not fit.
    """

    def __init__(
        self,
        stages: Mapping[str, Any],
        inputs: int | tuple[int, ...],
        *,
        classes: int | None = None,
        dtype: DTypeLike = "float32",
        seed: int = 0,
    ) -> None:
        self.inputs = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        self.dtype = np.dtype(dtype)
        if not stages:
            raise ConfigError("a network needs at least one stage", "net")
        words = {} if classes is None else {"classes": classes}
        layers = {
            name: build("layer", spec, f"net.{name}", **words) for name, spec in stages.items()
        }
        first, shapes = _first_values(layers, self.inputs, self.dtype, seed)
        self.theta = np.concatenate([np.empty(0, self.dtype), *(v.ravel() for v in _flat(first))])
        self.gradient = np.zeros_like(self.theta)
        self.weights = np.zeros(self.theta.shape, dtype=bool)  # where an L2 penalty applies
        self.stages = self._place(layers, first, shapes)
        self.params = {stage.name: stage.params for stage in self.stages}
        self.gradients = {stage.name: stage.gradients for stage in self.stages}
        self._buffers: dict[int, Buffers] = {}
        self._forward = [stage.forward_options() for stage in self.stages]
        self._backward = [stage.backward_options() for stage in self.stages]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The shape of one example's prediction."""
        return self.stages[-1].outputs

    def _place(
        self,
        layers: Mapping[str, Layer],
        first: Mapping[str, dict[str, Array]],
        shapes: list[tuple[int, ...]],
    ) -> list[Stage]:
        stages, at = [], 0
        for place, (name, layer) in enumerate(layers.items()):
            params, gradients = {}, {}
            weights = getattr(layer, "weights", ("W", "weight"))
            for key, value in first[name].items():
                part = slice(at, at + value.size)
                params[key] = self.theta[part].reshape(value.shape)
                gradients[key] = self.gradient[part].reshape(value.shape)
                self.weights[part] = key in weights
                at += value.size
            stages.append(
                Stage(
                    name=name,
                    layer=layer,
                    params=params,
                    gradients=gradients,
                    inputs=shapes[place],
                    outputs=shapes[place + 1],
                    is_first=place == 0,
                )
            )
        return stages

    def __call__(self, x: Array) -> Array:
        """The prediction: (N, *inputs) → (N, *outputs), in fresh arrays."""
        return self.forward(np.asarray(x, dtype=self.dtype))[0]

    def forward(self, x: Array, buffers: Buffers | None = None) -> tuple[Array, Tape]:
        """The prediction and the tape. What lies in ``buffers`` lasts to the next call."""
        tape: Tape = []
        options = buffers.forward if buffers else self._forward
        for stage, option in zip(self.stages, options, strict=True):
            try:
                x, residual = stage.layer.forward(x, *stage.params.values(), **option)
            except Exception as error:
                raise _stage_error(stage, "forward", error) from error
            tape.append(residual)
        return x, tape

    def backward(self, tape: Tape, dy: Array, buffers: Buffers | None = None) -> None:
        """Carry dy back along the tape: ``gradient`` becomes dθ."""
        options = buffers.backward if buffers else self._backward
        for stage, residual, option in zip(
            reversed(self.stages), reversed(tape), reversed(options), strict=True
        ):
            try:
                result = stage.layer.backward(residual, dy, **option)
            except Exception as error:
                raise _stage_error(stage, "backward", error) from error
            dy = _take(stage, result, len(dy))

    def buffers(self, rows: int) -> Buffers:
        """Buffers for so many rows, kept for the next step of that size."""
        if rows not in self._buffers:
            y = [np.empty((rows, *stage.outputs), self.dtype) for stage in self.stages]
            dx = [np.empty((rows, *stage.inputs), self.dtype) for stage in self.stages]
            self._buffers[rows] = Buffers(
                y=y,
                dy=np.empty_like(y[-1]),
                dl=np.empty(y[-1].shape[:-1], self.dtype),
                forward=[one.forward_options(to) for one, to in zip(self.stages, y, strict=True)],
                backward=[
                    one.backward_options(to) for one, to in zip(self.stages, dx, strict=True)
                ],
            )
        return self._buffers[rows]

    def value_and_gradient(
        self, x: Array, target: Array, loss: Loss, reduction: Reduction = "mean"
    ) -> tuple[float, Array]:
        """L and y at θ, through the net's own buffers; ``gradient`` becomes dL/dθ."""
        buffers = self.buffers(len(x))
        y, tape = self.forward(x, buffers)
        room = buffers.dy, buffers.dl
        value, dy = loss_and_cotangent(loss, y, target, reduction, room)
        self.backward(tape, dy, buffers)
        return value, y


def _first_values(
    layers: Mapping[str, Layer], inputs: tuple[int, ...], dtype: np.dtype[Any], seed: int
) -> tuple[dict[str, dict[str, Array]], list[tuple[int, ...]]]:
    """Each stage's first parameters, and the shapes between stages, told by one row of halves."""
    first: dict[str, dict[str, Array]] = {}
    shapes = [inputs]
    x: Any = np.full((1, *inputs), 0.5, dtype=dtype)
    for name, layer in layers.items():
        rng = np.random.default_rng([seed, _INIT_STREAM, zlib.crc32(name.encode())])
        init = getattr(layer, "init", None)
        try:
            drawn = {} if init is None else init(rng, x.shape[1:])
            first[name] = {key: np.asarray(value, dtype=dtype) for key, value in drawn.items()}
            with np.errstate(all="ignore"):
                x, _ = layer.forward(x, *first[name].values())
        except PullbackError:
            raise
        except Exception as error:
            raise ConfigError(
                f"{name_of(layer)} cannot take an input of shape {('N', *shapes[-1])}: {error}",
                f"net.{name}",
            ) from error
        if not isinstance(x, np.ndarray):
            told = f"{name_of(layer)}: forward returned {type(x).__name__}, no array"
            raise ConfigError(told, f"net.{name}")
        if x.dtype != dtype:
            raise ConfigError(f"{name_of(layer)} turns {dtype} into {x.dtype}", f"net.{name}")
        shapes.append(x.shape[1:])
    return first, shapes


def _flat(first: Mapping[str, Mapping[str, Array]]) -> list[Array]:
    return [value for of_stage in first.values() for value in of_stage.values()]


def _take(stage: Stage, result: Any, rows: int) -> Array:
    """dx, with the gradients of the parameters laid into g; every one of the shape of its value."""
    gradients: tuple[Array, ...]
    if stage.params and not isinstance(result, tuple):
        raise RunError(
            f"stage {stage.name} ({stage.unit}): backward returned {type(result).__name__}, and a "
            f"stage with parameters returns a tuple, dx and a gradient for each parameter"
        )
    dx, gradients = (result[0], tuple(result[1:])) if stage.params else (result, ())
    if len(gradients) != len(stage.params):
        raise RunError(
            f"stage {stage.name} ({stage.unit}): backward returned {len(gradients)} gradients of "
            f"parameters; there are {len(stage.params)}: {', '.join(stage.params)}"
        )
    for (key, view), gradient in zip(stage.gradients.items(), gradients, strict=True):
        if gradient is view:
            continue
        if gradient.shape != view.shape:
            raise _shape_error(stage, f"d{key}", gradient.shape, key, view.shape)
        view[...] = gradient
    if stage.is_first:
        return dx  # type: ignore[no-any-return]
    if not isinstance(dx, np.ndarray):
        told = f"backward returned {type(dx).__name__} for dx, no array"
        raise RunError(f"stage {stage.name} ({stage.unit}): {told}")
    if dx.shape != (rows, *stage.inputs):
        raise _shape_error(stage, "dx", dx.shape, "x", (rows, *stage.inputs))
    return dx


def _shape_error(
    stage: Stage, gradient: str, found: tuple[int, ...], value: str, shape: tuple[int, ...]
) -> RunError:
    return RunError(
        f"stage {stage.name} ({stage.unit}): {gradient} has shape {found} and {value} has shape "
        f"{shape}; a gradient has the shape of its value"
    )


def _stage_error(stage: Stage, way: str, error: Exception) -> RunError:
    problem = f"{type(error).__name__}: {error}"
    return RunError(f"stage {stage.name} ({stage.unit}): {way} raised {problem}")
