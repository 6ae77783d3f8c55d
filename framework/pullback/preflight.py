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
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pullback import registry
from pullback.config import GROUPS
from pullback.errors import ConfigError, PullbackError, nearest
from pullback.job import JobError, build_job, forbidden

# Hydra's own node may name a launcher and a sweeper: classes of Hydra's plugins, and no others.
_PLUGINS = ("hydra._internal.core_plugins.", "hydra_plugins.", "optuna.samplers.")
_LOGGING = ("logging.", "colorlog.", "rich.logging.", "ext://sys.")


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
    for text in overrides:
        if re.search(r"_(target|partial|args|recursive|convert)_", text):
            raise ConfigError("a config names registered units (loss=mse) and calls nothing", text)
    if config_dir is not None:
        overrides = [*overrides, f"hydra.searchpath=[{quoted(f'file://{config_dir}')}]"]
    parsed = _parsed(overrides)
    fixed = [_text(one) for one in parsed if not one.is_sweep_override()]
    with initialize(config_path=None, version_base="1.3"):
        shared, hydra = _compose(config_name, fixed)
        multirun = multirun or str(hydra.get("mode")) == "RunMode.MULTIRUN"
        _refuse_calls(hydra)
        swept = [one.get_key_element() for one in parsed if one.is_sweep_override()]
        if swept and not multirun:
            raise ConfigError("several values are a sweep: add -m", swept[0])
        jobs = _jobs(parsed, hydra) if multirun else [overrides]
        _check(jobs, config_name)
    return Plan(shared, hydra, jobs, swept, multirun)


def _jobs(parsed: list[Override], hydra: DictConfig) -> list[list[str]]:
    """The grid as Hydra's basic sweeper will make it; the shared part alone for another sweeper."""
    if not hydra["sweeper"]["_target_"].endswith(".BasicSweeper"):
        return [[_text(one) for one in parsed if not one.is_sweep_override()]]
    extra = _parsed([f"{key}={value}" for key, value in (hydra["sweeper"]["params"] or {}).items()])
    mine = [one for one in parsed if not one.is_hydra_override()]
    rest = [_text(one) for one in parsed if one.is_hydra_override()]
    (grid,) = BasicSweeper.split_arguments([*extra, *mine], None)
    return [[*rest, *job] for job in grid]


def _text(override: Override) -> str:
    return override.input_line or ""


def _check(jobs: list[list[str]], config_name: str) -> None:
    told: dict[str, list[int]] = {}
    for number, overrides in enumerate(jobs):
        try:
            shared, _ = _compose(config_name, overrides)
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
    first = " ".join(jobs[numbers[0]])
    return f"  ({len(numbers)} of {len(jobs)} jobs, first #{numbers[0]}: {first})"


def _parsed(overrides: list[str]) -> list[Override]:
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
    except (HydraException, OmegaConfBaseException, OSError, ValueError) as error:
        raise explained(error) from error
    return cast("Mapping[str, Any]", shared), hydra


def explained(error: Exception) -> ConfigError:
    """What Hydra or OmegaConf found, with the key it came from and what is near."""
    text = str(error)
    cause = error.__cause__ if isinstance(error, HydraException) else error
    key = str(getattr(cause, "full_key", None) or "")
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if group in GROUPS:
            return _unknown(group, option)
        return ConfigError(f"there is no '{option}'{nearest(option, error.options or [])}", group)
    if found := re.search(r"Could not override '([^']+)'", text):
        return _no_such_key(found[1], cause)
    if found := re.search(r"Could not find '([^']+)'", text):
        group, _, option = found[1].rpartition("/")
        return _unknown(group, option) if group in GROUPS else ConfigError(_first(text), group)
    if cause is not None and not key:
        key = (re.search(r"full_key: (\S+)", str(cause)) or [""])[0].removeprefix("full_key: ")
    return ConfigError(_first(str(cause)) if cause is not None else _first(text), key)


def _unknown(group: str, option: str) -> ConfigError:
    try:
        registry.entry(group, option)
    except PullbackError as error:
        return ConfigError(f"{error} (units in a file of yours: plugins=[file.py])", group)
    return ConfigError(f"'{option}' cannot be put there", group)


def _no_such_key(key: str, cause: BaseException | None) -> ConfigError:
    parent, _, last = key.rpartition(".")
    node: Any = getattr(cause, "parent_node", None)
    known = [str(one) for one in node if one != "name"] if hasattr(node, "keys") else []
    if cause is not None and "struct" not in str(cause) and " not in " not in str(cause):
        return ConfigError(_first(str(cause)), key)
    where = f" in {parent}" if parent else ""
    hint = nearest(last, known) if known else ""
    add = f"; to add it to the stage, write +{key}=…" if key.startswith("net.") else ""
    return ConfigError(f"there is no '{last}'{where}{hint}{add}", key)


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), text)


def _refuse_calls(hydra: DictConfig) -> None:
    """Hydra's own node may only call its plugins and the standard logging."""
    plain = OmegaConf.to_container(hydra, resolve=False)
    assert isinstance(plain, dict)
    for key, why in forbidden(plain):
        target = OmegaConf.select(hydra, key) if "(" not in key else None
        of_plugin = key.startswith(("launcher.", "sweeper.")) and key.endswith("_target_")
        if not (of_plugin and str(target).startswith(_PLUGINS)):
            raise ConfigError(why, f"hydra.{key}")
    for part in ("job_logging", "hydra_logging"):
        for key, value in _strings(plain.get(part) or {}):
            named = key.endswith(".class") or "://" in value
            if named and not value.startswith(_LOGGING):
                raise ConfigError(f"{value} is refused: only logging's own", f"hydra.{part}.{key}")


def _strings(config: Any, at: str = "") -> list[tuple[str, str]]:
    if isinstance(config, Mapping):
        return [pair for key, value in config.items() for pair in _strings(value, f"{at}.{key}")]
    if isinstance(config, list):
        return [pair for i, value in enumerate(config) for pair in _strings(value, f"{at}.{i}")]
    return [(at.removeprefix("."), config)] if isinstance(config, str) else []


def quoted(text: str) -> str:
    """A string as Hydra's grammar takes it, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
