"""An MLflow store: which one, opened by one process at a time, and where its pages are."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from pullback import locks

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

# What MLflow's pages take it for: training, not traces; a new browser opens at these all the same.
_KIND = {"mlflow.experimentKind": "custom_model_development"}

URI, EXPERIMENT = "sqlite:///mlflow.db", "pullback"  # where nothing else is said


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


class Store:
    """One experiment of one MLflow store."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri, self.experiment = absolute(uri), experiment
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self.made = ""  # which store this is: one that was made anew has other runs

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
            with self.locked():
                _make_database(self.uri)
                client = MlflowClient(self.uri)
                experiment = self._find_experiment(client)
            self._experiment_id = str(experiment.experiment_id)
            self.made = f"{experiment.experiment_id}, {experiment.creation_time}"
            self._client = client

    def locked(self) -> AbstractContextManager[None]:
        """One process of this machine at a time is at a store."""
        return locks.held(_lock_of(self.uri))

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

    def address(self, server: str = "") -> str:
        """Of the runs of this experiment in MLflow's pages, on a server that has this store.

        The pages of training, that is: a browser that comes for the first time is shown traces.
        """
        there = f"/#/experiments/{self._experiment_id}/runs?workflowType=machine_learning"
        return f"{server or self.uri}{there if self._experiment_id else ''}"


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
