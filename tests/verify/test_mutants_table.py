"""``pullback check --mutants``: who sees which mistake, legible at 80 columns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pullback import cli, registry
from pullback.verify import mutants, mutants_view
from pullback.verify.laws import CHECKS
from pullback.verify.mistakes import MISTAKES
from pullback.verify.mutants import Matrix, Mutant, checks_of, only_by
from pullback.verify.table import questions

WRONG = Path(__file__).with_name("wrong_units.py")
LAYER, LOSS, OPTIMIZER = (list(questions(kind)) for kind in ("layer", "loss", "optimizer"))


def some_mutants():
    """Of two layers, a loss and an optimizer; ``pure`` is the name of a check of both sets."""
    return [
        Mutant("layer", "softmax", "sign", ("pullback", "large")),
        Mutant("layer", "softmax", "damage in place", ("pure",)),
        Mutant("layer", "softmax", "out ignored", ()),
        Mutant("layer", "tanh", "sign", ("pullback",)),
        Mutant("layer", "tanh", "damage in place", ("pure",)),
        Mutant("loss", "mse", "sign", ("pullback", "large")),
        Mutant("optimizer", "sgd", "uphill", ("descends", "gradient_scale")),
        Mutant("optimizer", "sgd", "writes theta", ("pure",)),
        Mutant("optimizer", "sgd", "out ignored", ("out",)),
    ]


@pytest.fixture
def shown(capsys, monkeypatch):
    """The matrix of some mutants as it is printed."""

    def run(some, left_out=None, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        mutants_view.show(Matrix(list(some), left_out or {}), 1.0)
        return capsys.readouterr().out

    return run


def marks(text, mistake):
    return re.findall(rf"^{mistake} +((?:[●○·] )+) *(\d+/\d+)$", text, re.M)


def test_each_check_has_a_column_and_its_name_above_it(shown):
    text = shown(some_mutants())
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("sign "))
    start = min(lines[first].index(mark) for mark in "●○·" if mark in lines[first])
    header = lines[: first - 1]
    for place, check in enumerate(LOSS):
        column = start + 2 * place
        (named,) = (line for line in header if check in line.replace("│", " ").split())
        assert named[column] in "┐┌", check
        for line in header[header.index(named) + 1 :]:
            assert line[column] == "│", check


def test_a_mark_says_in_how_many_of_the_units_a_mistake_is_seen(shown):
    text = shown(some_mutants())
    (sign,) = marks(text, "sign")
    assert sign[0].split() == ["●", "○", *"·" * 17]
    assert sign[1] == "3/3"
    (damage,) = marks(text, "damage in place")
    assert damage[0].split().index("●") == LAYER.index("pure")
    of_layers, of_optimizers = marks(text, "out ignored")
    assert (of_layers[1], of_optimizers[1]) == ("0/1", "1/1")
    assert set(of_layers[0].split()) == {"·"}
    assert "killed in ● every unit, ○ some of the units, · none" in text


def test_optimizers_have_a_matrix_of_their_own(shown):
    text = shown(some_mutants())
    assert re.findall(r"^(layers and losses|optimizers) +killed$", text, re.M) == [
        "layers and losses",
        "optimizers",
    ]
    assert re.findall(r"^killed by no other check: (.*)$", text, re.M) == [
        "pullback 1, pure 2",
        "pure 1, out 1",
    ]
    assert "always with another: large\n" in text
    assert "always with another: descends, gradient_scale\n" in text


def test_what_survives_is_named_with_its_unit(shown):
    text = shown(some_mutants(), {("layer", "needs"): "it cannot be made"})
    assert "✗ survived: out ignored, in softmax\n" in text
    assert text.count("survived") == 1
    assert "? needs left out: it cannot be made\n" in text
    assert text.replace("\n", " ").endswith(
        "8 of 9 mutants killed · 6 mistakes · 4 of 31 checks kill what no other does, 4 units, "
        "1.0 s "
    )


@pytest.mark.parametrize("columns", [80, 120])
def test_with_every_mistake_of_every_kind_it_fits(shown, columns):
    every = [
        Mutant(kind, f"a unit {number}", one.name, tuple(questions(kind))[:-1])
        for kind in CHECKS
        for one in MISTAKES[kind]
        for number in range(12)
    ]
    text = shown(every, columns=columns)
    assert max(map(len, text.splitlines())) <= columns
    for one in every:
        assert re.search(rf"^{re.escape(one.mistake)} +[●○·]", text, re.M)
    assert "…" not in text


def test_only_by_keeps_sets_of_checks_apart():
    groups = checks_of(some_mutants())
    assert [len(some) for some in groups.values()] == [6, 3]
    counted = [only_by(*group) for group in groups.items()]
    assert [list(one) for one in counted] == [LOSS, OPTIMIZER]
    assert [one["pure"] for one in counted] == [2, 1]
    assert [sum(one.values()) for one in counted] == [3, 2]
    of_layers = [one for one in some_mutants() if one.kind == "layer"]
    assert list(checks_of(of_layers)) == [tuple(LAYER)]


@pytest.fixture
def planted(monkeypatch, tmp_path):
    """Two mistakes of a layer and no more, so that a matrix takes no time; nothing is left."""
    few = [one for one in MISTAKES["layer"] if one.name in ("sign", "input written to")]
    monkeypatch.setitem(MISTAKES, "layer", few)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mutants_view.os, "cpu_count", lambda: 1)


@pytest.mark.usefixtures("planted")
def test_the_command_plants_and_counts(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    status = cli.main(["check", "--mutants", "identity"])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert [killed for name in ("sign", "input written to") for _, killed in marks(out, name)] == [
        "1/1",
        "1/1",
    ]
    assert "2 of 2 mutants killed · 2 mistakes" in out


@pytest.mark.usefixtures("planted")
def test_json_has_every_mutant_and_who_alone_kills_it(capsys):
    assert cli.main(["check", "--mutants", "identity", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert {one["mistake"] for one in found["mutants"]} == {"sign", "input written to"}
    assert (found["planted"], found["killed"], found["survivors"]) == (2, 2, [])
    assert list(found["only_by"]) == ["layers"]
    assert found["only_by"]["layers"]["pure"] == 1
    assert found["left_out"] == []


@pytest.mark.usefixtures("planted")
def test_a_mutant_that_survives_is_a_failure(monkeypatch, capsys):
    blind = [one for one in CHECKS["layer"] if one.__name__ == "shapes"]
    monkeypatch.setitem(CHECKS, "layer", blind)
    assert cli.main(["check", "--mutants", "identity"]) == 1
    assert "✗ survived: sign, in identity" in capsys.readouterr().out


def test_units_of_a_file_are_known_in_every_process_and_wrong_ones_left_out(capsys, monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    monkeypatch.setattr(mutants_view.os, "cpu_count", lambda: 2)
    words = ["check", "--mutants", "--plugins", str(WRONG), "needs", "uphill"]
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    told = out.replace("\n  ", " ")
    assert "? needs left out: the option 'f' of Needs has no default" in told
    assert "? uphill left out: it fails as it is: descends, gradient_scale;" in told
    assert err == "pullback: no mistake was planted in anything: see the reasons above\n"


def test_progress_is_told_and_the_order_is_that_of_the_units(monkeypatch):
    monkeypatch.setattr(mutants, "_of_unit", lambda unit: [Mutant(*unit, "sign", ())])
    units = [("layer", name) for name in ("b", "a", "c")]
    done: list[int] = []
    found = mutants.matrix(units, progress=done.append)
    assert [one.unit for one in found.mutants] == ["b", "a", "c"]
    assert done == [1, 2, 3]


def test_ctrl_c_ends_in_one_line(monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(mutants_view, "matrix", interrupted)
    assert cli.main(["check", "--mutants", "tanh"]) == 130
    assert capsys.readouterr() == ("", "pullback: interrupted\n")
