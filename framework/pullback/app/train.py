"""``pullback train``: an ordinary Hydra application around a run, and around a sweep of them."""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pullback.app import plugins, report
from pullback.app.composition import quoted
from pullback.app.preflight import Plan, look, plan
from pullback.app.progress import Screen
from pullback.errors import ConfigError
from pullback.job import build_job
from pullback.run import Outcome, execute
from pullback.tracking.journal import RUN, write_whole
from pullback.tracking.mlflow_view import View, absolute
from pullback.tracking.tracker import view_of

SWEEP = "sweep.json"

log = logging.getLogger(__name__)

# Of the process that was started by hand; a launcher's workers have neither.
_screen: Screen | None = None
_outcomes: list[Outcome] = []


def main(argv: list[str]) -> int:
    """Run ``pullback train ARGV``; the exit status is 1 where a run failed."""
    args = get_args_parser().parse_intermixed_args(argv)
    argv = [word for word in argv if word not in args.overrides] + args.overrides
    plugins.load(args.overrides)
    if args.shell_completion:
        return _complete(argv, " ".join(args.overrides))
    directory, name = _config_dir(args), args.config_name or "train"
    if args.help or args.hydra_help or args.cfg or args.info:
        look(args.overrides, name, directory)
        _hydra(argv)
        return 0
    planned = plan(args.overrides, name, directory, args.multirun)
    _refuse_used(planned)
    return _sweep(argv, planned) if planned.multirun else _single(argv)


def _complete(argv: list[str], asked: str) -> int:
    if not re.fullmatch(r"(query|install|uninstall)=(bash|zsh|fish)", asked):
        raise ConfigError("takes install=bash, zsh or fish, or uninstall=…", "-sc")
    _hydra(argv)
    return 0


def _config_dir(args: argparse.Namespace) -> str | None:
    """The folder of the user's own configs; flags that would go round the checks are refused."""
    for flag in ("config_path", "experimental_rerun"):
        if getattr(args, flag, None) is not None:
            where = f"--{flag.replace('_', '-')}"
            raise ConfigError("is not taken here; --config-dir adds a folder of configs", where)
    if args.config_dir is None:
        return None
    if not Path(args.config_dir).is_dir():
        raise ConfigError(f"there is no folder {args.config_dir}", "--config-dir")
    return str(Path(args.config_dir).resolve())


def _refuse_used(planned: Plan) -> None:
    """A directory holds one run or one sweep: a second would be mixed with it."""
    part, marker = ("sweep", SWEEP) if planned.multirun else ("run", RUN)
    directory = Path(planned.hydra[part]["dir"])
    if (directory / marker).is_file():
        raise ConfigError(f"there is a {part} in {directory} already", f"hydra.{part}.dir")


def _single(argv: list[str]) -> int:
    global _screen
    with Screen(runs=1) as _screen:
        _hydra(argv)
    outcome = _outcomes.pop()
    report.run(outcome)
    return int(outcome.status == "failed")


def _sweep(argv: list[str], planned: Plan) -> int:
    global _screen
    directory = Path(planned.hydra["sweep"]["dir"])
    view = view_of(planned.shared["tracking"])
    facts = _begin_sweep(directory, planned, view)
    try:
        with Screen(runs=len(planned.jobs)) as _screen:
            _hydra([*argv, f"hydra.sweep.dir={quoted(str(directory))}"])
    except (KeyboardInterrupt, SystemExit):  # Hydra exits where a launcher fails
        report.sweep(directory, facts, view)
        raise
    return report.sweep(directory, facts, view)


def _begin_sweep(directory: Path, planned: Plan, view: View | None) -> dict[str, Any]:
    """The sweep's own entry and its parent run: one process opens the database, before the jobs."""
    directory.mkdir(parents=True, exist_ok=True)
    fixed = [text for text in planned.jobs[0].overrides if text.split("=")[0] not in planned.swept]
    name = "sweep of " + ", ".join(planned.swept or ["one"])
    facts: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "name": name,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "swept": planned.swept,
        "fixed": fixed,
        "jobs": len(planned.jobs),
        "mlflow_run": None,
    }
    if view is not None:
        try:
            told = {"swept": " ".join(planned.swept), "fixed": " ".join(fixed)}
            facts["mlflow_run"] = view.begin_sweep(directory.absolute(), name, told)
        except Exception as error:
            report.warn(f"MLflow at {view.uri} cannot be used ({error}); the journals are kept")
    write_whole(directory / SWEEP, json.dumps(facts, indent=1))
    return facts


def _hydra(argv: list[str]) -> None:
    """Hand over to Hydra, which reads sys.argv."""
    before, sys.argv = sys.argv, ["pullback", *argv]
    try:
        hydra.main(version_base="1.3", config_path=None, config_name="train")(task)()
    finally:
        sys.argv = before


def task(cfg: DictConfig) -> float | None:
    """One job, in this process or in a launcher's worker; returns what a sweeper may minimise."""
    runtime = HydraConfig.get()
    directory = Path(runtime.runtime.output_dir)
    overrides = [text for text in runtime.overrides.task if text.split("=")[0] != "plugins"]
    shared = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(shared, dict)
    sweep: dict[str, Any] = {}
    if (directory.parent / SWEEP).is_file():
        sweep = json.loads((directory.parent / SWEEP).read_text(encoding="utf-8"))
        overrides = [text for text in overrides if text.split("=")[0] in sweep["swept"]]
    shared["plugins"] = [plugins.absolute(one) for one in shared["plugins"]]
    shared["tracking"]["uri"] = absolute(shared["tracking"]["uri"])
    job = build_job(shared)  # type: ignore[arg-type]  # the keys of a config are strings
    if _screen is not None:
        _screen.begin(job.steps)
    log.info("begins in %s", directory)
    outcome = execute(
        job,
        directory,
        overrides=overrides,
        sweep_run=sweep.get("mlflow_run"),
        observe=_screen.observe if _screen is not None else None,
    )
    log.info("%s: %s", outcome.status, report.one_line(outcome))
    if _screen is not None:
        _screen.end(outcome.name, f"{outcome.status}: {report.one_line(outcome)}")
        if _screen.runs > 1:  # a single run's problems are told with its result
            report.warn_of(outcome.problems)
    _outcomes.append(outcome)
    metrics = outcome.metrics
    return metrics.get("best_validation_loss", metrics.get("train_loss"))


def resume(args: argparse.Namespace) -> int:
    """``pullback resume DIR``: go on from a run's last checkpoint, in its own directory."""
    directory = Path(args.directory)
    try:
        loaded = OmegaConf.load(directory / "config.yaml")
    except OSError as error:
        raise ConfigError(f"{directory} is not the directory of a run: {error}") from error
    shared = OmegaConf.to_container(loaded, resolve=True)
    assert isinstance(shared, dict)
    job = build_job(shared)  # type: ignore[arg-type]  # the keys of a config are strings
    with Screen(runs=1) as screen:
        screen.begin(job.steps)
        outcome = execute(job, directory, overrides=[], observe=screen.observe, resume=True)
    report.run(outcome)
    return int(outcome.status == "failed")
