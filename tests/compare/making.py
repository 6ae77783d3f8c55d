"""Run directories as runs leave them, without a run."""

import argparse
import itertools
import json

from pullback.compare import command
from pullback.compare.frame import load

FOUR = (
    "cross_entropy_jacobian",
    "cross_entropy_vjp",
    "cross_entropy_fused",
    "cross_entropy_exact",
)
LATER = itertools.count()


def make_run(directory, options, metrics=None, status="finished", message="", curve=(), **facts):
    """A run directory; ``status=None`` is one that was killed. Each starts after the last."""
    directory.mkdir(parents=True)
    started = f"2026-01-02T03:04:05.{next(LATER):06d}+01:00"
    facts = {"id": "x", "name": directory.name, "started": started, "overrides": []} | facts
    (directory / "run.json").write_text(json.dumps(facts | {"options": options}))
    lines = [json.dumps({"step": step, "time": 1, **found}) for step, found in curve]
    (directory / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    if status is not None:
        end = {"status": status, "ended": started, "seconds": 2.5, "steps": 9, "message": message}
        (directory / "end.json").write_text(json.dumps(end | {"metrics": metrics or {}}))
    return directory


def make_sweep(root, options_and_metrics):
    for number, (options, metrics) in enumerate(options_and_metrics):
        make_run(root / str(number), options, metrics)
    return load([root])


def compare(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))
