"""What is known of the units that some runs used: the checks, and whether the source is the same.

A run keeps the digest of the source of each of its units. The checks are made now, of what is
installed now; where its digest is that of the runs, what they say holds for the runs, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pullback import registry
from pullback.compare.runs import Run
from pullback.errors import RegistryError
from pullback.identity import digest
from pullback.verify.checks import report_of
from pullback.verify.laws import CHECKS
from pullback.verify.outcome import Report

Unit = tuple[str, str]  # its kind and its name


@dataclass(frozen=True)
class Evidence:
    """Of one unit: ``report`` is of what is installed now, None where nothing of the name is.

    ``runs`` used it, ``same`` of them with the source that it has now; ``unknown`` kept no digest.
    """

    kind: str
    name: str
    report: Report | None
    runs: int
    same: int
    unknown: int

    @property
    def told(self) -> str:
        """Whether what is installed is what the runs used."""
        if self.report is None:
            return "not installed here: --plugins FILE has it checked"
        if self.same == self.runs:
            return "the source that the runs used"
        if self.unknown:
            return "the runs kept no digest of the source"
        if not self.same:
            return "the source has changed since the runs"
        return f"the source that {self.same} of {self.runs} runs used"


def gather(runs: Iterable[Run], tell: Callable[[str], object]) -> list[Evidence]:
    """The checks of every layer, loss and optimizer that the runs used; ``tell`` hears its name."""
    used: dict[Unit, list[str]] = defaultdict(list)
    for run in runs:
        for unit, source in units_of(run).items():
            used[unit].append(source)
    found = []
    for (kind, name), sources in sorted(used.items(), key=lambda one: _place(one[0])):
        tell(name)
        now = _digest(kind, name)
        report = report_of(kind, name) if now else None
        found.append(
            Evidence(kind, name, report, len(sources), sources.count(now), sources.count(""))
        )
    return found


def units_of(run: Run) -> dict[Unit, str]:
    """The units of a run that there are checks for, with the digests that it kept; '' if none."""
    options, sources = run.facts["options"], run.facts.get("sources", {})
    units = run.facts.get("units", {})
    found: dict[Unit, str] = {}
    for place in run.facts.get("providers", {}):
        kind = "layer" if place.startswith("net.") else place
        name = units.get(place, options.get(f"{place}.name", options.get(place)))
        if kind in CHECKS and isinstance(name, str):
            found[kind, name] = str(sources.get(place, ""))
    return found


def _place(unit: Unit) -> tuple[int, str]:
    return list(CHECKS).index(unit[0]), unit[1]


def _digest(kind: str, name: str) -> str:
    try:
        return digest(registry.lookup(kind, name))
    except RegistryError:
        return ""
