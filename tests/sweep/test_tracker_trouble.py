"""MLflow in trouble: the runs go on, their journals are whole, and sync makes up for it.

A locked database, a full disk, a directory that cannot be written, a server that is not there at
the start, in the middle or at the end, and eight processes at one new database.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from pullback.tracking.journal import read_end, read_metrics

FAST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "3"}
WORDS = ["net.z1.width=8", "training.steps=20", "reference=null", "tracking.pictures=false"]
WORDS += ["tracking.model=false"]


def runs_of(database: Path) -> list[tuple[str, str, int]]:
    """Name, status and the number of training losses of each run in a store, without parents."""
    query = """
        SELECT r.name, r.status, COUNT(m.step) FROM runs r
        LEFT JOIN metrics m ON m.run_uuid = r.run_uuid AND m.key = 'gradient_norm'
        WHERE r.lifecycle_stage = 'active' GROUP BY r.run_uuid ORDER BY r.name
    """
    with closing(sqlite3.connect(database)) as opened:
        return [row for row in opened.execute(query) if not row[0].startswith("sweep")]


def whole(cwd: Path, runs: int, steps: int = 20) -> None:
    found = sorted(path.parent for path in cwd.glob("runs/*/*/run.json"))
    assert len(found) == runs
    for run in found:
        assert read_end(run)["status"] == "finished"
        assert [line["step"] for line in read_metrics(run)] == list(range(steps + 1))


def test_a_locked_database_costs_nothing_and_sync_makes_up(pullback, tmp_path):
    """Locked from before the first run until after the last; then twice sync is once."""
    assert pullback("train", *WORDS).returncode == 0  # makes the database
    shutil.rmtree(tmp_path / "runs")
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        done = pullback("train", "-m", "seed=0,1", *WORDS)
        locked.execute("ROLLBACK")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert "database is locked" in warning
    assert "pullback sync runs/seed-" in warning
    whole(tmp_path, 2)
    assert len(runs_of(tmp_path / "mlflow.db")) == 1

    synced = pullback("sync")
    assert synced.returncode == 0, synced.stderr
    assert "of 3 runs and sweeps: 3 brought up to date" in synced.stdout
    first = runs_of(tmp_path / "mlflow.db")
    assert first[-2:] == [("seed=0", "FINISHED", 20), ("seed=1", "FINISHED", 20)]
    again = pullback("sync")
    assert "of 3 runs and sweeps: 3 there already" in again.stdout
    assert runs_of(tmp_path / "mlflow.db") == first
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    moved = pullback("sync", "elsewhere")
    assert "3 there already" in moved.stdout


def test_sync_makes_a_store_anew(pullback, tmp_path):
    """The database is gone; another is asked for: all is made again from the directories."""
    assert pullback("train", "-m", "seed=0,1", *WORDS).returncode == 0
    (tmp_path / "mlflow.db").unlink()
    (run,) = tmp_path.glob("runs/*/1/end.json")
    run.unlink()  # as if its process had been killed
    again = pullback("sync")
    assert again.returncode == 0, again.stderr
    other = pullback("sync", "--uri", "sqlite:///other.db", "--experiment", "mine")
    assert other.returncode == 0, other.stderr
    for database in ("mlflow.db", "other.db"):
        found = runs_of(tmp_path / database)
        assert found == [("seed=0", "FINISHED", 20), ("seed=1", "KILLED", 20)], database


@pytest.fixture
def full(tmp_path):
    """A disk of half a megabyte for the tracker; a directory without permissions elsewhere."""
    place = tmp_path / "full"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small disk is a mount, which needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_in_the_trackers_place_costs_nothing(pullback, tmp_path, full):
    uri = f"tracking.uri=sqlite:///{full}/m.db"
    done = pullback("train", "-m", "seed=0,1", *WORDS, uri)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "does not have" in done.stderr
    whole(tmp_path, 2)
    subprocess.run(["mount", "-o", "remount,size=64m", str(full)], check=True)
    synced = pullback("sync")
    assert synced.returncode == 0, synced.stderr
    found = runs_of(full / "m.db")
    assert found == [("seed=0", "FINISHED", 20), ("seed=1", "FINISHED", 20)]


def test_a_place_that_cannot_be_written_costs_nothing(pullback, tmp_path):
    (tmp_path / "file").touch()  # root may write anywhere but below a file
    done = pullback("train", "-m", "seed=0,1", *WORDS, "tracking.uri=sqlite:///file/m.db")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "does not have" in done.stderr
    whole(tmp_path, 2)


class Server:
    """MLflow's server, which can be stopped and started again on the same store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--backend-store-uri", f"sqlite:///{self.folder}/server.db", "--workers", "1"]
        words += ["--artifacts-destination", str(self.folder / "artifacts")]
        words += ["--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                assert self.process.poll() is None
                time.sleep(0.2)
        pytest.fail("the server did not start")

    def stop(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "server"
    folder.mkdir()
    made = Server(folder)
    yield made
    made.stop()


def test_a_server_that_stops_in_the_middle_loses_nothing(tmp_path, server):
    """There at the start, gone in the middle, there again; then gone at the end, and sync."""
    server.start()
    words = ["seed=range(0,8)", *WORDS, "training.steps=1500", f"tracking.uri={server.uri}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pullback", "train", "-m", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **FAST},
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/*/mlflow.json")):  # the first run is there
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    server.stop()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    assert "jobs:     8 done" in out
    assert f"MLflow at {server.uri} does not have" in err
    whole(tmp_path, 8, 1500)

    command = [sys.executable, "-m", "pullback", "sync"]
    down = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, **FAST},
        check=False,
    )
    assert down.returncode == 1
    assert "not brought up to date: " in down.stderr
    assert "Traceback" not in down.stderr
    server.start()
    for told in ("brought up to date", "of 9 runs and sweeps: 9 there already"):
        up = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert up.returncode == 0, up.stderr
        assert told in up.stdout
    found = runs_of(server.folder / "server.db")
    assert [name for name, _, _ in found] == [f"seed={i}" for i in range(8)]
    assert {(status, points) for _, status, points in found} == {("FINISHED", 750)}


def test_eight_processes_at_a_new_database(tmp_path):
    """None of them crashes, none of them is missing."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "pullback", "train", *WORDS, f"seed={i}", f"hydra.run.dir=r{i}"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(8)
    ]
    for process in processes:
        _, err = process.communicate(timeout=240)
        assert (process.returncode, err) == (0, "")
    found = runs_of(tmp_path / "mlflow.db")
    assert [(status, points) for _, status, points in found] == [("FINISHED", 20)] * 8
