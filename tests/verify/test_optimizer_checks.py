"""The checks of an optimizer: what is right passes, and every planted mistake is seen.

What a test catches is said in it where its name does not say so.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pullback import registry
from pullback.verify.cases import Subject, instance
from pullback.verify.checks import carry_out
from pullback.verify.laws import optimizers
from pullback.verify.laws.optimizers import CHECKS
from pullback.verify.mistakes import optimizers as optimizer_mistakes
from pullback.verify.mistakes.optimizers import IN_A_STEP as MISTAKES
from pullback_basics.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

NAMES = [check.__name__ for check in CHECKS]
SHIPPED = [instance(registry.lookup("optimizer", name)) for name in registry.names("optimizer")]
GIVEN = [
    SGD(lr=0.5, momentum=0.9, dampening=0.3, weight_decay=0.1),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(alpha=0.8, centered=True, momentum=0.9),
    Adagrad(lr_decay=0.01, initial_accumulator_value=0.5),
    Adam(lr=0.5, beta1=0.7, beta2=0.6, amsgrad=True),
    AdamW(weight_decay=0.5),
]


# Optimizers as others write them: with no out=, a norm over θ, an implicit decay, a sign.


@dataclass(frozen=True)
class Lamb:
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-6
    weight_decay: float = 0.01

    def init(self, theta):
        return {"m": np.zeros_like(theta), "v": np.zeros_like(theta), "t": np.zeros((), int)}

    def step(self, theta, g, state, lr):
        t = int(state["t"]) + 1
        m = self.beta1 * state["m"] + (1 - self.beta1) * g
        v = self.beta2 * state["v"] + (1 - self.beta2) * g * g
        root = np.sqrt(v / (1 - self.beta2**t)) + self.eps
        move = m / (1 - self.beta1**t) / root + self.weight_decay * theta
        size, length = norm(theta), norm(move)
        trust = np.where((size > 0) & (length > 0), size / np.where(length > 0, length, 1), 1)
        return theta - lr * trust.astype(theta.dtype) * move, {"m": m, "v": v, "t": state["t"] + 1}


def norm(x):
    return np.sqrt((x * x).sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Adan:
    lr: float = 1e-3
    beta1: float = 0.98
    beta2: float = 0.92
    beta3: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0

    def init(self, theta):
        kept = {name: np.zeros_like(theta) for name in ("m", "v", "n", "g")}
        return {**kept, "t": np.zeros((), int)}

    def step(self, theta, g, state, lr):
        t = int(state["t"]) + 1
        change = g - state["g"] if t > 1 else 0 * g
        m = self.beta1 * state["m"] + (1 - self.beta1) * g
        v = self.beta2 * state["v"] + (1 - self.beta2) * change
        n = self.beta3 * state["n"] + (1 - self.beta3) * (g + self.beta2 * change) ** 2
        root = np.sqrt(n) / math.sqrt(1 - self.beta3**t) + self.eps
        move = (m / (1 - self.beta1**t) + self.beta2 * v / (1 - self.beta2**t)) / root
        moved = (theta - lr * move) / (1 + lr * self.weight_decay)
        return moved, {"m": m, "v": v, "n": n, "g": g.copy(), "t": np.array(t)}


@dataclass(frozen=True)
class Lion:
    lr: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    maximize: bool = False

    def init(self, theta):
        return {"m": np.zeros_like(theta)}

    def step(self, theta, g, state, lr):
        g = -g if self.maximize else g
        move = np.sign(self.beta1 * state["m"] + (1 - self.beta1) * g)
        moved = (1 - lr * self.weight_decay) * theta - lr * move
        return moved, {"m": self.beta2 * state["m"] + (1 - self.beta2) * g}


FOREIGN = [Lamb(), Adan(), Lion()]


def results(unit, name="", checks=CHECKS):
    subject = Subject("optimizer", name or type(unit).__name__, unit)
    return {check.__name__: carry_out(check, subject) for check in checks}


def failed(unit, checks=CHECKS):
    return [name for name, one in results(unit, checks=checks).items() if one.status == "fail"]


def message(check, unit):
    found = results(unit, checks=[getattr(optimizers, check)])[check]
    assert found.status == "fail"
    return found.message


# What is right.


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("unit", SHIPPED + GIVEN, ids=str)
def test_what_is_shipped_passes_every_check(unit, seed):
    for name, found in results(unit, f"seed {seed}").items():
        assert found.status == "pass", f"{name}: {found.message}"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("unit", FOREIGN, ids=str)
def test_what_others_write_passes_every_check(unit, seed):
    """Catches a check that is made for one family, or for sums in one order."""
    for name, found in results(unit, f"seed {seed}").items():
        assert found.status == ("skip" if name == "out" else "pass"), f"{name}: {found.message}"


def test_float64_has_its_digits():
    assert results(Adam())["precision"].digits > 14


def test_an_option_that_is_refused_alone_is_tried_beside_another():
    tried = [unit for _, unit in optimizers._other_options(SGD())]
    assert {unit.nesterov for unit in tried} == {False, True}
    assert {unit.dampening > 0 for unit in tried} == {False, True}


def test_an_optimizer_that_can_maximize_is_checked_as_it_is_given():
    assert {unit.maximize for _, unit in optimizers._other_options(Lion())} == {False}


def test_no_check_knows_a_unit():
    for module in (optimizers, optimizer_mistakes):
        words = set(re.findall(r"\w+", Path(module.__file__).read_text(encoding="utf-8").lower()))
        assert not words & set(registry.names("optimizer"))


# What is wrong.


@pytest.mark.parametrize("unit", [*SHIPPED, GIVEN[0], *FOREIGN], ids=str)
def test_every_mistake_is_seen_in_every_optimizer(unit):
    for mistake in MISTAKES:
        wrong = mistake.plant(unit)
        if wrong is not None:
            assert any(failed(wrong, [check]) for check in CHECKS), mistake.name


def test_every_mistake_can_be_made_and_is_explained():
    for mistake in MISTAKES:
        assert mistake.plant(Adam()) is not None, mistake.name
        assert mistake.explanation.endswith(".")
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 12


def test_every_check_sees_a_mistake_that_no_other_sees():
    killers = [failed(mistake.plant(Adam())) for mistake in MISTAKES]
    assert {one for one, *more in killers if not more} == set(NAMES)


def test_a_planted_mistake_leaves_the_right_unit_as_it_was():
    """Catches a mistake that is planted in the class it was given."""
    for mistake in MISTAKES:
        mistake.plant(SHIPPED[0])
    assert not failed(SHIPPED[0])


# What a person is told.


@dataclass(frozen=True)
class Simple:
    """θ − lr g, to be spoiled."""

    lr: float = 0.1

    def init(self, theta):
        return {}

    def step(self, theta, g, state, lr):
        return theta - lr * g, state


def test_what_raises_is_a_failure_of_every_check():
    class Raising(Simple):
        def step(self, theta, g, state, lr):
            raise RuntimeError("no way")

    for name, found in results(Raising()).items():
        assert found.status == ("skip" if name == "out" else "fail")
        assert name == "out" or "step raised RuntimeError: no way" in found.message


def test_init_that_raises():
    class Raising(Simple):
        def init(self, theta):
            raise RuntimeError("no way")

    assert message("descends", Raising()) == "init raised RuntimeError: no way"


def test_no_pair():
    class Alone(Simple):
        def step(self, theta, g, state, lr):
            return theta - lr * g

    assert message("descends", Alone()) == "step returned ndarray, and not (θ, state)"


def test_another_shape():
    class Longer(Simple):
        def step(self, theta, g, state, lr):
            return np.append(theta, 0.0), state

    told = "step took a θ of shape (5,) and returned one of (6,)"
    assert message("descends", Longer()) == told


def test_no_rate():
    @dataclass(frozen=True)
    class Unrated:
        init, step = Simple.init, Simple.step

    assert message("descends", Unrated()).startswith("it has no number lr")


def test_numbers_that_are_objects():
    class Listing(Simple):
        def step(self, theta, g, state, lr):
            return (theta - lr * g).astype(object), state

    told = "step took a θ of float32 and returned one of object"
    assert message("descends", Listing()) == told


def test_a_rate_of_zero_descends_nowhere():
    found = results(Simple(lr=0.0), checks=[optimizers.descends])["descends"]
    assert (found.status, found.message) == ("skip", "its lr is 0")


def test_the_option_is_told():
    @dataclass(frozen=True)
    class Reversed(Simple):
        backwards: bool = False

        def step(self, theta, g, state, lr):
            return theta + (lr if self.backwards else -lr) * g, state

    assert message("gradient_scale", Reversed()).startswith("with backwards=True: the first step")


def test_a_step_that_raises_for_an_option_is_no_refusal():
    @dataclass(frozen=True)
    class Broken(Simple):
        nesterov: bool = False

        def step(self, theta, g, state, lr):
            if self.nesterov:
                raise KeyError("b")
            return theta - lr * g, state

    assert message("pure", Broken()) == "with nesterov=True: step raised KeyError: 'b'"


def test_what_is_kept_is_named():
    found = message("pure", next(m for m in MISTAKES if m.name == "count on self").plant(Simple()))
    assert found.startswith("it keeps _count on self from one call to the next: a residual, or")


def test_what_appears_late_is_named():
    late = next(m for m in MISTAKES if m.name == "buffer made late").plant(Simple())
    assert message("restored", late) == (
        "init gives the state {} and a step {'late': 'float64[5]'}: a checkpoint is restored into "
        "what init gives"
    )


def test_objects_in_the_state_are_named():
    class Listing(Simple):
        def init(self, theta):
            return {"past": np.array([None, {}])}

    assert message("restored", Listing()).startswith(
        "the state holds an array of objects as 'past'"
    )


def test_what_does_not_run_on_exact_numbers_is_skipped():
    class Compiled(Simple):
        def step(self, theta, g, state, lr):
            return np.array(
                [float(x) - lr * float(d) for x, d in zip(theta, g, strict=True)], g.dtype
            ), state

    found = results(Compiled(), checks=[optimizers.precision])["precision"]
    assert found.status == "skip"
    assert found.message.startswith("step does not run on exact numbers (step raised TypeError")


def test_digits_that_are_lost_are_told():
    wrong = next(m for m in MISTAKES if m.name == "float32 in the middle").plant(Simple())
    found = results(wrong, checks=[optimizers.precision])["precision"]
    assert found.oracle == "exact numbers"
    assert 1e-12 < abs(found.found - found.expected) < 1e-7


def test_digits_that_cannot_be_bounded_are_inconclusive():
    class Cancelling(Simple):
        def step(self, theta, g, state, lr):
            large = 1e30 * (1 + g * g)
            return theta - lr * (g + large - large), state

    found = results(Cancelling(), checks=[optimizers.precision])["precision"]
    assert found.status == "inconclusive"
