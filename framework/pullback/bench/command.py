"""``pullback bench``: variants beside each other, for people."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pullback.bench.trials import Workload
from pullback.errors import ConfigError, PullbackError, must_be_a_picture, nearest, writing
from pullback.verify.chosen import Unit, chosen, family_of

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("layer", "loss", "optimizer")
_DTYPES = ("float32", "float64")
_SIZES = "200x2,200x10,200x100,200x1000"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback bench``."""
    parser.description = (
        "Time the variants of a family beside each other, with their memory and their digits. "
        "One that is wrong is not timed."
    )
    parser.epilog = "As in: pullback bench cross_entropy --sizes 200x2,200x10,200x100"
    parser.add_argument(
        "names",
        nargs="+",
        metavar="FAMILY|NAME",
        help="a family, or units of one, or a file.py with some",
    )
    parser.add_argument(
        "--sizes",
        default=_SIZES,
        metavar="NxC,…",
        help=f"rows and numbers of a row ({_SIZES}); an optimizer's θ has N·C",
    )
    parser.add_argument("--dtype", default="float32", metavar="TYPE,…", help="float32, float64")
    parser.add_argument("--rounds", type=int, default=15, help="turns that each has (15)")
    parser.add_argument("--threads", type=int, default=1, help="cores that each has (1)")
    parser.add_argument(
        "--limit", type=float, default=10.0, metavar="SECONDS", help="a call may take so long (10)"
    )
    parser.add_argument(
        "--baseline", default="", metavar="torch,jax", help="their own functions, beside ours"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="a picture of it, .png or .svg")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="the whole table")
    parser.add_argument("--json", action="store_true", help="as JSON, for a program to read")
    parser.add_argument("--track", action="store_true", help="log it to MLflow")


def run(args: argparse.Namespace) -> int:
    """Race what is named; 1 if one of them was wrong. Raises PullbackError."""
    from rich.console import Console

    from pullback.bench import table
    from pullback.bench.measure import measure
    from pullback.verify.command import versions

    units = chosen(args.names, KINDS, whole_family=False)
    if len(units) == 1:
        units = chosen([units[0][1]], KINDS, whole_family=True)
    kind, family = _one_family(units)
    workloads = _workloads(args.sizes, args.dtype)
    baselines = [one for one in args.baseline.split(",") if one]
    for option in ("rounds", "threads", "limit"):
        if not getattr(args, option) > 0:
            raise ConfigError(f"must be positive, not {getattr(args, option)}", f"--{option}")
    if args.output:
        must_be_a_picture(args.output, "--output")
    with Console(stderr=True).status("") as status:
        frame = measure(
            kind,
            [name for _, name in units],
            workloads,
            files=[*args.plugins, *(name for name in args.names if name.endswith(".py"))],
            baselines=baselines,
            rounds=args.rounds,
            threads=args.threads,
            seconds=args.limit,
            tell=status.update,
        )
    if args.json:
        lines = json.loads(frame.to_json(orient="records"))
        print(json.dumps({"lines": lines, "versions": versions()}, indent=1, ensure_ascii=False))
    else:
        table.show(frame, Console(highlight=False))
    told = _written(args, frame, family)
    if args.track:
        told.append(f"open it:  {_track(family, frame, args)}")
    for line in told:
        print(line, file=sys.stderr)
    return int(bool(frame["wrong"].any()))


def _one_family(units: list[Unit]) -> tuple[str, str]:
    """The kind and the family; ConfigError for units that do not compute the same."""
    families = dict.fromkeys((unit[0], family_of(unit)) for unit in units)
    if len(families) > 1:
        names = " and ".join(f"the {kind} {family}" for kind, family in families)
        raise ConfigError(f"a race is of units that compute the same, and these are {names}")
    return next(iter(families))


def _workloads(sizes: str, dtypes: str) -> list[Workload]:
    found = []
    for dtype in dtypes.split(","):
        if dtype not in _DTYPES:
            told = f"there is {' and '.join(_DTYPES)}, and no '{dtype}'{nearest(dtype, _DTYPES)}"
            raise ConfigError(told, "--dtype")
        for size in sizes.split(","):
            try:
                rows, features = map(int, size.lower().replace("×", "x").split("x"))
            except ValueError as error:
                told = f"takes NxC, as in 200x10, and not '{size}'"
                raise ConfigError(told, "--sizes") from error
            if rows < 1 or features < 1:
                raise ConfigError(f"N and C are at least 1, and not {size}", "--sizes")
            found.append(Workload(rows, features, dtype))
    return found


def _written(args: argparse.Namespace, frame: pd.DataFrame, family: str) -> list[str]:
    told = []
    if args.output:
        from pullback.bench.picture import picture

        with writing(args.output):
            picture(_timed(frame), args.output, family)
        told.append(f"wrote {args.output}")
    if args.csv:
        with writing(args.csv):
            frame.to_csv(args.csv, index=False)
        told.append(f"wrote {args.csv}")
    return told


def _timed(frame: pd.DataFrame) -> pd.DataFrame:
    if frame["seconds"].isna().all():
        raise PullbackError("nothing was timed: there is no picture of it")
    return frame


def _track(family: str, frame: pd.DataFrame, args: argparse.Namespace) -> str:
    from pullback.bench import table
    from pullback.bench.picture import picture
    from pullback.tracking import evidence

    metrics = {
        f"{line['variant']}/{line['N']}x{line['C']}/{line['dtype']}/{name}": line[name]
        for line in table.records(_timed(frame))
        for name in ("seconds", "ratio", "peak_bytes", "digits")
    }
    params = {"family": family, "variant": ", ".join(frame["variant"].unique())}
    params |= {"sizes": args.sizes, "dtype": args.dtype, "threads": args.threads}
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("bench.png", "bench.csv")]
        picture(frame, files[0], family)
        frame.to_csv(files[1], index=False)
        return evidence.publish(
            "bench",
            f"bench of {family}",
            params=params,
            metrics=metrics,
            files=files,
            note=table.markdown(frame),
        )
