"""The units that ship: the plain ones, which run on any numbers, and their compiled forms."""

from __future__ import annotations

from pullback import registry

COMPILED = "_numba"


def plain_units(*kinds: str) -> list[tuple[str, str]]:
    """Kind and name of the units that are no compiled form of another."""
    return [one for one in _every(*kinds) if not one[1].endswith(COMPILED)]


def compiled_units(*kinds: str) -> list[tuple[str, str]]:
    return [one for one in _every(*kinds) if one[1].endswith(COMPILED)]


def _every(*kinds: str) -> list[tuple[str, str]]:
    return [
        (kind, name)
        for kind in kinds
        for name in registry.names(kind)
        if registry.entry(kind, name).provider.startswith("pullback ")
    ]
