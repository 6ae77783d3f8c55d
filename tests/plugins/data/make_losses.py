"""Record PyTorch's losses and their gradients in losses.json, beside this file.

    python tests/plugins/data/make_losses.py

It needs torch, which the tests do not: they read the file. Everything is float64. The gradient of
an unreduced loss is that of Σ dl ℓ, with the random dl of the record.

``mse`` is the mean over the entries of a row, so that its sum is PyTorch's divided by their number.
"""

import itertools
import json
from pathlib import Path

import torch
from torch.nn import functional

WEIGHT = [0.5, 2.0, 1.25, 0.0]
REDUCTIONS = ("mean", "sum", "none")

torch.manual_seed(3)
CLASSES = len(WEIGHT)
ROWS = 6
LOGITS = 3 * torch.randn(ROWS, CLASSES, dtype=torch.float64)
TARGETS = {
    "labels": torch.tensor([0, 3, 1, 2, 2, 0]),
    "padded": torch.tensor([0, 3, -100, 2, -100, 1]),
    "rows": torch.softmax(torch.randn(ROWS, CLASSES, dtype=torch.float64), dim=-1),
    "unnormalized": torch.rand(ROWS, CLASSES, dtype=torch.float64) + 0.1,
}
PREDICTIONS = {
    "cross_entropy": LOGITS,
    "nll": torch.log_softmax(LOGITS, dim=-1),
    "nll_probabilities": torch.softmax(LOGITS, dim=-1),
    "mse": LOGITS,
}
DL = torch.randn(ROWS, dtype=torch.float64)


def nll_probabilities(probabilities, target, **options):
    return functional.nll_loss(probabilities.log(), target, **options)


def mse(y, target, reduction):
    if not target.is_floating_point():
        target = functional.one_hot(target, CLASSES).to(y.dtype)
    if reduction == "none":
        return functional.mse_loss(y, target, reduction="none").mean(dim=-1)
    loss = functional.mse_loss(y, target, reduction=reduction)
    return loss / CLASSES if reduction == "sum" else loss


FUNCTIONS = {
    "cross_entropy": functional.cross_entropy,
    "nll": functional.nll_loss,
    "nll_probabilities": nll_probabilities,
    "mse": mse,
}


def record(loss, target, reduction, **options):
    y = PREDICTIONS[loss].clone().requires_grad_()
    given = dict(options)
    if "weight" in given:
        given["weight"] = torch.tensor(given["weight"], dtype=torch.float64)
    value = FUNCTIONS[loss](y, TARGETS[target], reduction=reduction, **given)
    value.backward(DL if reduction == "none" else None)
    return {
        "loss": loss,
        "target": target,
        "reduction": reduction,
        "options": options,
        "value": value.tolist(),
        "gradient": y.grad.tolist(),
    }


def combinations(weights, ignored, smoothings):
    """The options that are given; what is None is not."""
    for weight, ignore_index, smoothing in itertools.product(weights, ignored, smoothings):
        options = {
            "weight": weight,
            "ignore_index": ignore_index,
            "label_smoothing": smoothing,
        }
        yield {name: value for name, value in options.items() if value is not None}


def cases():
    weights, smoothings = (None, WEIGHT), (None, 0.1, 1.0)
    for reduction in REDUCTIONS:
        for options in combinations(weights, (None, 2), smoothings):
            yield record("cross_entropy", "labels", reduction, **options)
        for options in combinations(weights, (None,), smoothings):
            for target in ("padded", "rows", "unnormalized"):
                yield record("cross_entropy", target, reduction, **options)
        for options in combinations(weights, (None, 2), (None,)):
            yield record("nll", "labels", reduction, **options)
            yield record("nll_probabilities", "labels", reduction, **options)
        for options in combinations(weights, (None,), (None,)):
            yield record("nll", "padded", reduction, **options)
            yield record("nll_probabilities", "padded", reduction, **options)
        for target in ("labels", "rows", "unnormalized"):
            yield record("mse", target, reduction)


def main():
    parts = {
        "torch": json.dumps(torch.__version__.partition("+")[0]),
        "dl": json.dumps(DL.tolist()),
        "predictions": json.dumps({loss: y.tolist() for loss, y in PREDICTIONS.items()}),
        "targets": json.dumps({name: target.tolist() for name, target in TARGETS.items()}),
        "cases": "[\n" + ",\n".join(json.dumps(case) for case in cases()) + "\n]",
    }
    text = ",\n".join(f'"{key}": {value}' for key, value in parts.items())
    Path(__file__).with_name("losses.json").write_text(f"{{\n{text}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
