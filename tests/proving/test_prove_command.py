"""``pullback prove`` as a person calls it."""

import json

import pytest

from pullback import cli

WRONG = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Cube:
    def forward(self, x):
        return x * x * x, x

    def backward(self, x, dy):
        return 2 * x * x * dy

@dataclass(frozen=True)
class Needs:
    f: tuple[str, ...]

    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        return dy
"""


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        status = cli.main(["prove", *words])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_a_unit_with_its_formula(call):
    status, out, _ = call("cross_entropy_fused", "--classes", "2")
    assert status == 0
    assert "✓ proved: backward is the derivative of forward" in out
    assert "dz_i = Σ_j dŷ_j ∂ŷ_j/∂z_i = (ŷ_i ΣT − T_i) dℓ" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_family_is_one_function(call):
    status, out, _ = call("cross_entropy", "--classes", "2")
    assert status == 0
    assert out.count("proved: backward is the derivative of forward") == 4
    assert out.count("proved: the same function as cross_entropy_jacobian") == 2
    assert out.count("checked: the same function as cross_entropy_jacobian") == 2  # compiled


def test_a_wrong_unit_has_a_counter_example(call, tmp_path):
    (tmp_path / "cube.py").write_text(WRONG)
    status, out, _ = call("cube.py")
    assert status == 1
    assert "✗ refuted" in out
    assert "smallest example: x = [[" in out
    assert "? unknown" in out
    assert "the option 'f' of Needs has no default" in out


def test_json_and_html(call, tmp_path):
    status, out, err = call("softmax", "--json", "--html", "p.html")
    assert status == 0
    (found,) = json.loads(out)
    assert found["proofs"][0]["status"] == "proved"
    assert "J = diag ŷ − ŷᵀŷ" in found["text"]
    assert found["latex"].startswith(r"\begin{align}")
    assert "wrote p.html" in err
    assert "<math" in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_latex_alone(call):
    status, out, _ = call("softmax", "log", "--latex")
    assert status == 0
    assert out.startswith("% softmax\n\\begin{align}")
    assert "% log\n" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to prove"),
        (["adam"], "'adam' is an optimizer, and no layer or loss"),
        (["sofmax"], "did you mean 'softmax'?"),
        (["softmax", "--classes", "0"], "--classes: there are no 0 classes"),
        (["softmax", "--html", "no/x.html"], "cannot write no/x.html"),
    ],
)
def test_a_mistake_is_told_in_one_line(call, words, told):
    status, _, err = call(*words)
    assert status == 2
    assert told in err
    assert err.count("\n") == 1
