"""What can be told to be wrong is told before the first job: all of it, for all jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from hydra import compose, initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pullback.app.explained import explained
from pullback.errors import ConfigError, PullbackError
from pullback.job import JobError, build_job
from pullback.refusals import refuse_calls


@dataclass(frozen=True)
class Plan:
    """What will run: the config that all jobs share, and each job's overrides."""

    shared: Mapping[str, Any]
    hydra: DictConfig
    jobs: list[list[str]]
    swept: list[str]
    multirun: bool


def plan(overrides: list[str], config_name: str, config_dir: str | None, multirun: bool) -> Plan:
    """Compose and build every job; PullbackError with every mistake, the key it came from and the
    number of jobs that have it."""
    overrides = _taken(overrides, config_dir)
    parsed = parse(overrides)
    fixed = [_text(one) for one in parsed if not one.is_sweep_override()]
    with initialize(config_path=None, version_base="1.3"):
        shared, hydra = _compose(config_name, fixed)
        multirun = multirun or str(hydra.get("mode")) == "RunMode.MULTIRUN"
        refuse_calls(hydra)
        swept = [one.get_key_element() for one in parsed if one.is_sweep_override()]
        if swept and not multirun:
            raise ConfigError("several values are a sweep: add -m", swept[0])
        jobs = _jobs(parsed, hydra) if multirun else [overrides]
        _check(jobs, config_name)
    return Plan(shared, hydra, jobs, swept, multirun)


def look(overrides: list[str], config_name: str, config_dir: str | None) -> None:
    """Compose once, for what shows a config and runs nothing: a mistake is told as for a run."""
    with initialize(config_path=None, version_base="1.3"):
        refuse_calls(_compose(config_name, _taken(overrides, config_dir))[1])


def _taken(overrides: list[str], config_dir: str | None) -> list[str]:
    for text in overrides:
        if re.search(r"(^|[.+{,\s])_(target|partial|args|recursive|convert)_\s*[:=]", text):
            raise ConfigError("a config names registered units (loss=mse) and calls nothing", text)
    if config_dir is None:
        return overrides
    return [*overrides, f"hydra.searchpath=[{quoted(f'file://{config_dir}')}]"]


def _jobs(parsed: list[Override], hydra: DictConfig) -> list[list[str]]:
    """The grid as Hydra's basic sweeper will make it; the shared part alone for another sweeper."""
    if not hydra["sweeper"]["_target_"].endswith(".BasicSweeper"):
        return [[_text(one) for one in parsed if not one.is_sweep_override()]]
    mine = [one for one in parsed if not one.is_hydra_override()]
    rest = [_text(one) for one in parsed if one.is_hydra_override()]
    try:
        params = (hydra["sweeper"]["params"] or {}).items()
        extra = parse([f"{key}={value}" for key, value in params])
        (grid,) = BasicSweeper.split_arguments([*extra, *mine], None)
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error) from error
    return [[*rest, *job] for job in grid]


def _text(override: Override) -> str:
    return override.input_line or ""


def _check(jobs: list[list[str]], config_name: str) -> None:
    told: dict[str, list[int]] = {}
    for number, overrides in enumerate(jobs):
        try:
            shared, hydra = _compose(config_name, overrides)
            refuse_calls(hydra)
            build_job(shared)
        except JobError as error:
            for problem in error.problems:
                told.setdefault(problem, []).append(number)
        except PullbackError as error:
            told.setdefault(str(error), []).append(number)
    if told:
        lines = [f"{problem}{_of(numbers, jobs)}" for problem, numbers in told.items()]
        raise PullbackError("\n".join(lines))


def _of(numbers: list[int], jobs: list[list[str]]) -> str:
    if len(jobs) == 1:
        return ""
    if len(numbers) == len(jobs):
        return f"  (all {len(jobs)} jobs)"
    first = " ".join(one for one in jobs[numbers[0]] if not one.startswith("hydra."))
    return f"  ({len(numbers)} of {len(jobs)} jobs, first #{numbers[0]}: {first})"


def parse(overrides: list[str]) -> list[Override]:
    """Overrides by Hydra's grammar."""
    try:
        return OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise ConfigError(
            f"cannot be read as key=value: {str(error).splitlines()[0]}", "command line"
        ) from error


def _compose(name: str, overrides: list[str]) -> tuple[Mapping[str, Any], DictConfig]:
    """The resolved config and Hydra's own part of it."""
    try:
        config = compose(name, overrides=overrides, return_hydra_config=True)
        hydra = config.hydra
        OmegaConf.set_struct(config, False)
        del config["hydra"]
        shared = OmegaConf.to_container(config, resolve=True)
        for key in ("mode", "run.dir", "sweep.dir"):  # what is read of it later has to resolve
            OmegaConf.select(hydra, key)
    except (HydraException, OmegaConfBaseException, OSError, ValueError) as error:
        raise explained(error) from error
    except Exception as error:
        mark = getattr(error, "problem_mark", None)  # of PyYAML, which is OmegaConf's to import
        if mark is None:  # a value of a kind that Hydra did not think of
            told = f"Hydra cannot compose this ({type(error).__name__}: {error})".splitlines()[0]
            raise ConfigError(told, " ".join(overrides)) from error
        where = f"{mark.name}, line {mark.line + 1}"
        raise ConfigError(f"this is not YAML: {getattr(error, 'problem', '')}", where) from error
    return cast("Mapping[str, Any]", shared), hydra


def quoted(text: str) -> str:
    """A string as Hydra's grammar takes it, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
