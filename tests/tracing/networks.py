"""Networks that the tests of a trace share."""

import numpy as np

from pullback import Net, build, trace

STAGES = {
    "z1": {"name": "affine", "width": 500},
    "a1": "tanh",
    "z2": {"name": "affine", "width": "classes"},
}


def rows(number, classes=2):
    rng = np.random.default_rng(3)
    return rng.normal(size=(number, 2)), rng.integers(classes, size=number)


def founding(number=1, loss="cross_entropy_vjp", classes=2, stages=STAGES):
    """The founding question's network at some rows."""
    net = Net(stages, 2, classes=classes, dtype="float64", seed=5)
    return trace(net, build("loss", loss), *rows(number, classes))
