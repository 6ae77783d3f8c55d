"""Runs per second of a sweep: Pullback, and the script of Hydra and MLflow that people write.

The same network (2-500-2, float32), data (the moons, 200 points to learn from), 200 steps of SGD,
and 400 metrics a run into the same SQLite store. Each contender is a process of its own in an empty
directory, in random order within a round; what starting costs is taken out by two lengths of the
same sweep, and told beside. ``--show`` prints the stored results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "sweeps.json"
OURS = [sys.executable, "-m", "pullback", "train", "-m", "experiment=founding", "dataset.n=400"]
OURS += ["split={validation:0,test:200}", "training.steps=200", "training.evaluate_every=200"]
OURS += ["reference=null", "optimizer.momentum=0"]
PLAIN = [sys.executable, str(HERE / "plain_script.py"), "-m"]
CONTENDERS = {
    "plain script": (PLAIN, 2, 8),
    "pullback, one worker": ([*OURS, "workers=1"], 8, 88),
    "pullback, two workers": ([*OURS, "workers=2"], 8, 128),
    "pullback, two workers, pictures": ([*OURS, "workers=2", "tracking.pictures=true"], 8, 48),
}


def seconds(command: list[str], runs: int) -> float:
    """A sweep over so many seeds, from the start of its process to its end; it is all checked."""
    with tempfile.TemporaryDirectory() as folder:
        plain = command == PLAIN
        words = [f"hydra.sweep.dir={folder}/runs", "hydra.job.chdir=false"] if plain else []
        words += [f"uri=sqlite:///{folder}/mlflow.db"] if plain else []
        started = time.perf_counter()
        subprocess.run(
            [*command, f"seed=range(0,{runs})", *words],
            cwd=folder,
            check=True,
            capture_output=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        elapsed = time.perf_counter() - started
        with closing(sqlite3.connect(f"{folder}/mlflow.db")) as database:
            done = database.execute("SELECT COUNT(*) FROM runs WHERE status = 'FINISHED'")
            metrics = database.execute(
                "SELECT COUNT(*) FROM metrics WHERE key IN ('train_loss', 'gradient_norm')"
            )
            assert done.fetchone()[0] == runs + (0 if plain else 1)
            assert metrics.fetchone()[0] >= 400 * runs
    return elapsed


def measure(rounds: int) -> dict[str, object]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    console = Console()
    for number in range(rounds):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            command, few, many = CONTENDERS[name]
            short, long = seconds(command, few), seconds(command, many)
            rate = (many - few) / (long - short)
            found[name].append({"rate": rate, "start": short - few / rate, "whole": many / long})
            console.print(f"round {number + 1}: {name}: {rate:.2f} runs/s")
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "rounds": rounds}
    return {"machine": machine, "contenders": found}


def show(found: dict[str, object]) -> None:
    table = Table(title="A sweep of 2-500-2 networks, 200 steps, 400 metrics a run", box=None)
    for heading in ("", "runs/s", "× plain (median, least)", "start, s", "runs/s with the start"):
        table.add_column(heading, justify="right" if heading else "left")
    contenders = found["contenders"]
    assert isinstance(contenders, dict)
    for name, rounds in contenders.items():
        pairs = zip(rounds, contenders["plain script"], strict=True)
        ratios = [one["rate"] / plain["rate"] for one, plain in pairs]
        median = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        told = f"{statistics.median(ratios):.1f} ({min(ratios):.1f})"
        start, whole = f"{median['start']:.1f}", f"{median['whole']:.2f}"
        table.add_row(name, f"{median['rate']:.2f}", told, start, whole)
    Console(highlight=False).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="the stored results; measures nothing")
    args = parser.parse_args()
    if not args.show:
        RESULTS.write_text(json.dumps(measure(args.rounds), indent=1) + "\n", encoding="utf-8")
    show(json.loads(RESULTS.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
