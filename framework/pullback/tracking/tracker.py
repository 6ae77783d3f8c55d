"""Shows a run in MLflow as it goes on, where the config asks for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pullback.tracking.mlflow_view import View

_SECONDS_BETWEEN_PUBLICATIONS = 15.0


def view_of(tracking: Mapping[str, Any]) -> View | None:
    """The MLflow store that a config's tracking section names, if it does."""
    return View(tracking["uri"], tracking["experiment"]) if tracking["name"] == "mlflow" else None


class Tracker:
    """One run's view. Its trouble is told, and is never the run's."""

    def __init__(self, config: Mapping[str, Any], directory: Path) -> None:
        self.directory = directory
        self.view = view_of(config)
        self.problem = ""
        self._last = time.monotonic()

    def perhaps_publish(self) -> None:
        """Now and then, so that a long run can be watched."""
        if time.monotonic() - self._last > _SECONDS_BETWEEN_PUBLICATIONS and not self.problem:
            self.publish()

    def publish(self) -> None:
        if self.view is None:
            return
        try:
            self.view.publish(self.directory)
            self.problem = ""
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self.problem = (
                f"MLflow at {self.view.uri} does not have all of this run ({reason[:200]}); "
                f"its journal in {self.directory} is whole"
            )
        self._last = time.monotonic()
