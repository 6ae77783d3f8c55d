"""Names → units, and who provides them.

A name is imported when it is asked for and not before. Packages announce theirs in one entry-point
group for each kind (``pullback.layers``, ``pullback.losses``, …); a file or a module named in
``plugins=[…]`` and the decorator :func:`register` add to them for the time of the process.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, overload

from pullback import sourcefile
from pullback.errors import RegistryError, nearest
from pullback.units import KINDS

GROUPS = {kind: "pullback.losses" if kind == "loss" else f"pullback.{kind}s" for kind in KINDS}

# What an object of each kind must have; a layer and a loss differ in what forward takes.
METHODS = {
    "layer": ("forward", "backward"),
    "loss": ("forward", "backward"),
    "optimizer": ("init", "step"),
    "schedule": ("factor",),
    "initializer": ("draw",),
    "dataset": ("load",),
}

T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Entry:
    """One registered name: what it is, who provides it, and how to get it."""

    kind: str
    name: str
    provider: str
    source: EntryPoint | type

    @property
    def requires(self) -> list[str]:
        """The distributions of the extras that its entry point names; most name none."""
        return [] if isinstance(self.source, type) else _required(self.source)

    @property
    def lacks(self) -> bool:
        """Whether one of these is not installed."""
        return not all(map(_is_there, self.requires))

    def load(self) -> type:
        """The class behind the name; RegistryError, with the cause, where its import fails."""
        if isinstance(self.source, type):
            return self.source
        if self.lacks:
            owner, extras = self.provider.split()[0], ",".join(self.source.extras)
            raise RegistryError(
                f"the {self.kind} '{self.name}' of {self.provider} needs more: "
                f"pip install '{owner}[{extras}]'"
            )
        try:
            found = self.source.load()
        except Exception as error:
            raise RegistryError(
                f"the {self.kind} '{self.name}' of {self.provider} cannot be imported "
                f"({self.source.value}): {type(error).__name__}: {error}"
            ) from error
        _require_unit(found, self.kind, f"'{self.name}' of {self.provider}")
        return found  # type: ignore[no-any-return]  # _require_unit has seen that it is a class


@functools.cache
def _required(point: EntryPoint) -> list[str]:
    """What its distribution requires for its extras, by name: metadata, which are read once."""
    if not point.extras or not point.dist:
        return []
    extras = "|".join(map(re.escape, point.extras))
    lines = point.dist.requires or []
    wanted = [one for one in lines if re.search(rf"extra == ['\"]({extras})['\"]", one)]
    return [re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in wanted]


@functools.cache
def _is_there(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


_registered: dict[tuple[str, str], Entry] = {}


@functools.cache
def _announced() -> dict[str, dict[str, list[Entry]]]:
    """Every entry point of our groups, by kind and name; a name that two announce is told later."""
    everything = entry_points()
    found: dict[str, dict[str, list[Entry]]] = {}
    for kind, group in GROUPS.items():
        names: dict[str, list[Entry]] = found.setdefault(kind, {})
        for point in everything.select(group=group):
            distribution = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
            names.setdefault(point.name, []).append(Entry(kind, point.name, distribution, point))
    return found


def names(kind: str, *, lacking: bool = False) -> list[str]:
    """The names registered for a kind, in alphabetical order; ``lacking`` an extra, too."""
    local = {name for of_kind, name in _registered if of_kind == kind}
    announced = _announced()[kind].items()
    return sorted(local | {name for name, some in announced if lacking or not some[0].lacks})


def entries(kind: str) -> Iterator[Entry]:
    """Every entry of a kind, in alphabetical order; a name that two provide comes twice."""
    for name in names(kind):
        yield from _providers(kind, name)


def _providers(kind: str, name: str) -> list[Entry]:
    announced = _announced()[kind].get(name, [])
    local = _registered.get((kind, name))
    if local is None or _where(local) in map(_where, announced):
        return announced  # a class may be announced and decorated
    return [*announced, local]


def entry(kind: str, name: str) -> Entry:
    """The one entry of that name; RegistryError where there is none, or more than one."""
    found = _providers(kind, name)
    if not found:
        plural = "losses" if kind == "loss" else f"{kind}s"
        raise RegistryError(
            f"nothing is called '{name}' among the {plural}{nearest(name, names(kind))}"
        )
    if len(found) > 1:
        who = " and ".join(f"{one.provider} ({_where(one)})" for one in found)
        raise RegistryError(f"the {kind} '{name}' is provided by {who}; rename or remove one")
    return found[0]


def lookup(kind: str, name: str) -> type:
    """The class registered under a name of a kind."""
    return entry(kind, name).load()


def name_of(unit: Any) -> str:
    """The name that a unit or its class is registered under; its own in snake case if it is not."""
    cls = unit if isinstance(unit, type) else type(unit)
    mine = f"{cls.__module__}:{cls.__qualname__}"
    everything = [*_registered.values(), *(one for kind in KINDS for one in entries(kind))]
    found = (one.name for one in everything if _where(one) == mine)
    return next(found, snake_case(cls.__name__))


def family(unit: Any, name: str = "") -> str:
    """The family of a unit or its class: its ``family``, else its own name."""
    cls = unit if isinstance(unit, type) else type(unit)
    return str(getattr(cls, "family", "") or name or name_of(cls))


def equation(cls: type) -> str:
    """The first paragraph of a unit's own docstring, on one line."""
    if cls.__doc__ is None or cls.__doc__.startswith(f"{cls.__name__}("):
        return ""  # what @dataclass writes where the author wrote nothing
    return " ".join(inspect.cleandoc(cls.__doc__).split("\n\n")[0].split())


def kind_of(cls: type) -> str | None:
    """The kind that a class has the methods of. A loss is what takes a target beside its input."""
    if not (inspect.isclass(cls) and dataclasses.is_dataclass(cls)):
        return None
    for kind, methods in METHODS.items():
        if all(callable(getattr(cls, method, None)) for method in methods):
            if kind == "layer":
                takes = list(inspect.signature(cls.forward).parameters)  # type: ignore[attr-defined]
                return "loss" if takes[2:3] in (["t"], ["target"], ["targets"]) else "layer"
            return kind
    return None


@overload
def register(cls: T) -> T: ...
@overload
def register(*, kind: str | None = None, name: str | None = None) -> Callable[[T], T]: ...


def register(
    cls: T | Any = None, *, kind: str | None = None, name: str | None = None
) -> T | Callable[[T], T]:
    """Give a dataclass a name for the time of this process: ``@register`` in a notebook.

    The kind is told by the methods (a loss by a second argument called ``target``), the name is the
    class's in snake case; both can be given. Defining the same class again replaces it, as a
    notebook's cell does; another class of a name that is taken is a RegistryError.
    """
    if cls is None:
        return functools.partial(_register, kind=kind, name=name)
    if not isinstance(cls, type):
        word = "kind" if cls in KINDS else "name"
        raise RegistryError(f"@register stands above a class: @register({word}={cls!r})")
    return _register(cls, kind, name)


def _register(cls: T, kind: str | None, name: str | None, provider: str = "") -> T:
    name = name or snake_case(cls.__name__)
    kind = kind or kind_of(cls)
    if kind is not None and kind not in KINDS:
        raise RegistryError(f"there is no kind '{kind}'{nearest(kind, KINDS)}")
    if kind is None:
        raise RegistryError(
            f"{cls.__name__} is not a unit: it needs @dataclass(frozen=True) and the methods of "
            f"one of the kinds, such as forward and backward for a layer"
        )
    _require_unit(cls, kind, cls.__name__)
    new = Entry(kind, name, provider or _file_of(cls), cls)
    for old in _providers(kind, name):
        if _where(old) != _where(new):
            raise RegistryError(
                f"the {kind} '{name}' of {new.provider} is already provided by {old.provider} "
                f"({_where(old)}); give it another name"
            )
    _registered[kind, name] = new
    return cls


def load_plugin(reference: str) -> list[Entry]:
    """Import a ``.py`` file or a module and register the units that it defines.

    Those are its public dataclasses that have the methods of a kind. A second call for the same
    file does nothing more.
    """
    module = _import_file(Path(reference)) if reference.endswith(".py") else _import(reference)
    for cls in vars(module).values():
        if not (inspect.isclass(cls) and cls.__module__ == module.__name__):
            continue
        decorated = any(known.source is cls for known in _registered.values())
        if not cls.__name__.startswith("_") and kind_of(cls) and not decorated:
            _register(cls, None, None, provider=reference)
    mine = [
        one
        for one in _registered.values()
        if isinstance(one.source, type) and one.source.__module__ == module.__name__
    ]
    if not mine:
        raise RegistryError(
            f"the plugin '{reference}' defines no unit: a unit is a frozen dataclass with forward "
            f"and backward, or the methods of another kind"
        )
    return mine


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RegistryError(
            f"the plugin '{name}' cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise RegistryError(f"the plugin '{path}' is not a file (looked in {Path.cwd()})")
    path = path.resolve()
    name = f"pullback_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    try:
        return sourcefile.load(path, name)
    except Exception as error:
        told = error.msg if isinstance(error, SyntaxError) else error
        raise RegistryError(
            f"the plugin '{path.name}' cannot be imported: {type(error).__name__}: {told}"
            f"{_line(error, path)}"
        ) from error


def _file_of(cls: type) -> str:
    """Where a class that was registered by hand stands: its file, or the module of a notebook."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return Path(file).name if file else cls.__module__


def _line(error: Exception, path: Path) -> str:
    trace, line = error.__traceback__, getattr(error, "lineno", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line} of {path})" if line else f" ({path})"


def _where(one: Entry) -> str:
    if isinstance(one.source, type):
        return f"{one.source.__module__}:{one.source.__qualname__}"
    return f"{one.source.module}:{one.source.attr}"


def is_unit(unit: Any, kind: str) -> bool:
    """Whether an object is an instance of a dataclass with the methods of that kind."""
    cls = type(unit)
    return dataclasses.is_dataclass(cls) and not _missing(cls, kind)


def _missing(cls: Any, kind: str) -> list[str]:
    return [method for method in METHODS[kind] if not callable(getattr(cls, method, None))]


def _require_unit(cls: Any, kind: str, what: str) -> None:
    if not (inspect.isclass(cls) and dataclasses.is_dataclass(cls)):
        raise RegistryError(f"{what} is no {kind}: it is not a dataclass")
    missing = _missing(cls, kind)
    if missing:
        raise RegistryError(f"{what} is no {kind}: it has no {' and no '.join(missing)}")


def snake_case(name: str) -> str:
    """``SoftmaxJacobian`` → ``softmax_jacobian``, ``CrossEntropyVJP`` → ``cross_entropy_vjp``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
