"""Proofs and formulas as a page: the formulas in MathML, which needs no script and no font."""

from __future__ import annotations

import html
from collections.abc import Sequence

from pullback import pages
from pullback.proving.expressions import MATHML
from pullback.proving.findings import Findings
from pullback.proving.proof import Proof, Status
from pullback.proving.table import MARKS, proved_for, remarks, sizes
from pullback.proving.written import Equation

STYLES: dict[Status, str] = {"proved": "pass", "refuted": "fail"}


def page(findings: Sequence[Findings]) -> str:
    """Every unit with its claims, its formulas and its counter-examples."""
    names = [one.name for one in findings]
    title = f"Proofs of {', '.join(names) if len(names) < 4 else f'{len(names)} units'}"
    sections = (f"<h2>{html.escape(one.name)}</h2>\n{_section(one)}" for one in findings)
    return pages.document(title, "\n".join(sections), _STYLE)


def fragment(findings: Findings) -> str:
    """Of one unit, to stand in another page."""
    return pages.fragment(_section(findings), _STYLE)


def _section(findings: Findings) -> str:
    parts = [_proof(one) for one in findings.proofs]
    if findings.derivation is not None:
        rows = "\n".join(map(_equation, findings.equations(MATHML)))
        parts.append(f'<p class="quiet">{html.escape(proved_for(findings.derivation))}:</p>')
        parts.append(f'<div class="wide"><table class="formulas">\n{rows}\n</table></div>')
    return "\n".join(parts)


def _proof(proof: Proof) -> str:
    style = STYLES.get(proof.status, "inconclusive")
    first = f'<b class="{style}">{MARKS[proof.status]} {proof.status}</b>'
    told = "".join(f"<pre>{html.escape(line)}</pre>" for line in remarks(proof))
    told = f"<blockquote>{told}</blockquote>" if told else ""
    return (
        f"<p>{first} {html.escape(proof.claim)}</p>"
        f'<p class="quiet">{html.escape(sizes(proof))}</p>{told}'
    )


def _equation(one: Equation) -> str:
    left, *others = one.sides
    right = "<mo>=</mo>".join(others)
    return (
        f'<tr><td class="number">{_math(left)}</td><td>{_math(f"<mo>=</mo>{right}")}</td>'
        f'<td class="quiet">{html.escape(one.remark)}</td></tr>'
    )


def _math(inside: str) -> str:
    return f'<math display="inline"><mstyle displaystyle="true">{inside}</mstyle></math>'


_STYLE = """\
  .pullback .formulas { margin: 0.5rem 0 1.5rem; }
  .pullback .formulas td { border: 0; vertical-align: middle; }
  .pullback math { font-size: 1.15rem; }
"""
