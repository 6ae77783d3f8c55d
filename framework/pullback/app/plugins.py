"""The plugins that a command line names: they are known before Hydra composes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pullback import registry
from pullback.app import config
from pullback.app.composition import parse
from pullback.job import plugin_references
from pullback.tracking import store


def load(overrides: list[str], sweep: str = "sweep") -> None:
    """Import them, and make Hydra know their units, those that ship, and the configs.

    ``sweep`` is the name of the directory that a sweep lies in, if nothing else is said.
    """
    references = _named(overrides)
    for reference in references:
        registry.load_plugin(reference)
    config.install(references, sweep)


def _named(overrides: list[str]) -> list[str]:
    for override in parse(overrides):
        if override.key_or_group == "plugins":
            return [absolute(one) for one in plugin_references(override.value())]
    return []


def absolute(reference: str) -> str:
    """A file is found from another folder only by its whole path; a module is left as it is."""
    return str(Path(reference).absolute()) if reference.endswith(".py") else reference


def made_absolute(shared: Mapping[str, Any]) -> dict[str, Any]:
    """A config that means the same in a process of another directory."""
    tracking = {**shared["tracking"], "uri": store.absolute(shared["tracking"]["uri"])}
    return {**shared, "plugins": list(map(absolute, shared["plugins"])), "tracking": tracking}
