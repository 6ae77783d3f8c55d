"""The whole comparison: every variant at every size, judged, and timed if it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback import registry
from pullback.bench import peers, truth
from pullback.bench.race import Contender, Entrant, OutOfRaceError, entered, race
from pullback.bench.statistics import interval
from pullback.bench.trials import CopyTrial, Workload, make
from pullback.errors import PullbackError
from pullback.units import Array
from pullback.verify.outcome import Verdict

if TYPE_CHECKING:
    import pandas as pd

COPY = "copy"
AGAIN = " again"  # ends the name of the control
ROUNDS = 15
_FAILS, _FEW = "it fails `pullback check`", "it is right to"
_SEED = 11  # of the order of turns


def measure(
    kind: str,
    names: Sequence[str],
    workloads: Sequence[Workload],
    *,
    files: Sequence[str] = (),
    baselines: Sequence[str] = (),
    rounds: int = ROUNDS,
    threads: int = 1,
    seconds: float = 10.0,
    tell: Callable[[str], object] = str,
) -> pd.DataFrame:
    """One line for each contender and workload, the fastest of a workload first.

    ``seconds`` a call (the median) with ``low`` and ``high``; ``ratio``, to the fastest variant, of
    the same rounds, with ``ratio_low`` and ``ratio_high``, at 95 %; ``copies``, the same to a copy
    of x; ``digits``; ``peak_bytes`` and ``computed_bytes``; ``wrong``, if it is; ``problem``, why
    it was not timed or cannot be so fast. Two lines are no variants: the copy, and the first
    variant ``again``, whose ratio to the first shows what is noise.

    A call that takes more than ``seconds`` ends a contender's race; ``tell`` hears of each part.
    """
    family = registry.family(registry.lookup(kind, names[0]), names[0])
    wrong = {name: why for name in names if (why := _wrong(kind, name, tell))}
    right = [name for name in names if name not in wrong]
    variants = [Contender(name, partial(make, kind, name, tuple(files))) for name in right]
    again = [Contender(variants[0].name + AGAIN, variants[0].make)] if variants else []
    beside = peers.contenders(list(baselines), kind, names[0], family)
    absent = dict.fromkeys(baselines, "has no function of this family here")
    for one in beside:
        del absent[one.name]
    everyone = [*variants, *again, *beside, Contender(COPY, CopyTrial)]
    rng = np.random.default_rng(_SEED)
    lines: list[dict[str, Any]] = []
    references = [*right, *(one for one in truth.family_names(kind, family) if one not in right)]
    with entered(everyone, threads=threads, seconds=seconds) as entrants:
        for workload in workloads:
            tell(f"{workload}: digits and memory")
            known, out = _judged(kind, references, workload, entrants)
            tell(f"{workload}: {rounds} rounds of {len(known)}")
            times, slow = race({name: entrants[name] for name in known}, rounds, rng)
            found = _lines(times, known, {**wrong, **absent, **out, **slow}, variants[:1])
            lines += [{**_columns(workload), **line} for line in found]
    return _frame(lines)


def _columns(workload: Workload) -> dict[str, Any]:
    return {"N": workload.rows, "C": workload.features, "dtype": workload.dtype}


def _wrong(kind: str, name: str, tell: Callable[[str], object]) -> str:
    """What a check of it says; nothing where none fails."""
    from pullback.verify.checks import carry_out, subject_of
    from pullback.verify.laws import CHECKS, relations

    tell(f"checking {name}")
    try:
        subject = subject_of(name, kind)
    except (PullbackError, Verdict) as error:
        return f"it cannot be made: {error}"
    for check in CHECKS[kind]:
        if check is relations.family:  # another member's mistake is not this one's
            continue
        found = carry_out(check, subject, explain=False)
        if found.status == "fail":
            return f"{_FAILS}: {found.message}"
    return ""


def _judged(
    kind: str, references: Sequence[str], workload: Workload, entrants: dict[str, Entrant]
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """What is known of each that is right, and ready to be timed; and why the others are not."""
    small = workload.shortened(truth.JUDGED)
    right = truth.truth(kind, references, small)
    known: dict[str, dict[str, float]] = {}
    out: dict[str, str] = {}
    for name, entrant in entrants.items():
        try:
            facts = {} if name == COPY else _digits(entrant, small, right)
            if facts.get("digits", np.inf) < truth.half_of(workload.dtype):
                out[name] = f"{_FEW} {facts['digits']:.1f} digits"
                continue
            entrant.prepare(workload)
            known[name] = facts | entrant.costs()
        except OutOfRaceError as reason:
            out[name] = str(reason)
    return known, out


def _digits(entrant: Entrant, workload: Workload, right: list[Array] | None) -> dict[str, float]:
    entrant.prepare(workload)
    if right is None:
        return {}
    return {"digits": truth.digits(entrant.answer(), right, workload.dtype)}


def _lines(
    times: dict[str, Array],
    known: dict[str, dict[str, float]],
    out: dict[str, str],
    first: Sequence[Contender],
) -> list[dict[str, Any]]:
    """The contenders of a workload in the order of their times, then those that have none."""
    medians = {name: float(np.median(one)) for name, one in times.items()}
    variants = [name for name in medians if name != COPY and not name.endswith(AGAIN)]
    fastest = min(variants, key=lambda name: medians[name], default=None)
    lines: list[dict[str, Any]] = []
    for name in sorted(medians, key=lambda name: medians[name]):
        line: dict[str, Any] = {"variant": name, "fastest": name == fastest, **known[name]}
        line["seconds"], line["low"], line["high"] = interval(times[name])
        base = first[0].name if name.endswith(AGAIN) else fastest
        if base in times and name != COPY:
            line["ratio"], line["ratio_low"], line["ratio_high"] = interval(
                times[name] / times[base]
            )
        if COPY in times and name != COPY:
            line["copies"], _, high = interval(times[name] / times[COPY])
            if high < 1:
                line["problem"] = "faster than a copy of x: it cannot have read and written all"
        lines.append(line)
    for name, why in out.items():
        wrong = why.startswith((_FAILS, _FEW))
        lines.append({"variant": name, "wrong": wrong, "problem": why})
    return lines


def _frame(lines: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    numbers = ["seconds", "low", "high", "ratio", "ratio_low", "ratio_high", "copies", "digits"]
    numbers += ["peak_bytes", "computed_bytes", "residual_bytes"]
    columns = ["N", "C", "dtype", "variant", "fastest", *numbers, "wrong", "problem"]
    frame = pd.DataFrame(lines).reindex(columns=columns)
    frame[numbers] = frame[numbers].astype(float)
    for name in ("fastest", "wrong"):
        frame[name] = frame[name].eq(True)
    frame["problem"] = frame["problem"].astype(object).fillna("")
    return frame
