"""Reports of checks as one page that needs nothing else, light or dark as its reader has it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from pullback.verify.outcome import Report, Result, Status
from pullback.verify.table import (
    FEW,
    MARKS,
    START,
    asked,
    counts,
    digits_text,
    fewest_digits,
    in_full,
    questions,
)


def page(reports: Sequence[Report], seconds: float, versions: Mapping[str, str]) -> str:
    """Every table, what is wrong first, and of which versions it is told."""
    units = "1 unit" if len(reports) == 1 else f"{len(reports)} units"
    return _PAGE.format(
        title=html.escape(_title(reports)),
        counts=" ".join(_count(status, n) for status, n in counts(reports).items()),
        about=html.escape(
            f"{units}, {seconds:.1f} s · "
            + " · ".join(f"{name} {version}" for name, version in versions.items())
        ),
        failures=_failures(reports),
        grids="\n".join(_grids(reports)) if len(reports) > 1 else "",
        sections="\n".join(
            _section(one, is_open=bool(one.failures) or len(reports) <= FEW) for one in reports
        ),
    )


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
    found = []
    for report in reports:
        texts = [text.removeprefix(f"{report.name}: ") for text in in_full(report)]
        if texts:
            told = "".join(f"<pre>{html.escape(text)}</pre>" for text in texts)
            head = f'<a href="#{_place(report)}">{html.escape(report.name)}</a>'
            found.append(f"<article>{head}{told}</article>")
    return "\n".join(["<h2>What is wrong</h2>", *found]) if found else ""


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
            f'<table class="grid">\n<thead><tr><th>unit</th><th>kind</th>{head}'
            f'<th class="number">digits</th></tr></thead>\n<tbody>\n{rows}\n</tbody></table>'
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
        f'<td class="quiet">{report.kind}</td>{cells}'
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
        f'<table id="{_place(report)}">\n{_HEAD}\n<tbody>\n{rows}\n</tbody></table></details>'
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
_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
  :root {{
    color-scheme: light dark;
    --pass: light-dark(#18794e, #4cc38a);
    --fail: light-dark(#c62a2f, #ff7b7e);
    --inconclusive: light-dark(#8f5a00, #f0b429);
    --quiet: light-dark(#666, #a3a3a3);
    --line: light-dark(#d8d8d8, #3a3a3a);
  }}
  body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; padding: 0 1.5rem;
    max-width: 72rem; }}
  h1 {{ font-size: 1.6rem; margin: 0 0 0.75rem; }}
  h2 {{ font-size: 1.15rem; margin: 2.25rem 0 0.75rem; }}
  a {{ color: inherit; text-decoration-color: var(--line); text-underline-offset: 3px; }}
  table {{ border-collapse: collapse; }}
  th, td {{ padding: 0.3rem 0.75rem; text-align: left; vertical-align: top; }}
  th {{ border-bottom: 2px solid var(--line); vertical-align: bottom; font-weight: 600; }}
  td {{ border-bottom: 1px solid var(--line); }}
  .number {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
  .quiet {{ color: var(--quiet); }}
  .pass {{ color: var(--pass); }}
  .fail {{ color: var(--fail); font-weight: 600; }}
  .skip, .time {{ color: var(--quiet); }}
  .inconclusive {{ color: var(--inconclusive); }}
  .count {{ display: inline-block; border: 1px solid; border-radius: 1rem;
    padding: 0 0.7rem; font-weight: 400; font-size: 0.9rem; white-space: nowrap; }}
  .count.none {{ color: var(--quiet); border-color: var(--line); }}
  .grid {{ display: block; overflow-x: auto; margin-bottom: 1.5rem; }}
  .grid td, .grid th {{ padding: 0.2rem 0.6rem 0.2rem 0; white-space: nowrap; }}
  .grid .check {{ padding: 0.2rem 0; text-align: center; }}
  .grid .check span {{ writing-mode: vertical-rl; transform: rotate(180deg); }}
  .grid .mark {{ width: 1.9rem; min-width: 1.6rem; padding: 0.2rem 0; text-align: center;
    cursor: help; }}
  article {{ border-left: 3px solid var(--fail); padding: 0.1rem 0 0.1rem 1rem; margin: 0 0 1rem; }}
  article a {{ font-weight: 600; }}
  pre {{ font: 0.85rem/1.5 ui-monospace, monospace; white-space: pre-wrap; margin: 0.25rem 0; }}
  article pre {{ margin-bottom: 0.75rem; }}
  details {{ border-bottom: 1px solid var(--line); padding: 0.5rem 0; }}
  details table {{ margin: 0.75rem 0 1rem; }}
  summary {{ cursor: pointer; }}
  .name {{ font-weight: 600; }}
  @media (max-width: 40rem) {{
    th, td {{ padding: 0.3rem 0.4rem; }}
    body {{ padding: 0 0.75rem; }}
    .time {{ display: none; }}
  }}
</style>
<h1>{title}</h1>
<p>{counts}</p>
<p class="quiet">{about}</p>
{failures}
{grids}
<h2>Every check</h2>
{sections}
</html>
"""
