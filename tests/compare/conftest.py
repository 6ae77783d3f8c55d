"""Runs that several tests compare."""

import pytest
from making import FOUR, make_run


@pytest.fixture
def four(tmp_path):
    """Four variants with three seeds each, in a sweep below ``runs``."""
    root, number = tmp_path / "runs" / "2026-01-02" / "03-04-05", 0
    for place, loss in enumerate(FOUR):
        for seed, end in enumerate((0.1416, 0.1437, 0.1458)):
            metrics = {
                "train_loss": 0.1,
                "validation_loss": end + 0.01,
                "test_loss": end,
                "test_accuracy": 0.951 + 0.004 * seed,
                "step_seconds": 2.09e-4 + 4e-6 * seed,
                "step_peak_bytes": 1.6 * 2**20,
                "gradient_difference": (1.2e-7, 4e-8, 0.0)[seed] * place,
            }
            steps = [(step, {"validation_loss": end + 1 / (1 + step)}) for step in range(0, 50, 5)]
            make_run(
                root / str(number),
                {"seed": seed, "loss.name": loss, "net.a1": "tanh", "net.z1.width": 500},
                metrics,
                curve=steps,
            )
            number += 1
    (root / "sweep.json").write_text("{}")
    return root
