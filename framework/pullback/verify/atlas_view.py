"""The accuracy atlas for people: a table, a picture, a run in MLflow."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from pullback.errors import must_be_a_picture, writing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from rich.console import Console

from pullback.verify.atlas import KEYS, RESULTS, digits_of, measure

# The table


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """The worst of each variant, dtype and label; and the gap from which half of its digits go."""
    import pandas as pd

    lines = []
    for keys, rows in frame.groupby(KEYS, sort=False):
        line: dict[str, Any] = dict(zip(KEYS, keys, strict=True))
        for result in RESULTS:
            digits = rows[f"{result}_digits"]
            line[f"{result}_digits"] = digits.min()
            line[f"{result}_ulps"] = rows[f"{result}_ulps"].max()
            line[f"{result}_lost_from"] = rows["gap"][digits < digits_of(keys[1]) / 2].min()
        line["problem"] = rows["problem"].max()  # one of them, if there is any
        lines.append(line)
    return pd.DataFrame(lines)


def show(frame: pd.DataFrame, console: Console) -> None:
    """The summary, in 80 columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption=Text(_caption(frame)),
        caption_justify="left",
    )
    table.add_column("", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for variant, lines in itertools.groupby(_lines(frame), key=lambda line: line[0]):
        table.add_section()
        table.add_row(Text(variant, "bold"))
        for _, dtype, label, *cells in lines:
            table.add_row(*map(Text, [f"  {dtype} {label}", *cells]))
    console.print(table)
    for line in _problems(frame):
        console.print(Text(line))


_HEADINGS = [f"{result}\n{what}" for result in RESULTS for what in ("digits", "ulps", "lost at")]
_FORMS = (".1f", ".2g", "g") * len(RESULTS)


def _caption(frame: pd.DataFrame) -> str:
    gaps = frame["gap"]
    return (
        f"Digits correct, and ulps, at their worst over gaps {gaps.min():g} … {gaps.max():g} and "
        f"{_classes(frame)} classes, of the loss and of the worst entry of its gradient.\n"
        "right: the label is the class that is ahead by the gap; wrong: another one.\n"
        "lost at: the first gap with less than half of the digits; –: none."
    )


def _classes(frame: pd.DataFrame) -> str:
    return ", ".join(map(str, frame["classes"].unique()))


def _lines(frame: pd.DataFrame) -> Iterator[list[str]]:
    """The cells of each line; none has anything to say where the variant does not run."""
    for line in summary(frame).itertuples(index=False):
        variant, dtype, label, *numbers, problem = line
        texts = [f"{number:{form}}" for number, form in zip(numbers, _FORMS, strict=True)]
        shown = [{"nan": "–", "inf": "∞"}.get(text, text) for text in texts]
        yield [variant, dtype, label, *([""] * len(shown) if problem else shown)]


def _problems(frame: pd.DataFrame) -> list[str]:
    rows = frame[frame["problem"] != ""].drop_duplicates(["variant", "dtype"])
    return [
        f"{one.variant} does not run in {one.dtype}: {one.problem}" for one in rows.itertuples()
    ]


def _markdown(frame: pd.DataFrame) -> str:
    heading = [*KEYS, *(one.replace("\n", " ") for one in _HEADINGS)]
    rows = [heading, ["---"] * len(heading), *_lines(frame)]
    told = "\n\n".join([*_caption(frame).split("\n"), *_problems(frame)])
    return "\n".join([told, "", *(f"| {' | '.join(row)} |" for row in rows)])


# The picture


def picture(frame: pd.DataFrame, path: Path | str) -> None:
    """A heat map for value and gradient of each variant, the worst of the classes."""
    from matplotlib.figure import Figure

    variants, gaps = frame["variant"].unique(), frame["gap"].unique()
    lines = len(frame[["dtype", "label"]].drop_duplicates())
    size = 3 + 0.62 * len(gaps), 1.7 + len(variants) * (0.55 + 0.27 * lines)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    grid = figure.subplots(len(variants), 2, squeeze=False, sharex=True, sharey=True)
    for variant, pair in zip(variants, grid, strict=True):
        mine = frame[frame["variant"] == variant]
        for axes, result in zip(pair, RESULTS, strict=True):
            image = _heat_map(axes, mine, result)
            axes.set_title(f"{variant}: {result}", loc="left", fontsize=11, parse_math=False)
    for axes in grid[-1]:
        axes.set_xlabel("gap: how far the leading logit is ahead of the others")
    bar = figure.colorbar(image, ax=grid, fraction=0.02, pad=0.01, ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["none", "half", "all"])
    bar.set_label("of the digits that the type has")
    figure.suptitle(
        f"Digits correct, the fewest of {_classes(frame)} classes.  "
        "right: the label is the leading class; wrong: another.\n"
        "×: not a finite number.  grey: the truth underflows.",
        fontsize=11,
    )
    figure.savefig(path)


def _heat_map(axes: Axes, mine: pd.DataFrame, result: str) -> Any:
    by_row = mine.groupby(["dtype", "label", "gap"], sort=False)
    digits = by_row[f"{result}_digits"].min().unstack("gap")
    broken = np.isinf(by_row[f"{result}_error"].max().unstack("gap").to_numpy())
    share = digits.div([digits_of(dtype) for dtype, _ in digits.index], axis=0).to_numpy()
    image = axes.imshow(share, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_facecolor("0.85")
    axes.set_xticks(range(len(digits.columns)), [f"{gap:g}" for gap in digits], rotation=90)
    axes.set_yticks(range(len(digits)), [f"{dtype} {label}" for dtype, label in digits.index])
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    dtypes = [dtype for dtype, _ in digits.index]
    for row in range(1, len(dtypes)):
        if dtypes[row] != dtypes[row - 1]:
            axes.axhline(row - 0.5, color="white", linewidth=2)
    for (row, at), number in np.ndenumerate(digits.to_numpy()):
        if not np.isnan(number):
            text, colour = ("×", "#E69F00") if broken[row, at] else (f"{int(number)}", "white")
            colour = "black" if share[row, at] > 0.6 else colour
            size = 11 if broken[row, at] else 8
            _write(axes, at, row, text, color=colour, fontsize=size)
    for line, problem in enumerate(by_row["problem"].max().unstack("gap").max(axis=1)):
        if problem:
            _write(axes, (len(digits.columns) - 1) / 2, line, "does not run", fontsize=9)
    return image


def _write(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """In the middle of a place; the layout has no need to measure it, which takes seconds."""
    axes.text(x, y, text, ha="center", va="center", **style).set_in_layout(False)


# All of it


def run(
    family: str,
    *,
    picture_path: Path | str | None = None,
    track: bool = False,
    uri: str | None = None,
    experiment: str | None = None,
    console: Console | None = None,
) -> pd.DataFrame:
    """Measure a family, print the table, draw the picture, log all of it to MLflow."""
    from rich.console import Console

    if picture_path:
        must_be_a_picture(Path(picture_path), "--output")
    console = console or Console(highlight=False)
    with Console(stderr=True).status(f"measuring {family} against 1000 digits"):
        frame = measure(family)
    show(frame, console)
    told = []
    if picture_path:
        with writing(picture_path):
            picture(frame, picture_path)
        told.append(f"wrote {picture_path}")
    if track:
        told.append(f"open it:  {_track(family, frame, uri, experiment)}")
    for line in told:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return frame


def _track(family: str, frame: pd.DataFrame, uri: str | None, experiment: str | None) -> str:
    from pullback.tracking import evidence
    from pullback.tracking.store import EXPERIMENT, URI

    worst = {
        f"{line['variant']}/{line['dtype']}/{line['label']}/{result}_{what}": line[
            f"{result}_{what}"
        ]
        for line in summary(frame).to_dict("records")
        for result, what in itertools.product(RESULTS, ("digits", "ulps"))
    }
    names = ("variant", "dtype", "classes", "gap")
    params = {name: ", ".join(f"{one}" for one in frame[name].unique()) for name in names}
    with TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("atlas.png", "atlas.csv")]
        picture(frame, files[0])
        frame.to_csv(files[1], index=False)
        return evidence.publish(
            "atlas",
            f"atlas of {family}",
            params={"family": family, **params},
            metrics=worst,
            files=files,
            note=_markdown(frame),
            uri=uri or URI,
            experiment=experiment or EXPERIMENT,
        )
