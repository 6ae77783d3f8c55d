"""What a step asks for once its buffers are there: few bytes, and no page of the system."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from pullback import Net, build

AFFINE = {"name": "affine", "width": "classes"}

# A step of 1000 × 1000 logits has some 20 MB of temporary arrays.
WIDE = """
import resource, sys
import numpy as np
from pullback import Net, build, heap
from pullback.data import Data, Part
from pullback.recipe import Recipe
from pullback.training import train

if sys.argv[1] == "not kept":
    heap.keep = lambda: None
rng = np.random.default_rng(0)
x, t = rng.standard_normal((1000, 5)).astype("float32"), rng.integers(1000, size=1000)
nothing = Part(x[:0], t[:0])
data = Data(Part(x, t), nothing, nothing, np.zeros(5), np.ones(5), 1000)
net = Net({"z": {"name": "affine", "width": 1000}}, 5)
faults = []
def observe(step, metrics):
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
train(net, data, loss="cross_entropy_fused", optimizer="sgd",
      recipe=Recipe(steps=12, evaluate_every=100), observe=observe)
print(faults[11] - faults[4])
"""


def step_of(net, loss, optimizer, rows):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, *net.inputs)).astype(net.dtype)
    target = rng.integers(net.outputs[0], size=rows)
    loss, optimizer = build("loss", loss), build("optimizer", optimizer)
    state = optimizer.init(net.theta)

    def step():
        net.value_and_gradient(x, target, loss)
        optimizer.step(net.theta, net.gradient, state, optimizer.lr, out=(net.theta, state))

    return step


def bytes_of(step):
    """The most bytes that a step holds beside what is there before it."""
    for _ in range(3):
        step()
    tracemalloc.start()
    try:
        step()
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("loss", ["cross_entropy_fused", "cross_entropy_exact"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_step_of_the_founding_network_allocates_little_beside_its_activations(loss, optimizer):
    stages = {"z1": AFFINE | {"width": 500}, "a1": "tanh", "z2": AFFINE}
    net = Net(stages, 2, classes=2)
    activations = sum(one.nbytes for one in net.buffers(200).y)
    assert bytes_of(step_of(net, loss, optimizer, 200)) < activations / 15


@pytest.mark.parametrize(
    ("activation", "share"), [("tanh", 0.05), ("relu", 0.35), ("tanh_exact", 1.05)]
)
def test_an_activation_needs_no_more_than_one_array_of_its_size(activation, share):
    net = Net({"a": activation, "z": AFFINE}, 2000, classes=2)
    size = net.buffers(50).y[0].nbytes
    assert bytes_of(step_of(net, "cross_entropy_fused", "sgd", 50)) < share * size


@pytest.mark.parametrize("classes", [3, 300])
def test_a_compiled_cross_entropy_over_its_logits_needs_a_number_for_each_row(classes):
    """ℓ itself; a kilobyte is Python's own."""
    loss = build("loss", "cross_entropy_fused_numba")
    z, labels = np.ones((2000, classes), np.float32), np.arange(2000) % classes
    dl = np.full(2000, 1 / 2000, np.float32)
    over_logits = bytes_of(lambda: loss.value_and_gradient(z, labels, dl, out=z))
    assert over_logits < 4 * 2000 + 1500
    assert bytes_of(lambda: loss.value_and_gradient(z, labels, dl)) > z.nbytes


def test_bytes_are_counted():
    assert bytes_of(lambda: np.ones(1_000_000).sum()) >= 8_000_000
    kept = np.ones(1_000_000)
    assert bytes_of(lambda: np.add(kept, 1, out=kept).sum()) < 10_000


def faults(word):
    call = subprocess.run(
        [sys.executable, "-c", WIDE, word], capture_output=True, text=True, check=True
    )
    return int(call.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that is asked to keep memory")
def test_a_steady_step_asks_no_page_of_the_system():
    assert faults("kept") < 100
    assert faults("not kept") > 10_000  # so the test can see it
