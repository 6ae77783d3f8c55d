"""The pictures: what is drawn where, by numbers worked out here; which runs have none."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from making import make_run, make_sweep

from pullback.compare.frame import load
from pullback.compare.pictures import (
    NothingToDraw,
    axes,
    curves,
    drawn,
    heatmap,
    parallel,
    tradeoff,
)
from pullback.compare.pictures.scale import Scale
from pullback.errors import PullbackError


def loss(width, lr, seed):
    return width * lr + seed


@pytest.fixture
def grid(tmp_path):
    """Three widths, two rates, two seeds: a loss that is known, time and memory by the width."""
    points = itertools.product((100, 20, 5), (0.1, 0.5), (0, 1))
    return make_sweep(
        tmp_path / "grid",
        [
            (
                {"seed": seed, "net.z1.width": width, "optimizer.lr": lr},
                {
                    "test_loss": loss(width, lr, seed),
                    "test_accuracy": 1 - loss(width, lr, seed) / 1000,
                    "step_seconds": 1e-6 * width,
                    "step_peak_bytes": 1024.0 * width,
                },
            )
            for width, lr, seed in points
        ],
    )


def png(figure, tmp_path):
    figure.savefig(tmp_path / "p.png")
    return (tmp_path / "p.png").read_bytes()


def test_each_picture_that_the_runs_have_something_for(grid, four, tmp_path):
    found = dict(drawn(grid, "test_loss"))
    assert list(found) == ["parallel", "heatmap", "tradeoff"]  # no loss that falls with the steps
    for figure in found.values():
        assert png(figure, tmp_path).startswith(b"\x89PNG")
    assert list(dict(drawn(load([four]), "test_loss"))) == ["curves", "tradeoff"]


# Curves


def test_curves(four, tmp_path):
    figure = curves.draw(load([four]))
    left, right = figure.axes
    assert len(png(figure, tmp_path)) > 10_000
    assert right.get_yticklabels()[0].get_text() == "cross_entropy_jacobian"
    steps, means = left.lines[0].get_data()
    assert list(steps) == list(range(0, 50, 5))
    assert means[0] == pytest.approx(0.1437 + 1)


def test_curves_over_several_options(four, tmp_path):
    figure = curves.draw(load([four]), over=("seed", "loss"))
    assert len(png(figure, tmp_path)) > 10_000


def test_curves_without_journals(tmp_path):
    frame = make_sweep(tmp_path, [({"lr": lr}, {"train_loss": lr}) for lr in (0.1, 0.2)])
    assert len(png(curves.draw(frame), tmp_path)) > 10_000


def test_curves_of_many_variants_and_of_uneven_lengths(tmp_path):
    for number in range(30):
        steps = range(0, 20 + 7 * number, 1 + number % 3) if number else ()
        make_run(
            tmp_path / str(number),
            {"seed": number % 2, "net.z1.width": number // 2, "a.rather.long.option": number // 2},
            {"train_loss": 10.0 ** -(number / 4)},
            curve=[(step, {"train_loss": 1 / (1 + step)}) for step in steps],
        )
    assert len(png(curves.draw(load([tmp_path])), tmp_path)) > 10_000


def test_no_curves_without_a_loss(tmp_path):
    make_run(tmp_path / "0", {"seed": 0, "loss.name": "a"}, status=None)
    with pytest.raises(NothingToDraw, match="no complete run"):
        curves.draw(load([tmp_path]))


# Parallel coordinates


def test_a_line_goes_through_its_options_to_its_result(grid):
    place, result = parallel.draw(grid, "test_loss").axes
    lines = [path.vertices for path in place.collections[0].get_paths()]
    assert len(lines) == 6
    best = lines[-1]  # drawn last, so that nothing covers it
    low, high = np.log(result.get_ylim())
    height = (np.log(5 * 0.1 + 0.5) - low) / (high - low)
    np.testing.assert_allclose(best, [[0, 0], [1, 0], [2, height]], atol=1e-12)
    worst = lines[0]
    np.testing.assert_allclose(worst[:2], [[0, 1], [1, 1]])
    assert worst[2, 1] > best[2, 1]
    colours = place.collections[0].get_colors()
    assert not np.allclose(colours[0], colours[-1])


def test_no_parallels_of_one_option(four):
    with pytest.raises(NothingToDraw, match="two options"):
        parallel.draw(load([four]), "test_loss")


# The heat map


def test_a_cell_is_the_mean_of_its_runs(grid):
    place = heatmap.draw(grid, "test_loss").axes[0]
    assert (place.get_ylabel(), place.get_xlabel()) == ("optimizer.lr", "net.z1.width")
    cells = place.images[0].get_array()
    expected = [[loss(w, lr, 0.5) for w in (5, 20, 100)] for lr in (0.1, 0.5)]
    np.testing.assert_allclose(cells, expected)
    assert [text.get_text() for text in place.texts] == [f"{x:.3g}" for x in np.ravel(expected)]
    assert [text.get_text() for text in place.get_xticklabels()] == ["5", "20", "100"]


def test_the_options_can_be_chosen_and_a_missing_cell_is_empty(grid):
    part = grid[~((grid["option", "net.z1.width"] == 20) & (grid["option", "seed"] == 1))]
    place = heatmap.draw(part, "test_loss", across=("net.z1.width", "seed")).axes[0]
    cells = place.images[0].get_array().filled(np.nan)
    assert np.isnan(cells[1, 1])
    assert cells[0, 0] == pytest.approx((0.5 + 2.5) / 2)
    assert len(place.texts) == 5


def test_a_heat_map_of_what_is_not_there(grid, four):
    with pytest.raises(PullbackError, match=r"did you mean 'net\.z1\.width'"):
        heatmap.draw(grid, "test_loss", across=("net.z1.with", "seed"))
    with pytest.raises(NothingToDraw, match="two options"):
        heatmap.draw(load([four]), "test_loss")


# The trade-off


def test_the_stair_joins_what_nothing_beats(grid):
    figure = tradeoff.draw(grid)
    time, memory = figure.axes
    assert (time.get_xlabel(), memory.get_xlabel()) == (
        "time per step, µs",
        "peak memory of a step, KiB",
    )
    stair = time.lines[-1]
    np.testing.assert_allclose(stair.get_xdata(), [5])  # the smallest is the best, too
    np.testing.assert_allclose(stair.get_ydata(), [100 - loss(5, 0.1, 0.5) / 10])
    assert "1  net.z1.width 5, optimizer.lr 0.1" in figure.get_supxlabel()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_dearer_and_better_one_is_a_corner_and_a_dearer_and_worse_one_is_not(tmp_path, sign):
    """By accuracy, and where there is none by loss."""
    points = {"cheap": (1, 0.5), "better": (3, 0.8), "worse": (2, 0.4), "same": (4, 0.8)}
    name = "test_accuracy" if sign > 0 else "test_loss"
    frame = make_sweep(
        tmp_path,
        [
            ({"loss.name": which}, {"step_seconds": cost * 1e-6, name: 1 + sign * (value - 1)})
            for which, (cost, value) in points.items()
        ],
    )
    (place,) = tradeoff.draw(frame).axes
    stair = place.lines[-1]
    np.testing.assert_allclose(stair.get_xdata(), [1, 3])


def test_no_trade_off_without_costs(tmp_path):
    frame = make_sweep(tmp_path, [({"lr": lr}, {"test_loss": lr}) for lr in (0.1, 0.2)])
    with pytest.raises(NothingToDraw, match="a cost and a result"):
        tradeoff.draw(frame)


# Scales, and pages


def test_a_scale_orders_numbers_and_leaves_names():
    assert Scale.of([10, 9.5, 100, 10]).values == [9.5, 10, 100]
    assert Scale.of(["b", "a", "b"]).values == ["b", "a"]
    assert Scale.of([True, False]).values == [True, False]
    assert Scale.of(range(100)).marks(4) == [
        (0, "0"),
        (25, "25"),
        (50, "50"),
        (74, "74"),
        (99, "99"),
    ]
    assert Scale.of(["x", None]).marks(4) == [(0, "x"), (1, "–")]


def test_several_figures_stand_in_one_page(grid):
    texts = [axes.svg(figure, name) for name, figure in drawn(grid, "test_loss")]
    again = [axes.svg(figure, name) for name, figure in drawn(grid, "test_loss")]
    assert texts == again
    page = ET.fromstring(f"<div>{''.join(texts)}</div>")
    ids = [one.get("id") for one in page.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    used = re.findall(r"(?:url\(|href=\")#([^)\"]+)", "".join(texts))
    assert used
    assert set(used) <= set(ids)
    assert "optimizer.lr" in "".join(page.itertext())  # text stays text


def test_names_that_are_formulas_to_matplotlib(tmp_path):
    names = ("<script>alert(1)</script>", "a|b\nc", "[bold]x[/nothing]", "$x_{")
    frame = make_sweep(
        tmp_path,
        [
            ({"loss.name": n, "net.a1": m}, {"train_loss": 1.0 + i, "step_seconds": 1e-3})
            for i, (n, m) in enumerate(itertools.product(names, names))
        ],
    )
    for _, figure in drawn(frame, "train_loss"):
        assert png(figure, tmp_path)
