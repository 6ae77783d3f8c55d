"""Proofs in the terminal: of a few units with their formulas, of many a row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pullback.proving.expressions import TEXT
from pullback.proving.findings import Findings
from pullback.proving.formula import Derivation
from pullback.proving.proof import POINTS, Proof, Status, Step
from pullback.verify.outcome import START, told
from pullback.verify.table import NO_BREAK, write

if TYPE_CHECKING:
    from rich.console import Console

FEW = 4  # units of which the formulas are shown
MARKS: dict[Status, str] = {
    "proved": "✓",
    "equal": "≈",
    "checked": "≈",
    "unknown": "?",
    "refuted": "✗",
}
STYLES: dict[Status, str] = {
    "proved": "green",
    "equal": "yellow",
    "checked": "yellow",
    "unknown": "yellow",
    "refuted": "bold red",
}


def show(findings: Sequence[Findings], console: Console) -> None:
    """Each claim with its status and sizes; counter-examples; the formulas of a few units."""
    for one in findings:
        console.print(one.name, style="bold", markup=False)
        for proof in one.proofs:
            _show_proof(proof, console)
        if len(findings) <= FEW and one.derivation is not None:
            _show_derivation(one, console)
        console.print()


def plain(findings: Findings) -> str:
    """The findings of a unit as the terminal shows them, without colours."""
    import io

    from rich.console import Console

    text = io.StringIO()
    show([findings], Console(file=text, width=80, color_system=None))
    return text.getvalue().rstrip()


def _show_proof(proof: Proof, console: Console) -> None:
    status = proof.status
    write(f"{status}: {proof.claim}", console, style=STYLES[status], first=f"  {MARKS[status]} ")
    write(sizes(proof), console, style="dim", first="    ")
    for line in remarks(proof):
        write(line, console, first="    ")


def sizes(proof: Proof) -> str:
    """For which rows and columns, and in how many branches of one row."""
    return " · ".join(_size(one).replace(" ", NO_BREAK) for one in proof.steps if one.rows)


def _size(step: Step) -> str:
    shape = f"{step.rows} × {step.features}"
    return f"{shape} in {step.branches} branches" if step.rows == 1 < step.branches else shape


def remarks(proof: Proof) -> list[str]:
    """What has to be said beside the status: why it is no proof, or the counter-example."""
    if proof.status == "refuted" and proof.result is not None:
        return told(proof.name, replace(proof.result, check=START)).splitlines()
    found = []
    if proof.reason:
        found.append(f"its code does not run on symbols: {proof.reason}")
    if proof.status == "equal":
        branches, proved = (
            sum(getattr(one, what) for one in proof.steps) for what in ("branches", "proved")
        )
        found.append(
            f"proved in {proved} of {branches} branches; in the others it is so at "
            f"{POINTS * (branches - proved)} points to 50 digits, up to the rounding of the code's "
            f"constants, and formulas do not show it"
        )
    if proof.status == "checked":
        found.append("no proof: at random points it is so, by an oracle's digits")
    if proof.status == "unknown" and proof.result is not None:
        found.append(proof.result.message)
    return found


def proved_for(derivation: Derivation) -> str:
    """What the equations of a derivation are about."""
    if derivation.entries:
        return "of two rows, the first entry of each gradient"
    return f"for C classes, proved for C = {', '.join(map(str, derivation.classes))}"


def _show_derivation(findings: Findings, console: Console) -> None:
    derivation = findings.derivation
    assert derivation is not None  # the caller has looked
    write(f"{proved_for(derivation)}:", console, style="dim", first="  ")
    lines = [
        (one.sides[0], " = ".join(one.sides[1:]), one.remark) for one in findings.equations(TEXT)
    ]
    width = max(len(left) for left, _, _ in lines)
    for left, right, remark in lines:
        text = f"{right}   ({remark})" if remark else right
        write(text, console, first=f"    {left:>{width}} = ")
