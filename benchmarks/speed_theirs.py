"""The other libraries' contenders in ``speed.py``, each as its users are told to write it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from speed_tasks import BATCHES, CHECKED, CrossEntropy, Training, picked

SCANNED = 50  # steps in one call of jax.lax.scan


class Called:
    """``call`` makes ``steps`` steps; ``first`` gives the losses that are judged."""

    def __init__(self, call: Callable[[], Any], first: Callable[[], Any], steps: int = 1) -> None:
        self.call, self._first, self.steps = call, first, steps

    def answer(self) -> list[Any]:
        found = self._first()
        return [np.asarray(one) for one in found]

    def costs(self) -> dict[str, float]:
        return {}


def _few(step: Callable[[], Any]) -> Callable[[], list[Any]]:
    return lambda: [[float(step()) for _ in range(CHECKED)]]


# PyTorch


def torch_steps(compiled: bool, threads: int, task: Training) -> Called:
    """nn.Sequential, F.cross_entropy, a fused optimizer; or both halves under torch.compile."""
    import torch

    torch.set_num_threads(threads)
    x, t, order = (torch.from_numpy(one) for one in task.data())
    n = task.sizes
    dtype = getattr(torch, task.dtype)
    model = torch.nn.Sequential(
        torch.nn.Linear(n[0], n[1], dtype=dtype),
        torch.nn.Tanh(),
        torch.nn.Linear(n[1], n[2], dtype=dtype),
    )
    for to, value in zip(model.parameters(), task.parameters(), strict=True):
        to.data.copy_(torch.from_numpy(value.T if len(value) > 1 else value[0]))
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[task.optimizer]
    optimizer = make(model.parameters(), lr=task.lr, fused=not compiled)

    def loss_of(x: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), t)

    update: Any = optimizer.step
    if compiled:
        loss_of = torch.compile(loss_of)
        update = torch.compile(optimizer.step)
    batches = itertools.cycle(order)

    def step() -> Any:
        rows = next(batches)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x[rows], t[rows]) if len(rows) else loss_of(x, t)
        loss.backward()
        update()
        return loss.detach()

    return Called(step, _few(step))


def torch_entropy(compiled: bool, threads: int, task: CrossEntropy) -> Called:
    import torch

    torch.set_num_threads(threads)
    z, t = (torch.from_numpy(one) for one in task.data())
    z.requires_grad_()
    f: Any = torch.nn.functional.cross_entropy
    f = torch.compile(f) if compiled else f

    def both() -> Any:
        z.grad = None
        loss = f(z, t)
        loss.backward()
        return loss

    def first() -> list[Any]:
        loss = both()
        return [[float(loss.detach()), *picked(z.grad)]]

    return Called(both, first)


def torch_sweep(threads: int, steps: int, task: Training) -> Called:
    """torch.func.vmap over a leading axis of all parameters."""
    import torch

    torch.set_num_threads(threads)
    x, t, _ = (torch.from_numpy(one) for one in task.data())
    parameters = [
        torch.from_numpy(one).expand(task.runs, *one.shape).clone() for one in task.parameters()
    ]
    rates = torch.tensor([task.rate(run) for run in range(task.runs)], dtype=parameters[0].dtype)

    def loss(p: Any, x: Any, t: Any) -> Any:
        z = torch.tanh(x @ p[0] + p[1]) @ p[2] + p[3]
        return torch.nn.functional.cross_entropy(z, t)

    both = torch.func.vmap(torch.func.grad_and_value(loss), in_dims=(0, None, None))

    def step() -> Any:
        gradients, values = both(parameters, x, t)
        for p, g in zip(parameters, gradients, strict=True):
            p -= rates[:, None, None] * g
        return values

    def first() -> list[Any]:
        found = np.array([step().numpy() for _ in range(CHECKED)])
        return [found[:, 0], found[:, -1]]

    return Called(lambda: [step() for _ in range(steps)], first, steps)


# JAX


def _jax(threads: int, dtype: str) -> Any:
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    return jax


def _jax_step(jax: Any, task: Training) -> tuple[Any, Any, Any]:
    """(parameters, state), rate, x, t → the next, and the loss; SGD, or Adam's paper's."""
    jnp = jax.numpy

    def loss(p: Any, x: Any, t: Any) -> Any:
        z = jnp.tanh(x @ p[0] + p[1]) @ p[2] + p[3]
        at_label = jnp.take_along_axis(z, t[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(z, axis=1) - at_label).mean()

    def sgd(p: Any, g: Any, state: Any, rate: Any) -> Any:
        return [a - rate * b for a, b in zip(p, g, strict=True)], state

    def adam(p: Any, g: Any, state: Any, rate: Any) -> Any:
        m, v, k = state
        k = k + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        scale = rate / (1 - 0.9**k)
        root = jnp.sqrt(1 - 0.999**k)
        new = [a - scale * b / (jnp.sqrt(c) / root + 1e-8) for a, b, c in zip(p, m, v, strict=True)]
        return new, (m, v, k)

    def step(carry: Any, rate: Any, x: Any, t: Any) -> Any:
        p, state = carry
        value, g = jax.value_and_grad(loss)(p, x, t)
        return (sgd if task.optimizer == "sgd" else adam)(p, g, state, rate), value

    p = [jnp.asarray(one) for one in task.parameters()]
    moments = ([jnp.zeros_like(one) for one in p] for _ in range(2))  # each is donated
    state = () if task.optimizer == "sgd" else (*moments, jnp.zeros((), p[0].dtype))
    return step, (p, state), tuple(jnp.asarray(one) for one in task.data())


def jax_steps(scanned: bool, threads: int, task: Training) -> Called:
    """A jitted step with donated arguments, or some dozens of them under lax.scan."""
    jax = _jax(threads, task.dtype)
    one, start, (x, t, order) = _jax_step(jax, task)

    def batch(rows: Any) -> Any:
        return (x[rows], t[rows]) if task.batch else (x, t)

    carry = {"now": start}

    def scan(carry: Any, order: Any) -> Any:
        return jax.lax.scan(lambda now, rows: one(now, task.lr, *batch(rows)), carry, order)

    def single(carry: Any, rows: Any) -> Any:
        return one(carry, task.lr, *batch(rows))

    many, single = jax.jit(scan, donate_argnums=0), jax.jit(single, donate_argnums=0)
    places = itertools.cycle(range(BATCHES))

    def step() -> Any:
        carry["now"], value = single(carry["now"], order[next(places)])
        return value.block_until_ready()

    def steps(count: int) -> Any:
        carry["now"], values = many(carry["now"], order[:count])
        return values.block_until_ready()

    if scanned:
        return Called(lambda: steps(SCANNED), lambda: [steps(CHECKED)], SCANNED)
    return Called(step, _few(step))


def jax_entropy(threads: int, task: CrossEntropy) -> Called:
    jax = _jax(threads, task.dtype)
    jnp = jax.numpy
    z, t = (jnp.asarray(one) for one in task.data())

    def loss(z: Any) -> Any:
        at_label = jnp.take_along_axis(z, t[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(z, axis=1) - at_label).mean()

    both = jax.jit(jax.value_and_grad(loss))

    def first() -> list[Any]:
        value, dz = both(z)
        return [[float(value), *picked(dz)]]

    return Called(lambda: jax.block_until_ready(both(z)), first)


def jax_sweep(threads: int, steps: int, task: Training) -> Called:
    """vmap over the runs, scan over the steps."""
    jax = _jax(threads, task.dtype)
    jnp = jax.numpy
    one, (p, state), (x, t, _) = _jax_step(jax, task)
    rates = jnp.array([task.rate(run) for run in range(task.runs)], p[0].dtype)
    stacked = [jnp.tile(each, (task.runs, 1, 1)) for each in p]

    def runs(carry: Any, length: int) -> Any:
        def each(p: Any, rate: Any) -> Any:
            return jax.lax.scan(lambda now, _: one(now, rate, x, t), (p, state), None, length)

        (p, _), values = jax.vmap(each)(carry, rates)
        return p, values

    jitted = jax.jit(runs, static_argnums=1, donate_argnums=0)
    carry = {"now": stacked}

    def many(count: int) -> Any:
        carry["now"], values = jitted(carry["now"], count)
        return values.block_until_ready()

    def first() -> list[Any]:
        values = np.asarray(many(CHECKED))
        return [values[0], values[-1]]

    return Called(lambda: many(steps), first, steps)


# Others


def autograd_steps(task: Training) -> Called:
    import autograd
    import autograd.numpy as anp

    x, t, order = task.data()
    p = task.parameters()
    state = [[np.zeros_like(one) for one in p] for _ in range(2)]

    def loss(p: Any, x: Any, t: Any) -> Any:
        z = anp.dot(anp.tanh(anp.dot(x, p[0]) + p[1]), p[2]) + p[3]
        m = z.max(axis=1, keepdims=True)
        total = anp.log(anp.sum(anp.exp(z - m), axis=1)) + m[:, 0]
        return anp.mean(total - z[anp.arange(len(t)), t])

    both = autograd.value_and_grad(loss)
    batches, k = itertools.cycle(order), 0

    def step() -> float:
        nonlocal k
        rows = next(batches)
        value, g = both(p, x[rows], t[rows]) if rows.size else both(p, x, t)
        k += 1
        for i, (a, b) in enumerate(zip(p, g, strict=True)):
            if task.optimizer == "sgd":
                a -= task.lr * b
                continue
            m, v = state[0][i], state[1][i]
            m *= 0.9
            m += 0.1 * b
            v *= 0.999
            v += 0.001 * b * b
            a -= task.lr / (1 - 0.9**k) * m / (np.sqrt(v) / np.sqrt(1 - 0.999**k) + 1e-8)
        return float(value)

    return Called(step, _few(step))


def thinc_steps(task: Training) -> Called:
    """Linear, a tanh layer of one's own (it ships none), Softmax and its fused gradient."""
    from thinc.api import SGD, Adam, CategoricalCrossentropy, Linear, Model, Softmax_v2, chain

    def tanh(_: Any, x: Any, is_train: bool) -> Any:  # noqa: ARG001
        y = np.tanh(x)
        return y, lambda dy: (1 - y * y) * dy

    n = task.sizes
    layers = [Linear(n[1], n[0]), Model("tanh", tanh), Softmax_v2(n[2], n[1])]
    model = chain(*layers)
    x, t, order = task.data()
    model.initialize(X=x[:2])
    W1, b1, W2, b2 = task.parameters()
    for layer, W, b in ((layers[0], W1, b1), (layers[2], W2, b2)):
        layer.set_param("W", np.ascontiguousarray(W.T))
        layer.set_param("b", b[0].copy())
    options = {"L2": 0.0, "grad_clip": 0.0}
    if task.optimizer == "adam":
        optimizer = Adam(task.lr, use_averages=False, L2_is_weight_decay=False, **options)
    else:
        optimizer = SGD(task.lr, use_averages=False, **options)
    loss_of = CategoricalCrossentropy(normalize=True)
    batches = itertools.cycle(order)

    def step(judged: bool = False) -> float:
        rows = next(batches)
        xs, ts = (x[rows], t[rows]) if rows.size else (x, t)
        y, back = model.begin_update(xs)
        value = float(-np.log(y[np.arange(len(ts)), ts]).mean()) if judged else 0.0
        back(loss_of.get_grad(y, ts))
        model.finish_update(optimizer)
        return value

    return Called(step, _few(lambda: step(judged=True)))


def sklearn_steps(task: Training) -> Called:
    """MLPClassifier.partial_fit of one batch."""
    import warnings

    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")
    x, t, order = task.data()
    options = {"sgd": {"solver": "sgd", "momentum": 0.0}, "adam": {"solver": "adam"}}
    made = MLPClassifier(
        (task.sizes[1],),
        activation="tanh",
        alpha=0.0,
        learning_rate_init=task.lr,
        batch_size=task.batch or task.rows,
        shuffle=False,
        **options[task.optimizer],
    )
    rows = order[0] if task.batch else slice(None)
    made.partial_fit(x[rows], t[rows], classes=np.arange(task.sizes[2]))
    W1, b1, W2, b2 = task.parameters()
    for to, value in zip(made.coefs_ + made.intercepts_, (W1, W2, b1[0], b2[0]), strict=True):
        to[...] = value
    made._optimizer.__init__(  # its moments begin anew
        **{"params": made.coefs_ + made.intercepts_, "learning_rate_init": task.lr}
        if task.optimizer == "adam"
        else {
            "params": made.coefs_ + made.intercepts_,
            "learning_rate_init": task.lr,
            "momentum": 0.0,
        }
    )
    batches = itertools.cycle(order)

    def step() -> float:
        rows = next(batches)
        made.partial_fit(*((x[rows], t[rows]) if rows.size else (x, t)))
        return float(made.loss_)

    return Called(step, _few(step))
