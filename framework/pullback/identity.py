"""What determines a run's result, as one hash: two runs with the same identity end the same.

It is made of the resolved config (without what shows or conducts a run), the digest of the data,
the source of every unit that takes part, and the versions of NumPy and Pullback, and of what a
compiled unit needs. The source of a
unit is that of its class and of everything of its own package that it names, and no more: in a file
of two layers, a change to one leaves the runs of the other what they were.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import version
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from pullback.job import CONDUCT, Config, Job

Part = type | FunctionType


def identity(job: Job) -> str:
    """Sixteen hexadecimal digits, of SHA-256."""
    versions = {"pullback", "numpy", *(of for one in job.units.values() for of in one.requires)}
    parts = {
        "config": _config(job.config),
        "data": job.data.digest,
        "units": sorted(digest(one) for one in _classes(job)),
        "versions": {name: version(name) for name in versions},
    }
    return _sha(json.dumps(parts, sort_keys=True, default=str))[:16]


def sources(job: Job) -> dict[str, str]:
    """The digest of the source of each unit, by its place in the config."""
    units: dict[str, Any] = {"loss": job.loss, "optimizer": job.optimizer, "schedule": job.schedule}
    units |= {f"net.{stage.name}": stage.layer for stage in job.net.stages}
    return {place: digest(unit.__class__) for place, unit in units.items()}


def _config(config: Config) -> dict[str, Any]:
    """The settings; a stage by its name alone is the same as a stage without options.

    What ``plugins`` and ``accelerate`` bring is told by the units.
    """
    untold = ("plugins", "accelerate", *CONDUCT)
    known = {key: value for key, value in config.items() if key not in untold}
    stages = config["net"].items()
    known["net"] = [[k, {"name": spec} if isinstance(spec, str) else spec] for k, spec in stages]
    return known


def _classes(job: Job) -> set[type]:
    """The classes of all units, those that are another's option among them; each once."""
    layers = [stage.layer for stage in job.net.stages]
    units = [*layers, job.loss, job.optimizer, job.schedule, job.reference]
    return {type(unit) for one in units for unit in _nested(one)}


def _nested(value: Any) -> Iterator[Any]:
    """A unit and the units among its options, such as an initializer."""
    if dataclasses.is_dataclass(value):
        yield value
        for option in dataclasses.fields(value):
            yield from _nested(getattr(value, option.name, None))


@functools.cache
def digest(unit: type) -> str:
    """That of the source of a unit's class."""
    return _sha(source(unit))


def source(unit: type) -> str:
    """The text of a class and of what it names in its own package, wherever that lies."""
    home = _home(unit)
    texts: dict[str, str] = {}
    pending: list[Part] = [unit]
    while pending:
        one = pending.pop()
        if _name(one) in texts:
            continue
        text = _text(one)
        scope = vars(sys.modules[one.__module__])
        for name, value in _named(text, scope, home):
            value = inspect.unwrap(getattr(value, "py_func", value))  # compiled, or cached
            if inspect.isclass(value) or inspect.isfunction(value):
                pending.append(value)
            else:
                texts[f"{one.__module__}:{name}"] = f"{name} = {_constant(value)}\n"
                pending += [type(value)] if _home(type(value)) == home else []
        texts[_name(one)] = text
    return "\n".join(sorted(texts.values()))


def _named(text: str, scope: dict[str, Any], home: str) -> Iterator[tuple[str, Any]]:
    """What a text names in its module, and in modules of its own package: by name, its value."""
    for node in ast.walk(ast.parse(textwrap.dedent(text))):
        if isinstance(node, ast.Name) and node.id in scope:
            value = scope[node.id]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = scope.get(node.value.id)
            if not (isinstance(module, ModuleType) and _home(module) == home):
                continue
            value = getattr(module, node.attr, None)
        else:
            continue
        foreign = isinstance(value, Part) and _home(value) != home
        if not (foreign or isinstance(value, ModuleType)):
            yield ast.unparse(node), value


def _home(value: Any) -> str:
    """The package or the file that something comes from."""
    name = value.__name__ if isinstance(value, ModuleType) else str(value.__module__)
    return name.partition(".")[0]


def _text(part: Part) -> str:
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):  # compiled, or typed where nobody keeps it
        return f"{_name(part)} = None"


def _constant(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape} {_sha(value.tobytes())}"
    shown = repr(value)
    return type(value).__name__ if " at 0x" in shown else shown


def _name(part: Part) -> str:
    return f"{part.__module__}:{part.__qualname__}"


def _sha(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
