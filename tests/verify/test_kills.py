"""The kill matrix: every mistake planted in every unit that ships, and each check is needed."""

import functools

import pytest

from pullback import registry
from pullback.verify.checks import subject_of
from pullback.verify.laws import CHECKS
from pullback.verify.mistakes import MISTAKES
from pullback.verify.mutants import tried

UNITS = [
    (kind, name)
    for kind in CHECKS
    for name in registry.names(kind)
    if registry.entry(kind, name).provider.startswith("pullback ")
]


@functools.cache
def mutants(kind, name):
    return tuple(tried(subject_of(name, kind)))


@pytest.mark.parametrize(("kind", "name"), UNITS)
def test_every_planted_mistake_is_killed(kind, name):
    found = mutants(kind, name)
    assert len(found) >= 15
    assert not [one.mistake for one in found if not one.killed]


def test_many_distinct_mistakes_are_planted():
    planted = {(one.mistake, one.kind == "optimizer") for unit in UNITS for one in mutants(*unit)}
    assert len(planted) >= 60
    known = {one.name for kind in MISTAKES for one in MISTAKES[kind]}
    assert {name for name, _ in planted} == known  # none is there for nothing


@pytest.mark.parametrize("kinds", [("layer", "loss"), ("optimizer",)], ids=str)
def test_every_check_kills_what_no_other_check_kills(kinds):
    found = [one for unit in UNITS if unit[0] in kinds for one in mutants(*unit)]
    alone = {one.killed_by[0] for one in found if len(one.killed_by) == 1}
    assert alone == {check.__name__ for kind in kinds for check in CHECKS[kind]}
