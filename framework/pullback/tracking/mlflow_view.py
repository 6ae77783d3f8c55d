"""MLflow as a view of a run directory: whatever the journal says and MLflow does not yet know.

Nothing here is needed for a result. A run is published while it goes on and at its end, in batches
of at most a thousand; publishing again adds what is new, and nothing twice.
"""

from __future__ import annotations

import getpass
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pullback.tracking import note
from pullback.tracking.batch import Batch, metrics_of, params_of
from pullback.tracking.journal import (
    CONFIG,
    SWEEP,
    read_end,
    read_entry,
    read_metrics,
    sweep_of,
    write_whole,
)
from pullback.tracking.store import Store

STATE = "mlflow.json"  # in a run directory: which run of MLflow this is, and how much it has
POINTS = 1000  # of a metric; a run of a million steps would keep MLflow busy for minutes
_STATUS = {
    "finished": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
    "killed": "KILLED",
}


def run_of(directory: Path) -> str:
    """MLflow's id of the run of a directory; '' where none was made, or nothing can be read."""
    try:
        return str(json.loads((directory / STATE).read_text(encoding="utf-8"))["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


class View:
    """Run directories in one experiment of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def publish(self, directory: Path) -> str:
        """Bring MLflow up to what the directory of a run or a sweep says; MLflow's id of it.

        What MLflow has already is not sent again, and one process at a time is at a store.
        """
        if self.is_current(directory):
            return str(self._known(directory)["run_id"])
        self.store.open()  # which takes the same lock
        with self.store.locked():
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
                self.store.client.log_artifact(run_id, str(directory / name))
            self.store.client.set_tag(run_id, "mlflow.note.content", end["message"])
            self.store.client.set_terminated(run_id, _STATUS[end["status"]], end["time"])
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
            batch.metrics += metrics_of(line) if shown(line["step"]) else []
            lines += 1
        ended = end is not None and state["ended"] != end["time"]  # a resumed run ends once more
        if end is not None and ended:
            last = {"step": end["steps"], "time": end["time"], **end["metrics"]}
            batch.metrics += metrics_of(last)
            batch.tags["pullback.status"] = end["status"]
            batch.tags["mlflow.note.content"] = note.of_run(facts, end, directory)
        batch.send(self.store.client, run_id)
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
            same = (state["uri"], state["experiment"]) == (self.store.uri, self.store.experiment)
            if same and self.store.made in ("", state["made"]):
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
        state = {
            "uri": self.store.uri,
            "experiment": self.store.experiment,
            "made": self.store.made,
            "name": facts["name"],
            "run_id": "",
            "lines": 0,
            "ended": None,
        }
        self._save_state(directory, state)
        state["run_id"] = run_id or self._create(directory, facts)
        self._save_state(directory, state)
        return state

    def _find(self, identifier: str) -> str:
        told = f"tags.`pullback.id` = '{identifier}'"
        found = self.store.client.search_runs([self.store.experiment_id], told, max_results=1)
        return str(found[0].info.run_id) if found else ""

    def _save_state(self, directory: Path, state: Mapping[str, Any]) -> None:
        write_whole(directory / STATE, json.dumps(state))

    def _create(self, directory: Path, facts: Mapping[str, Any]) -> str:
        sweep = (directory / SWEEP).is_file()
        environment = facts["environment"]
        tags = {
            "pullback.kind": "sweep" if sweep else "run",
            "pullback.id": facts["id"],
            "pullback.identity": facts.get("identity", ""),
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
        run = self.store.client.create_run(
            self.store.experiment_id, run_name=facts["name"], tags=tags, start_time=facts["time"]
        )
        run_id = str(run.info.run_id)
        if sweep:
            told = {"swept": " ".join(facts["swept"]), "fixed": " ".join(facts["fixed"])}
            self.store.client.log_batch(run_id, params=params_of(told))
        else:
            self._dataset(run_id, facts["data"])
            self.store.client.log_artifact(run_id, str(directory / CONFIG))
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
        self.store.client.log_inputs(run_id, datasets=[used])

    def _finish(self, directory: Path, run_id: str, end: Mapping[str, Any]) -> None:
        for picture in sorted(directory.glob("*.png")):
            self.store.client.log_artifact(run_id, str(picture), "pictures")
        for text in sorted(directory.glob("*.log")):
            if end["status"] in ("failed", "killed") and text.stat().st_size:
                self.store.client.log_artifact(run_id, str(text))
        if (directory / "model").is_dir():
            self._model(run_id, directory / "model")
        self.store.client.set_terminated(run_id, _STATUS[end["status"]], end["time"])

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
        mlflow.set_tracking_uri(self.store.uri)
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
