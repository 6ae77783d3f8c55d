"""What no config may do: import or call anything, or write beside the run's directory. It names
units, and plugins of Hydra's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pullback.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Hydra's own node may name a launcher and a sweeper (of Hydra's plugins, which Hydra looks up among
# those it knows), a sampler of Optuna's, and these of logging's classes; and nothing else.
_PLUGINS = {
    "launcher._target_": r"(hydra\._internal\.core_plugins|hydra_plugins)\.[\w.]+Launcher",
    "sweeper._target_": r"(hydra\._internal\.core_plugins|hydra_plugins)\.[\w.]+Sweeper",
    "sweeper.sampler._target_": r"optuna\.samplers\.\w+Sampler",
}
_OUTPUT = "${hydra.runtime.output_dir}"
_LOGGING = {
    "ext://sys.stdout",
    "ext://sys.stderr",
    "logging.Formatter",
    "logging.FileHandler",
    "logging.NullHandler",
    "logging.StreamHandler",
    "logging.handlers.RotatingFileHandler",
    "logging.handlers.TimedRotatingFileHandler",
    "logging.handlers.WatchedFileHandler",
    "rich.logging.RichHandler",
}


def forbidden(config: Any, at: str = "") -> list[tuple[str, str]]:
    """Keys by which a config would import or call something, and why they are refused."""
    found: list[tuple[str, str]] = []
    items: list[tuple[Any, Any]] = []
    if isinstance(config, Mapping):
        items = list(config.items())
    elif isinstance(config, list | tuple):
        items = list(enumerate(config))
    for key, value in items:
        here = f"{at}.{key}" if at else str(key)
        if isinstance(key, str) and (key == "()" or (key[:1] == "_" == key[-1:] and len(key) > 2)):
            found.append((here, f"'{key}' is refused: a config names units and calls nothing"))
        found += forbidden(value, here)
    return found


def refuse(hydra: DictConfig) -> None:
    """What Hydra's own node may not do: it calls its plugins and the standard logging, and writes
    into the run's directory. ConfigError with the key."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(hydra, resolve=False)
    assert isinstance(plain, dict)
    _refuse_calls(hydra, plain)
    _refuse_places(hydra, plain)
    verbose = plain.get("verbose")
    names = verbose if isinstance(verbose, list) else [str(verbose)]
    if not isinstance(verbose, bool | str | list) or not all(isinstance(one, str) for one in names):
        raise ConfigError("takes true, false, or names of loggers", "hydra.verbose")


def _refuse_calls(hydra: DictConfig, plain: Mapping[Any, Any]) -> None:
    from omegaconf import OmegaConf

    for key, why in forbidden(plain):
        target = OmegaConf.select(hydra, key) if "(" not in key else None
        if key not in _PLUGINS or not re.fullmatch(_PLUGINS[key], str(target)):
            raise ConfigError(why, f"hydra.{key}")
    for part in ("job_logging", "hydra_logging"):
        for key, value in _leaves(plain.get(part) or {}):
            named = key.endswith(".class") or "://" in value
            if named and value not in _LOGGING:
                raise ConfigError(f"{value} is refused: only logging's own", f"hydra.{part}.{key}")


def _refuse_places(hydra: DictConfig, plain: Mapping[Any, Any]) -> None:
    """Whatever a run writes is in its directory, which ``run.dir`` or ``sweep.dir`` names."""
    from omegaconf import OmegaConf

    inside = {
        "output_subdir": OmegaConf.select(hydra, "output_subdir"),
        "job.name": OmegaConf.select(hydra, "job.name"),
        "sweep.subdir": plain["sweep"]["subdir"],
    }
    for part in ("job_logging", "hydra_logging"):
        for key, value in _leaves(plain.get(part) or {}):
            if key.endswith(".filename"):
                inside[f"{part}.{key}"] = value
    for key, place in inside.items():
        path = PurePath(str(place).removeprefix(f"{_OUTPUT}/"))
        elsewhere = key.endswith(".filename") and str(path) == str(place)
        if elsewhere or ".." in path.parts or path.is_absolute():
            raise ConfigError(f"{place} is not in the run's directory", f"hydra.{key}")


def _leaves(config: Any, at: str = "") -> list[tuple[str, str]]:
    """Every value that is none of parts, as text, by its dotted key."""
    if isinstance(config, Mapping):
        return [pair for key, value in config.items() for pair in _leaves(value, f"{at}.{key}")]
    if isinstance(config, list):
        return [pair for i, value in enumerate(config) for pair in _leaves(value, f"{at}.{i}")]
    return [(at.removeprefix("."), str(config))]
