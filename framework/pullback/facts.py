"""What is written of a run before its first step: everything that its result depends on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from pullback.identity import identity, sources
from pullback.job import CONDUCT, Config, Job
from pullback.tracking.environment import environment
from pullback.tracking.journal import milliseconds, now
from pullback.units import KINDS


def facts_of(job: Job, overrides: list[str]) -> dict[str, Any]:
    """The entry of a run, as JSON values."""
    return {
        "id": uuid.uuid4().hex,
        "name": name_of(job, overrides),
        "started": now(),
        "time": milliseconds(),
        "overrides": overrides,
        "options": _options(job.config),
        "units": {place: one.name for place, one in job.units.items()},
        "providers": {place: one.provider for place, one in job.units.items()},
        "sources": sources(job),
        "environment": environment(),
        "data": _data(job),
        "steps": job.steps,
        "parameters": int(job.net.theta.size),
        "tracking": dict(job.config["tracking"]),
        "identity": identity(job),
    }


def name_of(job: Job, overrides: list[str]) -> str:
    """What tells a run from its neighbours: what was overridden, or what it trains.

    Names of units speak for themselves; MLflow's pages have little room before they cut.
    """
    config = job.config
    said = f"{config['loss']['name']} on {config['dataset']['name']}, seed {config['seed']}"
    return " ".join(map(_brief, overrides)) or said


def _brief(override: str) -> str:
    key, _, value = override.partition("=")
    return value if key.lstrip("+~") in KINDS and value else override


def _options(config: Config) -> dict[str, Any]:
    """Every option that can change the result, by its dotted key."""
    return flatten({k: v for k, v in config.items() if k not in ("plugins", *CONDUCT)})


def _data(job: Job) -> dict[str, Any]:
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


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested options by dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
