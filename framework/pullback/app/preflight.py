"""What can be told to be wrong is told before the first job: all of it, for all jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hydra import initialize
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from pullback.app.composition import Composer, Config, among, in_our_words, parse, plain, quoted
from pullback.errors import ConfigError, PullbackError
from pullback.identity import identity
from pullback.job import JobError, build_job


@dataclass(frozen=True)
class Planned:
    """One job of a plan: its overrides, its resolved config, and what determines its result."""

    overrides: list[str]
    config: Config
    identity: str
    steps: int


@dataclass(frozen=True)
class Plan:
    """What will run: the config that all jobs share, Hydra's part of it, and the jobs."""

    shared: Config
    hydra: DictConfig
    jobs: list[Planned]
    swept: list[str]
    multirun: bool

    @property
    def ours(self) -> bool:
        """Whether the sweep is Pullback's to conduct: nothing that only Hydra does is asked for."""
        hydra = self.hydra
        basic = ".BasicSweeper" in hydra.sweeper._target_ and ".Basic" in hydra.launcher._target_
        numbered = self.as_written["subdir"] == "${hydra.job.num}"
        others = hydra.callbacks or hydra.job.chdir or hydra.job.env_set
        return bool(basic and numbered and not others)

    @property
    def as_written(self) -> Config:
        """Where Hydra puts a sweep, before anything is put in for what stands for something."""
        return plain(self.hydra.sweep, resolve=False)

    @property
    def distinct(self) -> list[Planned]:
        """The jobs, the first of each identity: the results of the others are the same."""
        found: dict[str, Planned] = {}
        for job in self.jobs:
            found.setdefault(job.identity, job)
        return list(found.values())

    def own(self, job: Planned) -> list[str]:
        """What of a job's overrides tells it from its neighbours."""
        return among(job.overrides, self.swept)


def plan(overrides: list[str], config_name: str, config_dir: str | None, multirun: bool) -> Plan:
    """Compose and build every job; PullbackError with every mistake, the key it came from and the
    number of jobs that have it."""
    overrides = _taken(overrides, config_dir)
    parsed = parse(overrides)
    fixed = [_text(one) for one in parsed if not one.is_sweep_override()]
    with initialize(config_path=None, version_base="1.3"):
        composer = Composer(config_name, fixed)
        shared, hydra = composer.whole(fixed)
        multirun = multirun or str(hydra.get("mode")) == "RunMode.MULTIRUN"
        swept = [one.get_key_element() for one in parsed if one.is_sweep_override()]
        if swept and not multirun:
            raise ConfigError("several values are a sweep: add -m", swept[0])
        if multirun:
            jobs = _built(_jobs(parsed, hydra), composer.job)
        else:
            jobs = _built([overrides], lambda _: shared)
        return Plan(shared, hydra, jobs, swept, multirun)


def look(overrides: list[str], config_name: str, config_dir: str | None) -> None:
    """Compose once, for what shows a config and runs nothing: a mistake is told as for a run."""
    overrides = _taken(overrides, config_dir)
    with initialize(config_path=None, version_base="1.3"):
        Composer(config_name, overrides).whole(overrides)


def _taken(overrides: list[str], config_dir: str | None) -> list[str]:
    for text in overrides:
        if re.search(r"(^|[.+{,\s])_(target|partial|args|recursive|convert)_\s*[:=]", text):
            raise ConfigError("a config names registered units (loss=mse) and calls nothing", text)
    if config_dir is None:
        return overrides
    return [*overrides, f"hydra.searchpath=[{quoted(f'file://{config_dir}')}]"]


def _jobs(parsed: list[Override], hydra: DictConfig) -> list[list[str]]:
    """The grid as Hydra's basic sweeper will make it; the shared part alone for another sweeper."""
    if not hydra["sweeper"]["_target_"].endswith(".BasicSweeper"):
        return [[_text(one) for one in parsed if not one.is_sweep_override()]]
    mine = [one for one in parsed if not one.is_hydra_override()]
    rest = [_text(one) for one in parsed if one.is_hydra_override()]
    with in_our_words([_text(one) for one in mine]):
        params = (hydra["sweeper"]["params"] or {}).items()
        extra = parse([f"{key}={value}" for key, value in params])
        (grid,) = BasicSweeper.split_arguments([*extra, *mine], None)
    return [[*rest, *job] for job in grid]


def _text(override: Override) -> str:
    return override.input_line or ""


def _built(jobs: Sequence[list[str]], compose: Callable[[list[str]], Config]) -> list[Planned]:
    """Each job, composed and built; what is wrong with any of them in one error."""
    planned: list[Planned] = []
    told: dict[str, list[int]] = {}
    for number, overrides in enumerate(jobs):
        try:
            config = compose(overrides)
            job = build_job(config)
            planned.append(Planned(overrides, config, identity(job), job.steps))
        except JobError as error:
            for problem in error.problems:
                told.setdefault(problem, []).append(number)
        except PullbackError as error:
            told.setdefault(str(error), []).append(number)
    if told:
        lines = [f"{problem}{_of(numbers, jobs)}" for problem, numbers in told.items()]
        raise PullbackError("\n".join(lines))
    return planned


def _of(numbers: list[int], jobs: Sequence[list[str]]) -> str:
    if len(jobs) == 1:
        return ""
    if len(numbers) == len(jobs):
        return f"  (all {len(jobs)} jobs)"
    first = " ".join(one for one in jobs[numbers[0]] if not one.startswith("hydra."))
    return f"  ({len(numbers)} of {len(jobs)} jobs, first #{numbers[0]}: {first})"
