"""Compiled units: the checks, the digits of their functions, the plain ones they stand for."""

from dataclasses import replace

import numpy as np
import pytest
from numba import njit
from shipped import COMPILED, compiled_units

from pullback import build, registry
from pullback.errors import RegistryError
from pullback.verify.checks import carry_out, report, subject_of
from pullback.verify.laws import CHECKS
from pullback.verify.laws.conduct import layout
from pullback.verify.laws.derivative import pullback
from pullback.verify.laws.reach import precision
from pullback.verify.laws.relations import family, invariants
from pullback_numba import cross_entropy, elementwise
from pullback_numba.functions import exp, exp_of_difference, largest, tanh

NEEDS_EXACT_NUMBERS = {"kinks", "extremes", "options", "chain"}


@pytest.mark.parametrize(("kind", "name"), compiled_units(*CHECKS))
def test_a_compiled_unit_passes(kind, name):
    found = {one.check: one for one in report(subject_of(name, kind)).results}
    assert {one.status for one in found.values()} <= {"pass", "skip"}
    skipped = {check for check, one in found.items() if one.status == "skip"}
    assert skipped - {"at_once"} <= NEEDS_EXACT_NUMBERS
    assert ("at_once" in skipped) == (name == "cross_entropy_exact_numba")


@pytest.mark.parametrize(("kind", "name"), compiled_units("layer", "loss", "optimizer"))
def test_it_stands_for_a_plain_unit_of_its_family(kind, name):
    cls = registry.lookup(kind, name)
    plain = registry.lookup(kind, name.removesuffix(COMPILED))
    assert issubclass(cls, plain)
    assert registry.family(cls) == registry.family(plain)


class HalfPrecision(elementwise.TanhNumba):
    """tanh that is only as good as float32 in float64."""

    def forward(self, x, out=None):
        y = np.tanh(x.astype(np.float32)).astype(x.dtype)
        return y, (x, y)


def test_the_plain_code_says_how_many_digits_a_compiled_unit_may_lose():
    right = subject_of("tanh_numba", "layer")
    assert carry_out(precision, right).status == "pass"
    assert carry_out(precision, right.with_unit(HalfPrecision())).status == "fail"


class AlmostTanh(elementwise.TanhNumba):
    """Rightly the pullback of its own forward, which is another function."""

    def forward(self, x, out=None):
        y, residual = super().forward(x)
        return 1.01 * y, residual

    def backward(self, residual, dy, out=None):
        return 1.01 * super().backward(residual, dy)


def test_its_derivative_is_that_of_the_plain_unit_and_its_value_is_compared_with_it():
    subject = subject_of("tanh_numba", "layer")
    assert carry_out(pullback, subject).digits > 14  # differences of its own forward have eleven
    for check in (pullback, family):
        assert carry_out(check, subject.with_unit(AlmostTanh())).status == "fail"


NEAR_ITS_KINK = {"rows": 7, "features": 3, "scale": 4.6636294652245406e-4, "seed": 646}
SATURATED = {"rows": 2, "features": 4, "scale": 0.6903666915534457, "seed": 100323}
LARGE_BIAS = {"rows": 3, "features": 4, "scale": 1.64069067082189e-4, "seed": 95}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "inputs", "checks"),
    [
        ("relu_numba", NEAR_ITS_KINK, [pullback]),
        ("affine_tanh_numba", SATURATED, [pullback]),
        ("affine_numba", LARGE_BIAS, [precision, invariants, layout]),
        ("affine_relu_numba", LARGE_BIAS, [precision, invariants, layout]),
    ],
)
def test_inputs_at_which_it_was_refused(name, inputs, checks, dtype):
    """Differences over a kink, what 1 − y² loses, a bias that was rounded with each term."""
    subject = replace(subject_of(name, "layer"), dtype=dtype, **inputs)
    for check in checks:
        assert carry_out(check, subject).status == "pass"


# The functions.


@njit
def all_exp(x, y):
    for i in range(x.size):
        y[i] = exp(x[i])


@njit
def all_tanh(x, y):
    for i in range(x.size):
        y[i] = tanh(x[i])


RANGES = {
    "exp": {"float32": [(-103, 88.7), (-1, 1)], "float64": [(-745, 709.7), (-1, 1)]},
    "tanh": {kind: [(-25, 25), (-1, 1), (-1e-3, 1e-3)] for kind in ("float32", "float64")},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("run", "name", "most"), [(all_exp, "exp", 1.1), (all_tanh, "tanh", 3.0)])
def test_functions_are_as_exact_as_they_say(run, name, most, dtype):
    truth = getattr(np, name)
    for low, high in RANGES[name][dtype]:
        x = np.random.default_rng(0).uniform(low, high, 200_000).astype(dtype)
        y = np.empty_like(x)
        run(x, y)
        exact = truth(x.astype(np.longdouble))
        ulp = np.spacing(abs(exact.astype(dtype))).astype(np.longdouble)
        assert float((abs(y - exact) / ulp).max()) <= most


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("run", "name"), [(all_exp, "exp"), (all_tanh, "tanh")])
def test_functions_of_what_is_no_ordinary_number(run, name, dtype):
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40], dtype)
    y = np.empty_like(x)
    run(x, y)
    with np.errstate(over="ignore", under="ignore"):
        expected = getattr(np, name)(x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))


@njit
def rows_largest(x, y):
    for n in range(len(x)):
        y[n] = largest(x[n])


@njit
def all_exp_of_difference(x, y):
    for i in range(x.size):
        y[i] = exp_of_difference(x[i])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_of_any_signs(dtype):
    x = np.random.default_rng(0).normal(size=(300, 37)).astype(dtype)
    x[::3] = -abs(x[::3])
    x[1, 5], x[3, 5], x[4] = np.inf, -np.inf, -np.inf
    x[5], x[6] = [-0.0, 0.0] * 18 + [-1.0], np.finfo(dtype).min
    y = np.empty(len(x), dtype)
    rows_largest(x, y)
    np.testing.assert_array_equal(y, x.max(axis=1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_exponential_of_a_difference_is_0_where_it_is_no_normal_number(dtype):
    least = np.log(np.finfo(dtype).tiny)
    x = np.concatenate([[0, -0.0, -np.inf, np.nan, -1e30], np.linspace(2 * least, 0, 10_001)])
    x = x.astype(dtype)
    y = np.empty_like(x)
    all_exp_of_difference(x, y)
    exact = np.exp(x.astype(np.longdouble))
    np.testing.assert_array_equal(y[x < least], 0)
    near = x >= least * 0.999
    np.testing.assert_allclose(
        y[near].astype(np.longdouble), exact[near], rtol=1.1 * np.finfo(dtype).eps
    )
    assert np.isnan(y[3])


@pytest.mark.parametrize("name", ["affine_tanh_numba", "affine_relu_numba", "affine_numba"])
def test_y_may_lie_in_any_array(name):
    rng, unit = np.random.default_rng(0), build("layer", {"name": name, "width": 5})
    given = rng.normal(size=(7, 6)), rng.normal(size=(6, 5)), rng.normal(size=(1, 5))
    out = np.empty((5, 7)).T
    y, _ = unit.forward(*given, out=out)
    assert y is out
    np.testing.assert_array_equal(out, unit.forward(*given)[0])


# The losses.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["cross_entropy_fused", "cross_entropy_exact"])
@pytest.mark.parametrize("shape", [(7, 2), (3, 5000), (2, 3, 4)])
def test_a_loss_is_the_plain_one_to_the_rounding(name, shape, dtype):
    rng = np.random.default_rng(0)
    z, labels = (5 * rng.normal(size=shape)).astype(dtype), rng.integers(shape[-1], size=shape[:-1])
    dl = rng.normal(size=shape[:-1]).astype(dtype)
    pairs = []
    for unit in (build("loss", name), build("loss", f"{name}_numba")):
        value, residual = unit.forward(z, labels)
        pairs.append((value, unit.backward(residual, dl)))
    for plain, compiled in zip(*pairs, strict=True):
        assert compiled.dtype == dtype
        np.testing.assert_allclose(compiled, plain, rtol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["cross_entropy_fused_numba", "cross_entropy_exact_numba"])
@pytest.mark.parametrize("gap", [37.43, 300.0, 800.0, -800.0])
def test_digits_of_confident_rows(name, gap):
    """As many as the plain one keeps: all but the last bits, or those of ŷ − 1."""
    z, label = np.array([[gap, 0.0, -1.0]]), np.array([0])
    for unit in (build("loss", name), build("loss", name.removesuffix(COMPILED))):
        value, residual = unit.forward(z, label)
        found = (value, unit.backward(residual, np.ones(1)))
        if unit.__class__.__module__.startswith("pullback_numba"):
            first = found
    np.testing.assert_allclose(first[0], found[0], rtol=1e-15)
    np.testing.assert_allclose(first[1], found[1], rtol=1e-15, atol=3e-16)


def test_a_gradient_may_be_written_over_the_logits():
    unit = build("loss", "cross_entropy_fused_numba")
    z, labels = np.random.default_rng(0).normal(size=(50, 300)), np.arange(50)
    dl = np.full(50, 1 / 50)
    expected = unit.backward(unit.forward(z, labels)[1], dl)
    own = z.copy()
    residual = unit.forward(own, labels)[1]
    assert np.shares_memory(residual[0], own)
    assert unit.backward(residual, dl, out=own) is own
    np.testing.assert_array_equal(own, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("shape", [(7, 2), (3, 5000), (2, 3, 4)])
def test_a_loss_and_its_gradient_at_once(shape, ignored, dtype):
    """As one after the other: over the logits as well, and beside an array that is not in order."""
    unit = build("loss", {"name": "cross_entropy_fused_numba", "ignore_index": ignored})
    rng = np.random.default_rng(0)
    z, dl = (5 * rng.normal(size=shape)).astype(dtype), rng.normal(size=shape[:-1]).astype(dtype)
    labels = rng.integers(shape[-1], size=shape[:-1])
    value, residual = unit.forward(z, labels)
    right = value, unit.backward(residual, dl)
    own = z.copy()
    for given, out in ((z, None), (z, np.empty(shape[::-1], dtype).T), (own, own)):
        found = unit.value_and_gradient(given, labels, dl, out=out)
        assert out is None or found[1] is out
        for one, expected in zip(found, right, strict=True):
            assert one.dtype == dtype
            np.testing.assert_allclose(one, expected, rtol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}], ids=str)
def test_labels_out_of_range_are_refused_and_the_logits_left(options):
    unit = build("loss", {"name": "cross_entropy_fused_numba", **options})
    z, wrong = np.ones((3, 4)), np.array([0, 4, 1])
    for call in (
        lambda: unit.forward(z, wrong),
        lambda: unit.value_and_gradient(z, wrong, np.ones(3), out=z),
    ):
        with pytest.raises(ValueError, match=r"the target of row 1 is 4, and there are 4 classes"):
            call()
    assert (z == 1).all()


@pytest.mark.parametrize("masked", [slice(0, 3000), slice(2000, 4999)], ids=str)
def test_logits_of_minus_infinity_have_no_part(masked):
    """As where a vocabulary is masked, be it a whole tile of a row."""
    unit = build("loss", "cross_entropy_fused_numba")
    rng = np.random.default_rng(0)
    z, labels, dl = rng.normal(size=(2, 5000)), np.array([4999, 4999]), np.ones(2)
    kept = np.delete(z, masked, axis=1)
    z[:, masked] = -np.inf
    value, residual = build("loss", "cross_entropy_fused").forward(
        kept, labels - 5000 + kept.shape[1]
    )
    right = build("loss", "cross_entropy_fused").backward(residual, dl)
    value_after, residual = unit.forward(z, labels)
    for losses, dz in (
        (value_after, unit.backward(residual, dl)),
        unit.value_and_gradient(z, labels, dl),
    ):
        np.testing.assert_allclose(losses, value, rtol=1e-14)
        np.testing.assert_allclose(np.delete(dz, masked, axis=1), right, rtol=1e-13)
        assert not dz[:, masked].any()


def test_targets_without_a_kernel_are_the_plain_units():
    unit = build("loss", "cross_entropy_fused_numba")
    rng = np.random.default_rng(0)
    z, rows, dl = rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), size=3), rng.normal(size=3)
    value, dz = unit.value_and_gradient(z, rows, dl)
    plain = build("loss", "cross_entropy_fused")
    right, residual = plain.forward(z, rows)
    np.testing.assert_array_equal(value, right)
    np.testing.assert_array_equal(dz, plain.backward(residual, dl))


def test_an_ignored_row_has_no_loss_and_no_gradient():
    unit = build("loss", {"name": "cross_entropy_fused_numba", "ignore_index": 1})
    z, labels = np.random.default_rng(0).normal(size=(3, 4)), np.array([0, 1, 2])
    value, residual = unit.forward(z, labels)
    dz = unit.backward(residual, np.ones(3))
    assert value[1] == 0
    assert not dz[1].any()
    assert dz[[0, 2]].all()


def test_a_wrong_block_is_a_wrong_unit():
    """What the checks are for: a kernel whose label is the next one."""

    class NextLabel(cross_entropy.CrossEntropyFusedNumba):
        def backward(self, residual, dl, out=None):
            z, labels, *rest = residual
            return super().backward((z, (labels + 1) % z.shape[1], *rest), dl, out=out)

    subject = subject_of("cross_entropy_fused_numba", "loss")
    results = report(replace(subject, unit=NextLabel())).results
    assert "pullback" in {one.check for one in results if one.status == "fail"}


# The optimizers.


OPTIONS = {
    "sgd": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}],
    "rmsprop": [{}, {"centered": True, "momentum": 0.5, "weight_decay": 0.01}],
    "adagrad": [{}, {"lr_decay": 0.1, "weight_decay": 0.1}],
    "adam": [{}, {"amsgrad": True, "weight_decay": 0.1}],
    "adamw": [{}, {"weight_decay": 0.3}],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIONS)
def test_an_optimizer_has_the_bits_of_the_plain_one(name, dtype):
    for options in OPTIONS[name]:
        units = [build("optimizer", {"name": one, **options}) for one in (name, f"{name}_numba")]
        rng = np.random.default_rng(0)
        theta = rng.normal(size=1000).astype(dtype)
        thetas = [theta, theta.copy()]
        states = [unit.init(theta) for unit in units]
        for _ in range(10):
            g = rng.normal(size=1000).astype(dtype)
            for unit, own, state in zip(units, thetas, states, strict=True):
                unit.step(own, g, state, 0.01, out=(own, state))
        np.testing.assert_array_equal(*thetas)
        for key in states[0]:
            np.testing.assert_array_equal(states[0][key], states[1][key])


# The extra.


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setattr(registry, "_is_there", lambda distribution: distribution != "numba")
    assert "tanh_numba" not in registry.names("layer")
    assert "tanh_numba" in registry.names("layer", lacking=True)
    with pytest.raises(RegistryError, match=r"pip install 'pullback\[numba\]'$"):
        registry.lookup("layer", "tanh_numba")
    assert "tanh" in registry.names("layer")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {}),
        ("sgd", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        ("sgd", {"momentum": 0.9, "dampening": 0.1}),
        ("rmsprop", {"weight_decay": 0.01}),
        ("rmsprop", {"momentum": 0.5}),
        ("rmsprop", {"centered": True}),
        ("rmsprop", {"centered": True, "momentum": 0.5}),
        ("adagrad", {"lr_decay": 0.1}),
        ("adam", {"weight_decay": 0.01}),
        ("adam", {"amsgrad": True}),
        ("adamw", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_optimizers_block_is_its_step_bit_for_bit(name, options, dtype):
    unit = build("optimizer", {"name": f"{name}_numba", **options})
    rng = np.random.default_rng(0)
    theta = rng.normal(size=50).astype(dtype)
    state = unit.init(theta)
    rows = np.array([one for one in state.values() if one.ndim]).reshape(-1, 50).astype(dtype)
    own = theta.copy()
    for t in range(4):
        g, lr = rng.normal(size=50).astype(dtype), 0.1 / (t + 1)
        theta, state = unit.step(theta, g, state, lr)
        unit.blocks[0](own, g, rows, np.array(unit.numbers(lr, t), dtype=float))
    assert own.tobytes() == theta.tobytes()
    for row, one in zip(rows, (one for one in state.values() if one.ndim), strict=True):
        assert row.tobytes() == one.tobytes()
