"""The plugins that a command line names: they are known before Hydra composes."""

from __future__ import annotations

from pathlib import Path

from pullback import registry
from pullback.app import config
from pullback.app.composition import parse
from pullback.job import plugin_references


def load(overrides: list[str]) -> None:
    """Import them, and make Hydra know their units, those that ship, and the configs."""
    references = _named(overrides)
    for reference in references:
        registry.load_plugin(reference)
    config.install(references)


def _named(overrides: list[str]) -> list[str]:
    for override in parse(overrides):
        if override.key_or_group == "plugins":
            return [absolute(one) for one in plugin_references(override.value())]
    return []


def absolute(reference: str) -> str:
    """A file is found from another folder only by its whole path; a module is left as it is."""
    return str(Path(reference).absolute()) if reference.endswith(".py") else reference
