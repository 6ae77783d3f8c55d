"""The registry as Hydra groups, and where the shipped configs lie.

``registry://`` is a source of configs like a folder of YAML files: every registered loss,
optimizer, schedule and data set is an option of its group, with typed fields made from the unit's
own. A unit is imported when its option is chosen.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from pullback import registry
from pullback.data import Split
from pullback.errors import RegistryError
from pullback.options import schema
from pullback.recipe import Recipe

GROUPS = ("loss", "optimizer", "schedule", "dataset")
ROOT = "train_schema"


@dataclasses.dataclass
class Tracking:
    """Where a run is shown; the run directory is written whatever it says."""

    name: str = "mlflow"
    uri: str = "sqlite:///mlflow.db"
    experiment: str = "pullback"
    pictures: bool | str = "auto"
    model: bool | str = "auto"


def root_schema() -> Any:
    """The typed top level of a training config."""
    sections: list[tuple[str, Any, Any]] = [
        ("seed", int, 0),
        ("dtype", str, "float32"),
        ("reference", str | None, None),
        ("accelerate", str, "auto"),
        ("threads", int | str, "auto"),
        ("standardise", bool, True),
        ("training", schema(Recipe), dataclasses.field(default_factory=schema(Recipe))),
        ("split", schema(Split), dataclasses.field(default_factory=schema(Split))),
        ("tracking", Tracking, dataclasses.field(default_factory=Tracking)),
        ("plugins", list[str], dataclasses.field(default_factory=list)),
        ("workers", int | str, "auto"),
        ("stack", int | str, 1),
        ("retries", int, 0),
        ("fail_fast", bool, False),
        ("net", Any, dataclasses.field(default_factory=dict)),
        *((group, Any, dataclasses.field(default_factory=dict)) for group in GROUPS),
    ]
    return dataclasses.make_dataclass("Train", sections)


def shipped() -> Path:
    """The folder of shipped configs: in the package when installed, at the root of a checkout."""
    installed = Path(__file__).parents[1] / "conf"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "conf"


class RegistrySource(ConfigSource):
    """The registry as a source of configs; its path names the plugins to be loaded first."""

    @staticmethod
    def scheme() -> str:
        return "registry"

    def _ready(self) -> None:
        for reference in filter(None, self.path.split(";")):
            registry.load_plugin(reference)

    def available(self) -> bool:
        return True

    def load_config(self, config_path: str) -> ConfigResult:
        self._ready()
        path = config_path.removesuffix(".yaml")
        package = "_global_" if path == ROOT else None
        try:
            node = root_schema() if path == ROOT else self._unit(path)
        except RegistryError as error:
            raise ConfigCompositionException(str(error)) from error
        return ConfigResult(
            provider=self.provider,
            path=f"{self.scheme()}://{self.path}",
            config=OmegaConf.structured(node),
            header={"package": package},
            is_schema_source=True,
        )

    def _unit(self, path: str) -> Any:
        group, _, name = path.rpartition("/")
        if not self.is_config(path):
            raise ConfigLoadError(f"Config not found : {path}")
        return schema(registry.lookup(group, name), name)

    def is_group(self, config_path: str) -> bool:
        return config_path.rstrip("/") in ("", *GROUPS)

    def is_config(self, config_path: str) -> bool:
        self._ready()
        path = config_path.rstrip("/").removesuffix(".yaml")
        group, _, name = path.rpartition("/")
        return path == ROOT or (group in GROUPS and name in registry.names(group))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        self._ready()
        group = config_path.rstrip("/")
        files: list[str] = []
        entries = registry.names(group) if group in GROUPS else [*GROUPS] if not group else []
        for name in entries:
            self._list_add_result(
                files=files,
                file_path=f"{group}/{name}" if group else name,
                file_name=name,
                results_filter=results_filter,
            )
        return sorted(files)


class PullbackSearchPath(SearchPathPlugin):
    """Puts the shipped configs and the registry behind whatever the user's own path has."""

    plugins: tuple[str, ...] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        # Hydra puts the folder of these modules there, whose packages would look like groups.
        path = search_path.get_path()
        path[:] = [one for one in path if one.provider != "main"]
        search_path.append("pullback", f"file://{shipped()}")
        search_path.append("registry", f"registry://{';'.join(self.plugins)}")


def install(plugins: list[str], sweep: str = "sweep") -> None:
    """Make Hydra know the registry, the shipped configs, and ``${sweep_name:}``, the name of the
    directory of a sweep; called once, before it composes."""
    OmegaConf.register_new_resolver("sweep_name", lambda: sweep, replace=True)
    PullbackSearchPath.plugins = tuple(plugins)
    for plugin in (RegistrySource, PullbackSearchPath):
        Plugins.instance().register(plugin)
