"""MLflow as a view of a run directory: whatever the journal says and MLflow does not yet know.

Nothing here is needed for a result. A run is published while it goes on and at its end, in batches
of at most a thousand; publishing again adds what is new, and nothing twice.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import logging
import math
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback import locks
from pullback.tracking.journal import (
    CONFIG,
    SWEEP,
    read_end,
    read_entry,
    read_metrics,
    sweep_of,
    write_whole,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

# Or its UI opens among traces and judges.
_KIND = {"mlflow.experimentKind": "custom_model_development"}

URI, EXPERIMENT = "sqlite:///mlflow.db", "pullback"  # where nothing else is said
STATE = "mlflow.json"  # in a run directory: which run of MLflow this is, and how much it has
POINTS = 1000  # of a metric; a run of a million steps would keep MLflow busy for minutes
METRICS_AT_ONCE, PARAMS_AT_ONCE, VALUE_LENGTH = 1000, 100, 6000

_STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
    "killed": "KILLED",
}


def reason_of(error: Exception) -> str:
    """What MLflow said, on one line."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return first.strip()[:200] or type(error).__name__


def absolute(uri: str) -> str:
    """A SQLite file is found from everywhere only by its whole path."""
    prefix = "sqlite:///"
    if not uri.startswith(prefix) or uri.startswith(f"{prefix}/"):
        return uri
    return f"{prefix}{Path(uri.removeprefix(prefix)).resolve()}"


def run_of(directory: Path) -> str:
    """MLflow's id of the run of a directory; '' where none was made, or nothing can be read."""
    try:
        return str(json.loads((directory / STATE).read_text(encoding="utf-8"))["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class View:
    """One experiment of one MLflow store."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri, self.experiment = absolute(uri), experiment
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._made = ""  # which store this is: one that was made anew has other runs

    @property
    def client(self) -> MlflowClient:
        """The client of the store, opened."""
        self.open()
        assert self._client is not None
        return self._client

    def open(self) -> None:
        """Open the store and find or make the experiment: seconds, the first time."""
        if self._client is None:
            # A server that does not answer must not hold up a run for minutes.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            # Its lines for every run would stand between ours; the last line says where to look.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            from mlflow import MlflowClient

            for noisy in ("mlflow", "alembic"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            with locks.held(_lock_of(self.uri)):
                _make_database(self.uri)
                client = MlflowClient(self.uri)
                experiment = self._find_experiment(client)
            self._experiment_id = str(experiment.experiment_id)
            self._made = f"{experiment.experiment_id}, {experiment.creation_time}"
            self._client = client

    @property
    def experiment_id(self) -> str:
        self.open()
        return self._experiment_id

    def _find_experiment(self, client: MlflowClient) -> Experiment:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            with contextlib.suppress(MlflowException):  # another machine made it meanwhile
                client.create_experiment(self.experiment, self._artifacts(), _KIND)
            found = client.get_experiment_by_name(self.experiment)
        if found is None:
            raise LookupError(f"the experiment '{self.experiment}' cannot be made")
        return found

    def _artifacts(self) -> str | None:
        """Beside a SQLite file; a server has a place of its own."""
        if not self.uri.startswith("sqlite:///"):
            return None
        database = Path(self.uri.removeprefix("sqlite:///"))
        return (database.parent / "mlartifacts" / self.experiment).as_uri()

    def how_to_open(self) -> str:
        """The command, or the address, that shows this store in MLflow's UI."""
        if not self.uri.startswith("sqlite:///"):
            return self.address()
        default = self.uri == absolute(URI)
        return "pullback ui" if default else f"pullback ui --uri {self.uri}"

    def address(self) -> str:
        """Of this experiment's pages, where the store is a server."""
        there = f"/#/experiments/{self._experiment_id}" if self._experiment_id else ""
        return f"{self.uri}{there}"

    def publish(self, directory: Path) -> str:
        """Bring MLflow up to what the directory of a run or a sweep says; MLflow's id of it.

        What MLflow has already is not sent again, and one process at a time is at a store.
        """
        if self.is_current(directory):
            return str(self._known(directory)["run_id"])
        self.open()  # which takes the same lock
        with locks.held(_lock_of(self.uri)):
            if (directory / SWEEP).is_file():
                return str(self._publish_sweep(directory)["run_id"])
            return self._publish_run(directory)

    def is_current(self, directory: Path) -> bool:
        """Whether the end of a run or a sweep is in MLflow, so that there is nothing to be sent.

        Only a view that was opened knows whether the store is the one that it was.
        """
        end = read_end(directory)
        return end is not None and self._known(directory).get("ended") == end["time"]

    def _publish_sweep(self, directory: Path) -> dict[str, Any]:
        """The parent of its runs; at the end, the comparison as artifacts and as description."""
        state = self._known(directory)
        if not state.get("run_id"):  # its entry grows with its jobs, and each of them asks
            state = self._state(directory, read_entry(directory))
        end = read_end(directory)
        if end is not None and state["ended"] != end["time"]:
            run_id = state["run_id"]
            for name in sorted(end["files"]):
                self.client.log_artifact(run_id, str(directory / name))
            self.client.set_tag(run_id, "mlflow.note.content", end["message"])
            self.client.set_terminated(run_id, _STATUS[end["status"]], end["time"])
            self._save_state(directory, state | {"ended": end["time"]})
        return state

    def _publish_run(self, directory: Path) -> str:
        facts, end = read_entry(directory), read_end(directory)
        state, batch = self._state(directory, facts), Batch()
        run_id, lines = state["run_id"], state["lines"]
        shown = _Shown(facts)
        if not lines:
            batch.params = params_of(facts["options"])
        if not lines and shown.every > 1:
            batch.tags["pullback.steps"] = f"every {shown.every}th; metrics.jsonl has all"
        for line in read_metrics(directory, skip=lines):
            batch.metrics += _metrics(line) if shown(line["step"]) else []
            lines += 1
        ended = end is not None and state["ended"] != end["time"]  # a resumed run ends once more
        if end is not None and ended:
            batch.metrics += _metrics({"step": end["steps"], "time": end["time"], **end["metrics"]})
            batch.tags["pullback.status"] = end["status"]
            if end["message"]:
                batch.tags["mlflow.note.content"] = end["message"]
        batch.send(self.client, run_id)
        self._save_state(directory, state | {"lines": lines})
        if end is not None and ended:
            self._finish(directory, run_id, end)
            self._save_state(directory, state | {"lines": lines, "ended": end["time"]})
        return str(run_id)

    def _known(self, directory: Path) -> dict[str, Any]:
        """What the directory says of this store; empty where nothing was sent to it."""
        path = directory / STATE
        if path.is_file():
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            same = (state["uri"], state["experiment"]) == (self.uri, self.experiment)
            if same and self._made in ("", state["made"]):
                return state
        return {}

    def _state(self, directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What MLflow has of the directory; a run is made in it where there is none.

        The intention is written before the run is made: a process that is killed in between leaves
        a run that the next one finds by its tag.
        """
        state = self._known(directory)
        if state.get("run_id"):
            return state
        run_id = self._find(facts["id"]) if state else ""
        store = {"uri": self.uri, "experiment": self.experiment, "made": self._made}
        state = {**store, "name": facts["name"], "run_id": "", "lines": 0, "ended": None}
        self._save_state(directory, state)
        state["run_id"] = run_id or self._create(directory, facts)
        self._save_state(directory, state)
        return state

    def _find(self, identifier: str) -> str:
        told = f"tags.`pullback.id` = '{identifier}'"
        found = self.client.search_runs([self.experiment_id], told, max_results=1)
        return str(found[0].info.run_id) if found else ""

    def _save_state(self, directory: Path, state: Mapping[str, Any]) -> None:
        write_whole(directory / STATE, json.dumps(state))

    def _create(self, directory: Path, facts: Mapping[str, Any]) -> str:
        sweep = (directory / SWEEP).is_file()
        environment = facts["environment"]
        tags = {
            "pullback.kind": "sweep" if sweep else "run",
            "pullback.id": facts["id"],
            "pullback.directory": str(directory),
            "mlflow.source.name": "pullback train",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": getpass.getuser(),
            **{f"version.{key}": str(value) for key, value in environment.items() if value},
        }
        if environment.get("git"):
            tags["mlflow.source.git.commit"] = environment["git"].removesuffix("-dirty")
        if (parent := sweep_of(directory)) is not None:
            shown = self._publish_sweep(parent)
            tags |= {"mlflow.parentRunId": shown["run_id"], "pullback.sweep": shown["name"]}
        run = self.client.create_run(
            self.experiment_id, run_name=facts["name"], tags=tags, start_time=facts["time"]
        )
        run_id = str(run.info.run_id)
        if sweep:
            told = {"swept": " ".join(facts["swept"]), "fixed": " ".join(facts["fixed"])}
            self.client.log_batch(run_id, params=params_of(told))
        else:
            self._dataset(run_id, facts["data"])
            self.client.log_artifact(run_id, str(directory / CONFIG))
        return run_id

    def _dataset(self, run_id: str, data: Mapping[str, Any]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        dataset = Dataset(
            name=data["name"],
            digest=data["digest"],
            source_type="code",
            source=json.dumps({"dataset": data["source"]}),
            profile=json.dumps({key: data[key] for key in ("train", "validation", "test")}),
        )
        used = DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])
        self.client.log_inputs(run_id, datasets=[used])

    def _finish(self, directory: Path, run_id: str, end: Mapping[str, Any]) -> None:
        for picture in sorted(directory.glob("*.png")):
            self.client.log_artifact(run_id, str(picture), "pictures")
        for text in sorted(directory.glob("*.log")):
            if end["status"] in ("failed", "killed") and text.stat().st_size:
                self.client.log_artifact(run_id, str(text))
        if (directory / "model").is_dir():
            self._model(run_id, directory / "model")
        self.client.set_terminated(run_id, _STATUS[end["status"]], end["time"])

    def _model(self, run_id: str, directory: Path) -> None:
        """A pyfunc whose loader is a module of ours: no pickle, not even when it is loaded."""
        import mlflow
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        facts = json.loads((directory / "net.json").read_text(encoding="utf-8"))
        signature = ModelSignature(
            Schema([TensorSpec(np.dtype("float64"), (-1, *facts["inputs"]))]),
            Schema([TensorSpec(np.dtype(facts["dtype"]), (-1, facts["outputs"]))]),
        )
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(self.uri)
        try:
            with mlflow.start_run(run_id=run_id, nested=True), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the signature is given; no example is needed
                mlflow.pyfunc.log_model(
                    name="model",
                    loader_module="pullback.tracking.model",
                    data_path=str(directory),
                    pip_requirements=["pullback"],
                    signature=signature,
                )
        finally:
            mlflow.set_tracking_uri(before)


@dataclass
class Batch:
    """What goes to MLflow in as few calls as it allows: a thousand things, a hundred of a kind."""

    metrics: list[Any] = field(default_factory=list)
    params: list[Any] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def send(self, client: MlflowClient, run_id: str) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, value) for key, value in self.tags.items()]
        while self.metrics or self.params or tags:
            params, self.params = self.params[:PARAMS_AT_ONCE], self.params[PARAMS_AT_ONCE:]
            room = METRICS_AT_ONCE - len(params) - len(tags)
            metrics, self.metrics = self.metrics[:room], self.metrics[room:]
            client.log_batch(run_id, metrics=metrics, params=params, tags=tags)
            tags = []


class _Shown:
    """Which steps MLflow is given: all, or of a long run as many as its charts can show.

    Of those where more was measured than the loss, as many again.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        looks = int(facts["options"].get("training.evaluate_every", 1))
        steps = int(facts.get("steps", 0))
        self.every = max(1, math.ceil(steps / POINTS))
        self.looks = looks * max(1, math.ceil(steps / looks / POINTS))

    def __call__(self, step: int) -> bool:
        return step % self.every == 0 or step % self.looks == 0


def _make_database(uri: str) -> None:
    """A SQLite file that is new is made beside its place and then named: MLflow cannot go on with
    one that it began, where the disk was full or the process was killed."""
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    from mlflow import MlflowClient

    unfinished = path.with_name(f".{path.name}.part")
    unfinished.unlink(missing_ok=True)
    try:
        MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _lock_of(uri: str) -> Path:
    """A lock for one store on this machine: a new database must be opened by one process alone."""
    digest = hashlib.sha256(uri.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"pullback-{os.getuid()}-{digest}.lock"


def params_of(options: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(key, str(value)[:VALUE_LENGTH]) for key, value in options.items()]


def _metrics(line: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Metric

    return [
        Metric(key, value, line["time"], line["step"])
        for key, value in line.items()
        if key not in ("step", "time") and isinstance(value, int | float) and not math.isnan(value)
    ]
