"""``pullback twins``: two variants trained from the same seed, step by step beside each other."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pullback.app import plugins
from pullback.app.preflight import plan
from pullback.errors import ConfigError, writing
from pullback.job import build_job

if TYPE_CHECKING:
    from rich.table import Table

    from pullback.twins import Twins

_ROWS = 12
_FINDINGS = {
    "identical": "they are the same, bit for bit, at every step",
    "rounding drift": "rounding drift: in float64 they are about as many ulp apart as in float32, "
    "so that they compute the same and round otherwise",
    "difference": "a difference: in float64 they are about as far apart as in float32, so that it "
    "is no matter of rounding",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback twins``."""
    parser.description = (
        "Train two variants from the same seed and tell whether they differ or only round "
        "otherwise; with the first batch at which they part."
    )
    parser.epilog = "As in: pullback twins loss=cross_entropy_vjp,cross_entropy_fused seed=3"
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="as for pullback train; one key of two"
    )
    parser.add_argument(
        "--save", type=Path, metavar="FILE", help="that batch, θ and gradients, .npz"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the distance after each step")


def run(args: argparse.Namespace) -> int:
    """Train both in both float types, print the verdict, write the files."""
    from rich.console import Console

    from pullback.twins import twins

    plugins.load(args.overrides)
    planned = plan(args.overrides, "train", None, multirun=True)
    if len(planned.jobs) != 2:
        told = f"twins are two jobs, and these are {len(planned.jobs)}, as in loss=mse,nll"
        raise ConfigError(told, "command line")
    found = twins(*(build_job(job.config) for job in planned.jobs))
    console = Console(highlight=False)
    for letter, job, ending in zip("ab", planned.jobs, found.endings, strict=True):
        console.print(
            f"{letter}: {' '.join(planned.own(job))}: {ending}", markup=False, soft_wrap=True
        )
    console.print(_FINDINGS[found.kind], markup=False)
    if found.parted is not None:
        console.print(f"they part in step {found.parted}", markup=False)
    console.print(_table(found))
    if args.save and found.parted is not None:
        with writing(args.save):
            found.save(args.save)
        console.print(f"wrote {args.save}", markup=False, soft_wrap=True)
    if args.csv:
        with writing(args.csv):
            found.frame.to_csv(args.csv, index=False)
        console.print(f"wrote {args.csv}", markup=False, soft_wrap=True)
    return 0


def _table(found: Twins) -> Table:
    """The distance after some of the steps, closer together where they begin."""
    from rich import box
    from rich.table import Table

    last = len(found.frame) - 1
    steps = np.unique(np.geomspace(1, max(last, 1), _ROWS).round().astype(int))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("after step", "loss a", "loss b", "ulp in float32", "ulp in float64"):
        table.add_column(heading, justify="right")
    for step in (0, *steps):
        if step <= last:
            row = found.frame.iloc[int(step)]
            losses = [f"{row[name]:.6g}" for name in ("loss_a", "loss_b")]
            apart = [f"{row[name]:.3g}" for name in ("ulp_float32", "ulp_float64")]
            table.add_row(str(step), *losses, *apart)
    return table
