"""The description of a run, in Markdown, as MLflow shows it above its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SHOWN = ("test", "validation", "train")


def of_run(facts: Mapping[str, Any], end: Mapping[str, Any], directory: Path) -> str:
    """How it ended, its results, what it trained, and where all of it lies."""
    seconds = end.get("seconds")
    took = "" if seconds is None else f" in {seconds:.1f} s"
    parts = [f"**{end['status']}** after {end['steps']} steps{took}", end["message"]]
    parts += [_results(end["metrics"]), _trained(facts), _where(directory)]
    return "\n\n".join(filter(None, parts))


def _results(metrics: Mapping[str, float]) -> str:
    """Loss and accuracy of each part, and what a step costs."""
    names = [f"{part}_{what}" for part in _SHOWN for what in ("loss", "accuracy")]
    names += ["step_seconds", "step_peak_bytes", "gradient_difference"]
    rows = [f"| {name} | {metrics[name]:.6g} |" for name in names if name in metrics]
    return "\n".join(["| metric | at the end |", "|---|---:|", *rows]) if rows else ""


def _trained(facts: Mapping[str, Any]) -> str:
    """The network, stage by stage, and the data."""
    options, data = facts["options"], facts["data"]
    places = [one for one in facts.get("providers", {}) if one.startswith("net.")]
    if not places:
        return ""
    stages = [f"{one[4:]}: {options.get(f'{one}.name', options.get(one))}" for one in places]
    chain = " → ".join([*stages, str(options["loss.name"])])
    rows = ", ".join(f"{data[part]} {part}" for part in ("train", "validation", "test"))
    return (
        f"`{chain}`, {facts['parameters']} parameters, by {options['optimizer.name']} "
        f"on {data['name']} ({rows})"
    )


def _where(directory: Path) -> str:
    return f"The run is in `{directory}`; `pullback compare {directory.parent}` compares it."
