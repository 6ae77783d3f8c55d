"""``pullback check`` beside PyTorch's gradcheck and JAX's check_grads, at their defaults.

The same right units and the same mutants at the same inputs: who refuses which mutant, who raises
a false alarm about a right unit, and how long each takes for a unit. Run it as

    python benchmarks/check_against_peers.py [--units softmax tanh …] [--quick]

A whole run writes results/check_against_peers.json beside this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from peers import PEERS, Call, load, native, native_refusal, quietly
from rich.progress import track
from summary import ALL, ONE, show
from threadpoolctl import threadpool_limits

from pullback import registry
from pullback.verify.cases import Case, Subject, UnitError
from pullback.verify.checks import carry_out, report, subject_of
from pullback.verify.laws import CHECKS
from pullback.verify.laws.derivative import pullback
from pullback.verify.mutants import mutants_of
from pullback.verify.oracles import Unavailable, derivative

RESULTS = Path(__file__).parent / "results" / "check_against_peers.json"
WRONG = 1e-12  # of the largest entry: no right unit's float64 is so far from its derivative here


@dataclass(frozen=True)
class Amount:
    """How much is tried of each right unit: draws, and of these whole reports; rounds of timing.

    ``native`` draws are tried with the peers' own functions, too.
    """

    seeds: int
    reports: int
    native: int
    rounds: int


FULL = Amount(seeds=100, reports=5, native=10, rounds=9)
QUICK = Amount(seeds=5, reports=1, native=2, rounds=3)


@dataclass(frozen=True)
class Planted:
    """A mutant, how wrong its gradient is in float64, and who refuses it.

    ``refused_by`` gives the reason of each contender. ``told_apart`` are those of them that accept
    the right unit at the very case: a refusal of both says nothing.
    """

    unit: str
    mistake: str
    gradient_off_by: float
    refused_by: dict[str, str]
    told_apart: list[str]

    @property
    def wrong(self) -> bool:
        return not self.gradient_off_by <= WRONG


def subjects(names: list[str]) -> list[Subject]:
    """The registered layers and losses, or those with these names."""
    every = [(kind, name) for kind in ("layer", "loss") for name in registry.names(kind)]
    return [subject_of(name, kind) for kind, name in every if not names or name in names]


def off_by(cases: list[Case]) -> float:
    """How far float64 gradients are from the derivative of their own forward, of the largest entry.

    The truth is 50 digits of forward; backward runs in plain float64, as it does under the peers.
    """
    return max(_off_by(case, seed) for case in cases for seed in (1, 2, 3))


def _off_by(case: Case, seed: int) -> float:
    try:
        y, residual = case.forward()
        dy = case.cotangent(y, seed)
        gradients = case.backward(residual, dy.copy())  # before the oracle runs forward
        truth = derivative(case, dy)
    except (UnitError, Unavailable):
        return np.inf
    worst = 0.0
    for found, right in zip(gradients, truth, strict=True):
        if found.shape != right.low.shape:
            return np.inf
        outside = np.maximum(np.maximum(right.low - found, found - right.high), 0).astype(float)
        largest = abs(right.middle).max(initial=0) or 1.0
        worst = max(worst, float(outside.max(initial=0) / largest))
    return worst


def mutants(subject: Subject) -> Iterator[Planted]:
    """Every mutant of a unit, tried by every contender at the inputs of the right one."""
    cases = subject.cases()
    right = {peer.name: peer.refusals(cases) for peer in PEERS}
    right_failed = _failed(subject)
    for mistake, unit in mutants_of(subject):
        wrong = [replace(case, unit=unit) for case in cases]
        refused, apart = _of_ours(_failed(replace(subject, unit=unit)), right_failed)
        for peer in PEERS:
            reasons = peer.refusals(wrong)
            if any(reasons):
                refused[peer.name] = next(filter(None, reasons))
            pairs = zip(reasons, right[peer.name], strict=True)
            if any(reason and not alarm for reason, alarm in pairs):
                apart.append(peer.name)
        yield Planted(subject.name, mistake, off_by(wrong), refused, apart)


def _failed(subject: Subject) -> dict[str, str]:
    """Our checks that a unit fails, with the reason."""
    results = [carry_out(one, subject, explain=False) for one in CHECKS[subject.kind]]
    return {one.check: one.message for one in results if one.status == "fail"}


def _of_ours(failed: dict[str, str], right: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """The same of ours: a check that the right unit fails, too, tells nothing apart."""
    named = {ALL: set(failed), ONE: set(failed) & {pullback.__name__}}
    refused = {name: ", ".join(sorted(checks)) for name, checks in named.items() if checks}
    return refused, [name for name, checks in named.items() if checks - right.keys()]


def drawn(subject: Subject, seed: int, dtype: str = "float64") -> Subject:
    """The unit at a random shape, at numbers between a tenth and ten times the usual size."""
    rng = np.random.default_rng([seed, zlib.crc32(subject.name.encode())])
    rows, features = (int(one) for one in rng.integers(2, 7, size=2))
    scale = float(10 ** rng.uniform(-1, 1))
    return replace(subject, seed=seed, rows=rows, features=features, scale=scale, dtype=dtype)


def alarms(subject: Subject, amount: Amount) -> dict[str, dict[str, int]]:
    """Of each contender, in how many random draws it refuses the right unit, and of how many."""
    counts: dict[str, Counter[str]] = {}
    for seed in range(amount.seeds):
        cases = drawn(subject, seed).cases()
        for peer in PEERS:
            _note(counts, peer.name, any(peer.refusals(cases)))
        for dtype in ("float64", "float32"):
            unit = drawn(subject, seed, dtype)
            _note(counts, f"{ONE}, {dtype}", carry_out(pullback, unit).status == "fail")
            if seed < amount.reports:
                _note(counts, f"{ALL}, {dtype}", not report(unit))
    return {name: dict(one) for name, one in counts.items()}


def _note(counts: dict[str, Counter[str]], name: str, alarm: bool) -> None:
    counts.setdefault(name, Counter(alarms=0, draws=0)).update(alarms=int(alarm), draws=1)


def beside_native(subject: Subject, amount: Amount) -> dict[str, int]:
    """Whether a peer says the same of the wrapped unit and of its own library's function."""
    functions = native().get(subject.name)
    if functions is None:
        return {}
    counts = Counter(same=0, only_wrapped=0, only_native=0)
    for seed in range(amount.native):
        for case in drawn(subject, seed).cases():
            for peer in PEERS:
                wrapped = bool(peer.refusals([case])[0])
                own = bool(native_refusal(peer, case, functions))
                differ = "only_wrapped" if wrapped else "only_native"
                counts["same" if wrapped == own else differ] += 1
    return dict(counts)


def seconds(subject: Subject, rounds: int) -> dict[str, list[float]]:
    """Seconds for the unit in each round, in which the contenders come in random order.

    The first number is that of a first call, before the rounds, and no part of any ratio.
    """
    contenders: dict[str, list[Call]] = {
        ALL: [lambda: report(subject)],
        ONE: [lambda: carry_out(pullback, subject)],
    }
    for peer in PEERS:
        if peer.dtype == "float64":
            contenders[peer.name] = [peer.ready(case) for case in subject.cases()]
    found: dict[str, list[float]] = {name: [] for name in contenders}
    rng = np.random.default_rng(0)
    for _ in range(rounds + 1):
        for name in rng.permutation(list(contenders)):
            found[name].append(sum(_timed(call) for call in contenders[name]))
    return found


def _timed(call: Call) -> float:
    started = time.perf_counter()
    with contextlib.suppress(Exception):  # a false alarm takes its time, too
        quietly(call)
    return time.perf_counter() - started


def machine() -> dict[str, Any]:
    """The processor and how many of its cores there are."""
    model = re.search(r"model name\s*:\s*(.*)", _read("/proc/cpuinfo"))
    return {"cpu": model[1] if model else platform.machine(), "cores": os.cpu_count()}


def _read(path: str) -> str:
    place = Path(path)
    return place.read_text() if place.exists() else ""


def versions() -> dict[str, str]:
    packages = ("pullback", "torch", "jax", "jaxlib", "numpy", "mpmath")
    return {"python": platform.python_version()} | {one: version(one) for one in packages}


def measured(chosen: list[Subject], amount: Amount) -> dict[str, Any]:
    """Everything that is measured, for JSON."""
    planted, false, agree, times, right = [], {}, {}, {}, {}
    for subject in track(chosen, "units", transient=True):
        times[subject.name] = seconds(subject, amount.rounds)
        planted += list(mutants(subject))
        right[subject.name] = off_by(subject.cases())
        false[subject.name] = alarms(subject, amount)
        agree[subject.name] = beside_native(subject, amount)
    reasons: dict[str, Counter[str]] = {}
    for one in planted:
        for name, reason in one.refused_by.items():
            reasons.setdefault(name, Counter()).update([reason[:80]])
    return {
        "machine": machine(),
        "versions": versions(),
        "amount": asdict(amount),
        "mutants": [
            {**asdict(one), "refused_by": list(one.refused_by), "wrong_gradient": one.wrong}
            for one in planted
        ],
        "reasons": {name: dict(one.most_common(12)) for name, one in reasons.items()},
        "right_units_off_by": right,
        "false_alarms": false,
        "wrapped_beside_native": agree,
        "seconds": times,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--units", nargs="+", default=[], help="only these; all, if none are given")
    parser.add_argument("--quick", action="store_true", help="few draws and rounds")
    parser.add_argument("--show", action="store_true", help="the stored results, nothing measured")
    options = parser.parse_args()
    if options.show:
        show(json.loads(RESULTS.read_text()))
        return 0
    load()
    unknown = set(options.units) - {one.name for one in subjects([])}
    if unknown:
        parser.error(f"no layer or loss is called {', '.join(sorted(unknown))}")
    with threadpool_limits(1):
        found = measured(subjects(options.units), QUICK if options.quick else FULL)
    if not options.quick and not options.units:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    show(found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
