"""A trace as one page to step through: the network as a picture, every array as a colour map.

It needs nothing else, no network and no script: without one it is a list of all steps.
"""

from __future__ import annotations

import base64
import html
from io import BytesIO

import numpy as np

from pullback import pages
from pullback.tracing.numbers import lines, number, shape
from pullback.tracing.table import size
from pullback.tracing.trace import Trace
from pullback.units import Array

COLOURS = "RdBu_r"  # 0 is white, and neither end is red beside green
WIDTH = 64  # characters of a line of numbers


def page(trace: Trace) -> str:
    """The whole page."""
    rows = "1 row" if trace.rows == 1 else f"{trace.rows} rows"
    return pages.document(f"The staged computation of {rows}", _body(trace), _STYLE)


def fragment(trace: Trace) -> str:
    """The same to stand in a notebook: a list of all steps, without the buttons."""
    return pages.fragment(_picture(trace) + _steps(trace), _STYLE)


def _body(trace: Trace) -> str:
    return "\n".join(
        [
            f'<div class="wide">{_picture(trace)}</div>',
            _BUTTONS,
            _steps(trace),
            f'<h2>Given</h2><div class="given">{_given(trace)}</div>',
            f"<script>{_SCRIPT}</script>",
        ]
    )


def _name(place: int) -> str:
    return f"step-{place + 1}"


# The network as a picture: values in a row from left to right, their gradients below them.

_BOX, _GAP, _LINE = 84, 26, 40


def _picture(trace: Trace) -> str:
    forward, back = trace.forward, trace.backward
    at = {step.symbol: place for place, step in enumerate(forward, 1)} | {"x": 0}
    columns: dict[int, int] = {}
    boxes = [_box(0, 0, "x", shape(trace.given["x"]), "", "value")]
    for place, step in enumerate(forward):
        boxes.append(_arrow(place, place + 1, 0))
        boxes.append(_box(place + 1, 0, step.symbol, shape(step.value), _name(place), "value"))
    for place, step in enumerate(back, len(forward)):
        column = at.get(step.of, step.number)
        line = 1 if step.of in at else 2 + columns.get(column, 0)
        if step.of in at:
            boxes.append(_arrow(column + 1, column, 1))
        else:
            columns[column] = columns.get(column, 0) + 1
        boxes.append(_box(column, line, step.symbol, shape(step.value), _name(place), "gradient"))
    width = (len(forward) + 1) * (_BOX + _GAP)
    height = (2 + max(columns.values(), default=0)) * (_LINE + 22) + 4
    return (
        f'<svg class="network" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="The network: values above, their gradients below">'
        f"{''.join(boxes)}</svg>"
    )


def _box(column: int, line: int, symbol: str, told: str, step: str, kind: str) -> str:
    x, y = column * (_BOX + _GAP) + 2, line * (_LINE + 22) + 2
    inside = (
        f'<rect x="{x}" y="{y}" width="{_BOX}" height="{_LINE}" rx="6"/>'
        f'<text x="{x + _BOX / 2}" y="{y + 17}">{html.escape(symbol)}</text>'
        f'<text class="shape" x="{x + _BOX / 2}" y="{y + 33}">{html.escape(told)}</text>'
    )
    if not step:
        return f'<g class="{kind}">{inside}</g>'
    return f'<a href="#{step}" class="{kind}" data-step="{step}">{inside}</a>'


def _arrow(start: int, end: int, line: int) -> str:
    """From one column to the next, to the right, or back to the left."""
    left = min(start, end)
    a, b = left * (_BOX + _GAP) + _BOX + 4, (left + 1) * (_BOX + _GAP)
    y = line * (_LINE + 22) + 2 + _LINE / 2
    head = b if end > start else a
    side = -6 if end > start else 6
    return (
        f'<path class="arrow" d="M{a} {y}H{b}M{head + side} {y - 4}L{head} {y}'
        f'L{head + side} {y + 4}"/>'
    )


# The steps


def _steps(trace: Trace) -> str:
    values = trace.values
    sections = []
    for place, step in enumerate(trace.steps):
        way = "forward" if step.kept is not None else "back"
        told = [f"({step.number})", way, f"{step.stage}, {step.unit}"]
        if step.kept:
            told.append(f"keeps {size(step.kept)} for the way back")
        arrays = [_array(step.symbol, step.value)]
        if step.of:
            arrays.append(_array(step.of, values[step.of], "of the same shape"))
        equation = f" = {step.equation}" if step.equation else ""
        sections.append(
            f'<section class="step" id="{_name(place)}">'
            f'<p class="quiet">{html.escape(" · ".join(told))}</p>'
            f"<h2>{html.escape(step.symbol + equation)}</h2>"
            f'<div class="arrays">{"".join(arrays)}</div></section>'
        )
    return "\n".join(sections)


def _given(trace: Trace) -> str:
    return "".join(_array(symbol, value) for symbol, value in trace.given.items())


def _array(symbol: str, value: Array, remark: str = "") -> str:
    """Its numbers, and its colour map with what the colours stand for."""
    largest = float(abs(value).max(initial=0))
    told = " · ".join(filter(None, (shape(value) or "a number", remark)))
    numbers = html.escape("\n".join(lines(value, WIDTH)))
    legend = f"−{number(largest)} <span></span> {number(largest)}" if largest else "all 0"
    return (
        f"<figure><figcaption><b>{html.escape(symbol)}</b> "
        f'<span class="quiet">{html.escape(told)}</span></figcaption>'
        f"{_map(symbol, value, largest)}"
        f'<p class="legend quiet">{legend}</p><pre>{numbers}</pre></figure>'
    )


def _map(symbol: str, value: Array, largest: float) -> str:
    """A picture with a point for each number, enlarged; white is 0."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    rows = np.atleast_2d(value)
    rows = rows.reshape(-1, rows.shape[-1])
    points = colormaps[COLOURS](rows / (2 * largest or 1) + 0.5)
    file = BytesIO()
    imsave(file, points, format="png", metadata={"Software": ""})
    data = base64.b64encode(file.getvalue()).decode()
    height, width = (_length(n, most) for n, most in zip(rows.shape, (220, 520), strict=True))
    return (
        f'<img class="map" alt="{html.escape(symbol, quote=True)} as colours" '
        f'style="height:{height}px;width:{width}px" src="data:image/png;base64,{data}">'
    )


def _length(count: int, most: int) -> int:
    return int(min(max(28 * count, 28), most))


_BUTTONS = """\
<nav class="buttons" hidden>
<button type="button" id="previous">← previous</button>
<button type="button" id="next">next →</button>
<button type="button" id="all" aria-pressed="false">all steps</button>
<span class="quiet" id="place" aria-live="polite"></span>
</nav>"""
_SCRIPT = """
const steps = [...document.querySelectorAll(".step")];
const all = document.getElementById("all");
let at = 0;
function show(place, follow) {
  at = Math.min(Math.max(place, 0), steps.length - 1);
  steps.forEach((one, n) => one.classList.toggle("now", n === at));
  document.querySelectorAll("[data-step]").forEach((one) => {
    const now = one.dataset.step === steps[at].id;
    one.classList.toggle("now", now);
    if (now) { one.setAttribute("aria-current", "step"); }
    else { one.removeAttribute("aria-current"); }
  });
  document.getElementById("previous").disabled = at === 0;
  document.getElementById("next").disabled = at === steps.length - 1;
  document.getElementById("place").textContent = `${at + 1} of ${steps.length}`;
  if (follow) { history.replaceState(null, "", `#${steps[at].id}`); }
}
function named() {
  const found = steps.findIndex((one) => `#${one.id}` === location.hash);
  show(found < 0 ? 0 : found, false);
}
document.getElementById("previous").addEventListener("click", () => show(at - 1, true));
document.getElementById("next").addEventListener("click", () => show(at + 1, true));
all.addEventListener("click", () => {
  const whole = document.body.classList.toggle("stepping") === false;
  all.setAttribute("aria-pressed", String(whole));
});
document.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") { show(at - 1, true); }
  if (event.key === "ArrowRight") { show(at + 1, true); }
});
window.addEventListener("hashchange", named);
document.querySelector(".buttons").hidden = false;
document.body.classList.add("stepping");
named();
"""
_STYLE = """\
  .pullback .network text { text-anchor: middle; font: 600 15px system-ui, sans-serif;
    fill: currentColor; }
  .pullback .network .shape { font: 12px system-ui, sans-serif; opacity: 0.75; }
  .pullback .network rect { fill: none; stroke: var(--quiet); stroke-width: 1.5; }
  .pullback .network .gradient rect { stroke-dasharray: 5 3; }
  .pullback .network .arrow { fill: none; stroke: var(--quiet); stroke-width: 1.5; }
  .pullback .network .now rect { fill: light-dark(#fff3c4, #54430a); stroke: currentColor;
    stroke-width: 2.5; }
  .pullback .network a:focus-visible rect { stroke: Highlight; stroke-width: 4; }
  .pullback .buttons { margin: 1.25rem 0; }
  .pullback .buttons button { font: inherit; padding: 0.35rem 0.9rem; cursor: pointer; }
  .stepping .step { display: none; }
  .stepping .step.now { display: block; scroll-margin-top: 100vh; }
  .pullback .step h2 { margin: 0.25rem 0 1rem; font-size: 1.5rem; overflow-wrap: anywhere; }
  .pullback .arrays, .pullback .given { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; }
  .pullback figure { margin: 0 0 1rem; max-width: 100%; }
  .pullback .map { image-rendering: pixelated; border: 1px solid var(--line); max-width: 100%;
    display: block; margin: 0.4rem 0; }
  .pullback .legend { font-size: 0.85rem; }
  .pullback .legend span { display: inline-block; width: 8rem; height: 0.6rem;
    border: 1px solid var(--line);
    background: linear-gradient(to right, #053061, #4393c3, #f7f7f7, #d6604d, #67001f); }
  .pullback figure pre { white-space: pre; overflow-x: auto; }
"""
