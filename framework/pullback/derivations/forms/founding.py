"""The founding question: a 2–500–2 network, tanh, softmax and log loss, as a staged computation.

Forward, (1) to (7), is given. Fill in the way back, (7) to (1): each function returns the gradient
of L with respect to the value in its name, and has the shape of that value. It may take any value,
and any gradient above it, by its name; leave out a stage that your way does not need.

    pullback explain FILE               the first stage that is wrong, and what to look at
    pullback explain FILE --solution    with the answer

t holds the one-hot rows ẏ, N is the number of rows. `yhat` may be written for ŷ.
"""

import numpy as np

FORM = "founding"


def given(rng, N=1, features=2, hidden=500, classes=2):
    """x: N × 2, t: N × 2, W1: 2 × 500, b1: 1 × 500, W2: 500 × 2, b2: 1 × 2."""
    return {
        "x": rng.normal(size=(N, features)),
        "t": np.eye(classes)[rng.integers(classes, size=N)],
        "W1": rng.normal(size=(features, hidden)) / np.sqrt(features),
        "b1": rng.normal(size=(1, hidden)),
        "W2": rng.normal(size=(hidden, classes)) / np.sqrt(hidden),
        "b2": rng.normal(size=(1, classes)),
    }


# Forward


def z1(x, W1, b1):
    """(1)  N × 500"""
    return x @ W1 + b1


def a1(z1):
    """(2)  N × 500"""
    return np.tanh(z1)


def z2(a1, W2, b2):
    """(3)  N × 2"""
    return a1 @ W2 + b2


def ŷ(z2):
    """(4)  N × 2, the softmax of each row"""
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def l(ŷ):
    """(5)  N × 2"""
    return np.log(ŷ)


def PL(l, t):
    """(6)  N numbers, one for each row"""
    return (l * t).sum(axis=1)


def L(PL, N):
    """(7)  one number"""
    return -PL.sum() / N


# Back


def dPL(PL, N):
    """(7)  of the shape of PL: N numbers"""
    return np.full_like(PL, -1 / N)


def dl(t, dPL):
    """(6)  N × 2"""
    return t * dPL[:, None]


def dŷ(ŷ, dl):
    """(5)  N × 2"""
    return dl / ŷ


def dz2(ŷ, dŷ):
    """(4)  N × 2"""
    return ŷ * (dŷ - (dŷ * ŷ).sum(axis=1, keepdims=True))


def dW2(a1, dz2):
    """(3)  500 × 2"""
    return a1.T @ dz2


def db2(dz2):
    """(3)  1 × 2"""
    return dz2.sum(axis=0, keepdims=True)


def da1(dz2, W2):
    """(3)  N × 500"""
    return dz2 @ W2.T


def dz1(a1, da1):
    """(2)  N × 500"""
    return (1 - a1 * a1) * da1


def dW1(x, dz1):
    """(1)  2 × 500"""
    return x.T @ dz1


def db1(dz1):
    """(1)  1 × 500"""
    return dz1.sum(axis=0, keepdims=True)
