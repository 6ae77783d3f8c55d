"""What tracking costs a run of ten seconds that logs every step: with MLflow, and with the journal
alone.

The same run, the founding network, in a process of its own in an empty directory, in random order
within a round. The store is new in each, so the first seconds of MLflow's, in which it makes its
database, are in it. The journal alone runs twice a round: what the two differ by is the noise.
``--show`` prints the stored results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results" / "tracking.json"
BASE, AGAIN, MLFLOW = "journal alone", "journal alone, again", "MLflow"
CONTENDERS = {BASE: ["tracking=none"], AGAIN: ["tracking=none"], MLFLOW: ["tracking=mlflow"]}


def measure(steps: int, words: list[str]) -> dict[str, float]:
    """The seconds of the run from its first step to its end, and of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pullback", "train", "experiment=founding", *words]
        command += [f"training.steps={steps}", "reference=null", "hydra.run.dir=run"]
        command += ["tracking.pictures=false", "tracking.model=false"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
        whole = time.perf_counter() - started
        end = json.loads(Path(folder, "run", "end.json").read_text(encoding="utf-8"))
        assert end["status"] == "finished"
        assert end["steps"] == steps
        return {"run": end["seconds"], "process": whole}


def campaign(rounds: int, console: Console) -> dict[str, object]:
    trial = measure(1000, CONTENDERS[BASE])
    steps = round(10 * 1000 / trial["run"], -3)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for number in range(rounds):
        for name in random.sample(list(CONTENDERS), len(CONTENDERS)):
            found[name].append(measure(int(steps), CONTENDERS[name]))
            console.print(f"round {number + 1}: {name}: {found[name][-1]}")
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "rounds": rounds}
    return {"machine": machine, "steps": int(steps), "contenders": found}


def show(found: dict[str, object], console: Console) -> None:
    contenders = found["contenders"]
    assert isinstance(contenders, dict)
    table = Table(title=f"A run of {found['steps']} steps, every one logged", box=None)
    for heading in ("", "run, s", "× journal alone (least–most)", "process, s", "× (least–most)"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rounds in contenders.items():
        cells = [name]
        for what in ("run", "process"):
            ratios = [
                one[what] / base[what] for one, base in zip(rounds, contenders[BASE], strict=True)
            ]
            cells.append(f"{statistics.median(one[what] for one in rounds):.2f}")
            cells.append(f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})")
        table.add_row(*cells)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--show", action="store_true", help="the stored results; measures nothing")
    args = parser.parse_args()
    console = Console(highlight=False)
    if not args.show:
        text = json.dumps(campaign(args.rounds, console), indent=1)
        RESULTS.write_text(f"{text}\n", encoding="utf-8")
    show(json.loads(RESULTS.read_text(encoding="utf-8")), console)


if __name__ == "__main__":
    main()
