"""Hydra's and OmegaConf's errors in our words: the key they came from, and what is near."""

from __future__ import annotations

import re
from typing import Any

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from pullback import registry
from pullback.app.config import GROUPS
from pullback.errors import ConfigError, PullbackError, nearest


def explained(error: Exception) -> ConfigError:
    """What Hydra or OmegaConf found, with the key it came from and what is near."""
    text = str(error)
    cause = error.__cause__ if isinstance(error, HydraException) else error
    file = re.match(r"In '([^']+)': \w+ raised while composing", text)
    if file is not None:
        cause = error.__context__
    key = str(getattr(cause, "full_key", None) or "")
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        if group in GROUPS:
            return _unknown(group, option)
        return ConfigError(f"there is no '{option}'{nearest(option, error.options or [])}", group)
    if found := re.search(r"Could not override '([^']+)'", text):
        return _no_such_key(key or found[1], cause)
    if file is not None:
        wrong = isinstance(cause, ConfigKeyError | ConfigAttributeError)
        told = _no_such_key(key, cause).message if wrong else _first(str(cause))
        return ConfigError(f"{told} (in {file[1]}.yaml)", key)
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
    keys = list(node) if hasattr(node, "keys") else []
    known = [str(one) for one in keys if one not in ("name", "hydra")]
    if cause is not None and "struct" not in str(cause) and " not in " not in str(cause):
        return ConfigError(_first(str(cause)), key)
    where = f" in {parent}" if parent else ""
    hint = nearest(last, known) if known else ""
    add = f" (to add it to the stage: +{key}=…)" if key.startswith("net.") else ""
    return ConfigError(f"there is no '{last}'{where}{hint}{add}", key)


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), text)
