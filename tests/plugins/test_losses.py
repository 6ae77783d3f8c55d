"""The losses: PyTorch's options one by one, refused targets, PyTorch's values; an affine layer's.

That a loss obeys the law of a unit is checked in tests/verify/, as for every registered unit.
"""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from shipped import plain_units

from pullback import registry
from pullback.loss import loss_and_cotangent, loss_value
from pullback.options import build

CLASS_OPTIONS = {"weight": (0.5, 2.0, 1.25), "ignore_index": 1, "label_smoothing": 0.2}


def takes_class_options(cls):
    return set(CLASS_OPTIONS) <= {one.name for one in fields(cls)}


# Losses on classes: the options, one by one.


def class_losses():
    names = [name for _, name in plain_units("loss")]
    return [name for name in names if takes_class_options(registry.lookup("loss", name))]


class_loss = pytest.mark.parametrize("name", class_losses())
LABELS = np.array([2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]
DL = np.array([0.5, -1.5, 0.7, 0.3])


def distributions(seed=5):
    """Probabilities, which are also what a loss on logits or on log-probabilities takes."""
    return np.random.default_rng(seed).dirichlet(np.ones(3), size=4)


def both_ways(name, target, y=None, **options):
    loss = build("loss", {"name": name, **options})
    value, residual = loss.forward(distributions() if y is None else y, target)
    return value, loss.backward(residual, DL)


def test_there_are_losses_on_classes():
    assert len(class_losses()) >= 2


@class_loss
@pytest.mark.parametrize("ignore_index", [2, -100, 7])
def test_ignored_rows_count_for_nothing(name, ignore_index):
    """Also an index that is no class; and whatever the prediction of an ignored row holds."""
    labels = np.where(LABELS == 2, ignore_index, LABELS)
    y = distributions()
    y[LABELS == 2] = [1.0, 0.0, 0.0]
    value, gradient = both_ways(name, labels, y, ignore_index=ignore_index)
    ignored = labels == ignore_index
    assert (value[ignored] == 0).all()
    assert (gradient[ignored] == 0).all()
    plain_value, plain_gradient = both_ways(name, LABELS)
    assert_array_equal(value[~ignored], plain_value[~ignored], "ℓ of the others")
    assert_array_equal(gradient[~ignored], plain_gradient[~ignored], "gradient of the others")


@class_loss
def test_weights_multiply_the_rows_of_their_class(name):
    """Powers of two, so that they multiply every digit."""
    weight = (0.5, 4.0, 2.0)
    value, gradient = both_ways(name, LABELS, weight=weight)
    plain_value, plain_gradient = both_ways(name, LABELS)
    w = np.array(weight)[LABELS]
    assert_array_equal(value, w * plain_value, "ℓ")
    assert_array_equal(gradient, w[:, None] * plain_gradient, "gradient")


@class_loss
def test_weights_of_soft_rows_multiply_their_entries(name):
    rows, weight = distributions(6), (0.5, 0.0, 2.0)
    found = both_ways(name, rows, weight=weight)
    for one, expected in zip(found, both_ways(name, rows * weight), strict=True):
        assert_array_equal(one, expected, "weighted rows")


@class_loss
@pytest.mark.parametrize("smoothing", [0.25, 1.0])
def test_label_smoothing_mixes_the_target_with_equal_parts(name, smoothing):
    for target, rows in ((LABELS, ONE_HOT), (distributions(6),) * 2):
        found = both_ways(name, target, label_smoothing=smoothing)
        expected = both_ways(name, rows * (1 - smoothing) + smoothing / 3)
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, other, "smoothed")


@class_loss
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_a_label_is_its_one_hot_row(name, dtype):
    for one, other in zip(
        both_ways(name, LABELS.astype(dtype)), both_ways(name, ONE_HOT), strict=True
    ):
        assert_array_equal(one, other, "one-hot")


@class_loss
def test_labels_and_rows_are_shared_by_stacked_runs(name):
    """A target without the leading axis of the predictions is that of every run."""
    y = np.stack([distributions(7), distributions(8)])
    loss = build("loss", name)
    for target in (LABELS, distributions(6)):
        value, residual = loss.forward(y, target)
        gradient = loss.backward(residual, np.stack([DL, DL]))
        for run in range(2):
            alone = both_ways(name, target, y[run])
            assert_array_equal(value[run], alone[0], "ℓ")
            assert_array_equal(gradient[run], alone[1], "gradient")


@class_loss
def test_example_weights(name):
    labels = np.array([2, 0, -100, 1])
    rows = distributions()

    def weights(target, **options):
        return build("loss", {"name": name, **options}).example_weights(target).tolist()

    assert weights(labels) == [1, 1, 0, 1]
    assert weights(labels, ignore_index=0) == [1, 0, 1, 1]
    assert weights(labels, weight=(0.5, 2, 1.25)) == [1.25, 0.5, 0, 2]
    assert weights(labels, weight=(0.5, 2, 1.25), label_smoothing=0.3) == [1.25, 0.5, 0, 2]
    assert weights(rows) == [1, 1, 1, 1]
    assert weights(rows, weight=(0.5, 2, 1.25), ignore_index=1) == [1, 1, 1, 1]


BAD_TARGETS = [
    (
        np.array([0, 1, 3, 2]),
        "the target of row 2 is 3, and there are 3 classes: labels go from 0 to 2",
    ),
    (np.array([0, -1, 0, 2]), "the target of row 1 is -1, and there are 3 classes"),
    (np.array([-100, 0, 0, 5]), "the target of row 3 is 5, and there are 3 classes"),
    (
        np.array([0, 1]),
        r"need integer labels of shape \(4,\) or rows of shape \(4, 3\); the target ",
    ),
    (np.array([0.0, 1.0, 2.0, 0.0]), r"the target is float64 of shape \(4,\)"),
    (np.array([0.2, 0.3, 0.5]), r"the target is float64 of shape \(3,\)"),
    (np.ones((4, 2)), r"the target is float64 of shape \(4, 2\)"),
    (np.ones((4, 3), dtype=int), r"the target is int64 of shape \(4, 3\)"),
    (np.ones((4, 1)), r"the target is float64 of shape \(4, 1\)"),
    (np.array(1), r"the target is int64 of shape \(\)"),
    (np.array(1.0), r"the target is float64 of shape \(\)"),
    (np.array(["a", "b", "c", "a"]), r"the target is <U1 of shape \(4,\)"),
    (np.ones((4, 3), dtype=complex), r"the target is complex128 of shape \(4, 3\)"),
]


@class_loss
@pytest.mark.parametrize(("target", "message"), BAD_TARGETS)
def test_a_target_that_does_not_fit_is_refused(name, target, message):
    with pytest.raises(ValueError, match=message):
        build("loss", name).forward(distributions(), target)


@class_loss
def test_a_square_batch_does_not_take_numbers_for_a_row(name):
    """As many rows as classes: (3,) numbers are neither labels nor the row of every example."""
    with pytest.raises(ValueError, match=r"the target is float64 of shape \(3,\)"):
        build("loss", name).forward(distributions()[:3], np.array([0.0, 1.0, 2.0]))


@class_loss
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"weight": (1.0, -0.5, 1.0)},
            r"weight must not be negative, and it is \[1.0, -0.5, 1.0\]",
        ),
        ({"weight": (1.0, float("nan"), 1.0)}, "weight must not be negative"),
        ({"label_smoothing": 1.5}, "label_smoothing must be from 0 to 1, not 1.5"),
        ({"label_smoothing": -0.1}, "label_smoothing must be from 0 to 1, not -0.1"),
    ],
)
def test_an_option_out_of_range_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        registry.lookup("loss", name)(**options)


@class_loss
@pytest.mark.parametrize("target", [LABELS, ONE_HOT], ids=["labels", "rows"])
def test_as_many_weights_as_classes(name, target):
    loss = build("loss", {"name": name, "weight": (1.0, 2.0)})
    with pytest.raises(ValueError, match="weight has 2 numbers for 3 classes"):
        loss.forward(distributions(), target)


def test_a_chain_consists_of_what_it_says():
    """Its forward and gradient are those of the units by hand, bit for bit."""
    chains = {"cross_entropy_vjp": "softmax", "cross_entropy_jacobian": "softmax_jacobian"}
    for name, softmax in chains.items():
        stages = build("loss", name).stages
        assert list(stages) == ["ŷ", "l", "ℓ"]
        units = [build("layer", softmax), build("layer", "log"), build("loss", "nll")]
        assert [type(one) for one in stages.values()] == [type(one) for one in units]
        y, residuals = distributions(), []
        for unit in units[:-1]:
            y, residual = unit.forward(y)
            residuals.append(residual)
        value, residual = units[-1].forward(y, LABELS)
        gradient = DL
        for unit, kept in zip(reversed(units), reversed([*residuals, residual]), strict=True):
            gradient = unit.backward(kept, gradient)
        assert_array_equal(both_ways(name, LABELS)[0], value, name)
        assert_array_equal(both_ways(name, LABELS)[1], gradient, name)


def test_mse_takes_labels_rows_and_one_column():
    mse = build("loss", "mse")
    y = distributions()
    assert_array_equal(mse.forward(y, LABELS)[0], mse.forward(y, ONE_HOT)[0], "labels")
    column = y[:, :1]
    assert_array_equal(mse.forward(column, DL)[0], (column[:, 0] - DL) ** 2, "numbers")
    assert_array_equal(
        mse.forward(column, LABELS)[0], (column[:, 0] - LABELS) ** 2, "whole numbers"
    )


@pytest.mark.parametrize(
    ("shape", "target", "message"),
    [
        ((4, 3), np.array([0, 1, 2, 3]), "labels go from 0 to 2 for 3 outputs"),
        ((4, 3), np.array([0, 1, 2, -1]), "labels go from 0 to 2 for 3 outputs"),
        ((4, 3), np.ones((4, 2)), r"\(4, 3\) need targets of that shape; these are \(4, 2\)"),
        ((4, 3), np.ones(4), r"these are \(4,\)"),
        ((3, 3), np.ones(3), r"these are \(3,\)"),
        ((4, 1), np.ones((4, 2)), r"these are \(4, 2\)"),
        ((4, 1), np.ones(3), r"these are \(3, 1\)|these are \(3,\)"),
        ((4, 3), np.array(1.0), r"these are \(\)"),
    ],
)
def test_mse_refuses_a_target_that_does_not_fit(shape, target, message):
    with pytest.raises(ValueError, match=message):
        build("loss", "mse").forward(np.zeros(shape), target)


def test_affine_takes_one_row_of_features():
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        registry.lookup("layer", "affine")(width=0)
    with pytest.raises(ValueError, match=r"one row of features, not an example of shape \(2, 3\)"):
        build("layer", {"name": "affine", "width": 2}).init(np.random.default_rng(0), (2, 3))


# Against PyTorch.


RECORD = json.loads((Path(__file__).parent / "data/losses.json").read_text(encoding="utf-8"))


def recorded(loss):
    """The recorded cases of a loss, for each of its family that is registered."""
    names = registry.names("loss")
    members = [one for one in names if registry.family(registry.lookup("loss", one), one) == loss]
    return [(name, case) for name in members for case in RECORD["cases"] if case["loss"] == loss]


def case_id(value):
    if isinstance(value, str):
        return value
    options = " ".join(f"{key}={one}" for key, one in value["options"].items())
    return f"{value['target']} {value['reduction']} {options}"


@pytest.mark.parametrize("loss", sorted(RECORD["predictions"]))
def test_values_of_pytorch(loss):
    """Catches a mean over other rows, smoothing without the weights, an ignored row that counts."""
    assert recorded(loss)
    y = np.array(RECORD["predictions"][loss])
    for name, case in recorded(loss):
        target = np.array(RECORD["targets"][case["target"]])
        unit = build("loss", {"name": name, **case["options"]})
        what = f"{name} {case_id(case)}"
        value = loss_value(unit, y, target, case["reduction"])
        if case["reduction"] == "none":
            _, residual = unit.forward(y, target)
            gradient = unit.backward(residual, np.array(RECORD["dl"]))
        else:
            total, gradient = loss_and_cotangent(unit, y, target, case["reduction"])
            assert total == pytest.approx(value, rel=1e-14), what
        for found, expected in ((value, case["value"]), (gradient, case["gradient"])):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=what)


def test_every_loss_is_recorded():
    families = {
        registry.family(registry.lookup("loss", name), name) for name in registry.names("loss")
    }
    assert families == set(RECORD["predictions"])
