"""A unit's fields are its options: their types and defaults, and a unit from its name and options.

OmegaConf checks the types, here and as the typed nodes of the Hydra groups, so that an option is
refused with the same words wherever it is given.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

from pullback import registry
from pullback.errors import ConfigError, RegistryError, a, nearest
from pullback.units import KINDS

_PROTOCOLS = {protocol.__name__: kind for kind, protocol in KINDS.items()}


@dataclass(frozen=True)
class Option:
    """One field of a unit: ``kind`` is set where it takes a unit of that kind."""

    name: str
    type: Any
    default: Any
    kind: str | None

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


def options_of(cls: type) -> list[Option]:
    """The options of a unit in the order of its fields."""
    hints = _hints(cls)
    found = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        kind = _PROTOCOLS.get(getattr(hints[field.name], "__name__", ""))
        found.append(Option(field.name, hints[field.name], default, kind))
    return found


def _hints(cls: type) -> dict[str, Any]:
    known = {protocol.__name__: protocol for protocol in KINDS.values()}
    try:
        return typing.get_type_hints(cls, localns=known)
    except NameError as error:
        raise RegistryError(
            f"the type of an option of {cls.__name__} cannot be read: {error}"
        ) from error


@functools.cache
def schema(cls: type, name: str | None = None) -> type:
    """A dataclass that OmegaConf takes as a structured config: ``name``, and the options."""
    fields: list[tuple[str, Any, Any]] = []
    if name is not None:
        fields.append(("name", str, dataclasses.field(default=name)))
    for option in options_of(cls):
        default = "???" if option.required else plain(option.default)
        kind: Any = Any if option.kind else _omegaconf_type(option.type)
        fields.append((option.name, kind, _default(default)))
    return dataclasses.make_dataclass(cls.__name__, fields)


def _default(value: Any) -> Any:
    return dataclasses.field(default_factory=lambda: value)


def plain(value: Any) -> Any:
    """An option's value as a config writes it: a unit as name and options, a tuple as a list."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"name": registry.name_of(value), **own}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _omegaconf_type(kind: Any) -> Any:
    """The nearest type that OmegaConf can check; what is left is checked by :func:`_refuse`."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in (int, float, bool, str):
        return kind
    if origin is Literal:
        return type(inner[0])
    if origin in (Union, types.UnionType):
        some = tuple(_omegaconf_type(one) for one in inner if one is not type(None))
        if any(one not in (int, float, bool, str) for one in some):
            return Any
        return Union[(*some, type(None))] if type(None) in inner else Union[some]  # noqa: UP007
    if origin in (tuple, list, Sequence):
        one = _omegaconf_type(inner[0]) if inner else Any
        return list[one]  # type: ignore[valid-type]
    return Any


def build(kind: str, spec: Any, where: str = "", **words: Any) -> Any:
    """A unit of a kind from its name, from ``{name: …, option: …}``, or from itself.

    ``where`` is the key that the spec stands under, for the message of a ConfigError. A value that
    is one of the ``words`` is replaced by what it stands for (``width: classes``).
    """
    name, given = _name_and_options(kind, spec, where)
    if name is None:
        return spec
    try:
        cls = registry.lookup(kind, name)
    except RegistryError as error:
        raise ConfigError(str(error), where) from error
    given = {
        key: words.get(value, value) if isinstance(value, str) else value
        for key, value in given.items()
    }
    chosen = _checked(cls, name, given, where)
    try:
        return cls(**chosen)
    except (TypeError, ValueError) as error:
        raise ConfigError(str(error), where) from error


def _name_and_options(kind: str, spec: Any, where: str) -> tuple[str | None, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping):
        given = dict(spec)
        name = given.pop("name", None)
        if not isinstance(name, str):
            example = next(iter(registry.names(kind)), kind)
            raise ConfigError(f"{a(kind)} needs its 'name', as in {{name: {example}}}", where)
        return name, given
    if registry.is_unit(spec, kind):
        return None, {}
    raise ConfigError(f"{spec!r} is no {kind}: give its name, or its name and options", where)


def _checked(cls: type, name: str, given: dict[str, Any], where: str) -> dict[str, Any]:
    options = {option.name: option for option in options_of(cls)}
    for key in given:
        if key not in options:
            hint = nearest(str(key), options) or "; it has none"
            raise ConfigError(f"{name} has no option '{key}'{hint}", where)
    for option in options.values():
        if option.required and given.get(option.name, "???") == "???":
            raise ConfigError(f"{name} needs a value for '{option.name}'", where)
    values = _typed(cls, name, given, where) if given else {}
    return {
        key: _value(options[key], values[key], f"{where}.{key}" if where else key) for key in given
    }


def _typed(cls: type, name: str, given: dict[str, Any], where: str) -> dict[str, Any]:
    given = {key: _as_plain(value) for key, value in given.items()}
    objects = {key: value for key, value in given.items() if not _is_plain(value)}
    plainly = pickle.dumps({key: one for key, one in given.items() if key not in objects})
    return {**copy.deepcopy(_typed_by_omegaconf(cls, name, plainly, where)), **objects}


@functools.lru_cache(maxsize=512)
def _typed_by_omegaconf(cls: type, name: str, given: bytes, where: str) -> dict[str, Any]:
    """The jobs of a sweep share nearly all options; in bytes, 1 and True are two."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    typed = OmegaConf.structured(schema(cls, name))
    for key, value in pickle.loads(given).items():
        try:
            typed[key] = value
        except OmegaConfBaseException as error:
            problem = str(error).splitlines()[0]
            raise ConfigError(problem, f"{where}.{key}" if where else key) from error
    return typing.cast("dict[str, Any]", OmegaConf.to_container(typed))


def _as_plain(value: Any) -> Any:
    """A NumPy scalar as Python's, OmegaConf's own containers as dicts and lists."""
    from omegaconf import OmegaConf

    if isinstance(value, np.generic):
        return value.item()
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_plain(one) for one in value.values())
    if isinstance(value, tuple | list):
        return all(_is_plain(one) for one in value)
    return value is None or isinstance(value, bool | int | float | str)


def _value(option: Option, value: Any, where: str) -> Any:
    if option.kind:
        return build(option.kind, value, where)
    return _exact(option.type, value, where)


def _exact(kind: Any, value: Any, where: str) -> Any:
    """What OmegaConf cannot check: one of a few values, a number of values, a tuple for a list."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        some = [one for one in inner if one is not type(None)]
        return value if value is None or len(some) > 1 else _exact(some[0], value, where)
    if origin is Literal and value not in inner:
        raise ConfigError(f"{value!r} is not one of {', '.join(map(repr, inner))}", where)
    if origin is not tuple or not isinstance(value, Sequence):
        return value
    each = [inner[0]] * len(value) if Ellipsis in inner else list(inner)
    if len(value) != len(each):
        raise ConfigError(f"needs {len(each)} values, not {len(value)}", where)
    return tuple(_exact(one, item, where) for one, item in zip(each, value, strict=True))
