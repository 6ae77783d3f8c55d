"""How fast Pullback trains, beside PyTorch, JAX, autograd, thinc and scikit-learn.

Every contender in a process of its own, on the same cores, turns in random order, as ``pullback
bench`` races variants; each is at its best setting, and its first losses must be those of float64.
``--quick`` has few rounds and stores nothing, ``--only TEXT`` makes the tasks with that text anew,
``--show`` prints what is stored.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import speed_ours as ours
import speed_theirs as theirs
from rich.console import Console
from rich.table import Table
from speed_tasks import ENTROPIES, SWEEP, TRAININGS, CrossEntropy, Training

from pullback.bench.race import Contender, OutOfRaceError, entered, race
from pullback.bench.statistics import interval

RESULTS = Path(__file__).parent / "results" / "speed.json"
DIGITS = {"float32": 4.0, "float64": 10.0}  # that the first losses must have
SWEPT = 10  # steps of each of 64 runs in a call
PACKAGES = ("pullback", "numpy", "numba", "torch", "jax", "autograd", "thinc", "scikit-learn")


def contenders(task: Any, cores: int) -> list[Contender]:
    """Those of a task, on so many cores; one with threads to choose is there with each choice."""
    if isinstance(task, CrossEntropy):
        return _entropies(task, cores)
    if task.runs > 1:
        return _sweeps(cores)
    found = []
    for n in range(1, cores + 1):
        on = f", {n} threads" if cores > 1 else ""
        found += [
            Contender(f"torch eager{on}", partial(theirs.torch_steps, False, n)),
            Contender(f"torch compiled{on}", partial(theirs.torch_steps, True, n)),
            Contender(f"jax jit{on}", partial(theirs.jax_steps, False, n)),
            Contender(f"jax scan{on}", partial(theirs.jax_steps, True, n)),
        ]
        if task.sizes[0] < 500:
            found += [
                Contender(f"pullback compiled step{on}", partial(ours.compiled_steps, n)),
                Contender(f"pullback stretch{on}", partial(ours.stretches, n, False)),
                Contender(f"pullback stretch, affine_tanh{on}", partial(ours.stretches, n, True)),
            ]
    found += [
        Contender("pullback NumPy", partial(ours.numpy_steps, cores)),
        Contender("pullback Numba", partial(ours.numba_steps, cores, False)),
        Contender("pullback Numba, affine_tanh", partial(ours.numba_steps, cores, True)),
    ]
    if cores == 1:
        found += [
            Contender("autograd", theirs.autograd_steps),
            Contender("thinc", theirs.thinc_steps),
        ]
        if task.sizes[2] > 2:  # of two classes it makes one logistic output: another network
            found.append(Contender("scikit-learn", theirs.sklearn_steps))
    return found


def _entropies(task: CrossEntropy, cores: int) -> list[Contender]:
    fused = "cross_entropy_fused_numba"
    found = [
        Contender("copy", ours.copy),
        Contender("torch eager", partial(theirs.torch_entropy, False, cores)),
        Contender("torch compiled", partial(theirs.torch_entropy, True, cores)),
        Contender("jax jit", partial(theirs.jax_entropy, cores)),
        Contender("pullback Numba", partial(ours.entropy, fused, False)),
        Contender("pullback Numba, in place", partial(ours.entropy, fused, True)),
    ]
    if task.rows * task.classes < 20_000_000:
        found.append(Contender("pullback NumPy", partial(ours.entropy, fused[:-6], False)))
    return found


def _sweeps(cores: int) -> list[Contender]:
    return [
        Contender("pullback NumPy, in turn", partial(ours.sweep, "numpy", 1, SWEPT)),
        Contender("pullback stretches, in turn", partial(ours.sweep, "compiled", 1, SWEPT)),
        Contender("pullback stacked", partial(ours.sweep, "together", cores, SWEPT)),
        Contender("torch vmap", partial(theirs.torch_sweep, cores, SWEPT)),
        Contender("jax vmap and scan", partial(theirs.jax_sweep, cores, SWEPT)),
    ]


def steps_of(name: str, task: Any) -> int:
    """The steps in a call."""
    if isinstance(task, Training) and task.runs > 1:
        return SWEPT * task.runs
    return ours.STRETCH if "stretch" in name else theirs.SCANNED if "scan" in name else 1


def right(task: Any, answer: list[Any]) -> float:
    """How many digits the first losses have."""
    if isinstance(task, CrossEntropy):
        truths = [task.truth()]
    else:
        runs = [0] if task.runs == 1 else [0, task.runs - 1]
        truths = [task.truth(run) for run in runs]
    worst = 16.0
    for found, truth in zip(answer, truths, strict=True):
        error = np.abs(np.asarray(found, float) - truth).max() / np.abs(truth).max()
        worst = min(worst, -float(np.log10(max(error, 1e-16)))) if np.isfinite(error) else 0.0
    return worst


def measure(task: Any, cores: int, rounds: int, console: Console) -> dict[str, Any]:
    """The seconds of a step of each in each round, digits, and why the others did not run."""
    with entered(contenders(task, cores), threads=cores, seconds=300) as field:
        out: dict[str, str] = {}
        digits: dict[str, float] = {}
        for name, one in field.items():
            try:
                one.prepare(task)
                answer = one.answer()
                if answer:
                    digits[name] = right(task, answer)
                    if digits[name] < DIGITS[task.dtype]:
                        out[name] = f"only {digits[name]:.1f} digits of its first losses are right"
            except OutOfRaceError as reason:
                out[name] = str(reason)
        ready = {name: one for name, one in field.items() if name not in out}
        times, slow = race(ready, rounds, np.random.default_rng(5))
    for name, why in {**out, **slow}.items():
        console.print(f"  {name}: {why}", markup=False)
    each = {name: (found / steps_of(name, task)).tolist() for name, found in times.items()}
    return {
        "task": task.steps, "cores": cores, "seconds": each, "digits": digits, "out": out | slow,
    }  # fmt: skip


# What was asked for


def best(result: dict[str, Any], *starts: str) -> str | None:
    """The fastest of those whose names begin so."""
    names = [name for name in result["seconds"] if name.startswith(starts)]
    return min(names, key=lambda name: np.median(result["seconds"][name]), default=None)


def times_faster(result: dict[str, Any], mine: str, theirs: str | None) -> tuple[float, ...]:
    if theirs is None or mine not in result["seconds"]:
        return (np.nan,) * 3
    both = (np.array(result["seconds"][name]) for name in (theirs, mine))
    other, own = both
    return interval(other / own)


PEERS = ("torch", "jax", "autograd", "thinc", "scikit-learn")
_FOUNDING = "founding 2-500-2, N = 200, float32"
TARGETS = [  # what, task, cores, ours, × PyTorch, × the best peer
    ("compiled step, one core", _FOUNDING, 1, ("pullback compiled", "pullback stretch"), 5, 1.9),
    ("compiled step, two cores", _FOUNDING, 2, ("pullback compiled", "pullback stretch"), 8, 2.7),
    ("stage by stage with Numba, one core", _FOUNDING, 1, ("pullback Numba",), 3, 1.15),
    ("NumPy only, one core", _FOUNDING, 1, ("pullback NumPy",), 1.1, None),
    ("compiled step, one core", "digits", 1, ("pullback compiled", "pullback stretch"), 5, 1.15),
    ("best", "MNIST", 2, ("pullback",), 1, 0.85),
    *(
        ("loss and gradient", f"cross-entropy, {n} × {c},", 1, ("pullback Numba",), 3, 2)
        for n, c in ((200, 1000), (1024, 1000), (1024, 10_000), (1024, 128_000))
    ),
]


def show(found: dict[str, Any], console: Console) -> None:
    for result in found["results"]:
        console.print(_table(result))
        console.print()
    console.print(_targets(found["results"]))
    console.print(" · ".join(f"{k} {v}" for k, v in found["machine"].items()))


def _table(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['task']}, {result['cores']} core(s)", title_justify="left")
    for heading in ("", "µs a step", "× the fastest", "digits"):
        table.add_column(heading, justify="right" if heading else "left")
    fastest = best({"seconds": {k: v for k, v in result["seconds"].items() if k != "copy"}}, "")
    for name in sorted(result["seconds"], key=lambda name: np.median(result["seconds"][name])):
        middle, low, high = times_faster(result, fastest or name, name)
        table.add_row(
            name,
            f"{np.median(result['seconds'][name]) * 1e6:,.1f}",
            f"{middle:.2f}  ({low:.2f}–{high:.2f})",
            f"{result['digits'].get(name, np.nan):.1f}",
        )
    for name, why in result["out"].items():
        table.add_row(name, "", why, "")
    return table


def _targets(results: list[dict[str, Any]]) -> Table:
    table = Table(title="what was aimed at", title_justify="left")
    for heading in ("work", "ours", "× PyTorch", "aim", "× best peer", "aim", "× copy"):
        table.add_column(heading)
    for what, text, cores, names, torch, peer in TARGETS:
        for result in results:
            if text not in result["task"] or result["cores"] != cores:
                continue
            mine = best(result, *names) or ""
            cells = [_cell(times_faster(result, mine, best(result, "torch"))), f"≥ {torch}"]
            cells += [_cell(times_faster(result, mine, best(result, *PEERS)))]
            cells += [f"≥ {peer}" if peer else ""]
            copies = times_faster(result, "copy", mine) if "copy" in result["seconds"] else ()
            table.add_row(f"{result['task']}: {what}", mine, *cells, _cell(copies))
    for result in results:
        if "64 runs" in result["task"]:
            ratio = times_faster(result, "pullback stacked", "pullback NumPy, in turn")
            table.add_row(f"{result['task']}: stacked, to NumPy in turn", "", _cell(ratio), "≥ 8")
    return table


def _cell(ratio: tuple[float, ...]) -> str:
    if not ratio or np.isnan(ratio[0]):
        return ""
    return f"{ratio[0]:.2f} ({ratio[1]:.2f}–{ratio[2]:.2f})"


def machine() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": platform.platform()}
    lscpu = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
    for line in lscpu.splitlines():
        key, _, value = line.partition(":")
        if key in ("Model name", "CPU(s)", "L2 cache", "L3 cache"):
            found[key] = value.strip()
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "–"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    if args.show:
        show(json.loads(RESULTS.read_text()), console)
        return
    tasks = [(task, cores) for task in TRAININGS for cores in (1, 2)]
    tasks += [(task, 1) for task in ENTROPIES] + [(SWEEP, 2)]
    results = []
    for task, cores in tasks:
        if args.only not in task.steps:
            continue
        console.print(f"{task.steps}, {cores} core(s)", markup=False)
        results.append(measure(task, cores, 3 if args.quick else 15, console))
    found = {"results": results, "machine": machine()}
    if not args.quick:
        keep(found, console, whole=not args.only)
    show(found, console)


def keep(found: dict[str, Any], console: Console, *, whole: bool) -> None:
    """Store all results, or some in the place of those of the same machine and versions."""
    if not whole:
        stored = json.loads(RESULTS.read_text())
        if stored["machine"] != found["machine"]:
            console.print("not stored: the other results are of another machine or version")
            return
        new = {(one["task"], one["cores"]): one for one in found["results"]}
        results = [new.get((one["task"], one["cores"]), one) for one in stored["results"]]
        found = {**found, "results": results}
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
