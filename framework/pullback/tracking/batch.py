"""What goes to MLflow, in as few calls as it allows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

METRICS_AT_ONCE, PARAMS_AT_ONCE, VALUE_LENGTH = 1000, 100, 6000


@dataclass
class Batch:
    """A thousand things at once, a hundred of a kind."""

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


def params_of(options: Mapping[str, Any]) -> list[Any]:
    """Options as MLflow's params, which are texts of a limited length."""
    from mlflow.entities import Param

    return [Param(key, str(value)[:VALUE_LENGTH]) for key, value in options.items()]


def metrics_of(line: Mapping[str, Any]) -> list[Any]:
    """The numbers of a line of the journal; what is no number is left out."""
    from mlflow.entities import Metric

    return [
        Metric(key, value, line["time"], line["step"])
        for key, value in line.items()
        if key not in ("step", "time") and isinstance(value, int | float) and not math.isnan(value)
    ]
