"""Derivations as people write them: wrong ones, each a misconception, and right ones.

Each is a form with some of its stages written otherwise: signature → expression. A stage that is
None is left out.
"""

from __future__ import annotations

import ast

from pullback.derivations.source import FORMS

FORGOTTEN = "a use of the value forgotten"

# (form, what is written, the stage that is wrong, the name of the mistake)
WRONG = [
    # the founding question's own five
    ("founding", {"dŷ(ŷ, dl)": "1 / ŷ"}, "dŷ", "upstream gradient dropped"),
    ("founding", {"dz2(ŷ, dŷ)": "-ŷ * (ŷ.sum(axis=1, keepdims=True) - ŷ) * dŷ"}, "dz2", ""),
    (
        "founding",
        {"dz2(ŷ, dŷ)": "ŷ[:, :, None] * (np.eye(ŷ.shape[1]) - ŷ[:, None, :])"},
        "dz2",
        "the Jacobian itself",
    ),
    ("founding", {"dz2(ŷ, t)": "ŷ - t"}, "dz2", "mean missing"),
    ("founding", {"dl(t, PL)": "t * 1.0"}, "dl", "upstream gradient dropped"),
    # signs and means
    ("founding", {"dPL(PL, N)": "np.full_like(PL, 1 / N)"}, "dPL", "sign"),
    ("founding", {"dPL(PL, N)": "-np.ones_like(PL)"}, "dPL", "mean missing"),
    ("founding", {"dPL(N)": "-1 / N"}, "dPL", ""),
    ("founding", {"dl(t, dPL)": "-t * dPL[:, None]"}, "dl", "sign"),
    ("founding", {"dz2(ŷ, t, N)": "(t - ŷ) / N"}, "dz2", "sign"),
    ("founding", {"dW2(a1, dz2, N)": "a1.T @ dz2 / N"}, "dW2", "mean of the rows in a weight"),
    ("founding", {"db1(dz1, N)": "dz1.sum(axis=0, keepdims=True) / N"}, "db1", "mean taken twice"),
    # the logarithm and the softmax
    ("founding", {"dŷ(ŷ, dl)": "dl"}, "dŷ", "factor of the logarithm missing"),
    ("founding", {"dŷ(l, dl)": "dl / l"}, "dŷ", "wrong residual"),
    ("founding", {"dŷ(ŷ, dl)": "ŷ * dl"}, "dŷ", ""),
    ("founding", {"dz2(ŷ, dŷ)": "ŷ * (1 - ŷ) * dŷ"}, "dz2", "diagonal only"),
    ("founding", {"dz2(ŷ, dŷ)": "ŷ - dŷ"}, "dz2", "already ŷ − y"),
    (
        "founding",
        {"dz2(ŷ, dŷ)": "ŷ * (dŷ - (dŷ * ŷ).sum(axis=0, keepdims=True))"},
        "dz2",
        "sum over the rows",
    ),
    ("founding", {"dz2(ŷ, dŷ)": "dŷ"}, "dz2", "Jacobian skipped"),
    (
        "founding",
        {"dz2(ŷ, dŷ)": "ŷ * (1 - ŷ.sum(axis=1, keepdims=True) * ŷ) * 1.0"},
        "dz2",
        "",
    ),
    # the affine stages
    ("founding", {"dW2(a1, dz2)": "dz2.T @ a1"}, "dW2", "transposed gradient"),
    ("founding", {"db2(dz2)": "dz2"}, "db2", "not summed over the rows"),
    ("founding", {"db2(dz2)": "dz2.sum(axis=0)"}, "db2", "axes of length 1 squeezed"),
    ("founding", {"db2(dz2)": "dz2[:1]"}, "db2", "first row only"),
    ("founding", {"db1(dz1)": "dz1.mean(axis=0, keepdims=True)"}, "db1", "mean taken twice"),
    ("founding", {"da1(dz2, W2)": "dz2 @ W2.reshape(W2.T.shape)"}, "da1", "transposed weight"),
    ("founding", {"dW1(x, dz1)": "2 * x.T @ dz1"}, "dW1", "factor 2 too many"),
    # tanh
    ("founding", {"dz1(z1, da1)": "(1 - z1 * z1) * da1"}, "dz1", "wrong residual"),
    (
        "founding",
        {"dz1(a1, da1)": "(1 - np.tanh(a1) ** 2) * da1"},
        "dz1",
        "derivative taken at the output",
    ),
    ("founding", {"dz1(a1)": "1 - a1 * a1"}, "dz1", "upstream gradient dropped"),
    ("founding", {"dz1(da1)": "da1"}, "dz1", "Jacobian skipped"),
    ("founding", {"dz1(a1, da1)": "(1 - a1) * da1"}, "dz1", ""),
    # the digits' network
    ("digits", {"dlosses(losses, N)": "np.ones_like(losses)"}, "dlosses", "mean missing"),
    (
        "digits",
        {"dz2(z2, t, dlosses)": "(z2 - t) * dlosses[:, None]"},
        "dz2",
        "",
    ),
    (
        "digits",
        {"dz2(z2, t, N)": "(t - np.exp(z2) / np.exp(z2).sum(axis=1, keepdims=True)) / N"},
        "dz2",
        "sign",
    ),
    ("digits", {"dz1(z1, da1)": "np.maximum(z1, 0) * da1"}, "dz1", ""),
    ("digits", {"dz1(z1, da1)": "np.where(z1 > 0, 1.0, 0.0)"}, "dz1", "upstream gradient dropped"),
    ("digits", {"dz1(z1, da1)": "np.where(da1 > 0, da1, 0)"}, "dz1", ""),
    ("digits", {"dW1(x, dz1)": "dz1.T @ x"}, "dW1", "transposed gradient"),
    ("digits", {"db2(dz2)": "dz2.sum(axis=1, keepdims=True)"}, "db2", ""),
    # batch normalisation
    ("batchnorm", {"dgamma(xhat, dy)": "dy * xhat"}, "dgamma", "not summed over the rows"),
    ("batchnorm", {"dbeta(dy)": "dy.mean(axis=0, keepdims=True)"}, "dbeta", "mean taken twice"),
    ("batchnorm", {"dcentred(std, dxhat)": "dxhat / std"}, "dcentred", FORGOTTEN),
    ("batchnorm", {"dx(dcentred)": "dcentred"}, "dx", FORGOTTEN),
    ("batchnorm", {"dvar(std, dstd)": "dstd / std"}, "dvar", "factor 2 too many"),
    (
        "batchnorm",
        {"dstd(centred, std, dxhat)": "(dxhat * centred).sum(axis=0, keepdims=True) / std**2"},
        "dstd",
        "sign",
    ),
    ("batchnorm", {"dmean(dcentred)": "-dcentred"}, "dmean", "not summed over the rows"),
    (
        "batchnorm",
        {"dmean(dcentred, N)": "-dcentred.sum(axis=0, keepdims=True) / N"},
        "dmean",
        "mean of the rows in a weight",
    ),
    ("batchnorm", {"dxhat(dy)": "dy"}, "dxhat", ""),
    ("batchnorm", {"dy(y, t)": "y - t"}, "dy", "mean missing"),
]

RIGHT = {
    "fused": ("founding", {"dl(dPL)": None, "dŷ(ŷ)": None, "dz2(ŷ, t, N)": "(ŷ - t) / N"}),
    "by the Jacobian": (
        "founding",
        {
            "dz2(ŷ, dŷ)": "np.stack([g @ (np.diag(np.ones(len(y))) * y - np.outer(y, y)) "
            "for y, g in zip(ŷ, dŷ)])"
        },
    ),
    "by einsum": (
        "founding",
        {
            "dW2(a1, dz2)": "np.einsum('ni,nj->ij', a1, dz2)",
            "da1(dz2, W2)": "np.einsum('nj,ij->ni', dz2, W2)",
        },
    ),
    "by loops": (
        "founding",
        {
            "dW1(x, dz1)": "np.array([[sum(x[n, i] * dz1[n, j] for n in range(len(x))) "
            "for j in range(dz1.shape[1])] for i in range(x.shape[1])])"
        },
    ),
    "sech²": ("founding", {"dz1(z1, da1)": "da1 / np.cosh(z1) ** 2"}),
    "tanh again": ("founding", {"dz1(z1, da1)": "(1 - np.tanh(z1) ** 2) * da1"}),
    "from the logits": (
        "founding",
        {
            "dz2(z2, t, N)": "(np.exp(z2) / np.exp(z2).sum(axis=1, keepdims=True) - t) / N",
        },
    ),
    "from the logarithm": ("founding", {"dz2(l, dl)": "dl - np.exp(l) * dl.sum(axis=1)[:, None]"}),
    "bias by ones": ("founding", {"db1(dz1)": "np.ones((1, len(dz1))) @ dz1"}),
    "one stage for all": (
        "founding",
        {
            "dPL(PL)": None, "dl(t)": None, "dŷ(ŷ)": None,
            "dz2(ŷ, t)": "(ŷ * t.sum(axis=1, keepdims=True) - t) / len(t)",
            "da1(dz2)": None, "dz1(dz2, W2, a1)": "(dz2 @ W2.T) * (1 - a1) * (1 + a1)",
        },
    ),
    "ASCII": ("founding", {"dyhat(yhat, dl)": "dl / yhat"}),
    "a mask": ("digits", {"dz1(a1, da1)": "da1 * (a1 > 0)"}),
    "a mask of the product": ("digits", {"dz1(z1, dz2, W2)": "(dz2 @ W2.T) * np.heaviside(z1, 0)"}),
    "log-sum-exp": (
        "digits",
        {"dz2(z2, t, N)": "(np.exp(z2 - np.logaddexp.reduce(z2, axis=1, keepdims=True)) - t) / N"},
    ),
    "batch normalisation at once": (
        "batchnorm",
        {
            "dstd(dxhat)": None, "dvar(std)": None, "dcentred(std)": None, "dmean(std)": None,
            "dx(xhat, std, dxhat, N)": "(dxhat - dxhat.sum(axis=0, keepdims=True) / N "
            "- xhat * (dxhat * xhat).sum(axis=0, keepdims=True) / N) / std",
        },
    ),
}  # fmt: skip


def written(form: str, stages: dict[str, str | None]) -> str:
    """The solution of a form with some stages written otherwise, or left out."""
    text = (FORMS / f"{form}.py").read_text(encoding="utf-8")
    lines = text.splitlines()
    others = {name.split("(")[0].replace("dyhat", "dŷ"): name for name in stages}
    for node in reversed(ast.parse(text).body):
        if isinstance(node, ast.FunctionDef) and node.name in others:
            signature = others.pop(node.name)
            body = stages[signature]
            new = [] if body is None else [f"def {signature}:", f"    return {body}"]
            lines[node.lineno - 1 : node.end_lineno] = new
    assert not others, f"{form} has no stage {others}"
    return "\n".join(lines) + "\n"
