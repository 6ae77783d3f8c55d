"""Record the factors of PyTorch's schedulers in schedules.json, beside this file.

    python tests/plugins/data/make_schedules.py

It needs torch, which the tests do not: they read the file. The base rate is 1, so that the rate is
the factor. The factor after the last step is recorded too, except where PyTorch has none.
"""

import json
from pathlib import Path

import torch
from torch.optim import lr_scheduler as of

STEPS = 40


def warmed(w, rest):
    def build(optimizer):
        warm_up = of.LinearLR(optimizer, start_factor=1 / (w + 1), total_iters=w)
        return of.SequentialLR(optimizer, [warm_up, rest(optimizer)], milestones=[w])

    return build


def one_cycle(**options):
    return lambda optimizer: of.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=STEPS, cycle_momentum=False, **options
    )


CASES = [
    ("Constant", {}, lambda o: of.ConstantLR(o, factor=1.0)),
    ("Constant", {"warmup": 7}, lambda o: of.LinearLR(o, start_factor=1 / 8, total_iters=7)),
    ("Step", {"step_size": 7}, lambda o: of.StepLR(o, 7)),
    ("Step", {"step_size": 3, "gamma": 0.8}, lambda o: of.StepLR(o, 3, gamma=0.8)),
    ("MultiStep", {"milestones": [1, 8, 30]}, lambda o: of.MultiStepLR(o, [1, 8, 30])),
    (
        "MultiStep",
        {"milestones": [5, 6, 39], "gamma": 0.8},
        lambda o: of.MultiStepLR(o, [5, 6, 39], gamma=0.8),
    ),
    ("Exponential", {"gamma": 0.9}, lambda o: of.ExponentialLR(o, 0.9)),
    ("Cosine", {}, lambda o: of.CosineAnnealingLR(o, STEPS)),
    ("Cosine", {"final": 0.1}, lambda o: of.CosineAnnealingLR(o, STEPS, eta_min=0.1)),
    (
        "Cosine",
        {"warmup": 7, "final": 0.1},
        warmed(7, lambda o: of.CosineAnnealingLR(o, STEPS - 7, eta_min=0.1)),
    ),
    ("OneCycle", {}, one_cycle()),
    ("OneCycle", {"anneal": "linear"}, one_cycle(anneal_strategy="linear")),
    (
        "OneCycle",
        {"pct_start": 0.11, "div_factor": 5.0, "final_div_factor": 3.0},
        one_cycle(pct_start=0.11, div_factor=5.0, final_div_factor=3.0),
    ),
    ("OneCycle", {"pct_start": 0.0}, one_cycle(pct_start=0.0)),
    ("Polynomial", {}, lambda o: of.PolynomialLR(o, STEPS)),
    ("Polynomial", {"power": 2.5}, lambda o: of.PolynomialLR(o, STEPS, power=2.5)),
    (
        "Polynomial",
        {"power": 0.9, "warmup": 7},
        warmed(7, lambda o: of.PolynomialLR(o, STEPS - 7, power=0.9)),
    ),
]


def factors(build, count):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = build(optimizer)
    values = []
    for _ in range(count):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(values) < count:
            scheduler.step()
    return values


def main():
    record = {
        "torch": torch.__version__.partition("+")[0],
        "steps": STEPS,
        "cases": [
            {
                "schedule": name,
                "options": options,
                "factors": factors(build, STEPS if name == "OneCycle" else STEPS + 1),
            }
            for name, options, build in CASES
        ],
    }
    path = Path(__file__).with_name("schedules.json")
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
