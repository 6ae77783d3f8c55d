"""The digits that losses and layers keep, against 60 of them (mpmath)."""

import mpmath
import numpy as np
import pytest
from shipped import plain_units

from pullback.options import build

FAMILY = [name for _, name in plain_units("loss") if name.startswith("cross_entropy")]

DIGITS = mpmath.MPContext()
DIGITS.dps = 60


def ulps_off(found, expected):
    """The error in units of the last place of the exact number; 0 where that is not normal."""
    info = np.finfo(found.dtype)
    if not float(info.tiny) <= abs(expected) <= float(info.max):
        return 0.0
    return float(abs(number(found) - expected) / place(expected, found.dtype))


def place(exact, dtype):
    """The unit of the last place of a number."""
    return number(np.spacing(dtype.type(float(abs(exact)))))


def number(x):
    return DIGITS.mpf(float(x))


def test_an_error_is_counted_in_ulps():
    one, half = np.float64(1), np.float64(0.5)
    assert ulps_off(one, 1 + number(np.spacing(one))) == 1
    assert ulps_off(np.nextafter(half, 1), DIGITS.mpf(0.5)) == 1
    assert ulps_off(np.float32(1), DIGITS.mpf(1) + DIGITS.mpf(2) ** -25) == 0.25
    assert ulps_off(np.float64(0), DIGITS.mpf(10) ** -310) == 0  # subnormal
    assert np.isnan(ulps_off(np.float64(np.nan), DIGITS.mpf(1)))


def exact_cross_entropy(z, label):
    """ℓ and dz of one row, every term of a sum of the same sign."""
    e = [DIGITS.exp(number(one) - number(z[label])) for one in z]
    others = DIGITS.fsum(one for at, one in enumerate(e) if at != label)
    dz = [one / (1 + others) for one in e]
    dz[label] = -others / (1 + others)
    return DIGITS.log1p(others), dz


# Logits of every kind. Each takes rng, the number of classes, the largest gap that matters.


def at_random(rng, classes, largest):
    """Of every scale, from nearly equal to the whole range."""
    scales = np.geomspace(1e-3, largest / 3, 10)[:, None]
    return scales * rng.normal(size=(10, classes)), rng.integers(classes, size=10)


def right(rng, classes, largest):
    z, _ = at_random(rng, classes, largest)
    return z, z.argmax(axis=1)


def gaps(rng, classes, largest):
    """The label's is ahead or behind by gaps of every size."""
    ahead = np.concatenate(
        [np.linspace(-largest, largest, 13), rng.normal(0, 4, size=5), [0, 16, 37]]
    )
    spread = rng.choice([0.0, 2.0**-19, 1.0, 5.0], size=(len(ahead), 1))
    z = spread * rng.normal(size=(len(ahead), classes))
    labels = rng.integers(classes, size=len(ahead))
    z[np.arange(len(ahead)), labels] += ahead
    return z, labels


def far_from_0(rng, classes, largest):
    """Small differences of large logits."""
    z, labels = gaps(rng, classes, 30)
    return z + 1000 * rng.normal(size=(len(z), 1)), labels


def underflowing(rng, classes, largest):
    """The others are so far behind that each underflows, and their sum may not."""
    ahead = largest + (np.arange(-5, 50) if classes < 100 else np.array([12, 14, 16]))
    z = rng.normal(0, 0.5, size=(len(ahead), classes))
    labels = rng.integers(classes, size=len(ahead))
    z[np.arange(len(ahead)), labels] += ahead
    return z, labels


def ties(rng, classes, largest):
    return rng.integers(-2, 3, size=(8, classes)) / 4, rng.integers(classes, size=8)


LOGITS = [at_random, right, gaps, far_from_0, underflowing, ties]
LARGEST = {np.float64: 700, np.float32: 87, np.float16: 9}


def worst_ulps(loss, dtype, classes, one_hot=False):
    """Of ℓ and every entry of dz, and where; dℓ is a power of two, which rounds nothing."""
    rng = np.random.default_rng([11, classes])
    worst = (0.0, None)
    for kind in LOGITS:
        z, labels = kind(rng, classes, LARGEST[dtype])
        z, labels = (z[:3], labels[:3]) if classes > 300 else (z, labels)
        z = z.astype(dtype)
        value, residual = loss.forward(z, np.eye(classes)[labels] if one_hot else labels)
        dl = np.exp2(rng.integers(4, size=len(z))).astype(dtype)
        dz = loss.backward(residual, dl) / dl[:, None]
        assert value.dtype == dz.dtype == dtype
        for row, label in enumerate(labels):
            exact_value, exact_dz = exact_cross_entropy(z[row], label)
            pairs = zip([value[row], *dz[row]], [exact_value, *exact_dz], strict=True)
            for entry, (found, expected) in enumerate(pairs):
                gap = float(z[row, label] - np.delete(z[row], label).max())
                what = "ℓ" if entry == 0 else f"dz_{entry - 1}"
                at = f"{kind.__name__}, {classes} classes, gap {gap:.4g}, {what}"
                worst = max(worst, (np.nan_to_num(ulps_off(found, expected), nan=np.inf), at))
    return worst


# float32 and float16 are calculated in float64 and rounded once: half an ulp, and 4 of float64's.
BOUNDS = [(np.float64, 4), (np.float32, 0.5 + 2**-26), (np.float16, 0.5 + 2**-39)]


@pytest.mark.parametrize(("dtype", "bound"), BOUNDS)
@pytest.mark.parametrize("classes", [2, 3, 5, 10, 20, 100, 1000])
def test_exact_cross_entropy_keeps_its_digits(dtype, bound, classes):
    """4 ulp in float64, for 2 … 1000 classes, gaps of −700 … 700, ties; half of one in float32."""
    worst = worst_ulps(build("loss", "cross_entropy_exact"), dtype, classes)
    assert worst[0] <= bound, worst


@pytest.mark.parametrize(("dtype", "bound"), BOUNDS)
def test_exact_cross_entropy_of_one_hot_rows(dtype, bound):
    worst = worst_ulps(build("loss", "cross_entropy_exact"), dtype, 7, one_hot=True)
    assert worst[0] <= bound, worst


@pytest.mark.parametrize(("dtype", "bound"), BOUNDS[:2])
def test_digits_are_seen_to_be_lost(dtype, bound):
    """The same measure for what has the textbook's form: it must not pass."""
    assert worst_ulps(build("loss", "cross_entropy_fused"), dtype, 5)[0] > 1e6


def test_exact_cross_entropy_of_the_whole_range_of_float32():
    """Differences of up to 3e38 in float32, and probabilities that underflow, but for their sum."""
    loss, rng = build("loss", "cross_entropy_exact"), np.random.default_rng(3)
    z = (rng.normal(size=(40, 4)) * np.geomspace(1e-30, 8e37, 40)[:, None]).astype(np.float32)
    labels = rng.integers(4, size=40)
    many = np.full((1, 1000), -91, dtype=np.float32)  # e^-91 is subnormal, 999 of them are not
    many[0, 0] = 0
    for rows, targets in ((z, labels), (many, np.array([0]))):
        value, residual = loss.forward(rows, targets)
        dz = loss.backward(residual, np.ones(len(rows), np.float32))
        for row, label in enumerate(targets):
            exact_value, exact_dz = exact_cross_entropy(rows[row], label)
            assert ulps_off(value[row], exact_value) <= 0.5 + 2**-26
            assert max(map(ulps_off, dz[row], exact_dz)) <= 0.5 + 2**-26


@pytest.mark.parametrize("far", [-np.inf, -1.7e308])
def test_exact_cross_entropy_of_a_class_that_is_masked(far):
    """A logit of −∞, or a difference that overflows: as if the class were not there."""
    loss = build("loss", "cross_entropy_exact")
    z = np.array([[1e308, far, 1e308], [0.1, far, 0.7], [0.3, -0.2, far]])
    with np.errstate(over="ignore"):
        value, residual = loss.forward(z, np.array([0, 2, 0]))
    dz = loss.backward(residual, np.ones(3))
    for row, (classes, masked) in enumerate([([0, 2], 1), ([2, 0], 1), ([0, 1], 2)]):
        exact_value, exact_dz = exact_cross_entropy(z[row, classes], 0)
        assert ulps_off(value[row], exact_value) <= 4
        assert max(map(ulps_off, dz[row, classes], exact_dz)) <= 4
        assert dz[row, masked] == 0


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weight"])
@pytest.mark.parametrize("smoothing", [0, 0.1])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_exact_cross_entropy_of_soft_rows(dtype, smoothing, weighted):
    """dz is a difference, ŷ ΣT − T, and 8 ulps of the larger may be lost; of ℓ 8, of its own.

    The weight's product adds one. They are ulps of float64 in float32, too, with the half one
    of the result.
    """
    rng = np.random.default_rng(5)
    for classes in (2, 5, 30, 200):
        w = rng.uniform(0.3, 2, size=classes) if weighted else np.ones(classes)
        options = {"label_smoothing": smoothing, "weight": w.tolist() if weighted else []}
        loss = build("loss", {"name": "cross_entropy_exact", **options})
        z, labels = gaps(rng, classes, LARGEST[dtype] / 2)
        z = z.astype(dtype)
        soft = rng.dirichlet(np.full(classes, 0.3), size=len(z)).astype(dtype)
        target, t = (labels, np.eye(classes)[labels]) if smoothing else (soft, soft)
        value, residual = loss.forward(z, target)
        dz = loss.backward(residual, np.ones(len(z), dtype))
        for row in range(len(z)):
            y, T = probabilities(z[row]), targets_of(t[row], smoothing, w)
            exact = -DIGITS.fsum(a * DIGITS.log(b) for a, b in zip(T, y, strict=True))
            assert off(value[row], exact, exact) <= 8 + weighted
            whole = DIGITS.fsum(T)
            worst = max(
                off(found, b * whole - a, max(a, b * whole))
                for found, a, b in zip(dz[row], T, y, strict=True)
            )
            assert worst <= 8 + weighted


def off(found, exact, larger):
    """The error in ulps of a float64 as large as ``larger``, but for a rounding to float32."""
    rounding = 0 if found.dtype == np.float64 else place(exact, found.dtype) / 2
    return float((abs(number(found) - exact) - rounding) / place(larger, np.dtype(float)))


def probabilities(z):
    e = [DIGITS.exp(number(one) - number(max(z))) for one in z]
    return [one / DIGITS.fsum(e) for one in e]


def targets_of(t, smoothing, weight):
    smoothing = number(smoothing)
    return [
        number(w) * ((1 - smoothing) * number(one) + smoothing / len(t))
        for one, w in zip(t, weight, strict=True)
    ]


def relative_error(found, expected):
    return float(abs((DIGITS.mpf(float(found)) - expected) / expected))


def ahead(gap, classes=10):
    """One row whose label is class 0, ahead of the others by gap, and what is right for it."""
    z = np.zeros((1, classes))
    z[0, 0] = gap
    return z, *exact_cross_entropy(z[0], 0)


@pytest.mark.parametrize("name", FAMILY)
def test_digits_of_a_confident_row(name):
    """37.43 ahead, only the exact form has a digit left: the others are wrong by 56 %."""
    z, value, dz = ahead(37.43)
    loss = build("loss", name)
    found, residual = loss.forward(z, np.array([0]))
    gradient = loss.backward(residual, np.ones(1))
    errors = [relative_error(found[0], value), relative_error(gradient[0, 0], dz[0])]
    if name == "cross_entropy_exact":
        assert max(errors) < 1e-15
    else:
        assert errors == pytest.approx([0.56, 0.56], abs=0.01)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(("dtype", "gap"), [(np.float64, 800), (np.float32, 120)])
def test_digits_of_a_very_wrong_row(name, dtype, gap):
    """The label far behind: the chains through a probability of 0 are no numbers any more."""
    z, value, dz = ahead(-gap)
    loss = build("loss", name)
    with np.errstate(all="ignore"):
        found, residual = loss.forward(z.astype(dtype), np.array([0]))
        gradient = loss.backward(residual, np.ones(1, dtype))
    if name in ("cross_entropy_fused", "cross_entropy_exact"):
        assert ulps_off(found[0], value) <= 4
        assert max(map(ulps_off, gradient[0], dz)) <= 4
    else:
        assert np.isinf(found[0])
        assert np.isnan(gradient).any()


def test_log_softmax_keeps_the_digits_of_a_confident_row():
    """Up to a gap of 700, 4 ulps and one for each unit of the gap: e^d shows the rounding of d."""
    layer = build("layer", "log_softmax")
    rng = np.random.default_rng(12)
    for classes in (2, 5, 20):
        z, _ = gaps(rng, classes, 700)
        y, _ = layer.forward(z)
        for row in range(len(z)):
            exact = [-exact_cross_entropy(z[row], label)[0] for label in range(classes)]
            assert max(map(ulps_off, y[row], exact)) <= 4 + np.ptp(z[row])


def test_sigmoid_keeps_the_digits_far_out():
    x = np.array([[-700.0, -40.0, -18.0, -0.3, 0.0, 1.7, 18.0, 40.0, 700.0]])
    layer = build("layer", "sigmoid")
    y, residual = layer.forward(x)
    dx = layer.backward(residual, np.ones_like(x))
    u = [DIGITS.exp(-abs(DIGITS.mpf(float(one)))) for one in x[0]]
    exact = [(1 if one > 0 else v) / (1 + v) for one, v in zip(x[0], u, strict=True)]
    slope = [v / (1 + v) ** 2 for v in u]
    assert max(map(ulps_off, y[0], exact)) <= 4
    assert max(map(ulps_off, dx[0], slope)) <= 4


def test_tanh_far_out():
    """At x = 18 the derivative by 1 − y² is 4 % off; by e^(−2|x|) it is right."""
    x = np.array([[18.0, -18.0, 0.3, 300.0]])
    slope = [DIGITS.sech(DIGITS.mpf(float(one))) ** 2 for one in x[0]]

    def backward(name):
        layer = build("layer", name)
        return layer.backward(layer.forward(x)[1], np.ones_like(x))[0]

    assert max(map(ulps_off, backward("tanh_exact"), slope)) <= 4
    plain = backward("tanh")
    assert relative_error(plain[0], slope[0]) == pytest.approx(0.04, abs=0.01)
    assert relative_error(plain[2], slope[2]) < 1e-15
    assert plain[3] == 0
    assert slope[3] > 0
