"""The kill matrix: every mistake planted in two units that ship, and each check is needed.

With PULLBACK_LONG in the environment each is planted in all units that it can be planted in.
"""

import functools
import hashlib
import os

import pytest
from shipped import plain_units

from pullback.verify.checks import subject_of
from pullback.verify.laws import CHECKS
from pullback.verify.mistakes import MISTAKES
from pullback.verify.mutants import mutants_of, tried

UNITS = plain_units(*CHECKS)


# Seen by one check alone, and by it in a few units only.
EVERYWHERE = {"float16 in the middle", "loss in a column"}


@functools.cache
def planted():
    """The mistakes that can be planted in each unit, by their names."""
    return {unit: [name for name, _ in mutants_of(subject_of(unit[1], unit[0]))] for unit in UNITS}


def chosen(kind, name):
    """Those to be tried in a unit: it is one of the two that come first in an order of its own."""

    def place(mistake, unit):
        return hashlib.sha256(f"{mistake}{unit}".encode()).hexdigest()

    def is_chosen(mistake):
        units = [one for one in UNITS if mistake in planted()[one]]
        units = [one for one in units if (one[0] == "optimizer") == (kind == "optimizer")]
        return (kind, name) in sorted(units, key=functools.partial(place, mistake))[:2]

    everything = set(planted()[kind, name])
    if "PULLBACK_LONG" in os.environ:
        return everything
    return {one for one in everything if one in EVERYWHERE or is_chosen(one)}


@functools.cache
def mutants(kind, name):
    return tuple(tried(subject_of(name, kind), chosen(kind, name)))


@pytest.mark.parametrize(("kind", "name"), UNITS)
def test_every_planted_mistake_is_killed(kind, name):
    found = mutants(kind, name)
    assert len(planted()[kind, name]) >= 15
    assert len(found) == len(chosen(kind, name)) >= 3
    assert not [one.mistake for one in found if not one.killed]


def test_many_distinct_mistakes_are_planted():
    found = {(one.mistake, one.kind == "optimizer") for unit in UNITS for one in mutants(*unit)}
    assert len(found) >= 60
    known = {one.name for kind in MISTAKES for one in MISTAKES[kind]}
    assert {name for name, _ in found} == known  # none is there for nothing


@pytest.mark.parametrize("kinds", [("layer", "loss"), ("optimizer",)], ids=str)
def test_every_check_kills_what_no_other_check_kills(kinds):
    found = [one for unit in UNITS if unit[0] in kinds for one in mutants(*unit)]
    alone = {one.killed_by[0] for one in found if len(one.killed_by) == 1}
    assert alone == {check.__name__ for kind in kinds for check in CHECKS[kind]}
