"""Runs and sweeps as a user starts them: their evidence, MLflow's view of it, what goes wrong."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from pullback import Net, Recipe, Split, build, cli, prepare, train
from pullback import checkpoint as checkpoints
from pullback.facts import flatten
from pullback.job import CONDUCT
from pullback.tracking.journal import read_end, read_metrics, read_run

pytestmark = pytest.mark.filterwarnings(
    "ignore:The .*noload.* loader strategy is deprecated:DeprecationWarning",  # MLflow's store
    "ignore:.*Any type hint is inferred as AnyType:UserWarning",  # the import of mlflow.pyfunc
)

STEPS = 60
LOSSES = ("cross_entropy_vjp", "cross_entropy_exact")
FIXED = ("experiment=founding", f"training.steps={STEPS}")
KEPT = ("tracking.model=true", "tracking.pictures=true")
QUICK = ("tracking=none", "tracking.pictures=false")

PLUGIN = '''
from dataclasses import dataclass
import numpy as np


@dataclass(frozen=True)
class Swish:
    """y = x σ(βx);  dx = dy (σ + βy (1 − σ)).   Keeps y and σ."""

    beta: float = 1.0

    def forward(self, x):
        s = 1 / (1 + np.exp(-self.beta * x))
        return x * s, (x * s, s)

    def backward(self, residual, dy):
        y, s = residual
        return dy * (s + self.beta * y * (1 - s))


calls = []


@dataclass(frozen=True)
class Trips:
    """y = x;  dx = dy, twice in a process."""

    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        calls.append(1)
        if len(calls) > 2:
            raise ValueError("tripped over a cable")
        return dy


@dataclass(frozen=True)
class Forgets:
    """An optimizer that loses its state."""

    lr: float = 0.1

    def init(self, theta):
        return {}

    def step(self, theta, g, state, lr, out=None):
        return state["velocity"]
'''


def pullback(cwd, *args, **env):
    return subprocess.run(
        [sys.executable, "-m", "pullback", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "100", **env},
        check=False,
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty directory, with a plugin file in it, where this process is."""
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Swept:
    """What a sweep printed and left behind."""

    root: Path
    done: subprocess.CompletedProcess[str]

    @property
    def directory(self):
        (found,) = self.root.glob("runs/*/sweep.json")
        return found.parent

    @property
    def runs(self):
        return sorted(path.parent for path in self.directory.glob("*/run.json"))

    @property
    def uri(self):
        return f"sqlite:///{self.root}/mlflow.db"

    def count(self, table):
        with closing(sqlite3.connect(self.root / "mlflow.db")) as database:
            return database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    root = tmp_path_factory.mktemp("sweep")
    return Swept(
        root, pullback(root, "train", "-m", *FIXED, *KEPT, f"loss={','.join(LOSSES)}", "seed=0,1")
    )


@pytest.fixture(scope="module")
def mlflow(sweep):
    """MLflow, with the sweep's database as its store."""
    import mlflow

    mlflow.set_tracking_uri(sweep.uri)
    return mlflow


@pytest.fixture(scope="module")
def shown(sweep, mlflow):
    """The client, the parent run, and the child runs by the directory they show."""
    client = mlflow.MlflowClient(sweep.uri)
    experiment = client.get_experiment_by_name("pullback")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags["pullback.kind"] == "sweep"]
    children = [run for run in runs if run is not parent]
    return client, parent, {Path(run.data.tags["pullback.directory"]): run for run in children}


# What is printed, and what lies in the directories


def test_a_sweep_ends_with_the_table_and_how_to_go_on(sweep):
    assert sweep.done.returncode == 0, sweep.done.stderr
    lines = [line.rstrip() for line in sweep.done.stdout.splitlines() if line.strip()]
    for loss in LOSSES:
        (row,) = [line for line in lines if line.startswith(loss)]
        assert row.count("±") >= 2
    tally, evidence, opening = lines[-3:]
    assert tally == "jobs:     4 done"
    assert evidence == f"evidence: {sweep.directory.relative_to(sweep.root)}"
    assert opening == f"open it:  pullback ui {sweep.directory.relative_to(sweep.root)}"
    told = sweep.done.stderr.splitlines()
    assert [line.split()[0] for line in told] == ["1/4", "2/4", "3/4", "4/4"]
    assert all("finished: test loss 0." in line for line in told)


def test_a_sweep_leaves_its_runs_and_their_comparison(sweep):
    assert [path.name for path in sweep.runs] == ["0", "1", "2", "3"]
    facts = json.loads((sweep.directory / "sweep.json").read_text())
    assert (facts["swept"], len(facts["jobs"])) == (["loss", "seed"], 4)
    assert facts["fixed"][:2] == [*FIXED]
    assert (sweep.directory / "curves.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    markdown = (sweep.directory / "comparison.md").read_text()
    assert all(loss in markdown for loss in LOSSES)
    with (sweep.directory / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2


def test_the_table_is_the_mean_and_deviation_of_the_runs(sweep):
    with (sweep.directory / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    key = next(key for key in rows[0] if "test_loss" in key and "mean" in key)
    deviation = next(key for key in rows[0] if "test_loss" in key and "sd" in key)
    for row, pair in zip(rows, (sweep.runs[:2], sweep.runs[2:]), strict=True):
        losses = [read_end(path)["metrics"]["test_loss"] for path in pair]
        assert float(row[key]) == pytest.approx(np.mean(losses), rel=1e-12)
        assert float(row[deviation]) == pytest.approx(np.std(losses, ddof=1), rel=1e-9)


def test_each_run_says_what_it_was(sweep):
    jobs = [(loss, seed) for loss in LOSSES for seed in (0, 1)]
    digests = {}
    for path, (loss, seed) in zip(sweep.runs, jobs, strict=True):
        facts, config = read_run(path), OmegaConf.load(path / "config.yaml")
        assert facts["overrides"] == [f"loss={loss}", f"seed={seed}"]
        assert facts["name"] == f"{loss} seed={seed}"
        options = facts["options"]
        assert (options["loss.name"], options["seed"]) == (loss, seed)
        assert (config.loss.name, config.seed, config.training.steps) == (loss, seed, STEPS)
        assert (options["optimizer.name"], options["optimizer.lr"]) == ("sgd", 0.1)
        assert (config.optimizer.name, config.optimizer.momentum) == ("sgd", 0.9)
        assert (config.dataset.n, config.net.z1.width) == (2600, 500)
        assert "hydra" not in config
        plain = OmegaConf.to_container(config)
        left_out = ("plugins", *CONDUCT)
        assert options == flatten({key: plain[key] for key in plain if key not in left_out})
        assert facts["parameters"] == 2 * 500 + 500 + 500 * 2 + 2
        assert facts["environment"]["numpy"] == np.__version__
        assert facts["providers"]["net.a1"].startswith("pullback ")
        assert (facts["data"]["train"], facts["data"]["test"]) == (200, 2000)
        digests.setdefault(seed, set()).add(facts["data"]["digest"])
    assert [len(digests[seed]) for seed in (0, 1)] == [1, 1]
    assert digests[0] != digests[1]


def test_each_journal_has_every_step_and_the_end(sweep):
    for path in sweep.runs:
        lines = list(read_metrics(path))
        assert [line["step"] for line in lines] == list(range(STEPS + 1))
        assert all(math.isfinite(line["train_loss"]) for line in lines)
        looked = [line["step"] for line in lines if "validation_loss" in line]
        assert looked == list(range(0, STEPS + 1, 10))
        assert lines[0]["learning_rate"] == 0.1
        end = read_end(path)
        assert (end["status"], end["steps"], end["message"]) == ("finished", STEPS, "")
        assert end["metrics"]["train_loss"] == lines[-1]["train_loss"]
        assert end["metrics"]["test_accuracy"] > 0.8
        assert end["metrics"]["step_seconds"] > 0
        exact = read_run(path)["options"]["loss.name"] == "cross_entropy_exact"
        assert (end["metrics"]["gradient_difference"] == 0) == exact


def test_a_run_is_what_python_makes_of_the_same_words(sweep):
    data = prepare(
        build("dataset", {"name": "moons", "n": 2600, "noise": 0.2}),
        split=Split(400, 2000),
        seed=1,
    )
    stages = {
        "z1": {"name": "affine", "width": 500},
        "a1": "tanh",
        "z2": {"name": "affine", "width": 2},
    }
    net = Net(stages, 2, seed=1)
    result = train(
        net,
        data,
        loss="cross_entropy_vjp",
        optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9},
        recipe=Recipe(steps=STEPS),
        seed=1,
    )
    run = sweep.runs[1]
    assert read_run(run)["data"]["digest"] == data.digest
    assert read_end(run)["metrics"]["test_loss"] == pytest.approx(
        result.metrics["test_loss"], rel=1e-5
    )
    theta = checkpoints.load(run / "last.npz")[0]["theta"]
    np.testing.assert_allclose(theta, net.theta, rtol=1e-4, atol=1e-6)


# MLflow's view of it


def test_mlflow_has_a_parent_and_its_children(sweep, shown):
    _, parent, children = shown
    assert set(children) == set(sweep.runs)
    state = json.loads((sweep.directory / "mlflow.json").read_text())
    assert state["run_id"] == parent.info.run_id
    assert parent.data.params["swept"] == "loss seed"
    for path, run in children.items():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.run_name == read_run(path)["name"]
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}


def test_mlflow_has_every_option(shown):
    for path, run in shown[2].items():
        options = read_run(path)["options"]
        assert run.data.params == {key: str(value) for key, value in options.items()}


@pytest.mark.parametrize("metric", ["train_loss", "validation_loss"])
def test_mlflow_has_the_journal_line_by_line(shown, metric):
    client, _, children = shown
    for path, run in children.items():
        lines = [line for line in read_metrics(path) if metric in line]
        written = [(line["step"], line["time"], line[metric]) for line in lines]
        end = read_end(path)
        written.append((end["steps"], end["time"], end["metrics"][metric]))
        history = client.get_metric_history(run.info.run_id, metric)
        found = [(one.step, one.timestamp, one.value) for one in history]
        assert sorted(set(found)) == sorted(set(written))
        assert len(found) == len(set(found))


def test_mlflow_has_the_final_figures(shown):
    for path, run in shown[2].items():
        for key, value in read_end(path)["metrics"].items():
            assert run.data.metrics[key] == value


def test_mlflow_knows_the_data(shown):
    for path, run in shown[2].items():
        (used,) = run.inputs.dataset_inputs
        data = read_run(path)["data"]
        assert (used.dataset.name, used.dataset.digest) == ("moons", data["digest"])
        assert json.loads(used.dataset.source)["dataset"] == data["source"]
        assert used.tags[0].value == "training"


def artifacts(client, run, folder=None):
    found = []
    for one in client.list_artifacts(run.info.run_id, folder):
        found += artifacts(client, run, one.path) if one.is_dir else [one.path]
    return sorted(found)


def test_mlflow_has_config_and_pictures_and_the_parent_the_comparison(sweep, shown):
    client, parent, children = shown
    for path, run in children.items():
        names = artifacts(client, run)
        assert {"config.yaml", "pictures/boundary.png", "pictures/loss.png"} <= set(names)
        copy = client.download_artifacts(run.info.run_id, "config.yaml")
        assert Path(copy).read_bytes() == (path / "config.yaml").read_bytes()
    assert artifacts(client, parent) == [
        *("comparison.csv", "comparison.md", "curves.png", "tradeoff.png")
    ]
    summary = (sweep.directory / "comparison.md").read_text()
    assert parent.data.tags["mlflow.note.content"].strip() == summary.strip()
    assert (sweep.root / "mlartifacts").is_dir()


def test_the_model_is_loaded_from_mlflow_and_says_what_the_net_says(sweep, mlflow, shown):
    path = sweep.runs[2]
    run = shown[2][path]
    raw = np.random.default_rng(5).normal(size=(20, 2)) * [1, 2]
    said = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(raw)

    config = OmegaConf.to_container(OmegaConf.load(path / "config.yaml"))
    data = prepare(build("dataset", config["dataset"]), split=Split(400, 2000), seed=0)
    net = Net(config["net"], 2, classes=2, seed=0)
    net.theta[...] = checkpoints.load(path / "last.npz")[0]["theta"]
    np.testing.assert_array_equal(said, net(data.standardise(raw)))
    assert not np.allclose(said, net(raw))


def test_nothing_that_is_kept_is_a_pickle(sweep):
    kept = [path for path in (sweep.root / "mlartifacts").rglob("*") if path.is_file()]
    assert [path for path in kept if path.name == "MLmodel"]
    for path in kept:
        assert path.suffix not in (".pkl", ".pickle", ".joblib", ".pt")
        assert not path.read_bytes().startswith(b"\x80"), path  # what pickles begin with
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                assert all(file[key].dtype != object for key in file.files)


TABLES = ("runs", "metrics", "params", "tags", "inputs", "logged_models")


def test_publishing_again_adds_nothing(sweep, shown):
    from pullback.tracking.mlflow_view import View
    from pullback.tracking.store import Store

    before = {table: sweep.count(table) for table in TABLES}
    assert before["runs"] == 5
    view = View(Store(sweep.uri, "pullback"))
    for path in sweep.runs:
        assert view.publish(path) == shown[2][path].info.run_id
    assert {table: sweep.count(table) for table in TABLES} == before


def test_the_view_can_be_made_again_from_the_directory(sweep, tmp_path, shown):
    from pullback.tracking.mlflow_view import View
    from pullback.tracking.store import Store

    copy = shutil.copytree(sweep.runs[0], tmp_path / "copy")
    (copy / "mlflow.json").unlink()
    view = View(Store(f"sqlite:///{tmp_path}/other.db", "pullback"))
    run = view.store.client.get_run(view.publish(copy))
    old = shown[2][sweep.runs[0]]
    assert run.data.params == old.data.params
    assert run.data.metrics == old.data.metrics
    assert run.info.status == "FINISHED"
    assert {"config.yaml", "pictures/loss.png"} <= set(artifacts(view.store.client, run))


# What goes wrong


def test_nothing_begins_where_the_last_job_is_misspelt(here, capsys):
    words = ["train", "-m", "loss=mse,cross_entropy_exat", "seed=0,1", "dataset=moons"]
    assert cli.main(words) == 2
    err = capsys.readouterr().err
    assert "did you mean 'cross_entropy_exact'?" in err
    assert "(2 of 4 jobs, first #2: loss=cross_entropy_exat seed=0" in err
    assert [path.name for path in here.iterdir() if "pycache" not in path.name] == ["mine.py"]


@pytest.fixture(scope="module")
def rough(tmp_path_factory):
    """A sweep of four jobs: one is well, one is not finite, two come upon a broken layer."""
    root = tmp_path_factory.mktemp("rough")
    (root / "mine.py").write_text(PLUGIN, encoding="utf-8")
    fixed = ["plugins=[mine.py]", "loss=cross_entropy_vjp", "optimizer=sgd", "reference=null"]
    fixed += ["training.steps=20", "net.z1.width=20", "workers=1"]
    swept = ["net.a1=tanh,trips", "optimizer.lr=0.1,1e6"]
    return Swept(root, pullback(root, "train", "-m", *fixed, *swept))


def test_a_failed_job_does_not_stop_the_others(rough):
    assert rough.done.returncode == 1
    assert "Traceback" not in rough.done.stdout + rough.done.stderr
    assert [path.name for path in rough.runs] == ["0", "1", "2", "3"]
    ends = [read_end(path) for path in rough.runs]
    assert [end["status"] for end in ends] == ["finished", "failed", "failed", "failed"]
    told = rough.done.stderr.splitlines()
    assert [line.split()[0] for line in told[:4]] == ["1/4", "2/4", "3/4", "4/4"]
    failed = [line for line in told if line.startswith("failed: ")]
    assert len(failed) == 3
    assert str(rough.runs[2].relative_to(rough.root)) in failed[1]
    assert "jobs:     1 done, 3 failed" in rough.done.stdout.splitlines()


def test_the_table_has_the_runs_that_ended(rough):
    rows = [line for line in rough.done.stdout.splitlines() if line.startswith(("tanh ", "trips "))]
    assert ["0 of 1" in row for row in rows] == [False, True, True, True]
    row = rows[0]
    with (rough.directory / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    loss = read_end(rough.runs[0])["metrics"]["test_loss"]
    assert f"{loss:.3f}" in row
    found = [row[key] for row in rows for key in row if "test_loss" in key and "mean" in key]
    assert [float(one) for one in found if one not in ("", "nan")] == [loss]
    assert rough.done.stdout.splitlines()[-1].startswith("open it:")


def test_a_unit_that_raises_is_named_with_what_it_said(rough):
    end = read_end(rough.runs[2])
    assert end["message"] == "stage a1 (trips): backward raised ValueError: tripped over a cable"
    assert end["steps"] == 1
    assert [line["step"] for line in read_metrics(rough.runs[2])] == [0, 1]
    assert "tripped over a cable" in rough.done.stderr


def test_a_run_that_is_not_finite_keeps_the_batch(rough):
    end = read_end(rough.runs[1])
    assert "loss is" in end["message"]
    arrays, facts = checkpoints.load(rough.runs[1] / "not_finite.npz")
    config = OmegaConf.load(rough.runs[1] / "config.yaml")
    net = Net(OmegaConf.to_container(config.net), 2, classes=2)
    net.theta[...] = arrays["theta"]
    assert arrays["x"].shape == (240, 2)
    with np.errstate(all="ignore"):
        loss, _ = build("loss", "cross_entropy_vjp").forward(net(arrays["x"]), arrays["target"])
    assert not np.isfinite(loss).all()
    assert facts["step"] == end["steps"] + 1
    assert not (rough.runs[1] / "model").exists()


def test_mlflow_says_which_runs_failed(rough):
    from mlflow import MlflowClient

    client = MlflowClient(rough.uri)
    experiment = client.get_experiment_by_name("pullback")
    runs = client.search_runs([experiment.experiment_id])
    status = {run.data.tags["pullback.directory"]: run.info.status for run in runs}
    assert [status[str(path)] for path in rough.runs] == ["FINISHED", *["FAILED"] * 3]
    assert status[str(rough.directory)] == "FAILED"
    notes = [run.data.tags.get("mlflow.note.content", "") for run in runs]
    assert sum("tripped over a cable" in note for note in notes) == 2


def test_an_error_that_nobody_foresaw_leaves_its_traceback(here, capsys):
    words = ["plugins=[mine.py]", "optimizer=forgets", "training.steps=3", "hydra.run.dir=run"]
    done = pullback(here, "train", *words, *QUICK)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "KeyError: 'velocity'" in done.stdout
    text = (here / "run" / "error.txt").read_text()
    assert text.startswith("Traceback")
    assert 'return state["velocity"]' in text
    assert read_end(here / "run")["status"] == "failed"


# Interrupted and resumed

LONG = 6000
INTERRUPTED = [f"training.steps={LONG}", "net.z1.width=100", "training.evaluate_every=500"]
INTERRUPTED += ["tracking.pictures=false", "tracking.model=false", "hydra.run.dir=run"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    done = pullback(root, "train", "tracking=none", *INTERRUPTED)
    assert done.returncode == 0, done.stderr
    return root / "run"


def stopped(cwd, number, *settings):
    """Begin a run and send it a signal when there are steps in its journal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pullback", "train", *INTERRUPTED, *settings],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that starts jobs in the background has them ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    journal, deadline = cwd / "run" / "metrics.jsonl", time.monotonic() + 60
    while not (journal.exists() and journal.stat().st_size > 50_000):  # some 500 steps
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert len(list(read_metrics(cwd / "run"))) < LONG  # or there was nothing to interrupt
    return process.returncode, out, err


def resumed_is_undisturbed(cwd, undisturbed):
    done = pullback(cwd, "resume", "run")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout
    arrays, facts = checkpoints.load(cwd / "run" / "last.npz")
    expected, _ = checkpoints.load(undisturbed / "last.npz")
    assert facts["step"] == LONG
    assert set(arrays) == set(expected)
    for key, array in arrays.items():
        np.testing.assert_array_equal(array, expected[key])
    lines, whole = list(read_metrics(cwd / "run")), list(read_metrics(undisturbed))
    assert [line["step"] for line in lines] == list(range(LONG + 1))
    assert [line["train_loss"] for line in lines] == [line["train_loss"] for line in whole]
    assert read_end(cwd / "run")["status"] == "finished"


def test_an_interrupted_run_is_resumed_bit_for_bit_and_shown_so(tmp_path, undisturbed):
    status, _, err = stopped(tmp_path, signal.SIGINT, "tracking.uri=sqlite:///m.db")
    assert status == 130
    assert "Traceback" not in err
    directory = tmp_path / "run"
    assert err.strip().endswith(f"interrupted; go on with: pullback resume {directory}")
    end = read_end(directory)
    assert end["status"] == "interrupted"
    assert end["message"] == f"interrupted at step {end['steps']}"
    assert len(list(read_metrics(directory))) == end["steps"] + 1

    def run():
        with closing(sqlite3.connect(tmp_path / "m.db")) as database:
            (status,) = database.execute("SELECT status FROM runs").fetchall()
            losses = "SELECT step FROM metrics WHERE key = 'train_loss'"
            return status[0], {step for (step,) in database.execute(losses)}

    every_sixth = {*range(0, LONG + 1, 6), *range(0, LONG + 1, 500)}  # a thousand, and the looks
    assert run() == ("KILLED", {step for step in every_sixth if step <= end["steps"]})
    resumed_is_undisturbed(tmp_path, undisturbed)
    assert run() == ("FINISHED", every_sixth)


def test_a_killed_run_is_resumed_bit_for_bit(tmp_path, undisturbed):
    status, _, _ = stopped(tmp_path, signal.SIGKILL, "tracking=none")
    assert status == -signal.SIGKILL
    assert read_end(tmp_path / "run") is None
    assert checkpoints.load(tmp_path / "run" / "last.npz")[1]["step"] >= 100
    resumed_is_undisturbed(tmp_path, undisturbed)


KILLS = """
import os, signal
from dataclasses import dataclass
from pathlib import Path

calls = []


@dataclass(frozen=True)
class Kills:
    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        calls.append(1)
        if len(calls) == 351 and Path("armed").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return dy
"""


def test_a_journal_is_never_behind_its_checkpoint(tmp_path):
    """Killed at step 350, of which no line need have been written: resumed from 300."""
    (tmp_path / "mine.py").write_text(KILLS, encoding="utf-8")
    (tmp_path / "armed").touch()
    words = ["plugins=[mine.py]", "net.a1=kills", "net.z1.width=5", "reference=null"]
    words += ["training.steps=400", "training.evaluate_every=100", "hydra.run.dir=run"]
    assert pullback(tmp_path, "train", *words, *QUICK).returncode == -signal.SIGKILL
    assert checkpoints.load(tmp_path / "run" / "last.npz")[1]["step"] == 300
    (tmp_path / "armed").unlink()
    assert pullback(tmp_path, "resume", "run").returncode == 0
    lines = list(read_metrics(tmp_path / "run"))
    assert [line["step"] for line in lines] == list(range(401))


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path, undisturbed):
    stopped(tmp_path, signal.SIGKILL, "tracking=none", "training.checkpoint_every=100000")
    assert not (tmp_path / "run" / "last.npz").exists()
    resumed_is_undisturbed(tmp_path, undisturbed)


# Trackers


def test_a_dead_server_costs_a_run_nothing(tmp_path):
    words = ["tracking.uri=http://127.0.0.1:9", "training.steps=20", "hydra.run.dir=run"]
    done = pullback(tmp_path, "train", *words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert done.returncode == 0
    assert done.stdout.startswith("finished")
    warning = next(line for line in done.stderr.splitlines() if line.startswith("warning: "))
    assert "http://127.0.0.1:9 does not have all of this run" in warning
    assert "what was measured in run is whole, and `pullback sync run` brings" in warning
    assert "Traceback" not in done.stderr
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == list(range(21))
    assert read_end(tmp_path / "run")["status"] == "finished"
    assert (tmp_path / "run" / "loss.png").is_file()


def test_a_dead_server_costs_a_sweep_nothing(tmp_path):
    words = ["tracking.uri=http://127.0.0.1:9", "training.steps=5", "seed=0,1"]
    words += ["tracking.pictures=false", "tracking.model=false"]
    done = pullback(tmp_path, "train", "-m", *words, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert done.returncode == 0
    assert "±" in done.stdout
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert "MLflow at http://127.0.0.1:9 does not have 3 of these runs" in warning
    assert "Traceback" not in done.stderr
    ends = [read_end(path.parent) for path in tmp_path.glob("runs/*/*/run.json")]
    assert [end["status"] for end in ends] == ["finished", "finished"]


def test_no_tracking_writes_no_database_and_imports_no_mlflow(tmp_path):
    words = ["train", "tracking=none", "training.steps=5", "hydra.run.dir=run"]
    script = f"import sys; from pullback.cli import main; status = main({words!r})\n"
    script += "print(status, 'mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 False"
    assert "open it:" not in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert not (tmp_path / "run" / "mlflow.json").exists()


# A file of one's own


def test_a_plugin_file_works_in_a_run_and_its_model_elsewhere(here):
    words = ["plugins=[mine.py]", "net.a1={name:swish,beta:2}", "net.z1.width=8"]
    words += ["training.steps=10", "tracking.model=true", "hydra.run.dir=run"]
    done = pullback(here, "train", *words, *QUICK)
    assert done.returncode == 0, done.stderr
    facts = read_run(here / "run")
    assert facts["options"]["net.a1.beta"] == 2
    assert "mine.py" in facts["providers"]["net.a1"]
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    script = (
        "from pathlib import Path; from pullback.tracking.model import Model;"
        f"model = Model(Path({str(here / 'run' / 'model')!r}));"
        "print(type(model.net.stages[1].layer).__name__, *map(float, model.predict([[1, 2]])[0]))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    name, *said = loaded.stdout.split()
    assert name == "Swish"

    arrays, _ = checkpoints.load(here / "run" / "model" / "parameters.npz")
    z1, (W2, b2) = 8, np.split(arrays["theta"][24:], [16])
    W1, b1 = arrays["theta"][: 2 * z1].reshape(2, z1), arrays["theta"][2 * z1 : 3 * z1]
    z = (np.array([1, 2]) - arrays["mean"]) / arrays["scale"] @ W1 + b1
    expected = z / (1 + np.exp(-2 * z)) @ W2.reshape(z1, 2) + b2
    np.testing.assert_allclose([float(one) for one in said], expected, rtol=1e-5)


def test_a_plugin_file_works_in_a_sweep_and_in_resume(here):
    words = ["plugins=[mine.py]", "net.a1=swish,tanh", "training.steps=10"]
    done = pullback(here, "train", "-m", *words, *QUICK)
    assert done.returncode == 0, done.stderr
    (directory,) = [path.parent for path in here.glob("runs/*/sweep.json")]
    assert [read_run(directory / str(i))["name"] for i in range(2)] == [
        "net.a1=swish",
        "net.a1=tanh",
    ]
    assert "swish" in done.stdout
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    (directory / "0" / "end.json").unlink()  # as a kill would have left it
    again = pullback(elsewhere, "resume", str(directory / "0"))
    assert again.returncode == 0, again.stderr
    assert read_end(directory / "0")["status"] == "finished"


def test_a_run_that_ended_and_one_of_other_data_are_not_gone_on_with(here):
    rows = "a,t\n" + "".join(f"{i},{i % 2}\n" for i in range(40))
    (here / "d.csv").write_text(rows)
    words = ["dataset=file", "dataset.path=d.csv", "dataset.target=t", "hydra.run.dir=r"]
    assert pullback(here, "train", *words, *QUICK).returncode == 0
    before = (here / "r" / "end.json").read_bytes()
    again = pullback(here, "resume", "r")
    assert (again.returncode, "r is finished: there is nothing to go on" in again.stderr) == (
        2,
        True,
    )
    assert (here / "r" / "end.json").read_bytes() == before

    (here / "r" / "end.json").unlink()
    (here / "d.csv").write_text(rows.replace("0,0\n", "1,0\n", 1))
    changed = pullback(here, "resume", "r")
    assert changed.returncode == 2
    assert "the data set has changed" in changed.stderr


def test_soft_rows_and_unknown_settings(here):
    rng = np.random.default_rng(0)
    np.savez(here / "soft.npz", x=rng.normal(size=(60, 2)), t=rng.dirichlet(np.ones(3), size=60))
    words = ["dataset=file", "dataset.path=soft.npz", "dataset.target=t"]
    done = pullback(here, "train", *words, *QUICK)
    assert done.returncode == 0, done.stderr
    wrong = pullback(here, "train", "+trainng=5", *QUICK)
    assert wrong.returncode == 2
    assert "trainng: there is no such setting; did you mean 'training'?" in wrong.stderr
