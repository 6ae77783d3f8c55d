"""``pullback train``: an ordinary Hydra application around a run, and around a sweep of them."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from pullback.app import hydra_sweep, plugins, report, sweep
from pullback.app.composition import plain
from pullback.app.preflight import Plan, look, plan
from pullback.app.progress import Screen
from pullback.errors import ConfigError
from pullback.job import build_job
from pullback.run import Outcome, execute
from pullback.tracking.journal import RUN, SWEEP, sweep_of
from pullback.tracking.tracker import Tracker

log = logging.getLogger(__name__)

# Of the process that was started by hand; a launcher's workers have neither.
_screen: Screen | None = None
_outcomes: list[Outcome] = []


def main(argv: list[str]) -> int:
    """Run ``pullback train ARGV``; the exit status is 1 where a run failed."""
    dry = "--dry-run" in argv
    argv = [word for word in argv if word != "--dry-run"]
    args = _parser().parse_intermixed_args(argv)
    argv = [word for word in argv if word not in args.overrides] + args.overrides
    directory, name = _config_dir(args), args.config_name or "train"
    key = sweep.name_of(args.overrides, name, directory)
    plugins.load(args.overrides, key)
    if args.shell_completion:
        return _complete(argv, " ".join(args.overrides))
    if args.help or args.hydra_help or args.cfg or args.info:
        look(args.overrides, name, directory)
        _hydra(argv)
        return 0
    planned = plan(args.overrides, name, directory, args.multirun)
    if dry:
        return sweep.preview(planned)
    if not planned.multirun:
        return _single(argv, planned)
    if planned.ours:
        return sweep.run(planned, argv, key)
    return _sweep_by_hydra(argv, planned)


def _parser() -> argparse.ArgumentParser:
    """Hydra's, whose mistakes are told as all others are."""
    parser = get_args_parser()

    def error(message: str) -> NoReturn:
        raise ConfigError(message, "command line")

    parser.error = error  # type: ignore[method-assign]
    return parser


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


def _single(argv: list[str], planned: Plan) -> int:
    """One run, by Hydra's own way of running one."""
    global _screen
    directory = Path(planned.hydra.run.dir)
    if (directory / RUN).is_file():
        raise ConfigError(f"there is a run in {directory} already", "hydra.run.dir")
    with Screen(runs=1) as _screen:
        _hydra(argv)
    outcome = _outcomes.pop()
    return report.run(outcome, planned.shared["tracking"])


def _sweep_by_hydra(argv: list[str], planned: Plan) -> int:
    """A sweep that one of Hydra's launchers or sweepers conducts."""
    global _screen
    directory = hydra_sweep.begin(planned)
    try:
        with Screen(runs=len(planned.jobs)) as _screen:
            _hydra([*argv, hydra_sweep.into(directory)])
    except (KeyboardInterrupt, SystemExit):  # Hydra exits where a launcher fails
        hydra_sweep.end(directory, planned)
        raise
    return hydra_sweep.end(directory, planned)


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
    if (sweep_directory := sweep_of(directory)) is not None:
        overrides = hydra_sweep.swept_of(sweep_directory, overrides)
    outcome = _tracked(plugins.made_absolute(plain(cfg)), directory, overrides, resume=False)
    _outcomes.append(outcome)
    metrics = outcome.metrics
    return metrics.get("best_validation_loss", metrics.get("train_loss"))


def _tracked(
    config: dict[str, Any], directory: Path, overrides: list[str], resume: bool
) -> Outcome:
    """A run, shown in MLflow while it goes on and at its end, on the screen if there is one."""
    job, tracker = build_job(config), Tracker(config["tracking"])
    if _screen is not None:
        _screen.begin(job.steps)

    def observe(step: int, metrics: dict[str, float]) -> None:
        tracker.perhaps_publish(directory)
        if _screen is not None:
            _screen.observe(step, metrics)

    log.info("begins in %s", directory)
    tracker.start()
    outcome = execute(job, directory, overrides=overrides, observe=observe, resume=resume)
    log.info("%s: %s", outcome.status, report.one_line(outcome))
    tracker.publish(directory)
    outcome = report.with_problems(outcome, tracker.close(), config["tracking"])
    if outcome.status == "interrupted":
        raise KeyboardInterrupt(f"go on with: pullback resume {directory}")
    if _screen is not None:
        _screen.end(outcome.name, f"{outcome.status}: {report.one_line(outcome)}")
        if _screen.runs > 1:  # a single run's problems are told with its result
            report.warn_of(outcome.problems)
    return outcome


def resume(args: argparse.Namespace) -> int:
    """``pullback resume DIR``: go on from a run's last checkpoint, or with what a sweep lacks."""
    global _screen
    directory = Path(args.directory)
    if (directory / SWEEP).is_file():
        return main(sweep.resumed(directory))
    try:
        loaded = OmegaConf.load(directory / "config.yaml")
    except OSError as error:
        raise ConfigError(
            f"{directory} is not the directory of a run or a sweep: {error}"
        ) from error
    shared = plain(loaded)
    with Screen(runs=1) as _screen:
        outcome = _tracked(shared, directory, [], resume=True)
    return report.run(outcome, shared["tracking"])
