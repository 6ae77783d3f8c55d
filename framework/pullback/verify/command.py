"""``pullback check``: whether each backward is the pullback of its own forward, for people."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pullback.errors import ConfigError, PullbackError, writing
from pullback.verify.chosen import Unit, chosen

if TYPE_CHECKING:
    from pullback.verify.outcome import Report

KINDS = ("layer", "loss", "optimizer")

# What makes no sense beside an option, and what makes none without it.
_NOT_BESIDE = {
    "atlas": ("names", "family", "mutants", "json", "html", "verbose"),
    "mutants": ("html", "verbose"),
}
_ONLY_BESIDE = {"output": "atlas", "track": "atlas"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback check``."""
    parser.description = (
        "Check units: is each backward the pullback of its own forward, and do forward, backward "
        "and step obey the law of a unit? The status is 1 if something failed."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a layer, a loss, an optimizer, a family, a file.py with units, or all",
    )
    parser.add_argument(
        "--family", action="store_true", help="with a unit's name, its whole family"
    )
    parser.add_argument("--verbose", action="store_true", help="every check of every unit, in full")
    parser.add_argument("--json", action="store_true", help="as JSON, for a program to read")
    parser.add_argument("--html", metavar="FILE", type=Path, help="a page with every table, too")
    parser.add_argument(
        "--mutants",
        action="store_true",
        help="plant every known mistake in the units and tell which checks see it",
    )
    parser.add_argument(
        "--atlas", metavar="FAMILY", help="how many digits each loss of a family keeps, and where"
    )
    parser.add_argument("--output", metavar="FILE", type=Path, help="the picture of --atlas")
    parser.add_argument("--track", action="store_true", help="log --atlas to MLflow")


def run(args: argparse.Namespace) -> int:
    """Check what is named and tell the outcome; 1 if something failed. Raises PullbackError."""
    _refuse_what_clashes(args)
    if args.atlas:
        from pullback.verify import atlas_view

        atlas_view.run(args.atlas, picture_path=args.output, track=args.track)
        return 0
    if args.mutants:
        from pullback.verify import mutants_view

        units = chosen(args.names or ["all"], KINDS, whole_family=args.family)
        files = [*args.plugins, *(name for name in args.names if name.endswith(".py"))]
        return mutants_view.run(units, files, as_json=args.json)
    if not args.names:
        raise PullbackError(
            "say what to check: a layer, a loss, an optimizer, a family, a file.py or all, as in "
            "`pullback check softmax`; `pullback list` shows the names"
        )
    started = time.perf_counter()
    reports = _checked(chosen(args.names, KINDS, whole_family=args.family))
    _tell(reports, time.perf_counter() - started, args)
    return _status(reports)


def _status(reports: list[Report]) -> int:
    """1 where something failed, and 2 where nothing was checked."""
    from pullback.verify.table import never_started

    if not all(reports):
        return 1
    return 2 if all(map(never_started, reports)) else 0


def _refuse_what_clashes(args: argparse.Namespace) -> None:
    for one, others in _NOT_BESIDE.items():
        for other in others:
            if getattr(args, one) and getattr(args, other):
                what = "names" if other == "names" else f"--{other}"
                raise ConfigError(f"it takes no {what} beside it", f"--{one}")
    for one, needed in _ONLY_BESIDE.items():
        if getattr(args, one) and not getattr(args, needed):
            raise ConfigError(f"it belongs to --{needed}, which is not given", f"--{one}")


# The checks.


def _checked(units: list[Unit]) -> list[Report]:
    """A report of each; what a unit prints does not go among ours."""
    from rich.console import Console

    from pullback.verify.checks import report_of

    reports = []
    with (
        contextlib.redirect_stdout(sys.stderr),
        Console(stderr=True).status("") as status,
    ):
        for place, unit in enumerate(units, 1):
            status.update(f"{unit[1]} ({place} of {len(units)})")
            reports.append(report_of(*unit))
    return reports


# What is told of them.


def _tell(reports: list[Report], seconds: float, args: argparse.Namespace) -> None:
    from rich.console import Console

    from pullback.verify import table

    if args.json:
        print(json.dumps(_document(reports, seconds), indent=1, ensure_ascii=False))
    else:
        console = Console(highlight=False)
        table.show(reports, console, verbose=args.verbose)
        console.print(table.total(reports, seconds))
    if args.html:
        from pullback.verify import page

        _write(args.html, page.page(reports, seconds, versions()))


def _document(reports: list[Report], seconds: float) -> dict[str, Any]:
    from pullback.verify.table import counts

    document = {
        "reports": [one.as_dict() for one in reports],
        "counts": counts(reports),
        "units": len(reports),
        "seconds": seconds,
        "versions": versions(),
    }
    return dict(_plain(document))


def _plain(value: Any) -> Any:
    """For JSON, which knows no NaN and no infinity: null."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if not isinstance(value, str | int | float | None):
        value = value.item()  # NumPy's
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """Of what a report depends on."""
    import platform
    from importlib.metadata import version

    return {
        "pullback": version("pullback"),
        "numpy": version("numpy"),
        "python": platform.python_version(),
    }


def _write(path: Path, text: str) -> None:
    with writing(path):
        path.write_text(text, encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)
