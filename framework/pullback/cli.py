"""The command line. A command's module is imported when the command is run."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from pullback.errors import PullbackError, readable

COMMANDS = {
    "train": "train a network; with -m, sweep over settings (a Hydra application)",
    "resume": "go on with a run from its last checkpoint, or with what a sweep lacks",
    "sync": "bring MLflow up to date with the runs below a directory",
    "ui": "MLflow's pages on the runs of a directory",
    "compare": "tables and pictures of the runs below a directory",
    "twins": "two variants from the same seed: do they differ, or only round otherwise",
    "trace": "every value and every gradient of a network, stage by stage, with its equation",
    "check": "whether each backward is the pullback of its own forward",
    "prove": "the same by formulas, from the units' own code; and the formulas",
    "bench": "variants of a family beside each other: time, memory, digits",
    "explain": "which stage of a derivation of your own is wrong, and what to look at",
    "new": "write the form of a derivation, to be filled in",
    "list": "the registered units: equations, options, providers",
}

_OVERVIEW = """\
examples:
  pullback train                                   the founding network on the two moons
  pullback train -m loss=cross_entropy_fused,cross_entropy_exact seed=0,1,2
  pullback train --help                            every group and setting
  pullback trace                                   its staged computation, with all gradients
  pullback check softmax                           is its backward right, and how do we know
  pullback bench cross_entropy                     the variants of a family, raced fairly
  pullback prove cross_entropy_fused               why its backward is ŷ − y, as a proof
  pullback new derivation founding                 your own derivation, stage by stage
  pullback explain founding.py                     the first wrong stage, and what to look at
  pullback list loss                               the losses, with their equations
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; a mistake ends in one message, and in a traceback with ``--debug``."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("HYDRA_FULL_ERROR") == "1"
    words = [word for word in words if word != "--debug"]
    if debug:
        os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        return _run(words)
    except PullbackError as error:
        if debug:
            raise
        print(f"pullback: {readable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        if debug:
            raise
        print(f"pullback: interrupted; {error}".removesuffix("; "), file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    if words[:1] == ["train"]:  # Hydra has its own parser
        from pullback.app import train

        return train.main(words[1:])
    if words[:1] in (["-sc"], ["--shell-completion"]):  # what Hydra's completion script calls
        from pullback.app import completion

        return completion.query(words, COMMANDS)
    args = _parser(words[0] if words else "").parse_args(words)
    if args.version:
        from importlib.metadata import version

        print(f"pullback {version('pullback')}")
        return 0
    if args.command is None:
        _parser("").print_help()
        return 0
    if args.command == "resume":
        from pullback.app import train

        return train.resume(args)
    if args.command in _WITH_UNITS:
        from pullback import registry

        for file in args.plugins:
            registry.load_plugin(file)
    return int(importlib.import_module(_MODULES[args.command]).run(args))


_MODULES = {
    "bench": "pullback.bench.command",
    "check": "pullback.verify.command",
    "compare": "pullback.compare.command",
    "explain": "pullback.derivations.command",
    "list": "pullback.listing",
    "new": "pullback.derivations.new",
    "prove": "pullback.proving.command",
    "sync": "pullback.tracking.sync",
    "trace": "pullback.app.trace",
    "twins": "pullback.app.twins",
    "ui": "pullback.tracking.ui",
}
_WITH_UNITS = ("bench", "check", "compare", "list", "prove")


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser; only the command that is asked for is given its options."""
    parser = argparse.ArgumentParser(
        "pullback",
        description="Write a backward pass by hand. Race it. Compare it in training.",
        epilog=_OVERVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, told in COMMANDS.items():
        sub = commands.add_parser(name, help=told, description=told)
        if name == command == "resume":
            sub.add_argument("directory", help="of a run, or of a sweep")
        elif name == command and name in _MODULES:
            importlib.import_module(_MODULES[name]).add_arguments(sub)
        if name == command and name in _WITH_UNITS:
            told = "with the units of a file, too; once for each file"
            sub.add_argument("--plugins", action="append", default=[], metavar="FILE", help=told)
    return parser
