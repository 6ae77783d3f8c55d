"""``pullback new derivation`` and ``pullback explain`` as a person calls them."""

import json

import pytest
from corpus import written

from pullback import cli


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        status = cli.main(list(words))
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_a_form_is_written_filled_in_and_judged(call, tmp_path):
    status, out, _ = call("new", "derivation", "founding")
    assert status == 0
    assert "wrote founding.py" in out
    status, out, _ = call("explain", "founding.py")
    assert status == 1
    assert "– 10 to do" in out
    (tmp_path / "founding.py").write_text(written("founding", {}), encoding="utf-8")
    status, out, _ = call("explain", "founding.py")
    assert status == 0
    assert "✓ 10 right · ✗ 0 wrong · – 0 to do" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_solution_is_shown_where_it_is_asked_for(call, tmp_path):
    (tmp_path / "a.py").write_text(written("founding", {"dŷ(ŷ, dl)": "1 / ŷ"}), encoding="utf-8")
    assert "return dl / ŷ" not in call("explain", "a.py")[1]
    status, out, _ = call("explain", "a.py", "--solution")
    assert status == 1
    assert "return dl / ŷ" in out
    assert "the gradient that arrives is a factor" in out


def test_grades_have_seeds_of_their_own_that_can_be_given_again(call, tmp_path):
    (tmp_path / "a.py").write_text(written("digits", {"db1(dz1)": "dz1"}), encoding="utf-8")
    first, second = (json.loads(call("explain", "a.py", "--grade")[1]) for _ in range(2))
    assert first["seeds"] != second["seeds"]
    assert (first["total"], first["of"]) == (second["total"], second["of"]) == (7, 8)
    again = json.loads(call("explain", "a.py", "--grade", "--seed", str(first["seeds"][0]))[1])
    assert again == first


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("new", "derivation", "fonding"), "did you mean 'founding'"),
        (("new", "layer", "swish"), "nothing new called 'layer'; there are: derivation"),
        (("new", "derivation", "digits", "--output", "no/x.py"), "cannot write no/x.py"),
        (("new", "derivation", "digits", "--output", "there.py"), "there.py is there already"),
        (("explain", "nowhere.py"), "there is no file nowhere.py"),
        (("explain", "there.py"), "needs a function given"),
    ],
)
def test_a_mistake_is_told_in_one_line(call, tmp_path, words, told):
    (tmp_path / "there.py").write_text("x = 1\n")
    status, _, err = call(*words)
    assert status == 2
    assert told in err
    assert err.count("\n") == 1
    assert (tmp_path / "there.py").read_text() == "x = 1\n"


def test_a_form_needs_numpy_alone():
    from pullback.derivations.source import blank, forms

    for form in forms():
        assert [line for line in blank(form).splitlines() if "import" in line] == [
            "import numpy as np"
        ]
