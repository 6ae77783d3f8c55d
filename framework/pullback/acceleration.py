"""Units in their compiled form: ``tanh`` as ``tanh_numba``, where one is registered by that name.

``accelerate`` is an ending of names: what is called ``NAME_ENDING`` stands for ``NAME``, with the
same options. A unit without such a form stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pullback import registry
from pullback.errors import ConfigError, RegistryError

_FASTEST = "numba"  # what auto means, where it wins
_KINDS = ("layer", "loss", "optimizer")

# What compiled units save, in seconds: a step, and a number that a stage gives in it. Measured on
# the founding network and on the digits.
_A_STEP, _A_NUMBER = 60e-6, 2e-9
_WORTH_IT = 2.0  # to load what was compiled takes a second; to compile it first, ten to twenty


def ending(word: str, steps: int, numbers: int) -> str | None:
    """The ending that a setting means; None for none.

    auto: ``numba``, if it is installed and saves a run of so many steps, whose stages give so many
    numbers in each, more than it takes to load. ConfigError for an ending that no unit has.
    """
    if word == "none":
        return None
    if word == "auto":
        saved = steps * (_A_STEP + numbers * _A_NUMBER)
        usable = any(not one.lacks for one in _entries(_FASTEST))
        return _FASTEST if saved > _WORTH_IT and usable else None
    some = next(_entries(word), None)
    if some is None:
        told = f"must be auto, none, or an ending of names such as {_FASTEST}, not '{word}'"
        raise ConfigError(told, "accelerate")
    try:
        some.load()
    except RegistryError as error:  # an extra that is missing, once and not for every unit
        raise ConfigError(str(error), "accelerate") from error
    return word


def _entries(word: str) -> Iterator[registry.Entry]:
    """The units that have that ending, those that lack an extra among them."""
    for kind in _KINDS:
        for name in registry.names(kind, lacking=True):
            if name.endswith(f"_{word}"):
                yield registry.entry(kind, name)


def compiled(kind: str, spec: Any, word: str | None) -> Any:
    """A unit's name, or its name and options, with the name of its form of that ending."""
    if word is None or not isinstance(spec, str | Mapping):
        return spec
    name = spec if isinstance(spec, str) else spec.get("name")
    form = f"{name}_{word}"
    if form not in registry.names(kind, lacking=True):
        return spec
    return form if isinstance(spec, str) else {**spec, "name": form}
