"""Reports of checks as one page that needs nothing else, light or dark as its reader has it.

A report alone is a piece of the same page, for a notebook.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from pullback import pages
from pullback.verify.outcome import START, Report, Result, Status
from pullback.verify.table import (
    FEW,
    MARKS,
    asked,
    counts,
    digits_text,
    fewest_digits,
    number_of_units,
    questions,
)


def page(reports: Sequence[Report], seconds: float, versions: Mapping[str, str]) -> str:
    """Every table, what is wrong first, and of which versions it is told."""
    about = html.escape(
        f"{number_of_units(reports)}, {seconds:.1f} s · "
        + " · ".join(f"{name} {version}" for name, version in versions.items())
    )
    number = " ".join(_count(status, n) for status, n in counts(reports).items())
    head = f'<p>{number}</p>\n<p class="quiet">{about}</p>'
    return pages.document(_title(reports), f"{head}\n{tables(reports)}", STYLE)


def tables(reports: Sequence[Report]) -> str:
    """What is wrong, a row for each unit, and every check, for a page with :data:`STYLE`."""
    few = len(reports) <= FEW
    parts = [
        _failures(reports),
        *(_grids(reports) if len(reports) > 1 else ()),
        "<h2>Every check</h2>",
        *(_section(one, is_open=bool(one.failures) or few) for one in reports),
    ]
    return "\n".join(parts)


def fragment(report: Report) -> str:
    """What is wrong with a unit and all of its checks, to stand in another page."""
    return pages.fragment(_told(report) + _section(report, is_open=True), _STYLE)


def _title(reports: Sequence[Report]) -> str:
    names = ", ".join(report.name for report in reports)
    return f"Checks of {names}" if len(reports) <= FEW else f"Checks of {len(reports)} units"


def _count(status: Status, number: int) -> str:
    style = status if number else "none"
    return f'<span class="count {style}"><b>{number}</b> {status}</span>'


def _place(report: Report) -> str:
    return html.escape(f"{report.kind}-{report.name}", quote=True)


def _failures(reports: Iterable[Report]) -> str:
    """What is wrong, in full, with a link to the table of the unit."""
    found = [
        f'<p><a href="#{_place(report)}">{html.escape(report.name)}</a></p>{_told(report)}'
        for report in reports
        if report.failures
    ]
    return "\n".join(["<h2>What is wrong</h2>", *found]) if found else ""


def _told(report: Report) -> str:
    """Everything that is wrong with a unit, in full; nothing where it is right."""
    texts = [html.escape(text).partition("\n") for text in report.told()]
    told = "".join(f'<pre><b class="fail">{first}</b>{nl}{rest}</pre>' for first, nl, rest in texts)
    return f"<blockquote>{told}</blockquote>" if told else ""


def _grids(reports: Sequence[Report]) -> Iterable[str]:
    """A row a unit and a column a check, for units of the same checks."""
    yield "<h2>All units</h2>"
    for checks, some in groupby(reports, key=lambda one: list(questions(one.kind))):
        group = list(some)
        asks = questions(group[0].kind)
        head = "".join(
            f'<th class="check" title="{html.escape(asks[check], quote=True)}">'
            f"<span>{check}</span></th>"
            for check in checks
        )
        rows = "\n".join(_row(report, checks) for report in group)
        yield (
            '<div class="wide"><table class="grid">\n'
            f'<thead><tr><th>unit</th><th class="kind">kind</th>{head}'
            f'<th class="number">digits</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>'
        )


def _row(report: Report, checks: list[str]) -> str:
    by_check = {one.check: one for one in report.results}
    if START in by_check:
        one = by_check[START]
        message = html.escape(one.message)
        cells = f'<td colspan="{len(checks)}" class="{one.status}">{message}</td>'
    else:
        cells = "".join(_mark(report, by_check[check]) for check in checks)
    return (
        f'<tr><td><a href="#{_place(report)}">{html.escape(report.name)}</a></td>'
        f'<td class="quiet kind">{report.kind}</td>{cells}'
        f'<td class="number">{digits_text(fewest_digits(report))}</td></tr>'
    )


def _mark(report: Report, one: Result) -> str:
    told = html.escape(f"{one.check}, {one.status}: {asked(report, one)}", quote=True)
    return f'<td class="mark {one.status}" title="{told}">{MARKS[one.status]}</td>'


def _section(report: Report, *, is_open: bool) -> str:
    """Every check of a unit."""
    known = (report.kind, f"family {report.family}", report.provider)
    about = html.escape(" · ".join(filter(None, known)))
    number = " ".join(_count(status, n) for status, n in report.counts.items() if n)
    rows = "\n".join(_result(report, one) for one in report.results)
    return (
        f"<details{' open' if is_open else ''}>"
        f'<summary><span class="name">{html.escape(report.name)}</span>'
        f' <span class="quiet">{about}</span> {number}</summary>\n'
        f'<div class="wide"><table id="{_place(report)}">\n{_HEAD}\n<tbody>\n{rows}\n'
        "</tbody></table></div></details>"
    )


def _result(report: Report, one: Result) -> str:
    asks = html.escape(questions(report.kind).get(one.check, ""))
    message = f"<div>{html.escape(one.message)}</div>" if one.message else ""
    asks = f'<div class="quiet">{asks}</div>' if message else asks
    mistake = f"looks like: {one.mistake}: {one.explanation}" if one.mistake else ""
    example = f"smallest example: {one.example}" if one.example else ""
    more = "".join(f"<pre>{html.escape(text)}</pre>" for text in (mistake, example) if text)
    return (
        f'<tr><td>{html.escape(one.check)}</td><td class="{one.status}">{one.status}</td>'
        f'<td class="number">{digits_text(one.digits)}</td>'
        f"<td>{asks}{message}{more}</td>"
        f'<td class="number time">{1000 * one.seconds:.0f}</td></tr>'
    )


_HEAD = """\
<thead><tr><th>check</th><th></th><th class="number">digits</th><th>what it asks</th>
<th class="number time">ms</th></tr></thead>"""
_STYLE = """\
  .pullback .skip, .pullback .time { color: var(--quiet); }
  .pullback .count { display: inline-block; border: 1px solid; border-radius: 1rem;
    padding: 0 0.7rem; font-weight: 400; font-size: 0.9rem; white-space: nowrap; }
  .pullback .count.none { color: var(--quiet); border-color: var(--line); }
  .pullback details table { margin: 0.75rem 0 1rem; }
  .pullback summary { cursor: pointer; }
"""
_GRID = """\
  .grid { margin-bottom: 1.5rem; }
  .pullback .grid td, .pullback .grid th { padding: 0.2rem 0.6rem 0.2rem 0;
    white-space: nowrap; }
  .grid a { font-weight: 400; }
  .grid tr > :first-child { position: sticky; left: 0; background: Canvas; }
  .pullback .grid .check { padding: 0.2rem 0; text-align: center; }
  .grid .check span { writing-mode: vertical-rl; transform: rotate(180deg); }
  .pullback .grid .mark { width: 1.9rem; min-width: 1.6rem; padding: 0.2rem 0;
    text-align: center; cursor: help; }
  details { border-bottom: 1px solid var(--line); padding: 0.5rem 0; }
  @media (max-width: 40rem) {
    .pullback .time, .grid .kind { display: none; }
  }
"""
STYLE = _STYLE + _GRID
