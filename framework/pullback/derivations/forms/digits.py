"""A 64–100–10 network for the handwritten digits: ReLU, softmax and cross-entropy.

Forward is given, and the loss is one stage, ℓ = log Σ eᶻ − Σ t z. Fill in the way back: each
function returns the gradient of L with respect to the value in its name, and has the shape of that
value. It may take any value, and any gradient above it, by its name.

    pullback explain FILE               the first stage that is wrong, and what to look at
    pullback explain FILE --solution    with the answer

t holds one-hot rows, N is the number of rows.
"""

import numpy as np

FORM = "digits"


def given(rng, N=32, features=64, hidden=100, classes=10):
    """x: N × 64, t: N × 10, W1: 64 × 100, b1: 1 × 100, W2: 100 × 10, b2: 1 × 10."""
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
    """N × 100"""
    return x @ W1 + b1


def a1(z1):
    """N × 100"""
    return np.maximum(z1, 0)


def z2(a1, W2, b2):
    """N × 10"""
    return a1 @ W2 + b2


def losses(z2, t):
    """N numbers, ℓ of each row"""
    largest = z2.max(axis=1, keepdims=True)
    total = np.exp(z2 - largest).sum(axis=1)
    return np.log(total) + largest[:, 0] - (t * z2).sum(axis=1)


def L(losses, N):
    """one number, the mean"""
    return losses.sum() / N


# Back


def dlosses(losses, N):
    """N numbers"""
    return np.full_like(losses, 1 / N)


def dz2(z2, t, dlosses):
    """N × 10"""
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True) - t) * dlosses[:, None]


def dW2(a1, dz2):
    """100 × 10"""
    return a1.T @ dz2


def db2(dz2):
    """1 × 10"""
    return dz2.sum(axis=0, keepdims=True)


def da1(dz2, W2):
    """N × 100"""
    return dz2 @ W2.T


def dz1(z1, da1):
    """N × 100"""
    return np.where(z1 > 0, da1, 0)


def dW1(x, dz1):
    """64 × 100"""
    return x.T @ dz1


def db1(dz1):
    """1 × 100"""
    return dz1.sum(axis=0, keepdims=True)
