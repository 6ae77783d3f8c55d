"""One page of compared runs that needs nothing else: every number leads to the runs it is of.

The table of variants and their differences, the pictures, every run with its files and where it
ran, what the configs have in common, the environments, and the checks of the units.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pullback import pages
from pullback.compare import table
from pullback.compare.evidence import Evidence
from pullback.compare.frame import differing, distinguishing, option_text, section, variants
from pullback.compare.runs import Run
from pullback.tracking.journal import COMPLETE, CONFIG, METRICS, RUN
from pullback.tracking.mlflow_view import run_of
from pullback.verify import page as checks
from pullback.verify.outcome import STATUSES
from pullback.verify.table import MARKS, digits_text, fewest_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FILES = (RUN, CONFIG, METRICS, "train.log", "error.txt")
_MANY = 12  # comparisons; more are shown when they are asked for
_CAPTIONS = {
    "curves": "Loss over the steps, and where each run ended.",
    "parallel": "Each variant, through the values of its options to its result.",
    "heatmap": "Two options, and what came of their values.",
    "tradeoff": "What a better result costs.",
}


@dataclass(frozen=True)
class Content:
    """What the page is of: ``frame`` has a row a run, in the order of ``runs``; ``aggregated`` a
    row a variant; ``paired`` may be empty, ``metrics`` are the columns, None the usual ones."""

    frame: pd.DataFrame
    runs: Sequence[Run]
    aggregated: pd.DataFrame
    paired: pd.DataFrame
    over: Sequence[str]
    metrics: Sequence[str] | None
    figures: Mapping[str, Figure]
    evidence: Sequence[Evidence]


def page(content: Content, beside: Path) -> str:
    """The whole page; links to the files of a run are relative to the directory ``beside``."""
    environments = _environments(content.runs)
    parts = [
        _head(content),
        _variants(content),
        _pictures(content.figures),
        _differences(content.paired),
        _every_run(content, environments, beside),
        _config(content.frame),
        _environment_table(environments),
        _checks(content.evidence),
        _SCRIPT,
    ]
    return pages.document("Runs compared", "\n".join(filter(None, parts)), _STYLE + checks.STYLE)


def _head(content: Content) -> str:
    status = content.frame["run", "status"]
    counts = [f"{number} {name}" for name, number in status.value_counts(sort=False).items()]
    started = content.frame["run", "started"].dropna()
    when = f"{started.min():%Y-%m-%d %H:%M} to {started.max():%H:%M} UTC" if len(started) else ""
    told = [f"{_runs(len(status))}: {', '.join(counts)}", when]
    return f'<p class="quiet">{html.escape(" · ".join(filter(None, told)))}</p>'


def _variants(content: Content) -> str:
    shown = table.columns(content.aggregated, content.metrics)
    numbers = [i for i, column in enumerate(shown) if column.number]
    links = [f"#{_place(number)}" for number in content.aggregated.index]
    rows = [[_link(link, column.cells[row]) for column in shown] for row, link in enumerate(links)]
    headings = [html.escape(column.heading) for column in shown]
    caption = f'<p class="quiet">{html.escape(table.caption(content.aggregated))}</p>'
    return pages.table(headings, rows, numbers=numbers) + caption


def _differences(paired: pd.DataFrame) -> str:
    if paired.empty:
        return ""
    metric = table.axis_label(str(paired.attrs["metric"]))
    headings = ("variant", "− another", f"{metric}, difference", "effect", "pairs", "finding")
    rows = [[html.escape(cell) for cell in row] for row in table.paired_cells(paired)]
    caption = f'<p class="quiet">{html.escape(table.paired_caption(paired))}</p>'
    whole = pages.table([html.escape(one) for one in headings], rows, numbers=(2, 3, 4))
    if len(rows) > _MANY:
        whole = f"<details><summary>{len(rows)} comparisons</summary>{whole}</details>"
    return f"<h2>Do they differ?</h2>\n{whole}{caption}"


def _pictures(figures: Mapping[str, Figure]) -> str:
    from pullback.compare.pictures.axes import svg

    return "\n".join(
        f"<figure>{svg(figure, name)}<figcaption>{_CAPTIONS[name]}</figcaption></figure>"
        for name, figure in figures.items()
    )


def _every_run(content: Content, environments: Mapping[str, list[int]], beside: Path) -> str:
    """A table for each variant, closed until somebody comes for it."""
    letters = {row: _letter(i) for i, rows in enumerate(environments.values()) for row in rows}
    metrics = list(content.metrics or table.default_metrics(content.aggregated))
    values = section(content.frame, "metric")[metrics].to_numpy()
    options = section(content.frame, "option")
    groups = variants(options[distinguishing(content.frame, content.over)])
    told = options[differing(content.frame)]
    headings = ["run", "status", *metrics, "seconds", "started", "where", "evidence"]
    parts = ["<h2>Every run</h2>"]
    for variant, rows in groups.groupby(groups).groups.items():
        mine = told.loc[rows]
        same = [str(name) for name in told if len(set(mine[name])) < 2]
        name = _settings(mine[same].iloc[0]) or "all"
        own = mine.drop(columns=same)
        cells = [
            _run(content.runs[row], _settings(own.loc[row]), values[row], letters[row], beside)
            for row in rows
        ]
        inside = pages.table(headings, cells, numbers=range(2, 3 + len(metrics)))
        parts.append(
            f'<details><summary>{html.escape(name)} <span class="quiet">{_runs(len(rows))}</span>'
            f'</summary>\n<div id="{_place(variant)}">{inside}</div></details>'
        )
    return "\n".join(parts)


def _settings(options: pd.Series) -> str:
    return " ".join(f"{name}={option_text(value)}" for name, value in options.items())


def _run(run: Run, name: str, metrics: Iterable[float], letter: str, beside: Path) -> list[str]:
    """The cells of a run: the numbers as they stand in its end.json, and where all of it lies."""
    directory = Path(run.directory)
    there = os.path.relpath(directory, beside)
    files = [_link(f"{there}/{one}", one) for one in _FILES if (directory / one).is_file()]
    known = (str(run.facts.get("identity", "")), run_of(directory))
    named = zip(("identity", "MLflow"), known, strict=True)
    told = html.escape(" · ".join(f"{name} {value}" for name, value in named if value))
    good = run.status in COMPLETE
    message = "" if good else f"<div>{html.escape(str(run.end.get('message') or ''))}</div>"
    style = "" if good else ' class="fail"'
    return [
        _link(f"{there}/", name or directory.name),
        f"<span{style}>{html.escape(run.status)}</span>{message}",
        *map(_number, metrics),
        _number(run.end.get("seconds")),
        f'<span class="line">{html.escape(str(run.facts.get("started", ""))[:16])}</span>',
        f'<a href="#environments">{letter}</a>',
        f'<span class="line">{" ".join(files)}</span><div class="quiet identity">{told}</div>',
    ]


def _config(frame: pd.DataFrame) -> str:
    """What no run differs in."""
    options = section(frame, "option")
    same, first = options.columns.difference(differing(frame), sort=False), options.iloc[0]
    rows = [[html.escape(name), html.escape(option_text(first[name]))] for name in same]
    inside = pages.table(("option", "value"), rows)
    return f"<details><summary>What all configs have in common</summary>{inside}</details>"


def _environments(runs: Sequence[Run]) -> dict[str, list[int]]:
    """The rows of the runs of each environment, which is a key as JSON; the most frequent first."""
    found: dict[str, list[int]] = {}
    for row, run in enumerate(runs):
        key = json.dumps(run.facts.get("environment", {}), sort_keys=True)
        found.setdefault(key, []).append(row)
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))


def _environment_table(environments: Mapping[str, list[int]]) -> str:
    each: list[dict[str, Any]] = [json.loads(key) for key in environments]
    names = dict.fromkeys(name for one in each for name in one)
    counts = [f"{_letter(i)}: {_runs(len(rows))}" for i, rows in enumerate(environments.values())]
    rows = []
    for name in names:
        texts = [option_text(one.get(name)) for one in each]
        bold = "<b>{}</b>" if len(set(texts)) > 1 else "{}"
        rows.append([bold.format(html.escape(text)) for text in (name, *texts)])
    return f'<h2 id="environments">Where they ran</h2>\n{pages.table(["", *counts], rows)}'


def _checks(evidence: Sequence[Evidence]) -> str:
    """A row a unit, and below, what each check found."""
    if not evidence:
        return ""
    headings = ["unit", "kind", *(f"{MARKS[one]} {one}" for one in STATUSES)]
    headings += ["digits", "runs", "what was checked"]
    reports = [one.report for one in evidence if one.report is not None]
    whole = pages.table(headings, map(_unit, evidence), numbers=range(2, 4 + len(STATUSES)))
    return f"<h2>Evidence of the checks</h2>\n{whole}\n{checks.tables(reports)}"


def _unit(one: Evidence) -> list[str]:
    counts, digits = [""] * len(STATUSES), ""
    if one.report is not None:
        counts = [str(one.report.counts[status]) for status in STATUSES]
        digits = digits_text(fewest_digits(one.report))
    told = html.escape(one.told)
    if one.same < one.runs:
        told = f'<span class="inconclusive">{told}</span>'
    return [html.escape(one.name), one.kind, *counts, digits, str(one.runs), told]


def _place(variant: object) -> str:
    return f"variant-{variant}"


def _runs(number: int) -> str:
    return "1 run" if number == 1 else f"{number} runs"


def _letter(number: int) -> str:
    """A, B, … Z, then by number."""
    return chr(ord("A") + number) if number < 26 else str(number)


def _link(address: str, text: str) -> str:
    return f'<a href="{html.escape(address, quote=True)}">{html.escape(text)}</a>'


def _number(value: Any) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.6g}"


_STYLE = """\
  body { max-width: 90rem; }
  .pullback td:first-child { min-width: 8rem; }
  .pullback figure { margin: 1.5rem 0; background: #fff; color: #000; padding: 0.75rem;
    border: 1px solid var(--line); border-radius: 4px; }
  .pullback figure svg { width: 100%; height: auto; max-height: 34rem; }
  .pullback figcaption { font-size: 0.9rem; color: #555; }
  .pullback td a, .pullback td .fail { font-weight: 400; }
  .pullback th.number { white-space: normal; }
  .pullback th button { all: unset; cursor: pointer; }
  .pullback th button:focus-visible { outline: 2px solid; }
  .pullback th[aria-sort] button::after { content: " ↑"; }
  .pullback th[aria-sort=descending] button::after { content: " ↓"; }
  .line { white-space: nowrap; }
  .identity { font: 0.75rem ui-monospace, monospace; }
"""

# A click on a heading sorts the table by it; without scripts, it is as it was.
_SCRIPT = """\
<script>
const key = cell => {
  const text = cell.textContent.trim(), number = parseFloat(text.replace("−", "-"));
  return isNaN(number) ? text : number;
};
const order = (a, b) =>
  typeof a == typeof b ? (a < b ? -1 : +(a > b)) : typeof a == "number" ? -1 : 1;
for (const head of document.querySelectorAll("thead th")) {
  if (head.querySelector("span") || !head.textContent) continue;
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  button.onclick = () => {
    const up = head.getAttribute("aria-sort") != "ascending";
    const body = head.closest("table").tBodies[0];
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map(row => [key(row.cells[head.cellIndex]), row]);
    rows.sort(([a], [b]) => up ? order(a, b) : order(b, a));
    body.append(...rows.map(([, row]) => row));
  };
}
</script>
"""
