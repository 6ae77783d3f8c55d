"""The journal, MLflow's view of it, the environment, a saved model, the pictures."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from pullback import Net, Split, from_arrays, train
from pullback.errors import ConfigError
from pullback.job import build_job
from pullback.recipe import Recipe
from pullback.run import execute
from pullback.tracking import batch, model, note, pictures
from pullback.tracking.environment import blas_threads, commit, environment
from pullback.tracking.journal import Journal, read_end, read_metrics, read_run, write_whole
from pullback.tracking.mlflow_view import View
from pullback.tracking.store import Store, absolute

STAGES = {
    "z1": {"name": "affine", "width": 4},
    "a1": "tanh",
    "z2": {"name": "affine", "width": "classes"},
}


@pytest.fixture
def begun(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.begin({"id": "x", "name": "ŷ"}, "seed: 0\n")
    return journal


def on_disk(journal):
    return (journal.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()


# The journal


def test_a_journal_says_what_the_run_is_before_its_first_step(begun):
    assert read_run(begun.directory) == {"id": "x", "name": "ŷ"}
    assert (begun.directory / "config.yaml").read_text() == "seed: 0\n"
    assert list(read_metrics(begun.directory)) == []
    assert read_end(begun.directory) is None


def test_a_line_is_with_the_system_as_soon_as_it_is_measured(begun):
    """What a kill in the next moment would leave behind."""
    for step in range(5):
        begun.observe(step, {"train_loss": step / 2})
        assert len(on_disk(begun)) == step + 1
    begun.observe(5, {"train_loss": 2.5, "validation_loss": 0.25})
    begun.close()
    lines = list(read_metrics(begun.directory))
    assert [(line["step"], line["train_loss"]) for line in lines] == [
        (step, step / 2) for step in range(6)
    ]
    assert lines[-1]["validation_loss"] == 0.25
    assert abs(lines[-1]["time"] / 1000 - time.time()) < 60


def test_the_last_lines_are_written_at_the_end(begun):
    begun.observe(0, {"train_loss": 1.0})
    begun.end("finished", {"steps": 1})
    assert [line["step"] for line in read_metrics(begun.directory)] == [0]
    assert read_end(begun.directory) == {"status": "finished", "steps": 1}


def test_a_line_torn_off_by_a_crash_is_left_out(begun):
    begun.observe(0, {"train_loss": 1.5})
    begun.observe(1, {"train_loss": 1.25})
    begun.close()
    with (begun.directory / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "train_lo')
    assert [line["step"] for line in read_metrics(begun.directory)] == [0, 1]
    assert [line["step"] for line in read_metrics(begun.directory, skip=1)] == [1]
    assert list(read_metrics(begun.directory, skip=2)) == []


def test_a_reopened_journal_has_what_came_before_its_checkpoint(begun):
    for step in range(10):
        begun.observe(step, {"train_loss": 1 / (step + 3)})
    begun.end("interrupted", {})
    with (begun.directory / "metrics.jsonl").open("a") as file:
        file.write('{"step": 10, "tr')
    again = Journal(begun.directory)
    again.reopen(6)
    assert read_end(begun.directory) is None
    again.observe(6, {"train_loss": 7.0})
    again.close()
    lines = list(read_metrics(begun.directory))
    assert [line["step"] for line in lines] == list(range(7))
    assert [line["train_loss"] for line in lines] == [*(1 / (k + 3) for k in range(6)), 7.0]


def test_a_file_is_replaced_whole_or_not_at_all(begun, monkeypatch):
    begun.end("interrupted", {"message": "first"})

    def crash(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        begun.end("finished", {"message": "second"})
    monkeypatch.undo()
    assert read_end(begun.directory) == {"status": "interrupted", "message": "first"}
    begun.end("finished", {"message": "second"})
    assert read_end(begun.directory)["message"] == "second"
    assert not list(begun.directory.glob(".*.part"))


def test_writing_whole_leaves_the_text_alone(tmp_path):
    write_whole(tmp_path / "a.txt", "ŷ − y\n")
    assert (tmp_path / "a.txt").read_bytes() == "ŷ − y\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("text", [None, "", "{", "\x00"])
def test_what_is_not_a_run_is_told_so(tmp_path, text):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(ConfigError, match=r"is not the directory of a run"):
        read_run(tmp_path)


# The environment


def test_the_environment_is_what_is_installed_here():
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert found["python"] == platform.python_version()
    assert found["platform"] == platform.platform()
    assert found["cores"] == os.cpu_count()
    for package in ("pullback", "numpy", "hydra-core", "omegaconf", "mlflow", "pandas"):
        assert found[package] == version(package)


def test_the_threads_are_those_that_are_in_use():
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        assert blas_threads() == 1
    with threadpool_limits(2, user_api="blas"):
        assert blas_threads() == 2


def test_the_commit_and_whether_files_differ_from_it(tmp_path):
    assert commit(tmp_path / "nowhere") is None
    assert commit(tmp_path) is None

    def git(*words):
        who = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    git("tag", "v1")
    head = git("rev-parse", "HEAD")
    assert commit(tmp_path) == head
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path) == f"{head}-dirty"


# MLflow's view, with a client that only counts


class Client:
    """What View calls of MlflowClient; it refuses what MLflow refuses."""

    def __init__(self):
        self.metrics, self.params, self.calls = [], {}, []
        self.tags, self.status, self.artifacts, self.runs = {}, None, [], 0

    def create_run(self, experiment, **options):
        self.runs += 1
        self.tags |= options["tags"]
        info = type("Info", (), {"run_id": f"run{self.runs}"})
        return type("Run", (), {"info": info})

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        assert len(metrics) + len(params) + len(tags) <= 1000
        assert len(params) <= 100
        self.tags |= {tag.key: tag.value for tag in tags}
        assert all(len(param.value) <= 6000 for param in params)
        self.calls.append(len(metrics))
        self.metrics += [(one.key, one.value, one.timestamp, one.step) for one in metrics]
        self.params |= {param.key: param.value for param in params}

    def log_inputs(self, run_id, datasets):
        self.datasets = datasets

    def log_artifact(self, run_id, path, folder=None):
        self.artifacts.append(Path(path).name)

    def set_tag(self, run_id, key, value):
        self.tags[key] = value

    def set_terminated(self, run_id, status, end_time):
        self.status = status


@pytest.fixture
def view(tmp_path, monkeypatch):
    view = View(Store(f"sqlite:///{tmp_path}/none.db", "pullback"))
    view.store._client, view.store._experiment_id = Client(), "0"
    return view


def facts(options=None, **others):
    data = {"name": "moons", "digest": "abc", "source": {"name": "moons"}}
    data |= {"train": 3, "validation": 2, "test": 1}
    known = {"id": "x", "name": "a run", "started": "2026-01-02T03:04:05+00:00", "time": 5}
    known |= {"environment": {"python": "3", "git": "abc-dirty"}, "data": data}
    return known | {"options": options or {"seed": 0}} | others


@pytest.fixture
def long_run(tmp_path):
    """700 steps of five figures: 3,500 metrics, and one that is not a number."""
    journal = Journal(tmp_path / "long")
    journal.begin(facts({f"option{i}": "v" * 7000 for i in range(250)}), "seed: 0\n")
    for step in range(700):
        journal.observe(step, {f"m{i}": step + i / 8 for i in range(5)})
    journal.observe(700, {"m0": float("nan"), "m1": 1.0})
    journal.close()
    return journal


def test_metrics_go_in_batches_of_a_thousand_at_most(view, long_run):
    view.publish(long_run.directory)
    client = view.store.client
    assert len(client.metrics) == len(set(client.metrics)) == 3501
    assert sum(n > 0 for n in client.calls) <= 4
    assert {(key, step) for key, _, _, step in client.metrics} == {
        *((f"m{i}", step) for i in range(5) for step in range(700)),
        ("m1", 700),
    }
    assert all(
        value == step + int(key[1]) / 8 for key, value, _, step in client.metrics if step < 700
    )


def test_every_option_is_a_parameter_and_none_is_too_long(view, long_run):
    view.publish(long_run.directory)
    assert set(view.store.client.params) == {f"option{i}" for i in range(250)}


@pytest.mark.parametrize(
    "line",
    [{f"m{i}": float(i) for i in range(2500)}, {"m": 1.0}],
    ids=["more figures than a batch takes", "one figure"],
)
def test_a_line_of_any_length_is_sent(view, tmp_path, line):
    journal = Journal(tmp_path / "run")
    journal.begin(facts(), "")
    journal.observe(3, line)
    journal.close()
    view.publish(journal.directory)
    assert {key: value for key, value, _, step in view.store.client.metrics if step == 3} == line


def test_publishing_again_sends_what_is_new(view, long_run):
    view.publish(long_run.directory)
    sent = len(view.store.client.metrics)
    view.publish(long_run.directory)
    assert len(view.store.client.metrics) == sent
    long_run.observe(701, {"m0": 9.0})
    long_run.close()
    assert view.publish(long_run.directory) == "run1"
    assert [(key, value, step) for key, value, _, step in view.store.client.metrics[sent:]] == [
        ("m0", 9.0, 701)
    ]
    assert view.store.client.runs == 1


def test_another_process_goes_on_where_the_last_one_stopped(view, long_run):
    view.publish(long_run.directory)
    other = View(Store(view.store.uri, "pullback"))
    other.store._client, other.store._experiment_id = Client(), "0"
    assert other.publish(long_run.directory) == "run1"
    assert (other.store.client.runs, other.store.client.metrics) == (0, [])


def test_the_description_of_a_run_in_markdown(tmp_path):
    facts = {
        "options": {"net.z1.name": "affine", "net.a1": "tanh", "loss.name": "mse"}
        | {"optimizer.name": "sgd"},
        "providers": {"loss": "x", "net.z1": "x", "net.a1": "x"},
        "data": {"name": "moons", "train": 3, "validation": 2, "test": 1},
        "parameters": 7,
    }
    end = {"status": "failed", "steps": 4, "seconds": 1.23, "message": "it broke"}
    text = note.of_run(facts, end | {"metrics": {"test_loss": 0.25, "other": 1}}, tmp_path / "0")
    assert text.split("\n\n") == [
        "**failed** after 4 steps in 1.2 s",
        "it broke",
        "| metric | at the end |\n|---|---:|\n| test_loss | 0.25 |",
        "`z1: affine → a1: tanh → mse`, 7 parameters, by sgd "
        "on moons (3 train, 2 validation, 1 test)",
        f"The run is in `{tmp_path / '0'}`; `pullback compare {tmp_path}` compares it.",
    ]


END = {"time": 77, "steps": 701, "metrics": {"test_loss": 0.5}, "message": ""}


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("finished", "FINISHED"),
        ("stopped", "FINISHED"),
        ("failed", "FAILED"),
        ("interrupted", "KILLED"),
    ],
)
def test_the_end_is_published_once(view, long_run, status, shown):
    view.publish(long_run.directory)
    assert view.store.client.status is None
    long_run.end(status, END | {"message": "why"})
    for _ in range(2):
        view.publish(long_run.directory)
    assert view.store.client.status == shown
    assert view.store.client.tags["pullback.status"] == status
    assert view.store.client.tags["mlflow.note.content"].startswith(f"**{status}** after 701 steps")
    assert "why" in view.store.client.tags["mlflow.note.content"]
    assert view.store.client.metrics[-1] == ("test_loss", 0.5, 77, 701)
    assert len(view.store.client.metrics) == 3502


def test_a_run_that_was_resumed_ends_once_more(view, long_run):
    long_run.end("interrupted", END | {"metrics": {}})
    view.publish(long_run.directory)
    assert view.store.client.status == "KILLED"
    long_run.reopen(650)
    for step in range(650, 702):
        long_run.observe(step, {"m0": float(step)})
    long_run.end("finished", END | {"time": 99})
    (long_run.directory / "loss.png").write_bytes(b"")
    assert view.publish(long_run.directory) == "run1"
    assert view.store.client.status == "FINISHED"
    assert view.store.client.tags["pullback.status"] == "finished"
    assert "loss.png" in view.store.client.artifacts
    steps = [step for key, _, _, step in view.store.client.metrics if key == "m0"]
    assert sorted(steps) == [*range(700), 701]


def test_a_run_says_where_it_comes_from(view, tmp_path):
    journal = Journal(tmp_path / "run")
    journal.begin(facts(), "")
    sweep = facts() | {"name": "sweep of seed", "swept": ["seed"], "fixed": []}
    (tmp_path / "sweep.json").write_text(json.dumps(sweep), encoding="utf-8")
    view.publish(journal.directory)
    tags = view.store.client.tags
    assert (tags["mlflow.parentRunId"], tags["pullback.sweep"]) == ("run1", "sweep of seed")
    assert view.store.client.runs == 2
    assert tags["mlflow.source.git.commit"] == "abc"
    assert tags["version.python"] == "3"
    assert tags["pullback.directory"] == str(journal.directory)
    (used,) = view.store.client.datasets
    assert (used.dataset.name, used.dataset.digest) == ("moons", "abc")


def test_a_relative_database_is_found_from_everywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert absolute("sqlite:///a/../b/m.db") == f"sqlite:///{tmp_path}/b/m.db"
    for whole in (f"sqlite:///{tmp_path}/m.db", "http://127.0.0.1:5000", "file:///x"):
        assert absolute(whole) == whole
    assert absolute(absolute("sqlite:///mlflow.db")) == absolute("sqlite:///mlflow.db")


def test_how_to_open_is_a_command_or_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store("sqlite:///mlflow.db", "p").how_to_open() == "pullback ui"
    other = Store("sqlite:///b/m.db", "p").how_to_open()
    assert other == f"pullback ui --uri sqlite:///{tmp_path}/b/m.db"
    assert Store("http://127.0.0.1:5000", "p").how_to_open() == "http://127.0.0.1:5000"


def test_a_view_opens_no_store_before_it_is_used(tmp_path):
    Store(f"sqlite:///{tmp_path}/mlflow.db", "p").how_to_open()
    assert list(tmp_path.iterdir()) == []


# The model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_takes_raw_features_and_says_what_the_net_says(tmp_path, dtype):
    rng = np.random.default_rng(3)
    raw = rng.normal(size=(60, 3)) * [1, 20, 0.5] + [5, -300, 0]
    data = from_arrays(raw, rng.integers(4, size=60), split=Split(10, 10), dtype=dtype)
    net = Net(STAGES, 3, classes=4, dtype=dtype, seed=1)
    train(net, data, recipe=Recipe(steps=5))
    model.save(tmp_path / "model", {"net": STAGES, "plugins": []}, net, data)
    loaded = model.Model(tmp_path / "model")
    expected = net(data.standardise(raw[:7]))
    assert loaded.net.theta.dtype == dtype
    np.testing.assert_array_equal(loaded.net.theta, net.theta)
    np.testing.assert_array_equal(loaded.predict(raw[:7]), expected)
    assert not np.allclose(loaded.predict(data.standardise(raw[:7])), expected)
    assert model._load_pyfunc(str(tmp_path / "model")).predict(raw[:2]).shape == (2, 4)
    with np.load(tmp_path / "model" / "parameters.npz", allow_pickle=False) as file:
        assert all(file[key].dtype != object for key in file.files)


def test_a_model_takes_a_data_frame(tmp_path):
    import pandas as pd

    rng = np.random.default_rng(0)
    data = from_arrays(rng.normal(size=(30, 2)), rng.integers(2, size=30))
    net = Net(STAGES, 2, classes=2)
    model.save(tmp_path, {"net": STAGES, "plugins": []}, net, data)
    x = rng.normal(size=(4, 2))
    loaded = model.Model(tmp_path)
    np.testing.assert_array_equal(loaded.predict(pd.DataFrame(x)), loaded.predict(x))


def test_a_model_is_read_without_mlflow(tmp_path, moons):
    net = Net(STAGES, 2, classes=2)
    model.save(tmp_path / "model", {"net": STAGES, "plugins": []}, net, moons)
    script = (
        "import sys; from pathlib import Path; from pullback.tracking.model import Model;"
        "print(Model(Path('model')).predict([[0.5, 0.25]]).shape, 'mlflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "(1, 2) False\n"


# The pictures of a run


@pytest.mark.parametrize(
    ("changes", "boundary"),
    [
        ({}, True),
        ({"dataset": {"name": "spirals", "n": 60, "classes": 5}}, True),
        ({"dataset": {"name": "blobs", "n": 60, "features": 3}}, False),
        ({"dataset": {"name": "file"}, "loss": {"name": "mse"}}, False),
    ],
    ids=["two features", "five classes", "three features", "numbers"],
)
def test_the_boundary_is_drawn_for_two_features_and_classes(tmp_path, config, changes, boundary):
    if changes.get("dataset") == {"name": "file"}:
        rows = "".join(f"{i % 7},{i % 5},{i / 10}\n" for i in range(30))
        (tmp_path / "points.csv").write_text(f"a,b,t\n{rows}")
        changes["dataset"] = {"name": "file", "path": str(tmp_path / "points.csv"), "target": "t"}
    outcome = execute(build_job(config(**changes)), tmp_path / "run", overrides=[])
    assert outcome.status == "finished", outcome.message
    made = {path.name for path in (tmp_path / "run").glob("*.png")}
    assert made == ({"loss.png", "boundary.png"} if boundary else {"loss.png"})
    for name in made:
        assert (tmp_path / "run" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (tmp_path / "run" / "model" / "net.json").is_file()


def test_no_pictures_and_no_model_where_none_are_asked_for(tmp_path, config):
    tracking = {"name": "none", "uri": "", "experiment": "", "pictures": False, "model": False}
    execute(build_job(config(tracking=tracking)), tmp_path / "run", overrides=[])
    assert not list((tmp_path / "run").glob("*.png"))
    assert not (tmp_path / "run" / "model").exists()
    assert read_end(tmp_path / "run")["status"] == "finished"


def test_the_loss_curve_shows_what_was_measured(tmp_path, monkeypatch):
    drawn = []
    made = pictures.figure

    def figure(*words):
        drawn.append(made(*words))
        return drawn[-1]

    monkeypatch.setattr(pictures, "figure", figure)
    lines = [{"step": step, "time": 1, "train_loss": 1 / (1 + step)} for step in range(6)]
    lines[2]["validation_loss"] = lines[4]["validation_loss"] = 0.75
    pictures.loss_curve(lines, "title", tmp_path / "loss.png")
    axes = drawn[0][1]
    training, validation = axes.get_lines()
    np.testing.assert_array_equal(training.get_xydata()[:, 1], [1 / (1 + k) for k in range(6)])
    np.testing.assert_array_equal(validation.get_xydata(), [[2, 0.75], [4, 0.75]])
    assert axes.get_yscale() == "log"
    lines[5]["train_loss"] = 0.0
    pictures.loss_curve(lines, "title", tmp_path / "loss.png")
    assert drawn[1][1].get_yscale() == "linear"


def test_the_boundary_is_where_the_prediction_changes(tmp_path, monkeypatch):
    """A net that only compares the two features: the picture is split along the diagonal."""
    shown = {}
    made = pictures.figure

    def figure(*words):
        found = made(*words)
        axes = found[1]
        draw = axes.imshow

        def imshow(image, **options):
            shown.update(image=image, extent=options["extent"])
            return draw(image, **options)

        axes.imshow = imshow
        return found

    monkeypatch.setattr(pictures, "figure", figure)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(200, 2)) * [1, 30] + [100, 7]
    data = from_arrays(x, (rng.random(200) < 0.5).astype(int), split=Split(0, 0))
    net = Net({"z": {"name": "affine", "width": 2}}, 2, classes=2)
    net.params["z"]["W"][...] = [[1, 0], [0, 1]]  # class 1 where the second feature is larger
    net.params["z"]["b"][...] = 0
    pictures.decision_boundary(net, data, "title", tmp_path / "boundary.png")
    left, right, low, high = shown["extent"]
    assert left < x[:, 0].min() < x[:, 0].max() < right
    assert low < x[:, 1].min() < x[:, 1].max() < high
    image = shown["image"]
    colours = [image[-1, 0], image[0, -1]]  # rows run upwards: top left, bottom right
    assert not np.array_equal(*colours)
    rows, columns = image.shape[:2]
    across = (np.linspace(left, right, columns) - data.mean[0]) / data.scale[0]
    up = (np.linspace(low, high, rows) - data.mean[1]) / data.scale[1]
    expected = np.where((up[:, None] > across)[..., None], colours[0], colours[1])
    assert (image == expected).all(axis=-1).mean() > 0.999


def test_mlflow_is_not_imported_by_a_view_that_is_not_used():
    script = "import sys, pullback.tracking.store as s; s.Store('sqlite:///x.db', 'p')"
    script += ".how_to_open(); print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
    assert batch.METRICS_AT_ONCE <= 1000
