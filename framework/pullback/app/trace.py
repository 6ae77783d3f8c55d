"""``pullback trace``: the staged computation of a composed network, at rows of its data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pullback.app import plugins
from pullback.app.composition import parse
from pullback.app.preflight import plan
from pullback.errors import ConfigError, writing
from pullback.job import Job, build_job

if TYPE_CHECKING:
    from pullback.tracing.trace import Trace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback trace``."""
    parser.description = (
        "Trace the staged computation: every value forward and every gradient on the way back, "
        "with its symbol, equation and shape, at the first rows of the training data."
    )
    parser.epilog = (
        "A network, a loss and data are chosen as for `pullback train`: net=digits dataset=digits, "
        "net.z1.width=3, loss=mse, seed=1, plugins=[swish.py]. `pullback train --help` lists them."
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for pullback train")
    parser.add_argument("--rows", type=int, default=1, metavar="N", help="how many (default: 1)")
    parser.add_argument("--steps", type=int, default=0, metavar="K", help="train so long before it")
    parser.add_argument("--stage", metavar="SYMBOL", help="open the stage that takes this value")
    parser.add_argument("--html", metavar="FILE", type=Path, help="a page to step through")
    parser.add_argument("--track", action="store_true", help="log it to MLflow")


def run(args: argparse.Namespace) -> int:
    """Compose, trace, and show; PullbackError for what cannot be composed or traced."""
    from rich.console import Console

    from pullback.tracing import local, page, table

    job = _job(args)
    found = traced(job, args.rows, args.steps)
    console = Console(highlight=False)
    if args.stage:
        table.show_local(local.opened(found, args.stage), console)
    else:
        table.show(found, console)
    if args.html:
        with writing(args.html):
            args.html.write_text(page.page(found), encoding="utf-8")
        console.print(f"wrote {args.html}", markup=False, soft_wrap=True)
    if args.track:
        told = f"open it:  {_track(found, job)}"
        console.print(told, markup=False, soft_wrap=True)
    return 0


def _job(args: argparse.Namespace) -> Job:
    if args.rows < 1:
        raise ConfigError(f"there are no {args.rows} rows", "--rows")
    plugins.load(args.overrides)
    swept = [one.get_key_element() for one in parse(args.overrides) if one.is_sweep_override()]
    if swept:
        raise ConfigError("a trace has one value of each; `pullback train -m` sweeps", swept[0])
    return build_job(plan(args.overrides, "trace", None, multirun=False).shared)


def traced(job: Job, rows: int, steps: int = 0) -> Trace:
    """The trace of a job's first rows, after so many steps of training."""
    from dataclasses import replace

    from pullback.tracing.trace import trace

    if steps:
        replace(job, recipe=replace(job.recipe, steps=steps, epochs=None)).train()
    data = job.data.train
    return trace(job.net, job.loss, data.x[:rows], data.t[:rows])


def _track(found: Trace, job: Job) -> str:
    """The page, the table and the loss as a run in MLflow; returns how to open it."""
    from tempfile import TemporaryDirectory

    from pullback.facts import flatten
    from pullback.tracing import page, table
    from pullback.tracking import evidence
    from pullback.tracking.store import EXPERIMENT, URI

    tracking = job.config["tracking"]
    units = {key: value for key, value in job.config.items() if key in ("net", "loss", "dataset")}
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("trace.html", "trace.csv")]
        files[0].write_text(page.page(found), encoding="utf-8")
        found.frame.to_csv(files[1], index=False)
        return evidence.publish(
            "trace",
            f"trace of {found.rows} rows",
            params=flatten({**units, "seed": job.seed, "rows": found.rows}),
            metrics={"L": float(found["L"])},
            files=files,
            note=f"```\n{table.plain(found)}\n```",
            uri=tracking.get("uri", URI),
            experiment=tracking.get("experiment", EXPERIMENT),
        )
