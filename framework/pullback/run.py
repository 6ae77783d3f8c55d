"""One run: a job, its directory and its journal."""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pullback.blocks import compiles
from pullback.errors import ConfigError, PullbackError
from pullback.evaluation import Metrics
from pullback.facts import facts_of, name_of
from pullback.job import Config, Job
from pullback.state import LAST
from pullback.stretches import Made, Stretch, finish
from pullback.tracking.journal import Journal, Status, now, read_end, read_metrics, read_run
from pullback.training import Observer, Result

# Below this many multiplications a step, a second BLAS thread costs more than it brings.
_WORTH_A_THREAD = 20_000_000


@dataclass(frozen=True)
class Outcome:
    """How a run ended, where its evidence lies, and what could not be kept of it."""

    name: str
    status: Status
    directory: Path
    metrics: Metrics
    message: str
    problems: list[str]


def execute(
    job: Job,
    directory: Path,
    *,
    overrides: list[str],
    observe: Observer | None = None,
    resume: bool = False,
) -> Outcome:
    """Run a job in a directory, whatever happens to it: the outcome says what did.

    ``overrides`` are what its name is made of. With ``resume`` it goes on from the run's last
    checkpoint, or begins where there is none.
    """
    return finish(executing(job, directory, overrides=overrides, observe=observe, resume=resume))


def executing(
    job: Job,
    directory: Path,
    *,
    overrides: list[str],
    observe: Observer | None = None,
    resume: bool = False,
    beside_others: bool = False,
) -> Generator[Stretch, Made, Outcome]:
    """The same, by whoever makes its stretches; beside others it has one thread, and they all."""
    journal = Journal(directory)
    if resume:
        _refuse_other(job, directory)
        resume = (step := _checkpoint_step(directory)) > 0
        journal.reopen(step)
    else:
        journal.begin(facts_of(job, overrides), _yaml(job.config))
    started = time.monotonic()
    threads, of_blas = (1, nullcontext()) if beside_others else _threads(job)
    with of_blas:
        status, message, result = yield from _trained(job, journal, observe, resume, threads)
    seconds = time.monotonic() - started
    metrics = {} if result is None else result.metrics
    problems = [] if result is None else _keep(job, result, directory)
    facts = {
        "ended": now(),
        "time": journal.time,
        "seconds": seconds,
        "steps": journal.step,
        "metrics": metrics,
        "message": message,
    }
    journal.end(status, facts)
    return Outcome(name_of(job, overrides), status, directory, metrics, message, problems)


def _refuse_other(job: Job, directory: Path) -> None:
    """A run that ended well is left alone, and one of other data is not gone on with."""
    end = read_end(directory)
    if end is not None and end["status"] in ("finished", "stopped"):
        raise ConfigError(f"{directory} is {end['status']}: there is nothing to go on with")
    digest = read_run(directory)["data"]["digest"]
    if digest != job.data.digest:
        raise ConfigError(
            f"the data of {directory} had the digest {digest}, and now it is {job.data.digest}: "
            f"the data set has changed"
        )


def _trained(
    job: Job, journal: Journal, observe: Observer | None, resume: bool, threads: int
) -> Generator[Stretch, Made, tuple[Status, str, Result | None]]:
    def everyone(step: int, metrics: Metrics) -> None:
        journal.observe(step, metrics)
        if observe is not None:
            observe(step, metrics)

    try:
        result = yield from job.course(
            directory=journal.directory,
            resume=resume,
            threads=threads,
            observe=everyone,
            by_stretches=True,
        )
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


def _yaml(config: Config) -> str:
    """As OmegaConf writes it, so that it reads the same values again."""
    import yaml
    from omegaconf._utils import get_omega_conf_dumper

    # Its to_yaml needs a DictConfig, and to make one takes longer than all else that a run writes.
    dumper = get_omega_conf_dumper()
    text: str = yaml.dump(dict(config), Dumper=dumper, allow_unicode=True, sort_keys=False)
    return text


def _keep(job: Job, result: Result, directory: Path) -> list[str]:
    """The pictures and the model, where the config asks for them; what went wrong, if it did."""
    try:
        _draw_and_save(job, result, directory)
    except Exception as error:
        return [f"the pictures or the model are not whole: {type(error).__name__}: {error}"]
    return []


def _draw_and_save(job: Job, result: Result, directory: Path) -> None:
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


def _threads(job: Job) -> tuple[int, AbstractContextManager[Any]]:
    """The threads of a compiled step, and BLAS with as many as the config says.

    auto: one, for a network that more would slow down. A compiled step has its own threads, and
    in each of them BLAS has one.
    """
    from threadpoolctl import threadpool_limits

    number = job.config["threads"]
    if number == "auto":
        rows = min(job.recipe.batch_size or len(job.data.train), len(job.data.train))
        number = None if rows * job.net.theta.size > _WORTH_A_THREAD else 1
    if number is None:
        return 1, nullcontext()
    threads = number if number > 1 and compiles(job.net, job.loss) else 1
    return threads, threadpool_limits(number if threads == 1 else 1, user_api="blas")
