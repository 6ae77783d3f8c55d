"""``pullback new derivation NAME``: writes a form to fill in."""

from __future__ import annotations

import argparse
from pathlib import Path

from pullback.errors import ConfigError, nearest, writing

KINDS = ("derivation",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``pullback new``."""
    parser.description = "Write a derivation with its backward stages left out, to be filled in."
    parser.add_argument("kind", metavar="KIND", help="derivation")
    parser.add_argument("name", metavar="NAME", help="founding, digits or batchnorm")
    parser.add_argument("--output", metavar="FILE", type=Path, help="default: NAME.py")


def run(args: argparse.Namespace) -> int:
    """Write the form, over no other file. Raises ConfigError."""
    from pullback.derivations.source import blank, forms

    if args.kind not in KINDS:
        raise ConfigError(f"there is nothing new called '{args.kind}'{nearest(args.kind, KINDS)}")
    if args.name not in forms():
        raise ConfigError(f"there is no derivation '{args.name}'{nearest(args.name, forms())}")
    path = args.output or Path(f"{args.name}.py")
    with writing(path):
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(blank(args.name))
        except FileExistsError as error:
            raise ConfigError(f"{path} is there already; --output names another") from error
    print(f"wrote {path}: fill in the stages of the way back, then `pullback explain {path}`")
    return 0
