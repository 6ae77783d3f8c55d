"""Batch normalisation by stages: y = γ x̂ + β with x̂ = (x − μ) / √(σ² + ε), and a squared loss.

Forward is given. Fill in the way back: each function returns the gradient of L with respect to the
value in its name, and has the shape of that value. It may take any value, and any gradient above
it, by its name. A value that is used twice has a gradient from each use.

    pullback explain FILE               the first stage that is wrong, and what to look at
    pullback explain FILE --solution    with the answer

N is the number of rows; ε is 0.01 here.
"""

import numpy as np

FORM = "batchnorm"


def given(rng, N=8, features=5):
    """x: N × 5, t: N × 5, gamma: 1 × 5, beta: 1 × 5."""
    return {
        "x": rng.normal(size=(N, features)),
        "t": rng.normal(size=(N, features)),
        "gamma": rng.normal(size=(1, features)),
        "beta": rng.normal(size=(1, features)),
    }


# Forward


def mean(x, N):
    """1 × 5"""
    return x.sum(axis=0, keepdims=True) / N


def centred(x, mean):
    """N × 5"""
    return x - mean


def var(centred, N):
    """1 × 5"""
    return (centred * centred).sum(axis=0, keepdims=True) / N


def std(var):
    """1 × 5"""
    return np.sqrt(var + 0.01)


def xhat(centred, std):
    """N × 5"""
    return centred / std


def y(xhat, gamma, beta):
    """N × 5"""
    return gamma * xhat + beta


def L(y, t, N):
    """one number"""
    return ((y - t) * (y - t)).sum() / (2 * N)


# Back


def dy(y, t, N):
    """N × 5"""
    return (y - t) / N


def dgamma(xhat, dy):
    """1 × 5"""
    return (dy * xhat).sum(axis=0, keepdims=True)


def dbeta(dy):
    """1 × 5"""
    return dy.sum(axis=0, keepdims=True)


def dxhat(gamma, dy):
    """N × 5"""
    return gamma * dy


def dstd(centred, std, dxhat):
    """1 × 5"""
    return -(dxhat * centred).sum(axis=0, keepdims=True) / (std * std)


def dvar(std, dstd):
    """1 × 5"""
    return dstd / (2 * std)


def dcentred(centred, std, dxhat, dvar, N):
    """N × 5, from both of its uses"""
    return dxhat / std + 2 * centred * dvar / N


def dmean(dcentred):
    """1 × 5"""
    return -dcentred.sum(axis=0, keepdims=True)


def dx(dcentred, dmean, N):
    """N × 5, from both of its uses"""
    return dcentred + dmean / N
