"""``pullback list``: every registered unit, what it computes, who provides it, its options."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pullback import registry
from pullback.errors import ConfigError, RegistryError, nearest
from pullback.options import options_of, plain
from pullback.units import KINDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(KINDS)}; all, if left out")
    parser.add_argument("--json", action="store_true", help="as JSON, for a program to read")


def run(args: argparse.Namespace) -> int:
    """Print the units of one kind, or of all."""
    if args.kind is not None and args.kind not in KINDS:
        raise ConfigError(f"there is no kind '{args.kind}'{nearest(args.kind, KINDS)}", "list")
    kinds = [args.kind] if args.kind else list(KINDS)
    units = [unit for kind in kinds for unit in _units(kind)]
    if args.json:
        print(json.dumps(units, indent=1, ensure_ascii=False, default=str))
        return 0
    _print(units)
    return 0


def _units(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for entry in registry.entries(kind):
        facts: dict[str, Any] = {"kind": kind, "name": entry.name, "provider": entry.provider}
        try:
            cls = registry.lookup(kind, entry.name)
            facts["family"] = registry.family(cls, entry.name)
            facts["equation"] = registry.equation(cls)
            facts["options"] = {
                option.name: "required" if option.required else plain(option.default)
                for option in options_of(cls)
            }
        except RegistryError as error:
            facts["problem"] = str(error)
        found.append(facts)
    return sorted(found, key=lambda unit: (unit.get("family", unit["name"]), unit["name"]))


def _print(units: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for kind in dict.fromkeys(unit["kind"] for unit in units):
        console.print(f"[bold underline]{kind}[/]")
        for unit in (unit for unit in units if unit["kind"] == kind):
            head = Text(f"  {unit['name']}", "bold").append("   ")
            if "family" in unit:
                head.append(f"family {unit['family']} · ", "not bold dim")
            console.print(head.append(unit["provider"], "not bold dim"))
            for text, style in (
                (unit.get("problem", ""), "red"),
                (unit.get("equation", ""), ""),
                (_options(unit.get("options", {})), "dim"),
            ):
                if text:
                    console.print(Padding(Text(text, style), (0, 0, 0, 6)))
        console.print()


def _options(options: dict[str, Any]) -> str:
    return "  ".join(f"{name}={_shown(value)}" for name, value in options.items())


def _shown(default: Any) -> str:
    """An option's default as it would be written on the command line."""
    if isinstance(default, dict):
        return str(default["name"])
    return json.dumps(default).strip('"')
