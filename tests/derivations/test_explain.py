"""A derivation of one's own: right in any form, the first wrong stage, the mistake by its name."""

import numpy as np
import pytest
from corpus import RIGHT, WRONG, written

from pullback import explain
from pullback.derivations.source import FORMS, blank, forms, load
from pullback.errors import ConfigError


def judged(tmp_path, text, **options):
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    return explain(file, **options)


@pytest.mark.parametrize("form", forms())
@pytest.mark.parametrize("seed", [0, 7])
def test_a_solution_is_right(form, seed):
    assert explain(FORMS / f"{form}.py", seed)


@pytest.mark.parametrize("form", forms())
def test_a_form_is_to_do_and_holds_no_answer(form, tmp_path):
    text = blank(form)
    verdicts = judged(tmp_path, text)
    assert {one.status for one in verdicts.stages} == {"to do"}
    assert not verdicts
    assert verdicts.first.name == next(iter(load(FORMS / f"{form}.py").backward))
    solution = (FORMS / f"{form}.py").read_text(encoding="utf-8")
    answers = solution.split("# Back")[1].count("return")
    assert answers == text.count("...  # yours") == len(verdicts.stages)
    assert "return" not in text.split("# Back")[1]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    return [judged(folder, written(form, stages)) for form, stages, _, _ in WRONG]


def test_wrong_derivations_are_found_out(outcomes):
    """Of all of them: none is called right, 95 % get the right stage, 90 % the right name."""
    assert len(WRONG) >= 25
    assert not any(outcomes)
    wrong = [one.first for one in outcomes]
    stages = [one.name == stage for one, (_, _, stage, _) in zip(wrong, WRONG, strict=True)]
    names = [one.mistake == mistake for one, (_, _, _, mistake) in zip(wrong, WRONG, strict=True)]
    told = [
        f"{stage} {written}: {one.name}, {one.mistake!r}, not {mistake!r}"
        for one, (_, written, stage, mistake) in zip(wrong, WRONG, strict=True)
        if (one.name, one.mistake) != (stage, mistake)
    ]
    print(f"{sum(stages)} stages and {sum(names)} names of {len(WRONG)}", *told, sep="\n")
    assert np.mean(stages) >= 0.95, told
    assert np.mean(names) >= 0.9, told
    named = [one for one, (*_, mistake) in zip(names, WRONG, strict=True) if mistake]
    assert np.mean(named) >= 0.9, told


def test_only_the_wrong_stage_is_called_wrong(outcomes):
    """A stage is judged with right gradients arriving: one mistake costs one mark."""
    for one, (_, written_, stage, _) in zip(outcomes, WRONG, strict=True):
        wrong = [judged.name for judged in one.stages if judged.status == "wrong"]
        assert wrong == [stage], written_


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_derivation_of_another_form_is_accepted(name, tmp_path):
    assert len(RIGHT) >= 10
    verdicts = judged(tmp_path, written(*RIGHT[name]))
    assert verdicts, verdicts.first


def test_the_answer_is_kept_back(tmp_path):
    from pullback.derivations.table import plain

    verdicts = judged(tmp_path, written("founding", {"dŷ(ŷ, dl)": "1 / ŷ"}))
    text = plain(verdicts)
    assert "✗ dŷ (line" in text
    assert "looks like: upstream gradient dropped\n" in text
    assert "what became of the gradient that arrives" in " ".join(text.split())
    assert "(1/ŷ) ∘ dl" not in text
    assert "dl / ŷ" not in text
    assert verdicts.first.solution.endswith("return dl / ŷ")


def test_a_derivation_of_ones_own_needs_no_form(tmp_path):
    text = """
import numpy as np

def given(rng):
    return {"x": rng.normal(size=(3, 2)), "w": rng.normal(size=2)}

def s(x, w):
    return np.sin(x @ w)

def L(s, N):
    return (s * s).sum() / N

def ds(s, N):
    return 2 * s / N

def dw(x, w, ds):
    return x.T @ (ds * np.cos(x @ w))

def dx(x, w, ds):
    return np.outer(ds * np.cos(x @ w), w)
"""
    assert judged(tmp_path, text)
    verdicts = judged(tmp_path, text.replace("2 * s / N", "s / N"))
    assert (verdicts.first.name, verdicts.first.mistake) == ("ds", "factor 2 missing")


@pytest.mark.parametrize(("factor", "right"), [("2", True), ("1", False), ("2.000001", False)])
def test_large_values_are_judged_in_floats(tmp_path, factor, right):
    text = f"""
import numpy as np

def given(rng):
    return {{"x": rng.normal(size=(4, 300)), "w": rng.normal(size=(300, 2)) / 17}}

def y(x, w):
    return np.tanh(x @ w)

def L(y, N):
    return (y * y).sum() / N

def dy(y, N):
    return {factor} * y / N

def dw(x, y, dy):
    return x.T @ (dy * (1 - y * y))
"""
    verdicts = judged(tmp_path, text)
    assert bool(verdicts) == right
    assert verdicts.stages[1].status == "right"


def test_what_is_left_out_of_a_form_is_to_do(tmp_path):
    verdicts = judged(tmp_path, written("founding", {"db1(dz1)": None}))
    assert (verdicts.first.name, verdicts.first.status) == ("db1", "to do")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("dl @ ŷ", "it raised ValueError"),
        ("(dl := dl).fill(0)", "is right"),
        ("ŷ.nothing", "AttributeError"),
    ],
)
def test_a_stage_that_fails_is_wrong_and_says_where(tmp_path, body, told):
    text = written("founding", {"dŷ(ŷ, dl)": body})
    first = judged(tmp_path, text).first
    assert first.name == "dŷ"
    if "raised" in told or "Attribute" in told:
        assert f"(line {first.line + 1})" in first.message
        assert told in first.message


def test_writing_into_a_value_harms_no_other_stage(tmp_path):
    text = written("founding", {"dz1(a1, da1)": "np.multiply(1 - a1 * a1, da1, out=a1)"})
    verdicts = judged(tmp_path, text)
    assert verdicts, verdicts.first


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("return x @ W1 + b1", "return x @ W1 - b1"), "z1 is not what"),
        (lambda text: text.replace("def dl(t, dPL)", "def dl(t, dPLL)"), "did you mean 'dPL'"),
        (lambda text: text.replace("return np.log(ŷ)", "return np.log(ŷ"), "line "),
        (lambda text: text.replace("return np.log(ŷ)", "return np.lg(ŷ)"), "l raised Attribute"),
        (lambda text: text.replace('FORM = "founding"', 'FORM = "fonding"'), "no form 'fonding'"),
        (lambda text: text.replace("def given", "def givens"), "needs a function given"),
        (lambda text: text.replace("import numpy as np", "import nummpy as np"), "nummpy"),
        (lambda text: text.replace("def L(PL, N)", "def M(PL, N)"), "no function L"),
    ],
)
def test_a_file_that_is_no_derivation_is_told_in_a_line(tmp_path, change, told):
    text = (FORMS / "founding.py").read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    with pytest.raises(ConfigError, match=told):
        judged(tmp_path, changed)


def test_marks_are_a_teachers(tmp_path):
    verdicts = judged(tmp_path, written("founding", {"db2(dz2)": "dz2"}), seed=12)
    marks = verdicts.marks()
    assert marks["seeds"] == [12]
    assert (marks["total"], marks["of"]) == (9, 10)
    (wrong,) = (one for one in marks["stages"] if not one["mark"])
    assert (wrong["name"], wrong["mistake"]) == ("db2", "not summed over the rows")
    assert "solution" not in wrong
