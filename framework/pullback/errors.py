"""What can go wrong, said to a person: what is wrong, where it came from, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


PICTURES = (".png", ".svg", ".pdf")
_LONGEST_LINE = 600


class PullbackError(Exception):
    """A mistake that its message explains. The command line prints the message and no traceback."""

    exit_code = 2


class ConfigError(PullbackError):
    """A config, an option or a name that cannot be used. ``where`` is the key it came from."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where


class RegistryError(PullbackError):
    """A name that nobody or more than one provides, or a plugin that cannot be imported."""


class RunError(PullbackError):
    """A run that began and could not be finished."""

    exit_code = 1


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """PullbackError where the file cannot be written."""
    try:
        yield
    except OSError as error:
        raise PullbackError(f"cannot write {path}: {error.strerror or error}") from error


def must_be_a_picture(path: Path, where: str) -> None:
    """Before what is to be drawn is measured: ConfigError where it could not be written."""
    if path.suffix.lower() not in PICTURES:
        raise ConfigError(f"it is drawn as {', '.join(PICTURES)}, not {path}", where)
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent}", where)


def readable(text: str) -> str:
    """A message that may quote anything: nothing in it moves the cursor, and no line is endless."""
    shown = "".join(one if one.isprintable() or one in "\n\t" else _escaped(one) for one in text)
    return "\n".join(map(_shortened, shown.split("\n")))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def _shortened(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]} … {line[-half:]}"


def a(noun: str) -> str:
    """The noun with its article: a layer, an optimizer."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def nearest(name: str, names: Iterable[str]) -> str:
    """``; did you mean 'tanh'?`` where something is near, else ``; there are: …``."""
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; there are: {', '.join(known)}" if known else ""
