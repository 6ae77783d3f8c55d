"""``pullback explain`` and ``pullback new``: a derivation of one's own, and the form of one."""

from __future__ import annotations

import argparse
import json
import secrets
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback explain``."""
    parser.description = (
        "Judge a derivation, a file that `pullback new derivation` wrote or one like it: which "
        "backward stage is the first wrong one, what the mistake is called, and what to look at. "
        "The file is run as it stands. The status is 1 if a stage is wrong or to do."
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a Python file")
    parser.add_argument("--solution", action="store_true", help="with the answer")
    parser.add_argument("--grade", action="store_true", help="a mark for each stage, as JSON")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="draws the values; with --grade it is drawn, too, unless it is given",
    )


def run(args: argparse.Namespace) -> int:
    """Judge the file and tell it; 1 if a stage is not right. Raises ConfigError."""
    from pullback.derivations.judge import explain
    from pullback.derivations.table import show

    seed = secrets.randbits(32) if args.grade and args.seed is None else args.seed
    verdicts = explain(args.file, seed)
    if args.grade:
        print(json.dumps(verdicts.marks(), indent=1, ensure_ascii=False))
    else:
        from rich.console import Console

        show(verdicts, Console(highlight=False), solution=args.solution)
    return int(not verdicts)
