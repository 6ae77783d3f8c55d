"""Configs from overrides: Hydra's own composition, once for each choice of groups.

Composing takes Hydra a tenth of a second, nearly all of it for the groups; a sweep of a hundred
seeds chooses its groups once. The values are then set on a copy by Hydra's own function, so the
result is the same; that function is internal to Hydra 1.3, and a test compares the two.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pullback.app.explained import explained
from pullback.errors import ConfigError, PullbackError
from pullback.refusals import refuse

Config = Mapping[str, Any]

# What is read of Hydra's own node later, and so has to be there and to resolve.
_READ = [
    *("mode", "run.dir", "sweep.dir", "output_subdir", "job.name", "job.env_set"),
    *("job.chdir", "job.env_copy", "launcher", "sweeper", "callbacks", "verbose"),
]


def parse(overrides: Sequence[str]) -> list[Override]:
    """Overrides by Hydra's grammar."""
    try:
        return OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(
            f"cannot be read as key=value: {str(error).splitlines()[0]}", "command line"
        ) from error


def quoted(text: str) -> str:
    """A string as Hydra's grammar takes it, whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Composer:
    """Composes one config's jobs; Hydra has to be initialized as long as it is used."""

    def __init__(self, name: str, overrides: Sequence[str]) -> None:
        """``overrides`` are those that all jobs have; they say where configs are looked for."""
        self.name = name
        loader = cast("ConfigLoaderImpl", GlobalHydra.instance().config_loader())
        with in_our_words(overrides):
            _, self._configs = loader._parse_overrides_and_create_caching_repo(name, [*overrides])
        self._chosen: dict[tuple[str, ...], DictConfig] = {}

    def whole(self, overrides: Sequence[str]) -> tuple[Config, DictConfig]:
        """The resolved config and Hydra's own part of it, as Hydra composes them."""
        config, hydra = self._ask_hydra(overrides)
        return _resolved(config, overrides), hydra

    def job(self, overrides: Sequence[str]) -> Config:
        """The same resolved config, from one that was composed for the same choice of groups."""
        parsed = parse(overrides)
        values = [one for one in parsed if self._is_value(one)]
        groups = tuple(one.input_line or "" for one in parsed if not self._is_value(one))
        if groups not in self._chosen:
            self._chosen[groups] = self._ask_hydra(groups)[0]
        config = copy.deepcopy(self._chosen[groups])
        with in_our_words(overrides):
            OmegaConf.set_struct(config, True)
            ConfigLoaderImpl._apply_overrides_to_config(values, config)
            OmegaConf.set_struct(config, False)
        return _resolved(config, overrides)

    def _is_value(self, override: Override) -> bool:
        """Whether it sets a value in the config and chooses none of its parts."""
        if override.is_hydra_override():
            return False
        named = isinstance(override.value(), dict)
        return named or not self._configs.group_exists(override.key_or_group)

    def _ask_hydra(self, overrides: Sequence[str]) -> tuple[DictConfig, DictConfig]:
        with in_our_words(overrides):
            config = compose(self.name, overrides=[*overrides], return_hydra_config=True)
            hydra = config.hydra
            OmegaConf.set_struct(config, False)
            del config["hydra"]
            for key in _READ:
                OmegaConf.select(hydra, key, throw_on_missing=True)
            refuse(hydra)
        return config, hydra


def plain(config: DictConfig | ListConfig, *, resolve: bool = True) -> dict[str, Any]:
    """A config as Python's own mappings; its keys are strings."""
    return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=resolve))


def among(overrides: Sequence[str], keys: Container[str]) -> list[str]:
    """Those of the overrides that set one of the keys."""
    return [text for text in overrides if text.split("=")[0] in keys]


def _resolved(config: DictConfig, overrides: Sequence[str]) -> Config:
    with in_our_words(overrides):
        return plain(config)


@contextmanager
def in_our_words(overrides: Sequence[str]) -> Iterator[None]:
    """Hydra's and OmegaConf's errors, and those of what they call, as ConfigError; ``overrides``
    are named where such an error names nothing."""
    try:
        yield
    except PullbackError:
        raise
    except (HydraException, OmegaConfBaseException, OSError) as error:
        raise explained(error) from error
    except ValueError as error:  # of a range without an end, say
        raise ConfigError(str(error), " ".join(overrides)) from error
    except Exception as error:
        mark = getattr(error, "problem_mark", None)  # of PyYAML, which is OmegaConf's to import
        if mark is None:  # a value of a kind that Hydra did not think of
            told = f"Hydra cannot compose this ({type(error).__name__}: {error})".splitlines()[0]
            raise ConfigError(told, " ".join(overrides)) from error
        where = f"{mark.name}, line {mark.line + 1}"
        raise ConfigError(f"this is not YAML: {getattr(error, 'problem', '')}", where) from error
