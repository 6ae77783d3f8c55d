"""Comparing runs: the frame, the numbers worked by hand, the tables, the command."""

import csv
import io
import itertools
import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from making import FOUR, compare, make_run, make_sweep
from rich.console import Console

from pullback.compare import table
from pullback.compare.frame import aggregate, differing, distinguishing, load, section
from pullback.compare.runs import UNFINISHED, curve, find
from pullback.errors import PullbackError


def printed(aggregated, width=80, metrics=None):
    console = Console(width=width, file=io.StringIO())
    console.print(table.render(aggregated, metrics))
    return console.file.getvalue()


# The frame


def test_load(tmp_path):
    options = {"seed": 0, "dtype": "float32", "loss.name": "mse", "decay": None, "betas": [0.9, 1]}
    make_run(tmp_path / "a" / "2", options, {"test_loss": 0.5, "zeta": 1, "alpha": math.nan})
    make_run(tmp_path / "a" / "10", {"seed": 1}, status=None)
    frame = load([tmp_path])
    assert list(frame["run", "name"]) == ["2", "10"]
    assert list(frame["run", "status"]) == ["finished", UNFINISHED]
    assert frame["run", "directory"][0] == str(tmp_path / "a" / "2")
    assert frame["run", "started"].is_monotonic_increasing
    assert frame["run", "seconds"][0] == 2.5
    assert frame["option", "betas"][0] == (0.9, 1)
    assert frame["option", "betas"][1] is None
    assert type(frame["option", "seed"][1]) is int
    assert list(section(frame, "metric")) == ["test_loss", "alpha", "zeta"]
    assert frame.attrs["unreadable"] == 0


def test_a_run_is_found_once_and_from_itself(four):
    assert len(load([four, four.parent, four / "3"])) == 12
    assert len(load([four / "3"])) == 1
    with pytest.raises(PullbackError, match="there is no directory"):
        load([four / "nowhere"])


def test_half_written_files(tmp_path):
    good = make_run(tmp_path / "good", {"seed": 0}, {"test_loss": 1.0})
    for name, text in (
        ("torn", '{"id": "x", "opt'),
        ("empty", ""),
        ("other", "[1, 2]"),
        ("no_options", '{"id": "x"}'),
        ("not_text", "\udcff"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_bytes(text.encode(errors="surrogateescape"))
    (make_run(tmp_path / "end", {"seed": 1}) / "end.json").write_text('{"status": "fin')
    (make_run(tmp_path / "odd", {"seed": 2}) / "end.json").write_text(
        '{"metrics": 3, "seconds": []}'
    )
    frame = load([tmp_path])
    assert frame.attrs["unreadable"] == 5
    assert dict(zip(frame["run", "name"], frame["run", "status"], strict=True)) == {
        "end": UNFINISHED,
        "good": "finished",
        "odd": UNFINISHED,
    }
    journal = good / "metrics.jsonl"
    journal.write_text(
        '{"step": 0, "train_loss": 3.0}\n{"step": 1}\n{"step": 2, "train_loss": 2}\n{"st'
    )
    assert curve(str(good), "train_loss") == {0: 3.0, 2: 2.0}
    journal.write_text('{"step": 0, "train_loss": 3.0}\nno\n{"step": 2, "train_loss": 2}\n')
    assert curve(str(good), "train_loss") == {0: 3.0}
    journal.unlink()
    assert curve(str(good), "train_loss") == {}


def test_no_runs_is_an_empty_frame(tmp_path):
    frame = load([tmp_path])
    assert frame.empty
    assert differing(frame) == []


def test_ten_thousand_runs(tmp_path):
    options = {f"net.z{i}.width": i for i in range(40)} | {"loss.name": "mse"}
    metrics = {f"metric_{i}": i / 7 for i in range(12)}
    facts = {"id": "x", "name": "n", "started": "2026-01-02T03:04:05+01:00"}
    end = json.dumps({"status": "finished", "seconds": 1.0, "metrics": metrics, "message": ""})
    for number in range(10_000):
        directory = tmp_path / str(number // 100) / str(number % 100)
        directory.mkdir(parents=True)
        own = {"seed": number % 10, "optimizer.lr": number // 10}
        (directory / "run.json").write_text(json.dumps(facts | {"options": options | own}))
        (directory / "end.json").write_text(end)
    start = time.perf_counter()
    frame = load([tmp_path])
    loaded = time.perf_counter()
    aggregated = aggregate(frame)
    ended = time.perf_counter()
    print(f"10,000 runs: loaded in {loaded - start:.2f} s, aggregated in {ended - loaded:.2f} s")
    assert len(frame) == 10_000
    assert len(aggregated) == 1000
    assert ended - start < 10


def test_a_sweep_is_the_jobs_that_it_has_now(four):
    """Runs of a unit that was changed since, and of a longer axis, are in its directory too."""
    jobs = [{"identity": "x", "overrides": [], "directory": one} for one in ("1", "3", "11")]
    (four / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    assert [Path(one).name for one in find([four.parent])] == ["1", "3", "11"]
    assert len(find([four / "0"])) == 1  # who names a run means it
    for broken in ("[]", '{"jobs": 3}', '{"jobs": [{}]}', "{"):
        (four / "sweep.json").write_text(broken)
        assert len(find([four])) == 12


# What differs, and what tells variants apart


def test_differing(tmp_path):
    frame = make_sweep(
        tmp_path,
        [
            (
                {"seed": 0, "same": [1, [2]], "list": [1, 2], "half": 1, "null": None, "nan": 1.0},
                {},
            ),
            ({"seed": 1, "same": [1, [2]], "list": [1, 3], "nan": 1}, {}),
        ],
    )
    assert differing(frame) == ["seed", "list", "half"]


def test_options_that_a_name_determines_are_left_out(tmp_path):
    adam = {"optimizer.name": "adam", "optimizer.beta1": 0.9, "optimizer.lr": 0.01}
    sgd = {"optimizer.name": "sgd", "optimizer.lr": 0.5}
    frame = make_sweep(tmp_path / "one", [(adam, {}), (sgd, {})])
    assert differing(frame) == ["optimizer.name", "optimizer.beta1", "optimizer.lr"]
    assert distinguishing(frame) == ["optimizer.name"]
    frame = make_sweep(tmp_path / "two", [(adam, {}), (sgd, {}), (sgd | {"optimizer.lr": 1}, {})])
    assert distinguishing(frame) == ["optimizer.name", "optimizer.lr"]
    assert distinguishing(frame, ["optimizer"]) == ["optimizer.lr"]


def test_what_may_be_the_true_cause_is_not_left_out(tmp_path):
    frame = make_sweep(
        tmp_path,
        [
            ({"width": 5, "loss.name": "a", "dataset.name": "moons"}, {}),
            ({"width": 9, "loss.name": "b", "dataset.name": "iris"}, {}),
        ],
    )
    assert distinguishing(frame) == ["loss.name", "dataset.name", "width"]


def test_short_and_long_spelling_share_a_column(tmp_path):
    frame = make_sweep(
        tmp_path,
        [({"net.a1": "tanh"}, {}), ({"net.a1.name": "leaky", "net.a1.slope": 0.1}, {})],
    )
    aggregated = aggregate(frame)
    assert list(aggregated["option"]) == ["net.a1"]
    assert list(aggregated["option", "net.a1"]) == ["tanh", "leaky"]


def test_short_names_do_not_clash(tmp_path):
    frame = make_sweep(tmp_path, [({"a": 1, "b.name": "x"}, {}), ({"a": 2, "b.name": "y"}, {})])
    assert list(aggregate(frame)["option"]) == ["b", "a"]


# Aggregation


def test_aggregate_by_hand(tmp_path):
    frame = make_sweep(
        tmp_path,
        [
            ({"seed": 0, "loss.name": "b"}, {"test_loss": 1.0, "step_seconds": 3e-6, "only": 1}),
            ({"seed": 1, "loss.name": "b"}, {"test_loss": 2.0, "step_seconds": 5e-6}),
            ({"seed": 2, "loss.name": "b"}, {"test_loss": 6.0, "step_seconds": 4e-6, "only": 1}),
            ({"seed": 0, "loss.name": "a"}, {"test_loss": 4.0, "step_seconds": 7e-6, "only": 2}),
        ],
    )
    aggregated = aggregate(frame)
    assert list(aggregated["option", "loss"]) == ["b", "a"]
    assert list(aggregated["runs", "complete"]) == [3, 1]
    # (1 + 2 + 6) / 3 = 3; ((−2)² + (−1)² + 3²) / 2 = 7
    assert aggregated["test_loss"].iloc[0].to_dict() == {"mean": 3, "sd": math.sqrt(7), "max": 6}
    assert aggregated["step_seconds", "sd"][0] == pytest.approx(1e-6)
    assert aggregated["test_loss", "mean"][1] == 4
    assert np.isnan(aggregated["test_loss", "sd"][1])
    assert np.isnan(aggregated["only", "mean"][0]), "one of three runs has no number"
    assert aggregated["only", "mean"][1] == 2
    assert list(aggregated.columns.unique(0)) == [
        *("option", "runs", "test_loss", "step_seconds", "only"),
    ]


def test_a_gap_in_one_metric_changes_no_bit_of_another(tmp_path):
    """A run that was resumed at its last step has no time of a step."""
    accuracies, found = [0.8875, 0.925, 0.9125, 0.9375], []
    for place, seconds in (("whole", {"b": 1.0}), ("gap", {})):
        for seed, value in enumerate(accuracies):
            metrics = {"a": value} | (seconds if seed == 0 else {"b": 2.0})
            make_run(tmp_path / place / str(seed), {"loss.name": "x", "seed": seed}, metrics)
        found.append(aggregate(load([tmp_path / place]))["a"].iloc[0])
    assert found[0].equals(found[1])


def test_failed_and_killed_runs_are_counted_apart(tmp_path):
    for number, (loss, status, value) in enumerate(
        [
            ("a", "finished", 1.0),
            ("a", "stopped", 3.0),
            ("a", "failed", 1e9),
            ("a", "interrupted", 1e9),
            ("a", None, 0.0),
            ("b", "failed", math.inf),
        ]
    ):
        options = {"seed": number, "loss.name": loss}
        make_run(tmp_path / str(number), options, {"test_loss": value}, status)
    aggregated = aggregate(load([tmp_path]))
    assert aggregated["runs"].to_numpy().tolist() == [[2, 1, 2], [0, 1, 0]]
    assert aggregated["test_loss", "mean"][0] == 2
    assert np.isnan(aggregated["test_loss", "mean"][1])
    lines = printed(aggregated).splitlines()
    assert re.fullmatch(r"a +2 of 5 +2\.000 ± 1\.414 *", lines[3])
    assert re.fullmatch(r"b +0 of 1 +– *", lines[4])


def test_no_complete_run_at_all(tmp_path):
    make_run(tmp_path / "0", {"seed": 0, "loss.name": "a"}, status=None)
    aggregated = aggregate(load([tmp_path]))
    assert "0 of 1" in printed(aggregated)
    assert "0 of 1" in table.to_markdown(aggregated)


def test_over_other_options_and_over_nothing(four):
    frame = load([four])
    assert len(aggregate(frame, over=())) == 12
    over_both = aggregate(frame, over=("seed", "loss"))
    assert list(over_both["runs", "complete"]) == [12]
    assert "option" not in over_both.columns.unique(0)
    assert "over 12 runs each" in printed(over_both)


def test_where_nothing_differs_the_loss_stands_for_all(four):
    assert list(aggregate(load([four / "0"]))["option", "loss"]) == [FOUR[0]]


def test_unknown_names(four):
    frame = load([four])
    with pytest.raises(PullbackError, match="did you mean 'test_loss'"):
        aggregate(frame, metrics=["tets_loss"])
    with pytest.raises(PullbackError, match=r"did you mean 'net\.z1\.width'"):
        aggregate(frame, over=["net.z1.widht"])


# Tables


def test_four_variants_fit_80_columns(four):
    text = printed(aggregate(load([four])))
    lines = [line.rstrip() for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    numbers = "0.1437 ± 0.0021  95.5 ± 0.4  213 ± 4  1.60"
    assert [" ".join(line.split()) for line in lines[3:7]] == [
        " ".join(f"{name} {numbers} {off}".split())
        for name, off in zip(FOUR, ("0", "1.2e-07", "2.4e-07", "3.6e-07"), strict=True)
    ]
    assert len({len(line) for line in lines[3:7]}) == 1  # numbers end below one another
    assert lines[7] == "Mean ± sample standard deviation over 3 runs each."
    assert "…" not in text


def test_a_failed_run_still_fits(four):
    end = four / "4" / "end.json"
    end.write_text(end.read_text().replace("finished", "failed"))
    lines = printed(aggregate(load([four]))).splitlines()
    assert len(lines) == 8
    assert re.match(r"cross_entropy_vjp +2 of 3 +0\.1437 ± 0\.0030 ", lines[4])


@pytest.mark.parametrize("width", [60, 80, 200])
def test_numbers_are_never_cut(four, width):
    text = printed(aggregate(load([four])), width=width)
    for number in ("0.1437 ± 0.0021", "95.5 ± 0.4", "213 ± 4", "1.60", "3.6e-07"):
        assert number in text
    assert "…" not in text


def test_a_narrow_terminal_has_fewer_columns_and_says_which(four, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    compare(four)
    out = capsys.readouterr().out
    assert all(len(line) <= 50 for line in out.splitlines()[:8])
    assert "for a wider terminal, --metrics, or --html FILE: step_seconds, step_peak_bytes" in out
    compare(four, "--metrics", "test_loss,step_seconds,train_loss")
    assert "choose columns with --metrics" in capsys.readouterr().out
    compare(four, "--metrics", "test_loss,step_seconds")
    assert "choose columns" not in capsys.readouterr().out


def test_variants_of_many_options_are_called_by_numbers(tmp_path, capsys):
    for number, (lr, width, seed) in enumerate(itertools.product((0.1, 0.2), (5, 9), (0, 1))):
        options = {"seed": seed, "optimizer.lr": lr, "net.z1.width": width}
        make_run(tmp_path / str(number), options, {"test_loss": lr * width + seed + number / 97})
    assert compare(tmp_path) == 0
    out = capsys.readouterr().out
    assert re.search(r"^2 +0\.1 +9 ", out, re.MULTILINE)
    assert re.search(r"^#2 − #4 +-0\.94", out, re.MULTILINE)


def test_one_run_has_no_spread(four):
    text = printed(aggregate(load([four / "0"])))
    assert "±" not in text
    assert "One run each." in text


@pytest.mark.parametrize(
    ("metric", "values", "cells"),
    [
        ("loss", (0.69314, 12.3456, 123.456, 0.0), ["0.6931", "12.35", "123.5", "0.0000"]),
        ("loss", (1.234e-5, 0.0123, math.inf, 1e9), ["1.2e-05", "0.0123", "inf", "1.0e+09"]),
        ("accuracy", (1.0, 0.987654, 0.0, 0.5), ["100.0", "98.8", "0.0", "50.0"]),
        ("step_seconds", (8.1e-6, 2.134e-4, 0.0151, 5.0), ["8.10", "213", "15100", "5.0e+06"]),
        ("step_seconds", (0.0021, 0.0312, 0.4, 1.5), ["2.10", "31.2", "400", "1500"]),
        ("step_peak_bytes", (2**20, 3 * 2**20, 2**30, 2**21), ["1.00", "3.00", "1024", "2.00"]),
        ("best_step", (50, 340, 12000, 0), ["50", "340", "12000", "0"]),
        ("gradient_norm", (0.01234, 5.0, 50.0, -500.0), ["0.0123", "5.00", "50.0", "-500"]),
        ("gradient_difference", (0.0, 1e-7, 0.25, 3.0), ["0", "1.0e-07", "2.5e-01", "3.0e+00"]),
    ],
)
def test_digits(tmp_path, metric, values, cells):
    frame = make_sweep(tmp_path, [({"lr": i}, {metric: value}) for i, value in enumerate(values)])
    shown = table.columns(aggregate(frame), [metric])
    assert shown[1].cells == cells


def test_parts_fall_back(tmp_path):
    metrics = {"train_loss": 1.0, "train_accuracy": 0.5}
    frame = make_sweep(tmp_path / "a", [({"lr": 1}, metrics)])
    assert [one.heading for one in table.columns(aggregate(frame))] == [
        *("train loss", "train accuracy (%)")
    ]
    frame = make_sweep(tmp_path / "b", [({"lr": 1}, metrics | {"validation_loss": 2.0})])
    assert [one.heading for one in table.columns(aggregate(frame))] == ["validation loss"]


def test_chosen_metrics(four):
    aggregated = aggregate(load([four]), metrics=["train_loss", "test_loss"])
    headings = [one.heading for one in table.columns(aggregated, ["train_loss", "test_loss"])]
    assert headings == ["loss", "train loss", "test loss"]


def test_csv_has_every_digit_in_si_units(four):
    aggregated = aggregate(load([four]))
    read = list(csv.DictReader(io.StringIO(table.to_csv(aggregated))))
    assert list(read[0])[:5] == [
        *("loss", "runs_complete", "runs_failed", "runs_unfinished", "test_loss_mean")
    ]
    assert [row["loss"] for row in read] == list(FOUR)
    for metric in ("test_loss", "step_seconds", "step_peak_bytes", "gradient_difference"):
        for what in ("mean", "sd", "max"):
            digits = [float(row[f"{metric}_{what}"]) for row in read]
            assert digits == list(aggregated[metric, what])


def test_csv_of_lists_and_of_nothing(tmp_path):
    frame = make_sweep(tmp_path, [({"at": [1, 2]}, {"x": 1}), ({"at": None}, {"x": 2})])
    read = pd.read_csv(io.StringIO(table.to_csv(aggregate(frame))))
    assert json.loads(read["at"][0]) == [1, 2]
    assert pd.isna(read["at"][1])


def test_markdown(four):
    lines = table.to_markdown(aggregate(load([four]))).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:6]]
    assert cells[0] == [
        "loss",
        "test loss",
        "test accuracy (%)",
        "time per step (µs)",
        "peak memory (MiB)",
        "largest gradient difference",
    ]
    assert cells[1] == ["---"] + ["---:"] * 5
    assert cells[3] == [FOUR[1], "0.1437 ± 0.0021", "95.5 ± 0.4", "213 ± 4", "1.60", "1.2e-07"]
    assert lines[-1] == "Mean ± sample standard deviation over 3 runs each."


def test_what_a_name_may_hold_is_text_everywhere(tmp_path):
    names = ("<script>alert(1)</script>", "a|b\nc", "[bold]x[/nothing]", "$x_{")
    frame = make_sweep(tmp_path, [({"loss.name": n}, {"train_loss": 1.0}) for n in names])
    aggregated = aggregate(frame)
    assert "<script>" not in table.to_markdown(aggregated)
    assert "| a\\|b c | 1.000 |" in table.to_markdown(aggregated)
    assert "[bold]x[/nothing]" in printed(aggregated)


# The command


def test_command(four, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_run(
        four / "12", {"seed": 0, "loss.name": "bad"}, None, "failed", "not finite\nsecond line"
    )
    make_run(four / "13", {"seed": 1, "loss.name": "bad"}, None, None)
    (four / "14").mkdir()
    (four / "14" / "run.json").write_text("{")
    files = ("--csv", "c.csv", "--markdown", "m.md", "--html", "h.html", "--pictures", "p")
    assert compare("runs", *files) == 0
    out = capsys.readouterr().out
    assert "0 of 2" in out
    lines = out.splitlines()
    assert lines[-7:] == [
        "left out, since run.json cannot be read: 1 run directory",
        "failed: runs/2026-01-02/03-04-05/12: not finite",
        "running or killed: runs/2026-01-02/03-04-05/13",
        *("wrote c.csv", "wrote m.md", "wrote p", "wrote h.html"),
    ]
    assert Path("c.csv").read_text().startswith("loss,net.a1,")
    assert Path("m.md").read_text(encoding="utf-8").startswith("| loss |")
    assert Path("h.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {one.name for one in Path("p").iterdir()} == {"curves.png", "tradeoff.png"}


@pytest.mark.parametrize(
    ("option", "start"),
    [("--csv", "loss,runs_"), ("--markdown", "| loss |"), ("--html", "<!doctype html>")],
)
def test_standard_output_has_nothing_else(four, option, start, capsys):
    assert compare(four, option, "-") == 0
    out, err = capsys.readouterr()
    assert out.startswith(start)
    assert "Mean ±" in err
    with pytest.raises(PullbackError, match="only one"):
        compare(four, "--csv", "-", "--markdown", "-")
    with pytest.raises(PullbackError, match="only one"):
        compare(four, "--csv", "-", "--html", "-")


def test_without_a_directory_the_newest(four, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert compare() == 0
    out = capsys.readouterr().out
    assert out.startswith("The newest sweep below ./runs, runs/2026-01-02/03-04-05\n")
    assert "over 3 runs each" in out
    options = {"seed": 5, "loss.name": "mse", "net.a1": "tanh", "net.z1.width": 500}
    make_run(Path("runs/2026-01-01/00-00-00"), options, {"train_loss": 1.0})
    assert compare() == 0
    out = capsys.readouterr().out
    assert out.startswith("The newest run below ./runs, runs/2026-01-01/00-00-00\n")
    assert compare("--all") == 0
    out = capsys.readouterr().out
    rows = [line.split()[:2] for line in out.splitlines()[3:8]]
    assert rows == [["mse", "1"], *([loss, "3"] for loss in FOUR)]
    with pytest.raises(SystemExit):
        compare("--all", "runs")


def test_command_line_errors(four, tmp_path, monkeypatch):
    monkeypatch.chdir(four)
    with pytest.raises(PullbackError, match="pullback train"):
        compare()
    (tmp_path / "none").mkdir()
    with pytest.raises(PullbackError, match=r"no runs below .*none: make some with"):
        compare(tmp_path / "none")
    (tmp_path / "none" / "run.json").write_text("")
    with pytest.raises(PullbackError, match=r"run\.json cannot be read: 1 run directory below"):
        compare(tmp_path / "none")
    with pytest.raises(PullbackError, match="there is no directory"):
        compare(tmp_path / "nowhere")
    with pytest.raises(PullbackError, match="did you mean 'test_loss'"):
        compare(four, "--metrics", "test_lost")
    with pytest.raises(PullbackError, match="did you mean 'seed'"):
        compare(four, "--over", "sed")
    (tmp_path / "file").write_text("")
    for option in ("--csv", "--markdown", "--html", "--pictures"):
        with pytest.raises(PullbackError, match="cannot write"):
            compare(four, option, tmp_path / "file" / "file")
    with pytest.raises(PullbackError, match=r"did you mean 'loss\.name'"):
        compare(four, "--pictures", "p", "--across", "los.name,net.a1")
    with pytest.raises(SystemExit):
        compare(four, "--across", "loss")


def test_many_failures_do_not_fill_the_screen(tmp_path, capsys):
    for number in range(15):
        make_run(tmp_path / str(number), {"seed": number}, None, "failed", "x")
    assert compare(tmp_path) == 0
    out = capsys.readouterr().out
    assert out.count("failed: ") == 10
    assert "and 5 more" in out


def test_importing_the_command_imports_nothing_heavy():
    code = (
        "import sys, pullback.compare.command; "
        "print([name for name in ('pandas', 'numpy', 'matplotlib', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_links_are_not_followed_in_circles(four):
    (four / "circle").symlink_to(four.parent)
    assert len(find([four])) == 12
