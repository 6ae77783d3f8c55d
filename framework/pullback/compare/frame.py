"""Runs as a pandas frame, a row each, and what those have in common that differ only by seed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pullback.compare.runs import Run, find, read
from pullback.errors import PullbackError, nearest
from pullback.tracking.journal import COMPLETE

NOTHING = "–"

# First in every table, in this order; any other metric follows by name.
_METRICS = (
    "test_loss",
    "test_accuracy",
    "validation_loss",
    "validation_accuracy",
    "train_loss",
    "train_accuracy",
    "best_validation_loss",
    "best_step",
    "step_seconds",
    "step_peak_bytes",
    "gradient_difference",
)


def load(paths: Iterable[Path | str]) -> pd.DataFrame:
    """One row for each run at or below the directories.

    The columns have two levels: ``run`` (directory, name, status, started, seconds, message),
    ``option`` (by dotted name; None where a run has no such option, a tuple for a list) and
    ``metric`` (as they were at the end, NaN where there is none). A run without an end has the
    status "running or killed". ``frame.attrs["unreadable"]`` counts the run directories that
    were left out because their ``run.json`` cannot be read.

    Raises PullbackError for a path that is not a directory.

    >>> frame = load(["runs"])                                      # doctest: +SKIP
    >>> frame.loc[frame["run", "status"] == "failed", "option"]     # doctest: +SKIP
    """
    directories = find(paths)
    runs = [run for directory in directories if (run := read(directory)) is not None]
    started = pd.Series([run.facts.get("started") for run in runs], dtype=object)
    columns: dict[tuple[str, str], Any] = {
        ("run", "directory"): [run.directory for run in runs],
        ("run", "name"): [str(run.facts.get("name", "")) for run in runs],
        ("run", "status"): [run.status for run in runs],
        ("run", "started"): pd.to_datetime(started, utc=True, errors="coerce", format="ISO8601"),
        ("run", "seconds"): [_number(run.end.get("seconds")) for run in runs],
        ("run", "message"): [str(run.end.get("message") or "") for run in runs],
    }
    for name, options in _by_name(_all_options(runs)).items():
        columns["option", name] = pd.Series(options, dtype=object)
    metrics = _by_name([_metrics(run) for run in runs])
    for name in _in_order(metrics):
        columns["metric", name] = [_number(value) for value in metrics[name]]
    frame = pd.DataFrame(columns)
    frame.attrs["unreadable"] = len(directories) - len(runs)
    return frame


def section(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The columns below one name of the upper level, such as ``option``, by their own names."""
    return frame.loc[:, frame.columns.get_level_values(0) == name].droplevel(0, axis=1)


def differing(frame: pd.DataFrame) -> list[str]:
    """The options that do not have one value in all rows.

    To have no such option is a value too, the same as null. Lists compare by what is in them.
    """
    options = section(frame, "option")
    return [str(name) for name in options if len(set(options[name])) > 1]


def distinguishing(frame: pd.DataFrame, over: Sequence[str] = ("seed",)) -> list[str]:
    """The options that tell variants apart: those that differ, but for

    - those in ``over``, and
    - the options of a unit that its name determines: where SGD always ran with the one learning
      rate and Adam with another, ``optimizer.name`` says it all. An option of something else is
      never left out: were two losses tried at two widths, the width may be what matters.

    Where nothing differs, the name of the loss stands for all runs. Names come first. Raises
    PullbackError where no run has an option in ``over``; ``loss`` is short for ``loss.name``.
    """
    options = section(frame, "option")
    left_out = {full_name(name, options) for name in over}
    found = differing(frame)
    names = [name for name in found if name.endswith(".name")]
    determined = {
        option
        for name in names
        for option in found
        if option != name
        and option.startswith(name.removesuffix("name"))
        and len(set(zip(options[name], options[option], strict=True))) == len(set(options[name]))
    }
    kept = [name for name in found if name not in left_out | determined]
    if not kept and "loss.name" in options and "loss.name" not in left_out:
        return ["loss.name"]
    return sorted(kept, key=lambda name: not name.endswith(".name"))


def shortened(names: Sequence[str]) -> dict[str, str]:
    """``loss`` for ``loss.name``, and so on, where nothing else is called so."""
    short = {name: name.removesuffix(".name") for name in names}
    return {name: brief if brief not in names else name for name, brief in short.items()}


def option_text(value: Any) -> str:
    """An option's value as a config writes it; a dash where there is none."""
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value)


def label_of(options: pd.Series) -> str:
    """What to call a variant: a unit's name speaks for itself, another value needs its option's."""
    short = shortened(list(map(str, options.index)))
    texts = [
        value if isinstance(value, str) else f"{short[str(name)]} {option_text(value)}"
        for name, value in options.items()
    ]
    return ", ".join(texts)


def variants(options: pd.DataFrame) -> pd.Series[int]:
    """A number for each row, the same where all options are; from 0, by first appearance."""
    rows = [tuple(row) for row in options.to_numpy(dtype=object)]
    numbers: dict[Any, int] = {}
    return pd.Series([numbers.setdefault(row, len(numbers)) for row in rows], options.index, int)


def aggregate(
    frame: pd.DataFrame, over: Sequence[str] = ("seed",), metrics: Sequence[str] | None = None
) -> pd.DataFrame:
    """One row for each variant, in the order in which the variants first appear.

    The columns have two levels: ``option`` with the options that tell the variants apart;
    ``runs`` with how many are ``complete``, ``failed`` and ``unfinished`` (interrupted, running
    or killed); and for each metric its ``mean``, its sample standard deviation ``sd`` (NaN for one
    run) and its ``max``. Only complete runs go into these, and where one of them lacks a metric
    the variant has none: a mean over the runs that happen to have a number would mislead.

    Raises PullbackError for an option or a metric that no run has.
    """
    values = section(frame, "metric")
    for name in metrics or ():
        if name not in values:
            raise PullbackError(f"no run has a metric '{name}'{nearest(name, map(str, values))}")
    names = distinguishing(frame, over)
    options = section(frame, "option")[names].rename(columns=shortened(names))
    variant = variants(options)
    status = frame["run", "status"]
    complete, failed = status.isin(COMPLETE), status == "failed"

    counts = pd.DataFrame(
        {"complete": complete, "failed": failed, "unfinished": ~(complete | failed)}
    )
    grouped = values[complete].groupby(variant[complete])
    everywhere = grouped.count().eq(grouped.size(), axis=0)
    parts = {
        "option": options[~variant.duplicated()].set_index(variant.unique()),
        "runs": counts.groupby(variant).sum(),
    }
    # Each metric alone: of all at once, pandas adds up otherwise where another has a gap.
    alone = {name: one.groupby(variant[complete]) for name, one in values[complete].items()}
    statistics = {
        key: pd.DataFrame({name: one.agg(how) for name, one in alone.items()}, everywhere.index)
        for key, how in (("mean", "mean"), ("sd", "std"), ("max", "max"))
    }
    for name in map(str, values) if metrics is None else metrics:
        columns = {key: found[name].where(everywhere[name]) for key, found in statistics.items()}
        parts[name] = pd.DataFrame(columns, index=parts["runs"].index)
    return pd.concat(parts, axis=1)


def sorted_by(aggregated: pd.DataFrame, name: str) -> pd.DataFrame:
    """The variants by the mean of a metric or by an option, from the least; from the most, ``-``.

    Raises PullbackError for a name that is none of theirs.
    """
    wanted = name.removeprefix("-")
    means = {str(one): (one, "mean") for one in aggregated.columns.unique(0)}
    known = {**means, **{str(one): ("option", one) for one in section(aggregated, "option")}}
    known = {one: column for one, column in known.items() if one not in ("option", "runs")}
    if wanted not in known:
        raise PullbackError(f"--sort: nothing here is called '{wanted}'{nearest(wanted, known)}")
    values = aggregated[known[wanted]]
    if values.dtype == object:
        values = values.map(option_text)
    order = values.sort_values(ascending=not name.startswith("-"), kind="stable").index
    return aggregated.loc[order]


def full_name(name: str, options: pd.DataFrame) -> str:
    """``loss.name`` for ``loss``; PullbackError for an option that no run has."""
    for known in (name, f"{name}.name"):
        if known in options:
            return known
    if name == "seed":
        return name
    raise PullbackError(f"no run has an option '{name}'{nearest(name, map(str, options))}")


def _all_options(runs: list[Run]) -> list[dict[str, Any]]:
    """The options of each run. ``net.a1: tanh`` and ``net.a1.name: tanh`` say the same, so they
    share a column where some runs write the one and some the other."""
    everything = {name for run in runs for name in run.facts["options"]}
    full = {name: f"{name}.name" for name in everything if f"{name}.name" in everything}
    return [
        {full.get(name, name): _frozen(value) for name, value in run.facts["options"].items()}
        for run in runs
    ]


def _metrics(run: Run) -> dict[str, Any]:
    metrics = run.end.get("metrics")
    return metrics if isinstance(metrics, dict) else {}


def _by_name(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _in_order(metrics: Iterable[str]) -> list[str]:
    place = {name: number for number, name in enumerate(_METRICS)}
    return sorted(metrics, key=lambda name: (place.get(name, len(place)), name))


def _frozen(value: Any) -> Any:
    """A value that can be compared and counted: a tuple for a list, its text for a mapping."""
    if isinstance(value, list):
        return tuple(_frozen(one) for one in value)
    return json.dumps(value) if isinstance(value, dict) else value


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
