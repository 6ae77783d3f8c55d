"""One run's worth of a config: built from its names, and checked to fit, before it runs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pullback import registry
from pullback.acceleration import compiled, ending
from pullback.data import Data, Split, prepare
from pullback.errors import ConfigError, PullbackError, nearest
from pullback.loss import loss_and_cotangent
from pullback.net import Net
from pullback.options import build
from pullback.recipe import Recipe
from pullback.refusals import forbidden
from pullback.stretches import finish
from pullback.training import Course, Observer, Result, course
from pullback.units import Loss, Optimizer, Schedule

Config = Mapping[str, Any]

_UNITS = ("net", "loss", "optimizer", "schedule", "dataset")
_SETTINGS = ("seed", "dtype", "reference", "accelerate", "threads", "standardise", "plugins")
# How runs are shown and conducted, which no result depends on.
CONDUCT = ("tracking", "workers", "stack", "retries", "fail_fast")
KEYS = frozenset((*_UNITS, *_SETTINGS, "training", "split", *CONDUCT))

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What :func:`pullback.train` takes, built from a config, and the config itself.

    ``chosen`` is the config with the names of the units that are used: compiled ones, where
    ``accelerate`` says so.
    """

    config: Config
    chosen: Config
    net: Net
    data: Data
    loss: Loss
    optimizer: Optimizer
    schedule: Schedule
    recipe: Recipe
    reference: Loss | None
    seed: int

    def train(self, *, observe: Observer | None = None) -> Result:
        """:func:`pullback.train` with everything that the config says."""
        return finish(self.course(observe=observe))

    def course(
        self,
        *,
        directory: Path | None = None,
        resume: bool = False,
        threads: int = 1,
        observe: Observer | None = None,
        by_stretches: bool = False,
    ) -> Course:
        """The same, by whoever goes through it: :func:`pullback.training.course`."""
        return course(
            self.net,
            self.data,
            loss=self.loss,
            optimizer=self.optimizer,
            schedule=self.schedule,
            recipe=self.recipe,
            seed=self.seed,
            reference=self.reference,
            threads=threads,
            directory=directory,
            resume=resume,
            observe=observe,
            by_stretches=by_stretches,
        )

    @property
    def units(self) -> dict[str, registry.Entry]:
        """The entry of each unit that is used, by its place in the config: loss, …, net.z1, …"""
        kinds = ("loss", "optimizer", "schedule", "dataset")
        found = {kind: registry.entry(kind, self.chosen[kind]["name"]) for kind in kinds}
        for stage, spec in self.chosen["net"].items():
            name = spec if isinstance(spec, str) else spec["name"]
            found[f"net.{stage}"] = registry.entry("layer", name)
        return found

    @property
    def steps(self) -> int:
        """How many steps it will take, if nothing stops it."""
        return self.recipe.total(len(self.data.train))


class JobError(PullbackError):
    """Everything that is wrong with one config."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def build_job(config: Config) -> Job:
    """The job of a resolved config; JobError with every mistake in it, not the first alone."""
    problems: list[str] = []

    def attempt(make: Callable[[], T]) -> T | None:
        try:
            return make()
        except PullbackError as error:
            problems.append(str(error))
            return None

    problems += [f"{key}: {why}" for key, why in forbidden(config)]
    unknown = [key for key in config if key not in KEYS]
    problems += [f"{key}: there is no such setting{nearest(key, KEYS)}" for key in unknown]
    problems += [f"{key}: is missing" for key in sorted(KEYS - set(config))]
    if problems:
        raise JobError(problems)
    attempt(lambda: _plugins(config["plugins"]))
    recipe = attempt(lambda: _section(Recipe, config, "training"))
    attempt(lambda: _seed(config["seed"]))
    attempt(lambda: _dtype(config["dtype"]))
    attempt(lambda: _number_or_auto(config["threads"], "threads"))
    attempt(lambda: _number_or_auto(config["workers"], "workers"))
    attempt(lambda: _number_or_auto(config["stack"], "stack"))
    attempt(lambda: _retries(config["retries"]))
    attempt(lambda: _kept(config["tracking"]))
    drawn = not any(problem.startswith(("seed:", "dtype:")) for problem in problems)
    data = attempt(lambda: _data(config)) if drawn else None
    net = attempt(lambda: _net(config, data))
    chosen = config
    if net is not None and data is not None and recipe is not None:
        taken = (net, data, recipe)
        chosen = attempt(lambda: _accelerated(config, *taken)) or config
    if chosen is not config:
        net = attempt(lambda: _net(chosen, data))
    loss = attempt(lambda: build("loss", chosen["loss"], "loss"))
    optimizer = attempt(lambda: build("optimizer", chosen["optimizer"], "optimizer"))
    schedule = attempt(lambda: build("schedule", config["schedule"], "schedule"))
    reference = attempt(lambda: _reference(config, loss))
    if net is not None and data is not None and loss is not None and recipe is not None:
        attempt(lambda: _fits(net, data, loss))
    if problems:
        raise JobError(problems)
    found = (net, data, loss, optimizer, schedule, recipe)
    return Job(config, chosen, *found, reference, config["seed"])  # type: ignore[arg-type]


def _accelerated(config: Config, net: Net, data: Data, recipe: Recipe) -> Config:
    """The config with compiled units, where it asks for them; itself where it does not."""
    rows = min(recipe.batch_size or len(data.train), len(data.train))
    numbers = rows * sum(math.prod(stage.outputs) for stage in net.stages)
    word = ending(config["accelerate"], recipe.total(len(data.train)), numbers)
    if word is None:
        return config
    stages = {name: compiled("layer", spec, word) for name, spec in config["net"].items()}
    units = {kind: compiled(kind, config[kind], word) for kind in ("loss", "optimizer")}
    return {**config, **units, "net": stages}


def plugin_references(value: Any) -> list[str]:
    """The files and modules that ``plugins`` names; ConfigError where it is no list of them."""
    if not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise ConfigError("takes a list of files, as in plugins=[swish.py]", "plugins")
    return value


def _plugins(value: Any) -> None:
    for reference in plugin_references(value):
        try:
            registry.load_plugin(reference)
        except PullbackError as error:
            raise ConfigError(str(error), "plugins") from error


def _section(cls: type[T], config: Config, key: str) -> T:
    try:
        return cls(**config[key])
    except (TypeError, ValueError, ConfigError) as error:
        raise ConfigError(str(error), key) from error


def _seed(seed: int) -> None:
    if seed < 0:
        raise ConfigError(f"must not be negative, and it is {seed}", "seed")


def _dtype(name: str) -> None:
    if name not in ("float32", "float64"):
        raise ConfigError(f"must be float32 or float64, not {name}", "dtype")


def _number_or_auto(number: int | str, what: str) -> None:
    if number != "auto" and not (isinstance(number, int) and number > 0):
        raise ConfigError(f"must be auto or a number from 1 on, not {number!r}", what)


def _retries(number: int) -> None:
    if number < 0:
        raise ConfigError(f"must not be negative, and it is {number}", "retries")


def _kept(tracking: Config) -> None:
    for key in ("pictures", "model"):
        value = tracking.get(key, "auto")
        if value != "auto" and not isinstance(value, bool):
            raise ConfigError(f"must be true, false or auto, not {value!r}", f"tracking.{key}")


def _reference(config: Config, loss: Loss | None) -> Loss | None:
    """The reference with the loss's options; None where it is of another family."""
    name = config["reference"]
    if name is None or loss is None:
        return None
    cls = build("loss", name, "reference").__class__
    if registry.family(cls) != registry.family(loss):
        return None
    options = {key: value for key, value in config["loss"].items() if key != "name"}
    return build("loss", {"name": name, **options}, "reference")  # type: ignore[no-any-return]


_loaded: dict[str, Data] = {}
_KEPT = 16  # a sweep over a thousand seeds has as many data sets


def _data(config: Config) -> Data:
    """The data of a config, kept for the next job of a sweep that has the same."""
    split = _section(Split, config, "split")
    key = json.dumps(
        [config[part] for part in ("dataset", "split", "seed", "standardise", "dtype")],
        default=str,
    )
    if key not in _loaded:
        while len(_loaded) >= _KEPT:
            del _loaded[next(iter(_loaded))]
        dataset = build("dataset", config["dataset"], "dataset")
        try:
            _loaded[key] = prepare(
                dataset,
                split=split,
                seed=config["seed"],
                standardise=config["standardise"],
                dtype=config["dtype"],
            )
        except ConfigError as error:
            raise ConfigError(str(error), "dataset") from error
        except Exception as error:
            told = f"{registry.name_of(dataset)}: load raised {type(error).__name__}: {error}"
            raise ConfigError(told, "dataset") from error
    return _loaded[key]


def _net(config: Config, data: Data | None) -> Net | None:
    stages = config["net"]
    if not isinstance(stages, Mapping):
        raise ConfigError("must be a mapping of named stages, as in conf/net/founding.yaml", "net")
    if data is None:
        return None
    return Net(
        stages, data.inputs, classes=data.outputs, dtype=config["dtype"], seed=config["seed"]
    )


def _has_classes(data: Data) -> bool:
    """Labels, or rows of probabilities over two classes or more."""
    rows = data.train.t
    soft = rows.ndim == 2 and rows.shape[1] > 1 and (rows >= 0).all()
    return data.classes is not None or bool(soft and np.allclose(rows.sum(axis=1), 1, atol=1e-5))


def _fits(net: Net, data: Data, loss: Loss) -> None:
    """The last stage against the targets, and the loss against both, on two rows."""
    last = net.stages[-1]
    if getattr(loss, "targets", "") == "classes" and not _has_classes(data):
        raise ConfigError(
            f"{registry.name_of(loss)} takes labels, and the targets of the data set are numbers; "
            f"loss=mse takes numbers",
            "loss",
        )
    if net.outputs != (data.outputs,):
        what = "classes" if data.classes is not None else "target values"
        raise ConfigError(
            f"{last.unit} gives {net.outputs} for each row and the data set has {data.outputs} "
            f"{what}; width: classes fits any",
            f"net.{last.name}",
        )
    x, target = data.train.x[:2], data.train.t[:2]
    try:
        with np.errstate(all="ignore"):
            loss_and_cotangent(loss, net(x), target, "sum")
    except PullbackError as error:
        raise ConfigError(str(error), "loss") from error
