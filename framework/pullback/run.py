"""One run: a job, its directory, its journal, and the tracker that may show it."""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from pullback import registry
from pullback.errors import PullbackError
from pullback.evaluation import Metrics
from pullback.job import Config, Job
from pullback.state import LAST
from pullback.tracking.environment import environment
from pullback.tracking.journal import Journal, Status, read_metrics, read_run
from pullback.tracking.mlflow_view import View
from pullback.training import Observer, Result

# Below this many multiplications a step, a second BLAS thread costs more than it brings.
_WORTH_A_THREAD = 20_000_000
_SECONDS_BETWEEN_PUBLICATIONS = 15.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended, where its evidence lies, and what could not be done for its tracker."""

    name: str
    status: Status
    directory: Path
    metrics: Metrics
    message: str
    tracker: Tracker


def execute(
    job: Job,
    directory: Path,
    *,
    overrides: list[str],
    sweep_run: str | None = None,
    observe: Observer | None = None,
    resume: bool = False,
) -> Outcome:
    """Run a job in a directory, whatever happens to it: the outcome says what did.

    ``overrides`` are what its name is made of; ``sweep_run`` is MLflow's id of the parent run.
    """
    journal, tracker = Journal(directory), Tracker(job.config["tracking"], directory)
    with _threads(job):
        if resume:
            resume = (step := _checkpoint_step(directory)) > 0
            journal.reopen(step)
        else:
            _begin(journal, job, overrides, sweep_run)
        started = time.monotonic()
        status, message, result = _train(job, journal, tracker, observe, resume)
        journal.flush()
        metrics = {} if result is None else result.metrics
        if result is not None:
            _keep(job, result, directory)
        facts = {
            "ended": _now(),
            "time": journal.time,
            "seconds": time.monotonic() - started,
            "steps": journal.step,
            "metrics": metrics,
            "message": message,
        }
        journal.end(status, facts)
    tracker.publish()
    if status == "interrupted":
        raise KeyboardInterrupt(f"go on with: pullback resume {directory}")
    return Outcome(name_of(job, overrides), status, directory, metrics, message, tracker)


def _train(
    job: Job, journal: Journal, tracker: Tracker, observe: Observer | None, resume: bool
) -> tuple[Status, str, Result | None]:
    def everyone(step: int, metrics: Metrics) -> None:
        journal.observe(step, metrics)
        if (step + 1) % job.recipe.checkpoint_every == 0:
            journal.flush()  # or a crash after the checkpoint that follows would leave a gap
        tracker.perhaps_publish(journal)
        if observe is not None:
            observe(step, metrics)

    try:
        result = job.train(directory=journal.directory, resume=resume, observe=everyone)
    except KeyboardInterrupt:
        return "interrupted", f"interrupted at step {journal.step}", None
    except PullbackError as error:
        return "failed", str(error), None
    except Exception as error:
        (journal.directory / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        where = f"the traceback is in {journal.directory / 'error.txt'}"
        return "failed", f"{type(error).__name__}: {error} ({where})", None
    if result.status == "not finite":
        return "failed", result.verdict, result
    return result.status, "", result


def _begin(journal: Journal, job: Job, overrides: list[str], sweep_run: str | None) -> None:
    from omegaconf import OmegaConf

    facts = {
        "id": uuid.uuid4().hex,
        "name": name_of(job, overrides),
        "started": _now(),
        "time": time.time_ns() // 1_000_000,
        "overrides": overrides,
        "options": _options(job.config),
        "providers": _providers(job.config),
        "environment": environment(),
        "data": _data_facts(job),
        "parameters": int(job.net.theta.size),
        "tracking": dict(job.config["tracking"]),
        "sweep_run": sweep_run,
    }
    journal.begin(facts, OmegaConf.to_yaml(OmegaConf.create(dict(job.config))))


def name_of(job: Job, overrides: list[str]) -> str:
    """What tells a run from its neighbours: what was overridden, or what it trains."""
    config = job.config
    said = f"{config['loss']['name']} on {config['dataset']['name']}, seed {config['seed']}"
    return " ".join(overrides) or said


def _options(config: Config) -> dict[str, Any]:
    """Every option that can change the result, by its dotted key."""
    return flatten({k: v for k, v in config.items() if k not in ("tracking", "plugins")})


def _data_facts(job: Job) -> dict[str, Any]:
    data = job.data
    return {
        "name": job.config["dataset"]["name"],
        "source": dict(job.config["dataset"]),
        "digest": data.digest,
        "train": len(data.train),
        "validation": len(data.validation),
        "test": len(data.test),
        "inputs": list(data.inputs),
        "outputs": data.outputs,
    }


def _providers(config: Config) -> dict[str, str]:
    """Who provides each unit of the config, with its version."""
    named = {key: config[key]["name"] for key in ("loss", "optimizer", "schedule", "dataset")}
    found = {key: registry.entry(key, name).provider for key, name in named.items()}
    for stage, spec in config["net"].items():
        name = spec if isinstance(spec, str) else spec["name"]
        found[f"net.{stage}"] = registry.entry("layer", name).provider
    return found


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _keep(job: Job, result: Result, directory: Path) -> None:
    """The pictures and the model, where the config asks for them."""
    wanted = job.config["tracking"]
    if wanted["pictures"]:
        from pullback.tracking import pictures

        title = name_of(job, [])
        pictures.loss_curve(list(read_metrics(directory)), title, directory / "loss.png")
        flat = job.data.inputs == (2,) and job.data.classes is not None
        if flat and np.isfinite(job.net.theta).all():
            pictures.decision_boundary(job.net, job.data, title, directory / "boundary.png")
    if wanted["model"] and result.status != "not finite":
        from pullback.tracking import model

        model.save(directory / "model", job.config, job.net, job.data)


def _checkpoint_step(directory: Path) -> int:
    """Where to go on; 0 for a run that did not come as far as its first checkpoint."""
    from pullback import checkpoint

    read_run(directory)
    if not (directory / LAST).is_file():
        return 0
    return int(checkpoint.load(directory / LAST)[1]["step"])


def _threads(job: Job) -> AbstractContextManager[Any]:
    """BLAS threads as the config says; auto: one, for a network that more would slow down."""
    from threadpoolctl import threadpool_limits

    number = job.config["threads"]
    if number == "auto":
        rows = min(job.recipe.batch_size or len(job.data.train), len(job.data.train))
        number = None if rows * job.net.theta.size > _WORTH_A_THREAD else 1
    return nullcontext() if number is None else threadpool_limits(number, user_api="blas")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def view_of(tracking: Config) -> View | None:
    """The MLflow store that a config's tracking section names, if it does."""
    return View(tracking["uri"], tracking["experiment"]) if tracking["name"] == "mlflow" else None


class Tracker:
    """Shows a run in MLflow as it goes on. Its trouble is told, and is never the run's."""

    def __init__(self, config: Config, directory: Path) -> None:
        self.directory = directory
        self.view = view_of(config)
        self.problem = ""
        self._last = time.monotonic()

    def perhaps_publish(self, journal: Journal) -> None:
        """Now and then, so that a long run can be watched."""
        if time.monotonic() - self._last > _SECONDS_BETWEEN_PUBLICATIONS and not self.problem:
            journal.flush()
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
