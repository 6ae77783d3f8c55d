"""Which checks there are for a kind of unit, and the report of them."""

from __future__ import annotations

import inspect
import time
import warnings
from dataclasses import replace
from typing import Any

from pullback import registry
from pullback.errors import ConfigError, PullbackError, RegistryError, nearest
from pullback.verify.cases import Check, Subject, UnitError, instance
from pullback.verify.chosen import family_of
from pullback.verify.diagnosis import diagnose
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import START, Failed, Report, Result, Skipped, Status, Verdict


def check(unit: Any, kind: str | None = None) -> Report:
    """Every check of a layer, a loss or an optimizer; the report is true where none failed.

    ``unit`` is an instance, a class, or a registered name. Nothing is to be said of how wrong it
    may be: every oracle bounds its own error, and the unit's own code that of its rounding. Raises
    ConfigError for what is no such unit, RegistryError for a name that nobody provides.
    """
    try:
        subject = subject_of(unit, kind)
    except Skipped as reason:
        raise ConfigError(reason.message) from reason
    return report(subject)


def subject_of(unit: Any, kind: str | None = None, name: str = "") -> Subject:
    """What is to be checked, from an instance, a class or a registered name."""
    if isinstance(unit, str):
        kind, name = kind or kind_of_name(unit), unit
        unit = registry.lookup(kind, name)
    cls = unit if inspect.isclass(unit) else type(unit)
    kind = kind or registry.kind_of(cls)
    if kind not in CHECKS:
        what = f"a {kind}" if kind else "no unit"
        raise ConfigError(
            f"{name or cls.__name__} is {what}: there are checks for layers, losses and optimizers"
        )
    name = name or registry.name_of(cls)
    subject = Subject(kind, name, instance(unit) if inspect.isclass(unit) else unit)
    return subject if kind == "optimizer" else _fitted(subject)


def _fitted(subject: Subject) -> Subject:
    """At a width that it takes; a unit that cannot be called at all is the checks' to tell of."""
    try:
        return subject.fitted()
    except UnitError:
        return subject


def kind_of_name(name: str) -> str:
    """The kind of unit that a name is registered for; RegistryError where it is none that has."""
    kinds = [kind for kind in CHECKS if name in registry.names(kind)]
    if not kinds:
        known = [one for kind in CHECKS for one in registry.names(kind)]
        raise RegistryError(f"there is no unit to check called '{name}'{nearest(name, known)}")
    return kinds[0]


def why_not_started(error: Exception) -> tuple[Status, str]:
    """Whether a unit that cannot be made is wrong, or only not for us to make; and why."""
    if isinstance(error, Skipped):
        return "skip", error.message
    if isinstance(error, PullbackError):
        return "fail", str(error)
    return "fail", f"it cannot be made: {in_words(error)}"


def report(subject: Subject) -> Report:
    """Every check of its kind."""
    try:
        provider = registry.entry(subject.kind, subject.name).provider
    except RegistryError:
        provider = subject.cls.__module__
    return Report(
        kind=subject.kind,
        name=subject.name,
        family=registry.family(subject.cls, subject.name),
        provider=provider,
        results=[carry_out(one, subject) for one in CHECKS[subject.kind]],
    )


def report_of(kind: str, name: str) -> Report:
    """Every check of a registered unit, or why it could not even be made."""
    try:
        subject = subject_of(name, kind)
    except Exception as error:  # whatever its __post_init__ may raise
        return _not_started(kind, name, error)
    return report(subject)


def _not_started(kind: str, name: str, error: Exception) -> Report:
    providers = [one.provider for one in registry.entries(kind) if one.name == name]
    return Report(
        kind=kind,
        name=name,
        family=family_of((kind, name)) or name,
        provider=" and ".join(providers),
        results=[Result(START, *why_not_started(error))],
    )


def carry_out(check: Check, subject: Subject, *, explain: bool = True) -> Result:
    """One check of a unit: its digits, or what it ended with, with the name of the mistake."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of no rows, of complex numbers: the inputs are ours
        found = _carried_out(check, subject, explain)
    return replace(found, seconds=time.perf_counter() - started)


def _carried_out(check: Check, subject: Subject, explain: bool) -> Result:
    try:
        return Result(check.__name__, "pass", digits=check(subject))
    except Verdict as verdict:
        facts = dict(verdict.facts)
        if explain and isinstance(verdict, Failed) and verdict.evidence is not None:
            facts |= diagnose(*verdict.evidence)
        return Result(check.__name__, verdict.status, verdict.message, **facts)
    except Exception as error:  # it stopped at something that it does not know
        return Result(check.__name__, "fail", f"the check could not go on: {in_words(error)}")


def in_words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def told(check: Check) -> str:
    """What a check asks, in one line."""
    return inspect.cleandoc(check.__doc__ or "").splitlines()[0]
