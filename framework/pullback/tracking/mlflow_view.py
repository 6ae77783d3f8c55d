"""MLflow as a view of a run directory: whatever the journal says and MLflow does not yet know.

Nothing here is needed for a result. A run is published while it goes on and at its end, in batches
of at most a thousand; publishing again adds what is new, and nothing twice.
"""

from __future__ import annotations

import getpass
import json
import logging
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback.tracking.journal import CONFIG, read_end, read_metrics, read_run, write_whole

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Or its UI opens among traces and judges.
_KIND = {"mlflow.experimentKind": "custom_model_development"}

STATE = "mlflow.json"  # in a run directory: which run of MLflow this is, and how much it has
METRICS_AT_ONCE, PARAMS_AT_ONCE, VALUE_LENGTH = 1000, 100, 6000

_STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}


def absolute(uri: str) -> str:
    """A SQLite file is found from everywhere only by its whole path."""
    prefix = "sqlite:///"
    if not uri.startswith(prefix) or uri.startswith(f"{prefix}/"):
        return uri
    return f"{prefix}{Path(uri.removeprefix(prefix)).resolve()}"


class View:
    """One experiment of one MLflow store."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri, self.experiment = absolute(uri), experiment
        self._client: MlflowClient | None = None
        self._experiment_id = ""

    @property
    def client(self) -> MlflowClient:
        """The client, with the store opened and the experiment made: seconds, the first time."""
        if self._client is None:
            # A server that does not answer must not hold up a run for minutes.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            # Its lines for every run would stand between ours; the last line says where to look.
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            from mlflow import MlflowClient

            for noisy in ("mlflow", "alembic"):
                logging.getLogger(noisy).setLevel(logging.ERROR)
            client = MlflowClient(self.uri)
            self._experiment_id = self._find_experiment(client)
            self._client = client
        return self._client

    @property
    def experiment_id(self) -> str:
        return self._experiment_id if self.client else ""

    def _find_experiment(self, client: MlflowClient) -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(self.experiment)
        if found is None:
            try:
                return client.create_experiment(self.experiment, self._artifacts(), _KIND)
            except MlflowException:  # another process made it meanwhile
                found = client.get_experiment_by_name(self.experiment)
        if found is None:
            raise LookupError(f"the experiment '{self.experiment}' cannot be made")
        return found.experiment_id

    def _artifacts(self) -> str | None:
        """Beside a SQLite file; a server has a place of its own."""
        if not self.uri.startswith("sqlite:///"):
            return None
        database = Path(self.uri.removeprefix("sqlite:///"))
        return (database.parent / "mlartifacts" / self.experiment).as_uri()

    def how_to_open(self) -> str:
        """The command, or the address, that shows this store in MLflow's UI."""
        if not self.uri.startswith("sqlite:///"):
            there = f"/#/experiments/{self._experiment_id}" if self._experiment_id else ""
            return f"{self.uri}{there}"
        database = Path(self.uri.removeprefix("sqlite:///"))
        shown = database.name if database.parent == Path.cwd() else f"/{database}"
        return f"mlflow ui --backend-store-uri sqlite:///{shown.replace('//', '/')}"

    def begin_sweep(self, directory: Path, name: str, facts: Mapping[str, Any]) -> str:
        """The parent run of a sweep, made before its jobs so that they can name it."""
        tags = {"pullback.kind": "sweep", "pullback.directory": str(directory)}
        run = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        run_id = str(run.info.run_id)
        self._params(run_id, facts)
        return run_id

    def end_sweep(self, run_id: str, files: list[Path], summary: str, *, failed: bool) -> None:
        """The comparison as artifacts and as the description of the parent run."""
        for file in files:
            self.client.log_artifact(run_id, str(file))
        self.client.set_tag(run_id, "mlflow.note.content", summary)
        self.client.set_terminated(run_id, "FAILED" if failed else "FINISHED")

    def publish(self, directory: Path) -> str:
        """Bring MLflow up to what a run directory says; returns MLflow's id of the run."""
        state = self._state(directory)
        run_id = state["run_id"]
        batch: list[Any] = []
        lines = state["lines"]
        for line in read_metrics(directory, skip=lines):
            batch += _metrics(line)
            lines += 1
            if len(batch) > METRICS_AT_ONCE - 100:
                self._log(run_id, batch)
        self._log(run_id, batch)
        self._save_state(directory, state | {"lines": lines})
        end = read_end(directory)
        if end is not None and state["ended"] != end["time"]:  # a resumed run ends once more
            self._finish(directory, run_id, end)
            self._save_state(directory, state | {"lines": lines, "ended": end["time"]})
        return str(run_id)

    def _log(self, run_id: str, batch: list[Any]) -> None:
        for start in range(0, len(batch), METRICS_AT_ONCE):
            self.client.log_batch(run_id, metrics=batch[start : start + METRICS_AT_ONCE])
        batch.clear()

    def _state(self, directory: Path) -> dict[str, Any]:
        path = directory / STATE
        if path.is_file():
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if state["uri"] == self.uri:
                return state
        state = {"uri": self.uri, "run_id": self._create(directory), "lines": 0, "ended": None}
        self._save_state(directory, state)
        return state

    def _save_state(self, directory: Path, state: Mapping[str, Any]) -> None:
        write_whole(directory / STATE, json.dumps(state))

    def _create(self, directory: Path) -> str:
        facts = read_run(directory)
        environment = facts["environment"]
        tags = {
            "pullback.kind": "run",
            "pullback.id": facts["id"],
            "pullback.directory": str(directory),
            "mlflow.source.name": "pullback train",
            "mlflow.source.type": "LOCAL",
            "mlflow.user": getpass.getuser(),
            **{f"version.{key}": str(value) for key, value in environment.items() if value},
        }
        if environment.get("git"):
            tags["mlflow.source.git.commit"] = environment["git"].removesuffix("-dirty")
        if facts.get("sweep_run"):
            tags["mlflow.parentRunId"] = facts["sweep_run"]
        run = self.client.create_run(
            self.experiment_id, run_name=facts["name"], tags=tags, start_time=facts["time"]
        )
        run_id = str(run.info.run_id)
        self._params(run_id, facts["options"])
        self._dataset(run_id, facts["data"])
        self.client.log_artifact(run_id, str(directory / CONFIG))
        return run_id

    def _params(self, run_id: str, options: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(key, str(value)[:VALUE_LENGTH]) for key, value in options.items()]
        for start in range(0, len(params), PARAMS_AT_ONCE):
            self.client.log_batch(run_id, params=params[start : start + PARAMS_AT_ONCE])

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
        final = {"step": end["steps"], "time": end["time"], **end["metrics"]}
        self._log(run_id, _metrics(final))
        for picture in sorted(directory.glob("*.png")):
            self.client.log_artifact(run_id, str(picture), "pictures")
        if (directory / "model").is_dir():
            self._model(run_id, directory / "model")
        if end["message"]:
            self.client.set_tag(run_id, "mlflow.note.content", end["message"])
        self.client.set_tag(run_id, "pullback.status", end["status"])
        self.client.set_terminated(run_id, _STATUS[end["status"]])

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


def _metrics(line: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Metric

    return [
        Metric(key, value, line["time"], line["step"])
        for key, value in line.items()
        if key not in ("step", "time") and isinstance(value, int | float) and not math.isnan(value)
    ]
