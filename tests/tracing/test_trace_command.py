"""``pullback trace`` as a person calls it."""

import sqlite3

import pytest

SWISH = '''
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Swish:
    """y = x σ(x);  dx = (σ + x σ (1 − σ)) dy."""

    def forward(self, x):
        s = 1 / (1 + np.exp(-x))
        return x * s, (x, s)

    def backward(self, residual, dy):
        x, s = residual
        return (s + x * s * (1 - s)) * dy
'''


def test_the_founding_network_is_what_is_traced(pullback):
    done = pullback("trace", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert " (4)  ŷ = softmax z2   1×2   keeps 16 B" in lines
    assert " (5)  dŷ = (1/ŷ) ∘ dl   1×2" in lines
    assert max(map(len, lines)) <= 80


def test_any_net_any_data_a_plugin_a_page_and_a_stage(pullback, tmp_path):
    (tmp_path / "swish.py").write_text(SWISH, encoding="utf-8")
    words = ("experiment=digits", "plugins=[swish.py]", "net.a1=swish", "--rows", "3")
    done = pullback("trace", *words, "--steps", "2", "--html", "t.html")
    assert done.returncode == 0, done.stderr
    assert "a1 = z1 σ(z1)   3×100" in done.stdout
    assert "wrote t.html" in done.stdout
    assert "<svg" in (tmp_path / "t.html").read_text(encoding="utf-8")
    assert {one.name for one in tmp_path.iterdir()} == {"swish.py", "t.html"}
    opened = pullback("trace", *words, "--stage", "z2")
    assert "J = ∂ŷ/∂z2   10×10" in opened.stdout or "ℓ = " in opened.stdout


def test_it_is_tracked(pullback, tmp_path):
    done = pullback("trace", "net.z1.width=3", "--track")
    assert done.returncode == 0, done.stderr
    assert "open it:  pullback ui" in done.stdout
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        ((kind,),) = database.execute("select value from tags where key = 'pullback.kind'")
        ((name, value),) = database.execute("select key, value from metrics")
    assert (kind, name) == ("trace", "L")
    assert 0 < value < 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("loss=cross_entropi",), "cross_entropi"),
        (("seed=1,2",), "seed: a trace has one value of each"),
        (("--rows", "0"), "--rows: there are no 0 rows"),
        (("--stage", "z9"), "--stage: no stage takes 'z9'"),
        (("--html", "no/x.html"), "cannot write no/x.html"),
        (("net.z1.width=-1",), "net.z1"),
    ],
)
def test_a_mistake_is_told_without_a_traceback(pullback, words, told):
    done = pullback("trace", *words)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
