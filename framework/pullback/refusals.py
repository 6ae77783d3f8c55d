"""What no config may do: import or call anything. It names units, and plugins of Hydra's."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def refuse_calls(hydra: DictConfig) -> None:
    """Hydra's own node may only call its plugins and the standard logging."""
    from omegaconf import OmegaConf

    plain = OmegaConf.to_container(hydra, resolve=False)
    assert isinstance(plain, dict)
    for key, why in forbidden(plain):
        target = OmegaConf.select(hydra, key) if "(" not in key else None
        if key not in _PLUGINS or not re.fullmatch(_PLUGINS[key], str(target)):
            raise ConfigError(why, f"hydra.{key}")
    for part in ("job_logging", "hydra_logging"):
        for key, value in _strings(plain.get(part) or {}):
            named = key.endswith(".class") or "://" in value
            if named and value not in _LOGGING:
                raise ConfigError(f"{value} is refused: only logging's own", f"hydra.{part}.{key}")


def _strings(config: Any, at: str = "") -> list[tuple[str, str]]:
    if isinstance(config, Mapping):
        return [pair for key, value in config.items() for pair in _strings(value, f"{at}.{key}")]
    if isinstance(config, list):
        return [pair for i, value in enumerate(config) for pair in _strings(value, f"{at}.{i}")]
    return [(at.removeprefix("."), config)] if isinstance(config, str) else []
