"""For the tests of whoever writes units: every check of theirs is a test of its own.

from pullback.testing import parametrize_with_checks

@parametrize_with_checks([Swish(), Swish(beta=2.0)])
def test_the_law(unit, check):
    check(unit)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pullback import registry
from pullback.errors import PullbackError
from pullback.options import options_of
from pullback.verify.cases import Check, Subject
from pullback.verify.checks import carry_out, check, subject_of
from pullback.verify.checks import told as asked
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import Report, Skipped, told

if TYPE_CHECKING:
    import pytest

__all__ = ["Report", "check", "parametrize_with_checks"]


@dataclass(frozen=True)
class UnitCheck:
    """One check of a unit; it is called with the unit, and does what a test does."""

    asks: Check
    subject: Subject

    def __repr__(self) -> str:
        return f"{self.subject.name}-{self.asks.__name__}: {asked(self.asks)}"

    def __call__(self, unit: Any) -> None:
        """AssertionError with all that is known where it fails; a skip where nothing is decided."""
        import pytest

        __tracebackhide__ = True
        found = carry_out(self.asks, replace(self.subject, unit=unit))
        if found.status == "fail":
            raise AssertionError(told(self.subject.name, found))
        if found.status == "skip":
            pytest.skip(found.message)
        if found.status == "inconclusive":
            pytest.skip(f"inconclusive: {found.message}")


def parametrize_with_checks(
    units: Iterable[Any], *, kind: str | None = None
) -> pytest.MarkDecorator:
    """A decorator that calls a test function with each ``unit`` and each ``check`` of its kind.

    ``units`` are instances, classes, which are made with their defaults, or registered names. Give
    the ``kind`` where the methods do not tell it, as of a loss whose target is called something
    else. A test is skipped where its check does not apply or cannot decide. Raises ConfigError for
    what is no unit, RegistryError for a name that nobody provides.
    """
    try:
        import pytest
    except ImportError:
        raise PullbackError("parametrize_with_checks needs pytest: pip install pytest") from None
    several = units if isinstance(units, Iterable) and not isinstance(units, str) else [units]
    return pytest.mark.parametrize(
        ("unit", "check"), [one for unit in several for one in _parameters(unit, kind)]
    )


def _parameters(unit: Any, kind: str | None) -> Iterator[Any]:
    import pytest

    try:
        subject = subject_of(unit, kind)
    except Skipped as reason:
        name = unit if isinstance(unit, str) else registry.name_of(unit)
        skip = pytest.mark.skip(reason=reason.message)
        yield pytest.param(unit, None, id=f"{name}-start", marks=skip)
        return
    name = f"{subject.name}{_options(subject.unit)}"
    for one in CHECKS[subject.kind]:
        yield pytest.param(subject.unit, UnitCheck(one, subject), id=f"{name}-{one.__name__}")


def _options(unit: Any) -> str:
    """``(beta=2.0)``: the options that are not the defaults, so that two units have two ids."""
    values = {one.name: (getattr(unit, one.name), one.default) for one in options_of(type(unit))}
    texts = {name: (_short(value), _short(default)) for name, (value, default) in values.items()}
    other = [f"{name}={value}" for name, (value, default) in texts.items() if value != default]
    return f"({', '.join(other)})" if other else ""


def _short(value: Any) -> str:
    """The same in every process, which an object's address is not."""
    plain = isinstance(value, str | int | float | tuple | list | None)
    return str(value) if plain else type(value).__name__
