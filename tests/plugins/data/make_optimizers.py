"""Record trajectories of PyTorch's optimizers in optimizers.json, beside this file.

    python tests/plugins/data/make_optimizers.py

It needs torch, which the tests do not: they read the file. The gradients are given numbers, not
those of a function, so that an error in one step does not hide in the next: ordinary ones, a
coordinate that is always 0, a large and a small one. lr is another one in each step.
"""

import inspect
import json
from pathlib import Path

import numpy as np
import torch

CASES = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"alpha": 0.9, "centered": True}),
    ("RMSprop", {"alpha": 0.9, "centered": True, "momentum": 0.8, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.3, "weight_decay": 0.1, "eps": 1e-3}),
    ("Adagrad", {"lr_decay": 0.3, "initial_accumulator_value": 0.7}),
    ("Adam", {}),
    ("Adam", {"beta1": 0.7, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"beta1": 0.7, "beta2": 0.6, "amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"beta1": 0.7, "beta2": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"beta1": 0.7, "beta2": 0.6, "amsgrad": True, "weight_decay": 0.1}),
]


def with_betas(options):
    if "beta1" not in options:
        return options
    others = {name: value for name, value in options.items() if not name.startswith("beta")}
    return {"betas": (options["beta1"], options["beta2"]), **others}


def defaults(name):
    """PyTorch's defaults of the options that an optimizer of ours has."""
    parameters = inspect.signature(getattr(torch.optim, name)).parameters
    values = {option: parameter.default for option, parameter in parameters.items()}
    betas = dict(zip(("beta1", "beta2"), values.pop("betas", ()), strict=False))
    left_out = {"params", "maximize", "foreach", "differentiable", "fused", "capturable"}
    left_out |= {"decoupled_weight_decay"}
    return betas | {option: value for option, value in values.items() if option not in left_out}


def trajectory(name, options, theta, gradients, rates):
    parameter = torch.nn.Parameter(torch.tensor(theta, dtype=torch.float64))
    optimizer = getattr(torch.optim, name)([parameter], foreach=False, **with_betas(options))
    thetas = []
    for g, lr in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = lr
        parameter.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
        thetas.append(parameter.tolist())
    return thetas


def main():
    rng = np.random.default_rng(0)
    theta = rng.normal(size=5).tolist()
    gradients = rng.normal(size=(8, 5)) * [1.0, 1.0, 0.0, 100.0, 1e-4]
    gradients[3] = 0.0
    rates = (0.1 / np.arange(1, 9)).tolist()
    record = {
        "torch": torch.__version__.partition("+")[0],
        "defaults": {name: defaults(name) for name in dict(CASES)},
        "theta": theta,
        "gradients": gradients.tolist(),
        "lr": rates,
        "cases": [
            {
                "optimizer": name,
                "options": options,
                "thetas": trajectory(name, options, theta, gradients.tolist(), rates),
            }
            for name, options in CASES
        ],
    }
    path = Path(__file__).with_name("optimizers.json")
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
