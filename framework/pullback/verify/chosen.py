"""What the names on a command line stand for: units, families, files, or all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TypeAlias

from pullback import registry
from pullback.errors import ConfigError, RegistryError, a, nearest
from pullback.units import KINDS

Unit: TypeAlias = tuple[str, str]  # its kind and its name


def chosen(names: Collection[str], kinds: Collection[str], *, whole_family: bool) -> list[Unit]:
    """Every unit of these kinds that is named, once, by kind.

    Raises RegistryError for a name that nobody provides, ConfigError for a unit of another kind.
    """
    found = dict.fromkeys(unit for name in names for unit in _named(name, kinds, whole_family))
    return sorted(found, key=lambda unit: list(KINDS).index(unit[0]))


def _named(name: str, kinds: Collection[str], whole_family: bool) -> list[Unit]:
    everything = [(kind, name) for kind in kinds for name in registry.names(kind)]
    if name == "all":
        return everything
    if name.endswith(".py"):
        return _of_file(name, kinds)
    units = [unit for unit in everything if unit[1] == name]
    for unit in units:
        registry.lookup(*unit)  # RegistryError where it cannot be imported
    if units and not whole_family:
        return units
    families = {family_of(unit) for unit in units} or {name}
    members = [unit for unit in everything if family_of(unit) in families]
    if not members:
        raise RegistryError(_unknown(name, everything, kinds))
    return members


def _of_file(name: str, kinds: Collection[str]) -> list[Unit]:
    entries = registry.load_plugin(name)
    found = [(one.kind, one.name) for one in entries if one.kind in kinds]
    if not found:
        others = " and ".join(dict.fromkeys(a(one.kind) for one in entries))
        raise ConfigError(f"{name} has {others}, and no {_or(kinds)}")
    return found


def family_of(unit: Unit) -> str:
    """Its family; none for what cannot be imported."""
    try:
        return registry.family(registry.lookup(*unit), unit[1])
    except RegistryError:
        return ""


def _unknown(name: str, everything: list[Unit], kinds: Collection[str]) -> str:
    others = [kind for kind in KINDS if name in registry.names(kind)]
    if others:
        return f"'{name}' is {a(others[0])}, and no {_or(kinds)}"
    known = {"all"}
    for unit in everything:
        known |= {unit[1], family_of(unit)} - {""}
    beside = f"; for the file, {name}.py" if Path(f"{name}.py").is_file() else ""
    return f"there is no {_or(kinds)} called '{name}'{beside or nearest(name, known)}"


def _or(kinds: Collection[str]) -> str:
    *first, last = kinds
    return f"{', '.join(first)} or {last}"
