"""The formulas that come out of a unit's code: in its own symbols, and proved for all classes."""

import html.parser
import re

import pytest

from pullback import Findings, prove
from pullback.proving.expressions import LATEX, MATHML, TEXT
from pullback.proving.formula import derive
from pullback.proving.page import fragment, page
from pullback.verify.checks import subject_of

SOFTMAX = """\
∂ŷ_i/∂z_i = ŷ_i − ŷ_i²
∂ŷ_j/∂z_i = −ŷ_i ŷ_j   (j ≠ i)
J = diag ŷ − ŷᵀŷ
dz_i = Σ_j dŷ_j ∂ŷ_j/∂z_i = ŷ_i dŷ_i − ŷ_i Σ_j ŷ_j dŷ_j
J = [ŷ_1 − ŷ_1², −ŷ_1 ŷ_2; −ŷ_1 ŷ_2, ŷ_2 − ŷ_2²]   (2 × 2)"""
CROSS_ENTROPY = """\
∂ŷ_i/∂z_i = ŷ_i − ŷ_i²
∂ŷ_j/∂z_i = −ŷ_i ŷ_j   (j ≠ i)
J = diag ŷ − ŷᵀŷ
∂l_i/∂ŷ_i = 1/ŷ_i
dl_i = −T_i dℓ
dŷ_i = dl_i ∂l_i/∂ŷ_i = −T_i/ŷ_i dℓ
dz_i = Σ_j dŷ_j ∂ŷ_j/∂z_i = (ŷ_i ΣT − T_i) dℓ = (ŷ_i − T_i) dℓ   (the last where ΣT = 1)
dz = [ŷ_1 ΣT − T_1, ŷ_2 ΣT − T_2, …, ŷ_10 ΣT − T_10]   (1 × 10)"""


def written(name, classes):
    """The lines of a unit's formula; its proof has tests of its own."""
    subject = subject_of(name)
    found = Findings(subject.kind, name, (classes,), (), derive(subject, (classes,)))
    return found.text()


@pytest.mark.parametrize("name", ["softmax", "softmax_jacobian"])
def test_the_jacobian_of_the_softmax(name):
    assert written(name, 2) == SOFTMAX


@pytest.mark.parametrize("variant", ["jacobian", "vjp", "fused", "exact"])
def test_the_chain_collapses_to_the_difference(variant):
    """The founding question's: from each variant's own code, for ten classes."""
    assert written(f"cross_entropy_{variant}", 10) == CROSS_ENTROPY


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("tanh", "dx_i = dy_i ∂y_i/∂x_i = (1 − y_i²) dy_i"),
        ("tanh_exact", "dx_i = dy_i ∂y_i/∂x_i = (1 − y_i²) dy_i"),
        ("sigmoid", "∂y_i/∂x_i = y_i − y_i²"),
        ("log", "∂y_i/∂x_i = 1/x_i"),
        ("relu", "∂y_i/∂x_i = 0   (or 1, by the branch)"),
        ("identity", "dx_i = dy_i ∂y_i/∂x_i = dy_i"),
        ("log_softmax", "J = I − 1ᵀe^(y)"),
        ("mse", "dy_i = (2 y_i/C − 2 t_i/C) dℓ"),
        ("mse", "dy = [y_1 − t_1, y_2 − t_2]   (1 × 2)"),
        ("nll_probabilities", "dŷ_i = −T_i/ŷ_i dℓ"),
    ],
)
def test_a_formula(name, line):
    assert line in written(name, 2).splitlines()


def test_a_wrong_unit_has_no_formula():
    from test_proofs import Diagonal

    assert prove(Diagonal()).derivation is None


def test_a_layer_with_parameters_is_written_by_entries():
    """Two rows of two features, five outputs: dx through the weight, dW and db over the rows."""
    assert prove("affine", [2]).text().splitlines() == [
        "dx_11 = W_11 dy_11 + W_12 dy_12 + W_13 dy_13 + W_14 dy_14 + W_15 dy_15",
        "dW_11 = x_11 dy_11 + x_21 dy_21",
        "db_11 = dy_11 + dy_21",
    ]


def test_what_has_no_short_formula_is_left_out():
    from test_proofs import zoo

    (attention,) = (one for one in zoo() if one.name == "attention")
    assert derive(subject_of(attention.load())) is None


def test_latex_is_balanced_and_says_the_same():
    text = prove("cross_entropy_fused", [2]).latex()
    assert text.startswith(r"\begin{align}")
    assert r"\frac{\partial l_{i}}{\partial \hat{y}_{i}} &= \frac{1}{\hat{y}_{i}}" in text
    assert r"\left(\hat{y}_{i} - T_{i}\right)\,d\ell" in text
    assert text.count("{") == text.count("}")
    assert len(re.findall(r"\\left", text)) == len(re.findall(r"\\right", text))
    assert text.isascii()


class Balanced(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags = [], "", set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in ("meta", "mspace"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag != "mspace":
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_the_formulas_and_needs_nothing_else():
    findings = [prove("softmax", [2]), prove("cross_entropy_fused", [2])]
    assert findings[1].derivation.classes == (2, 3, 4)
    text = page(findings)
    read = Balanced(text)
    assert {"math", "mfrac", "msub", "mtable"} <= read.tags
    assert "(ŷi∑T−Ti)" in read.text.replace(" ", "")
    assert not re.search(r"https?:|@import|url\(|<script|<link", text)
    assert Balanced(fragment(findings[0])).tags >= {"div", "style", "math"}


def test_the_page_says_what_is_wrong_and_escapes_it():
    from test_proofs import Diagonal

    text = page([prove(Diagonal())])
    assert "diagonal only" in Balanced(text).text
    assert "✗ refuted" in Balanced(text).text


def test_every_style_writes_every_sign():
    findings = prove("log_softmax", [2])
    for style in (TEXT, LATEX, MATHML):
        for one in findings.equations(style):
            assert all(one.sides)
