"""The schedules: by hand, by law, and against recorded factors of PyTorch's schedulers."""

import json
import math
from pathlib import Path

import pytest

from pullback.units import Schedule
from pullback_basics import schedules
from pullback_basics.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Polynomial,
    Step,
)

RECORD = json.loads((Path(__file__).parent / "data/schedules.json").read_text(encoding="utf-8"))

ALL = [
    Constant(),
    Constant(warmup=5),
    Step(step_size=3),
    MultiStep(milestones=(2, 7)),
    Exponential(gamma=0.9),
    Cosine(),
    Cosine(warmup=5, final=0.1),
    OneCycle(),
    OneCycle(pct_start=0.0, anneal="linear"),
    Polynomial(),
    Polynomial(power=2.0, warmup=5),
]
everything = pytest.mark.parametrize("schedule", ALL, ids=str)


def built(case):
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in case["options"].items()}
    return getattr(schedules, case["schedule"])(**options)


@pytest.mark.parametrize(
    "case", RECORD["cases"], ids=lambda case: f"{case['schedule']} {case['options']}"
)
def test_factors_of_pytorch(case):
    """Catches a schedule that is a step early or late, at its start, its corners or its end."""
    schedule = built(case)
    factors = [schedule.factor(step, RECORD["steps"]) for step in range(len(case["factors"]))]
    assert factors == pytest.approx(case["factors"], rel=1e-12, abs=1e-12)


def test_every_schedule_is_recorded():
    names = [case["schedule"] for case in RECORD["cases"]]
    assert {type(schedule).__name__ for schedule in ALL} == set(names)
    assert len(names) == 17


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(), [1, 1, 1, 1, 1]),
        (Constant(warmup=3), [1 / 4, 2 / 4, 3 / 4, 1, 1]),
        (Step(step_size=2, gamma=0.5), [1, 1, 1 / 2, 1 / 2, 1 / 4]),
        (MultiStep(milestones=(1, 4), gamma=0.5), [1, 1 / 2, 1 / 2, 1 / 2, 1 / 4]),
        (Exponential(gamma=0.5), [1, 1 / 2, 1 / 4, 1 / 8, 1 / 16]),
        (Cosine(), [1, (1 + math.sqrt(0.5)) / 2, 1 / 2, (1 - math.sqrt(0.5)) / 2, 0]),
        (Cosine(warmup=2, final=0.5), [1 / 3, 2 / 3, 1, 3 / 4, 1 / 2]),
        # the peak at 0.5 · 4 − 1 = 1, the end at 3
        (
            OneCycle(pct_start=0.5, div_factor=4, final_div_factor=2, anneal="linear"),
            [1 / 4, 1, (1 + 1 / 8) / 2, 1 / 8, 1 / 8],
        ),
        (Polynomial(), [1, 3 / 4, 1 / 2, 1 / 4, 0]),
        (Polynomial(power=2, warmup=2), [1 / 3, 2 / 3, 1, 1 / 4, 0]),
    ],
    ids=str,
)
def test_four_steps_by_hand(schedule, factors):
    """And the factor after the last of them."""
    assert [schedule.factor(step, 4) for step in range(5)] == pytest.approx(factors, abs=1e-15)


@everything
def test_conforms(schedule):
    assert isinstance(schedule, Schedule)


@everything
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 100])
def test_is_a_rate_between_none_and_the_base(schedule, steps):
    """Also in a run that is shorter than its warm-up, and past its end. Catches 0 / 0."""
    for step in range(2 * steps + 1):
        factor = schedule.factor(step, steps)
        assert type(factor) is float
        assert 0 <= factor <= 1


@pytest.mark.parametrize("schedule", [Cosine(final=0.2), OneCycle(), Polynomial()], ids=str)
def test_stays_where_it_ended(schedule):
    """Catches a cosine that rises again."""
    assert (
        schedule.factor(75, 50)
        == schedule.factor(50, 50)
        == min(schedule.factor(step, 50) for step in range(100))
    )


@pytest.mark.parametrize("kind", [Constant, Cosine, Polynomial])
def test_warm_up_is_a_line_that_meets_the_schedule(kind):
    """Catches a first step with no rate, and a whole rate that comes a step early."""
    schedule = kind(warmup=9)
    assert [schedule.factor(step, 100) for step in range(10)] == pytest.approx(
        [(step + 1) / 10 for step in range(10)]
    )
    assert [schedule.factor(9 + step, 109) for step in range(100)] == [
        kind().factor(step, 100) for step in range(100)
    ]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Constant, {"warmup": -1}, "warmup must be >= 0, not -1"),
        (Step, {"step_size": 0}, "step_size must be >= 1, not 0"),
        (Step, {"step_size": 1, "gamma": 0.0}, "gamma must be > 0, not 0.0"),
        (MultiStep, {"milestones": (0, 5)}, "milestones must increase from 1 or more, not (0, 5)"),
        (MultiStep, {"milestones": (5, 5)}, "milestones must increase from 1 or more, not (5, 5)"),
        (MultiStep, {"milestones": (5,), "gamma": -1}, "gamma must be > 0, not -1"),
        (Exponential, {"gamma": 0.0}, "gamma must be > 0, not 0.0"),
        (Cosine, {"warmup": -1}, "warmup must be >= 0, not -1"),
        (Cosine, {"final": -0.1}, "final must be >= 0, not -0.1"),
        (OneCycle, {"pct_start": 1.0}, "pct_start must be >= 0 and < 1, not 1.0"),
        (OneCycle, {"div_factor": 0.0}, "div_factor must be > 0, not 0.0"),
        (OneCycle, {"final_div_factor": -1}, "final_div_factor must be > 0, not -1"),
        (OneCycle, {"anneal": "cos"}, "anneal must be 'cosine' or 'linear', not 'cos'"),
        (Polynomial, {"power": 0}, "power must be > 0, not 0"),
        (Polynomial, {"warmup": -1}, "warmup must be >= 0, not -1"),
    ],
)
def test_messages(kind, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        kind(**options)
    assert str(error.value) == message
