"""Evidence in MLflow that no training made: a run with its figures, its files and a note."""

from __future__ import annotations

import getpass
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pullback.errors import RunError
from pullback.tracking.batch import Batch, params_of
from pullback.tracking.environment import environment
from pullback.tracking.store import EXPERIMENT, URI, Store, reason_of


def publish(
    kind: str,
    name: str,
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    files: Sequence[Path] = (),
    note: str = "",
    uri: str = URI,
    experiment: str = EXPERIMENT,
) -> str:
    """One finished run; returns how to open the store. What is not finite is no metric.

    The tag ``pullback.kind`` says what it is evidence of, the versions stand in tags as those of a
    training run do, ``note`` is the description, in Markdown. Raises RunError where MLflow fails.
    """
    store = Store(uri, experiment)
    try:
        _publish(store, kind, name, params, metrics, files, note)
    except Exception as error:
        told = f"MLflow at {store.uri} does not have all of '{name}': {reason_of(error)}"
        raise RunError(told) from error
    return store.how_to_open()


def _publish(
    store: Store,
    kind: str,
    name: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    files: Sequence[Path],
    note: str,
) -> None:
    client = store.client
    from mlflow.entities import Metric

    now = int(1000 * time.time())
    tags = {
        "pullback.kind": kind,
        "mlflow.note.content": note,
        "mlflow.source.name": "pullback",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": getpass.getuser(),
        **{f"version.{key}": str(value) for key, value in environment().items() if value},
    }
    run = client.create_run(store.experiment_id, run_name=name, tags=tags, start_time=now)
    run_id = str(run.info.run_id)
    found = [Metric(key, value, now, 0) for key, value in metrics.items() if math.isfinite(value)]
    Batch(found, params_of(params)).send(client, run_id)
    for file in files:
        client.log_artifact(run_id, str(file))
    client.set_terminated(run_id, "FINISHED")
