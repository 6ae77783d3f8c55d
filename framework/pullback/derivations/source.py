"""A derivation file: what is given, and functions named after the values that they compute."""

from __future__ import annotations

import ast
import functools
import inspect
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pullback import sourcefile
from pullback.errors import ConfigError, nearest

FORMS = Path(__file__).parent / "forms"


@dataclass(frozen=True)
class Stage:
    """One function: what it computes, and of which value it is the gradient, '' of none."""

    name: str
    function: Callable[..., Any]
    takes: tuple[str, ...]
    of: str = ""

    @property
    def line(self) -> int:
        return int(self.function.__code__.co_firstlineno)

    @property
    def told(self) -> str:
        """Its docstring on one line."""
        return " ".join(inspect.getdoc(self.function).split()) if self.function.__doc__ else ""  # type: ignore[union-attr]


@dataclass(frozen=True)
class Derivation:
    """The stages of a file in its order: those forward, up to L, and those of the way back."""

    path: Path
    form: str
    given: Callable[..., dict[str, Any]]
    forward: Mapping[str, Stage]
    backward: Mapping[str, Stage]

    @functools.cached_property
    def text_forward(self) -> str:
        """The source of all that is forward."""
        return "\n".join(inspect.getsource(one.function) for one in self.forward.values())

    def text_of(self, stage: str) -> str:
        """The source of a function."""
        return inspect.getsource(self.backward[stage].function).rstrip()


def plain(name: str) -> str:
    """As Python reads a name: composed, and with ŷ for yhat where that stands alone."""
    name = unicodedata.normalize("NFKC", name)
    return {"yhat": "ŷ", "dyhat": "dŷ"}.get(name, name)


def load(path: Path) -> Derivation:
    """Run a file and read it; ConfigError, with the line, where it is no derivation."""
    module = _module(path)
    given = getattr(module, "given", None)
    if not callable(given):
        raise ConfigError("it needs a function given(rng) that returns a dict of arrays", str(path))
    sample = drawn(given, np.random.default_rng(0), {}, str(path))
    functions = {
        plain(name): one
        for name, one in vars(module).items()
        if inspect.isfunction(one) and one.__module__ == module.__name__
        if not name.startswith("_") and one is not given
    }
    form = str(getattr(module, "FORM", ""))
    if form and form not in forms():
        raise ConfigError(f"there is no form '{form}'{nearest(form, forms())}", f"{path}: FORM")
    stages = _stages(functions, {*sample, "N"}, path)
    forward = {name: one for name, one in stages.items() if not one.of}
    if "L" not in forward:
        raise ConfigError("no function L computes the loss", str(path))
    backward = {name: one for name, one in stages.items() if one.of}
    return Derivation(path, form, given, forward, backward)


def forms() -> list[str]:
    return sorted(one.stem for one in FORMS.glob("*.py") if one.stem != "__init__")


@functools.cache
def solution(form: str) -> Derivation:
    """The right derivation that a form is made from."""
    return load(FORMS / f"{form}.py")


def blank(form: str) -> str:
    """A form to fill in: the solution without the bodies of its backward stages."""
    text = (FORMS / f"{form}.py").read_text(encoding="utf-8")
    backward = solution(form).backward
    lines = text.splitlines()
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.FunctionDef) and plain(node.name) in backward:
            docstring, *body = node.body
            lines[docstring.end_lineno : body[-1].end_lineno] = ["    ...  # yours"]
    return "\n".join(lines) + "\n"


def drawn(
    given: Callable[..., Any], rng: np.random.Generator, sizes: Mapping[str, int], where: str
) -> dict[str, Any]:
    """What is given, with N; ConfigError where that cannot be had."""
    try:
        values = given(rng, **sizes)
        found = {plain(name): np.asarray(value) for name, value in values.items()}
    except Exception as error:
        raise ConfigError(f"given raised {type(error).__name__}: {error}", where) from error
    first = next((one for one in found.values() if one.ndim), None)
    if first is None:
        raise ConfigError("given returns no array", where)
    return {"N": len(first)} | found


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}")
    try:
        return sourcefile.load(path, f"pullback_derivation_{path.stem}")
    except SyntaxError as error:
        raise ConfigError(f"line {error.lineno}: {error.msg}", str(path)) from error
    except Exception as error:
        raise ConfigError(f"{type(error).__name__}: {error}", str(path)) from error


def _stages(functions: Mapping[str, Any], given: set[str], path: Path) -> dict[str, Stage]:
    """By name, in the order of the file; a name that is taken has to be above."""
    known, found = set(given), dict[str, Stage]()
    for name, function in functions.items():
        takes = tuple(map(plain, inspect.signature(function).parameters))
        missing = [one for one in takes if one not in known]
        if missing:
            line = function.__code__.co_firstlineno
            told = f"{name} takes '{missing[0]}', and nothing above it is called so"
            raise ConfigError(f"line {line}: {told}{nearest(missing[0], known)}", str(path))
        of = name[1:] if name[:1] == "d" and name[1:] in known else ""
        found[name] = Stage(name, function, takes, of)
        known.add(name)
    return found
