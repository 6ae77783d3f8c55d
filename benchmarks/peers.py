"""A unit of plain NumPy as PyTorch and JAX see it, and what their gradient checks say of it.

Both wrappers call the unit's own forward and backward once for each call that the library makes,
hand over the library's memory, and keep the residual outside of the library. What a peer does with
a gradient of another shape or type is its own doing: PyTorch converts it, JAX refuses it.
"""

from __future__ import annotations

import functools
import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback.verify.cases import Case

WHAT_TO_INSTALL = "this benchmark needs PyTorch and JAX: pip install -e '.[bench]'"
Call = Callable[[], Any]


@functools.cache
def load() -> tuple[Any, Any]:
    """PyTorch and JAX on one thread each; SystemExit with one line where one is missing."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    try:
        import jax
        import jax.test_util
        import torch
    except ImportError as error:
        raise SystemExit(f"{WHAT_TO_INSTALL} ({error})") from error
    torch.set_num_threads(1)
    logging.getLogger("jax").setLevel(logging.CRITICAL)  # a traceback for each callback that raises
    return torch, jax


def _as_tuple(gradients: Any) -> tuple[Any, ...]:
    return gradients if isinstance(gradients, tuple) else (gradients,)


def of_torch(case: Case) -> Callable[..., Any]:
    """The unit as a function of tensors; its target is a constant."""
    torch, _ = load()

    class Unit(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            arrays = [one.detach().numpy() for one in inputs]
            y, ctx.residual = case.unit.forward(*arrays, *case.target)
            return tensor(y)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, dy: Any) -> Any:
            found = case.unit.backward(ctx.residual, dy.detach().numpy())
            return tuple(map(tensor, _as_tuple(found)))

    def tensor(array: Any) -> Any:
        """A copy: an identity's y must not be the memory of x, which gradcheck writes to."""
        return torch.from_numpy(np.array(array))

    applied: Callable[..., Any] = Unit.apply
    return applied


def of_jax(case: Case) -> Callable[..., Any]:
    """The unit as a function of JAX arrays; what travels as JAX's residual is a number of ours."""
    _, jax = load()
    kept: list[Any] = []
    like = jax.ShapeDtypeStruct
    shape = np.shape(case.unit.forward(*case.inputs, *case.target)[0])
    results = (like(shape, case.inputs[0].dtype), like((), np.int32))
    gradients = tuple(like(one.shape, one.dtype) for one in case.inputs)

    def forward(*inputs: Any) -> Any:
        y, residual = case.unit.forward(*map(np.asarray, inputs), *case.target)
        kept.append(residual)
        return y, np.int32(len(kept) - 1)

    def backward(number: Any, dy: Any) -> Any:
        return _as_tuple(case.unit.backward(kept[int(number)], np.asarray(dy)))

    def unit(*inputs: Any) -> Any:
        return jax.pure_callback(forward, results, *inputs)[0]

    differentiable: Any = jax.custom_vjp(unit)
    differentiable.defvjp(
        lambda *inputs: jax.pure_callback(forward, results, *inputs),
        lambda number, dy: jax.pure_callback(backward, gradients, number, dy),
    )
    applied: Callable[..., Any] = differentiable
    return applied


@dataclass(frozen=True)
class Peer:
    """One gradient check of another library at its defaults, and what it does in words."""

    name: str
    words: str
    library: str
    dtype: str
    fast: bool = False

    def ready(self, case: Case) -> Call:
        """Its check of a case, to be called; the wrapper is made beforehand."""
        typed = case.astype(self.dtype)
        return self._torch(typed) if self.library == "torch" else self._jax(typed)

    def refusals(self, cases: list[Case]) -> list[str]:
        """For each case why the unit is refused, in a line; nothing where it passes."""
        return [self._refusal(case) for case in cases]

    def _refusal(self, case: Case) -> str:
        return refusal(lambda: self.ready(case)())

    def _torch(self, case: Case) -> Call:
        return of_function_torch(of_torch(case), case, self.fast)

    def _jax(self, case: Case) -> Call:
        _, jax = load()
        with jax.enable_x64(self.dtype == "float64"):
            return of_function_jax(of_jax(case), case)


def of_function_torch(function: Callable[..., Any], case: Case, fast: bool = False) -> Call:
    torch, _ = load()
    inputs = tuple(torch.tensor(one, requires_grad=True) for one in case.inputs)
    options = {"fast_mode": True} if fast else {}
    return lambda: torch.autograd.gradcheck(function, inputs, **options)


def of_function_jax(function: Callable[..., Any], case: Case) -> Call:
    """Order 1, reverse: a backward that was written by hand has no derivative of its own."""
    _, jax = load()

    def check() -> None:
        with jax.enable_x64(case.inputs[0].dtype == np.float64):
            jax.test_util.check_grads(function, case.inputs, order=1, modes=["rev"])

    return check


_FULL, _FAST = "whole Jacobian, central differences", "one random projection of the Jacobian"
_ONE = "one direction, central differences"
PEERS = (
    Peer("gradcheck, float64", f"PyTorch: {_FULL}", "torch", "float64"),
    Peer("gradcheck fast, float64", f"PyTorch: {_FAST}", "torch", "float64", fast=True),
    Peer("gradcheck, float32", f"PyTorch: {_FULL}", "torch", "float32"),
    Peer("gradcheck fast, float32", f"PyTorch: {_FAST}", "torch", "float32", fast=True),
    Peer("check_grads, float64", f"JAX: {_ONE}", "jax", "float64"),
    Peer("check_grads, float32", f"JAX: {_ONE}", "jax", "float32"),
)


def quietly(call: Call) -> Any:
    """The call without its warnings: of float32 inputs, of 0/0."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return call()


def refusal(call: Call) -> str:
    """Why it raised, in a line; nothing where it did not."""
    try:
        quietly(call)
    except Exception as error:
        told = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
        line = told[-1] if "Traceback" in told[0] else told[0]  # JAX appends that of a callback
        return f"{type(error).__name__}: {line[:160]}"
    return ""


def native() -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """PyTorch's and JAX's own functions of that name: no wrapper at all between check and code."""
    torch, jax = load()
    of = jax.nn
    return {
        "identity": (lambda x: x * 1, lambda x: x * 1),
        "log": (torch.log, jax.numpy.log),
        "log_softmax": (lambda z: torch.log_softmax(z, -1), of.log_softmax),
        "relu": (torch.relu, of.relu),
        "sigmoid": (torch.sigmoid, of.sigmoid),
        "softmax": (lambda z: torch.softmax(z, -1), of.softmax),
        "tanh": (torch.tanh, jax.numpy.tanh),
        "affine": (lambda x, W, b: x @ W + b, lambda x, W, b: x @ W + b),
    }


def native_refusal(peer: Peer, case: Case, functions: tuple[Any, Any]) -> str:
    """What a peer says of its own library's function at a case."""
    typed = case.astype(peer.dtype)
    if peer.library == "torch":
        return refusal(lambda: of_function_torch(functions[0], typed, peer.fast)())
    return refusal(of_function_jax(functions[1], typed))
