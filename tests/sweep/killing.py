"""A sweep that is killed again and again, and its table beside an undisturbed sweep's.

``python tests/sweep/killing.py --kills 20 --jobs 40`` is the campaign; the suite runs a short one.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ["net.z1.width=60", "training.steps=300", "training.checkpoint_every=50"]
WORDS += ["training.evaluate_every=25", "workers=2", "tracking.pictures=false"]
WORDS += ["tracking.model=false"]


def sweep(cwd: Path, jobs: int, *words: str) -> subprocess.Popen[bytes]:
    losses = "loss=cross_entropy_vjp,cross_entropy_exact"
    grid = [losses, f"seed=range(0,{jobs // 2})", *WORDS, *words]
    command = [sys.executable, "-m", "pullback", "train", "-m", *grid]
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def table(cwd: Path) -> list[dict[str, str]]:
    """The comparison without what is measured with a clock or of the process."""
    (file,) = cwd.glob("runs/*/comparison.csv")
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    timed = ("step_seconds", "step_peak_bytes")
    return [{k: v for k, v in row.items() if not k.startswith(timed)} for row in rows]


def ended(cwd: Path) -> dict[str, tuple[str, str]]:
    """By the directory of each run that ended well: its id, and when it ended."""
    found = {}
    for end in cwd.glob("runs/*/*/end.json"):
        said = json.loads(end.read_text())
        if said["status"] in ("finished", "stopped"):
            run = json.loads((end.parent / "run.json").read_text())
            found[end.parent.name] = (run["id"], said["ended"], str(said["time"]))
    return found


def workers_of(pid: int) -> list[int]:
    """The worker processes of a sweep, which have sessions of their own."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def disturbed(cwd: Path, jobs: int, kills: int, rng: random.Random, *words: str) -> int:
    """Kill the sweep, or now and then one of its workers, at random moments; then let it end.

    Returns how many kills found it running. AssertionError where a run was lost or done twice.
    """
    hits = 0
    done: dict[str, tuple[str, str]] = {}
    for _ in range(kills):
        process = sweep(cwd, jobs, *words)
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(cwd.glob("runs/*/sweep.json")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 3.0))
        if process.poll() is None:
            hits += 1
            children = workers_of(process.pid)
            process.send_signal(signal.SIGKILL)
            if children and rng.random() < 0.3:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(children), signal.SIGKILL)
        process.communicate()
        now = ended(cwd)
        assert done.items() <= now.items(), "a run that had ended was done again, or lost"
        done = now
    last = sweep(cwd, jobs, *words)
    _, err = last.communicate(timeout=500)
    assert last.returncode == 0, err.decode()
    assert done.items() <= ended(cwd).items(), "a run that had ended was done again"
    assert len(ended(cwd)) == jobs
    for run in cwd.glob("runs/*/*/metrics.jsonl"):
        steps = [json.loads(line)["step"] for line in run.read_text().splitlines()]
        assert steps == list(range(301)), run
    return hits


def in_mlflow(cwd: Path) -> dict[str, int]:
    """How many runs MLflow shows, by their status; the sweep itself is one of them."""
    with contextlib.closing(sqlite3.connect(cwd / "mlflow.db")) as database:
        return dict(database.execute("SELECT status, COUNT(*) FROM runs GROUP BY status"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        whole = sweep(Path(one), args.jobs)
        whole.communicate()
        hits = disturbed(Path(other), args.jobs, args.kills, random.Random(args.seed))
        same = table(Path(one)) == table(Path(other))
        shown = in_mlflow(Path(other))
        print(f"{hits} kills of {args.kills} hit; {args.jobs} runs; tables identical: {same}")
        print(f"in MLflow: {shown}")
        assert same
        assert shown == {"FINISHED": args.jobs + 1}


if __name__ == "__main__":
    main()
