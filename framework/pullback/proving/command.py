"""``pullback prove``: that each backward is the derivative of its own forward, by formulas."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path

from pullback.errors import ConfigError, PullbackError, writing
from pullback.verify.chosen import chosen

KINDS = ("layer", "loss")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback prove``."""
    parser.description = (
        "Prove units: each one's own forward and backward are run on symbols, in every branch. Is "
        "backward the derivative of forward, and are the units of a family the same function? The "
        "status is 1 if something was refuted or could not be decided."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a layer, a loss, a family, a file.py with units, or all",
    )
    parser.add_argument(
        "--family", action="store_true", help="with a unit's name, its whole family"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        type=int,
        default=[2, 3],
        metavar="C",
        help="numbers of features, or of classes of a loss (default: 2 3)",
    )
    parser.add_argument("--latex", action="store_true", help="the formulas alone, as LaTeX")
    parser.add_argument("--json", action="store_true", help="as JSON, for a program to read")
    parser.add_argument("--html", metavar="FILE", type=Path, help="a page with the formulas, too")


def run(args: argparse.Namespace) -> int:
    """Prove what is named and tell the outcome; 1 if something is not so. Raises PullbackError."""
    if not args.names:
        raise PullbackError(
            "say what to prove: a layer, a loss, a family, a file.py or all, as in "
            "`pullback prove softmax`; `pullback list` shows the names"
        )
    if min(args.classes) < 1:
        raise ConfigError(f"there are no {min(args.classes)} classes", "--classes")
    from rich.console import Console

    from pullback.proving.findings import prove_all
    from pullback.proving.table import show

    units = chosen(args.names, KINDS, whole_family=args.family)
    with (
        contextlib.redirect_stdout(sys.stderr),  # what a unit prints does not go among ours
        Console(stderr=True).status("proving") as status,
    ):
        findings = []
        for one in prove_all(units, tuple(args.classes)):
            findings.append(one)
            status.update(f"proving ({len(findings)} of {len(units)})")
    if args.json:
        print(json.dumps([one.as_dict() for one in findings], indent=1, ensure_ascii=False))
    elif args.latex:
        print("\n\n".join(f"% {one.name}\n{one.latex()}" for one in findings if one.derivation))
    else:
        show(findings, Console(highlight=False))
    if args.html:
        from pullback.proving.page import page

        with writing(args.html):
            args.html.write_text(page(findings), encoding="utf-8")
        print(f"wrote {args.html}", file=sys.stderr)
    return int(not all(findings))
