"""What a unit's values are called: its docstring says so, or forward does."""

from dataclasses import dataclass

import pytest

from pullback import build
from pullback.notation import equations, notation_of, rewritten


@pytest.mark.parametrize(
    ("kind", "name", "output", "inputs", "forward", "gradient"),
    [
        ("layer", {"name": "affine", "width": 2}, "y", ("x", "W", "b"), "x W + b", "dy Wᵀ"),
        ("layer", "softmax", "ŷ", ("z",), "eᶻ / Σ eᶻ", "ŷ ∘ (dŷ − Σ dŷ ŷ)"),
        ("layer", "log", "y", ("x",), "log x", "(1/x) ∘ dy"),
        ("layer", "relu", "y", ("x",), "max(x, 0)", "dy where x > 0, else 0"),
        ("loss", "cross_entropy_vjp", "ℓ", ("z",), "−Σ T l", "ŷ ∘ (dŷ − Σ dŷ ŷ)"),
        ("loss", "cross_entropy_fused", "ℓ", ("z",), "log Σ eᶻ − Σ t z", "(ŷ − t) dℓ"),
        ("loss", "nll", "ℓ", ("l",), "−Σ T l", "−T dℓ"),
    ],
)
def test_a_docstring_says_it(kind, name, output, inputs, forward, gradient):
    found = notation_of(build(kind, name), len(inputs))
    assert (found.output, found.inputs, found.forward) == (output, inputs, forward)
    assert found.gradient(inputs[0]) == gradient


def test_other_symbols_are_put_in_their_places():
    found = notation_of(build("layer", {"name": "affine", "width": 2}), 3)
    named = found.in_terms_of({"y": "z1", "W": "W1", "b": "b1"})
    assert (named.output, named.forward) == ("z1", "x W1 + b1")
    assert dict(named.backward) == {
        "dx": "dz1 W1ᵀ",
        "dW1": "xᵀ dz1",
        "db1": "Σ dz1 over the rows",
    }
    assert rewritten("eᶻ / Σ eᶻ", {"z": "z2"}) == "e^z2 / Σ e^z2"
    assert rewritten("max(x, 0) + x_i", {"x": "a1"}) == "max(a1, 0) + a1_i"
    assert rewritten("tanh x", {"t": "u", "x": "z1"}) == "tanh z1"
    assert rewritten("x σ(βx) dy", {"x": "z1", "y": "a1"}) == "z1 σ(βz1) da1"
    assert rewritten("dγ γ2", {"γ": "g"}) == "dg γ2"


def test_without_a_docstring_forward_names_them():
    @dataclass(frozen=True)
    class Plain:
        def forward(self, u):
            return u, None

        def backward(self, residual, dy):
            return dy

    found = notation_of(Plain())
    assert (found.output, found.inputs, found.forward) == ("y", ("u",), "")
    assert found.gradient("u") == ""


def test_equations_end_where_a_remark_begins():
    text = "y = a b, with b in 0 … 1, and z = f(x, 1), for x > 0. More"
    assert equations(text) == {"y": "a b", "z": "f(x, 1)"}
    assert equations("y_i = 2 x_i; dz_most = 3") == {"y": "2 x_i", "dz": ""}
    assert equations("dz_most = 3") == {"dz": ""}
