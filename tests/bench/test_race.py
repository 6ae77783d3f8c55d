"""A race: turns interleaved on the same cores, and those that fall out of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import contenders

from pullback.bench.race import Contender, OutOfRaceError, entered, race


def entrants(*makes, seconds=20.0, threads=1):
    field = [Contender(make.__name__, make) for make in makes]
    return entered(field, threads=threads, seconds=seconds)


def test_a_race_times_every_contender_in_every_round():
    with entrants(contenders.slow, contenders.quick) as field:
        for one in field.values():
            one.prepare(1)
        times, out = race(field, 5, np.random.default_rng(0))
    assert not out
    assert {name: len(found) for name, found in times.items()} == {"slow": 5, "quick": 5}
    assert (times["slow"] > times["quick"]).all()


def test_turns_are_of_many_calls_and_a_slow_call_is_a_turn():
    with entrants(contenders.quick) as field:
        field["quick"].prepare(1)
        assert 5 < field["quick"].calls() <= 40  # 20 ms of 0.5 ms and what waking takes
        field["quick"].prepare(100)
        assert field["quick"].calls() == 1


def test_all_run_on_the_same_cores_and_this_process_keeps_its_own():
    before = os.sched_getaffinity(0)
    with entrants(contenders.slow, contenders.quick) as field:
        for one in field.values():
            one.prepare(1)
        cores = [one.answer()[0].tolist() for one in field.values()]
    assert cores[0] == cores[1] == [max(before)]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (contenders.raises, "ValueError: takes no 1"),
        (contenders.greedy, "does not fit in memory"),
        (contenders.dies, "its process ended with 3"),
    ],
)
def test_who_cannot_take_part_says_why(make, told):
    with entrants(make) as field, pytest.raises(OutOfRaceError, match=told):
        field[make.__name__].prepare(1)


def test_who_raises_at_one_workload_is_there_at_the_next():
    with entrants(contenders.raises) as field:
        for workload in (1, 2):
            with pytest.raises(OutOfRaceError, match=f"takes no {workload}"):
                field["raises"].prepare(workload)


def test_who_takes_too_long_is_out_and_the_race_goes_on():
    with entrants(contenders.hangs, contenders.quick, seconds=3.0) as field:
        for one in field.values():
            one.prepare(2)
        times, out = race(field, 2, np.random.default_rng(0))
        assert out == {"hangs": "takes more than 3 s"}
        assert list(times) == ["quick"]
        with pytest.raises(OutOfRaceError, match="was out before"):
            field["hangs"].prepare(1)
