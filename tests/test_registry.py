"""Names, and who provides them: distributions, files, modules, a notebook's cells."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

import pullback_basics
import pullback_numba
from pullback import registry
from pullback.errors import RegistryError
from pullback.registry import load_plugin, register
from pullback.units import KINDS
from pullback.verify.cases import instance

EVERY = [(kind, name) for kind in KINDS for name in registry.names(kind)]
HERE = Path(__file__).name


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """What a test registers, installs or imports ends with it, but for Numba: it loads once."""
    importlib.import_module("pullback_numba.cross_entropy")
    modules = set(sys.modules)
    monkeypatch.setattr(registry, "_registered", {})
    yield
    registry._announced.cache_clear()
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution of one module on the path, as an installer lays it out."""

    def lay_out(distribution, points, source, version="1.0"):
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        info = tmp_path / f"{module}-{version}.dist-info"
        info.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata, encoding="utf-8")
        (info / "entry_points.txt").write_text(textwrap.dedent(points), encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        registry._announced.cache_clear()

    return lay_out


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin file and give its path."""

    def write(source, name="mine.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return str(path)

    return write


SWISH = """
    from dataclasses import dataclass

    import numpy as np


    @dataclass(frozen=True)
    class Swish:
        def forward(self, x):
            return x / (1 + np.exp(-x)), x

        def backward(self, residual, dy):
            s = 1 / (1 + np.exp(-residual))
            return dy * (s + residual * s * (1 - s))
"""
SWISH_POINT = "[pullback.layers]\nswish = stranger:Swish\n"


# Names of distributions.


def test_there_are_units_of_every_kind():
    assert {kind for kind, _ in EVERY} == set(KINDS)
    for kind in KINDS:
        names = registry.names(kind)
        assert names == sorted(set(names))
        assert [entry.name for entry in registry.entries(kind)] == names


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_name_has_its_entry_and_its_class(kind, name):
    entry = registry.entry(kind, name)
    assert (entry.kind, entry.name) == (kind, name)
    assert entry.provider.startswith("pullback ")
    cls = registry.lookup(kind, name)
    assert registry.kind_of(cls) == kind


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("layer", "tahn", "nothing is called 'tahn' among the layers; did you mean 'tanh'?"),
        ("loss", "cross_entropy_fuse", "among the losses; did you mean 'cross_entropy_fused'?"),
        ("optimizer", "qqq", "among the optimizers; there are: adagrad, adagrad_numba, adam, "),
        ("layer", "mse", "nothing is called 'mse' among the layers; there are: affine, "),
    ],
)
def test_an_unknown_name_is_told_what_is_near(kind, name, message):
    with pytest.raises(RegistryError) as caught:
        registry.entry(kind, name)
    assert message in str(caught.value)


def test_a_distribution_of_somebody_else(install):
    install("stranger", SWISH_POINT, SWISH)
    assert "swish" in registry.names("layer")
    assert registry.entry("layer", "swish").provider == "stranger 1.0"
    assert registry.lookup("layer", "swish").__module__ == "stranger"


def test_a_name_that_two_provide_says_who(install):
    """Whichever is asked first must not win; the others stay in use."""
    install("stranger", "[pullback.layers]\ntanh = stranger:Swish\n", SWISH)
    with pytest.raises(RegistryError) as caught:
        registry.lookup("layer", "tanh")
    message = str(caught.value)
    assert message.startswith("the layer 'tanh' is provided by ")
    assert "stranger 1.0 (stranger:Swish)" in message
    assert "(pullback_basics.activations:Tanh)" in message
    assert message.endswith("; rename or remove one")
    assert [one.name for one in registry.entries("layer")].count("tanh") == 2
    assert registry.names("layer").count("tanh") == 1
    assert registry.lookup("layer", "relu")


def test_the_same_name_in_two_kinds_is_no_duplicate(install):
    install("stranger", "[pullback.layers]\nstep = stranger:Swish\n", SWISH)
    assert registry.lookup("layer", "step").__name__ == "Swish"
    assert registry.lookup("schedule", "step").__name__ == "Step"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        (
            "import nowhere_to_be_found",
            "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
        ),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: "),
        ("x = 1", "AttributeError: module 'stranger' has no attribute 'Swish'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_its_cause(install, source, cause):
    install("stranger", SWISH_POINT, source)
    assert "swish" in registry.names("layer")
    with pytest.raises(RegistryError) as caught:
        registry.lookup("layer", "swish")
    message = str(caught.value)
    beginning = "the layer 'swish' of stranger 1.0 cannot be imported (stranger:Swish): "
    assert message.startswith(beginning + cause)
    assert type(caught.value.__cause__).__name__ == cause.split(":")[0]
    assert registry.lookup("layer", "tanh")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def Swish(): pass", "it is not a dataclass"),
        ("class Swish:\n    forward = backward = print", "it is not a dataclass"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass Swish:\n    forward = print",
            "it has no backward",
        ),
        (
            "from dataclasses import dataclass\n@dataclass\nclass Swish:\n    forward: int = 0",
            "it has no forward and no backward",
        ),
    ],
)
def test_a_name_of_what_is_no_unit(install, source, problem):
    install("stranger", SWISH_POINT, source)
    with pytest.raises(RegistryError) as caught:
        registry.lookup("layer", "swish")
    assert str(caught.value) == f"'swish' of stranger 1.0 is no layer: {problem}"


# @register.


@dataclass(frozen=True)
class LeakyRelu:
    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        return dy


@dataclass(frozen=True)
class HingeLoss:
    def forward(self, y, target):
        return y[..., 0], y

    def backward(self, residual, dl):
        return residual


@dataclass(frozen=True)
class LossByT:
    def forward(self, z, t):
        return z, t

    def backward(self, residual, dl):
        return residual


@dataclass(frozen=True)
class WithParameters:
    def init(self, rng, shape):
        return {}

    def forward(self, x, W):
        return x, W

    def backward(self, residual, dy):
        return dy, dy


@dataclass(frozen=True)
class SignSGD:
    lr: float = 0.1

    def init(self, theta):
        return {}

    def step(self, theta, g, state, lr):
        return theta, state


@dataclass(frozen=True)
class Sawtooth:
    def factor(self, step, steps):
        return 1.0


@dataclass(frozen=True)
class Ones:
    def draw(self, rng, shape):
        return None


@dataclass(frozen=True)
class XOR:
    def load(self, rng):
        return None


@pytest.mark.parametrize(
    ("cls", "kind", "name"),
    [
        (LeakyRelu, "layer", "leaky_relu"),
        (WithParameters, "layer", "with_parameters"),
        (HingeLoss, "loss", "hinge_loss"),
        (LossByT, "loss", "loss_by_t"),
        (SignSGD, "optimizer", "sign_sgd"),
        (Sawtooth, "schedule", "sawtooth"),
        (Ones, "initializer", "ones"),
        (XOR, "dataset", "xor"),
    ],
)
def test_register_tells_the_kind_and_the_name(cls, kind, name):
    assert register(cls) is cls
    assert registry.lookup(kind, name) is cls
    assert name in registry.names(kind)
    assert registry.entry(kind, name).provider == HERE


def test_register_takes_a_kind_and_a_name():
    assert register(kind="loss", name="other")(LeakyRelu) is LeakyRelu
    assert registry.lookup("loss", "other") is LeakyRelu
    assert "other" not in registry.names("layer")


def test_defining_a_class_again_replaces_it():
    """As running a notebook's cell again does."""

    def cell():
        @register
        @dataclass(frozen=True)
        class Cell(LeakyRelu):
            pass

        return Cell

    first, second = cell(), cell()
    assert first is not second
    assert registry.lookup("layer", "cell") is second


def test_another_class_of_a_name_that_is_taken_is_refused():
    register(LeakyRelu)
    with pytest.raises(RegistryError) as caught:
        register(name="leaky_relu")(WithParameters)
    assert str(caught.value) == (
        f"the layer 'leaky_relu' of {HERE} is already provided by {HERE} "
        f"({__name__}:LeakyRelu); give it another name"
    )
    assert registry.lookup("layer", "leaky_relu") is LeakyRelu
    with pytest.raises(RegistryError, match=r"already provided by pullback .*activations:Tanh"):
        register(name="tanh")(LeakyRelu)


@pytest.mark.parametrize("word", ["layer", "swish"])
def test_a_word_in_the_place_of_the_class_is_told_how_to_stand(word):
    keyword = "kind" if word == "layer" else "name"
    with pytest.raises(RegistryError, match=rf"above a class: @register\({keyword}='{word}'\)"):
        register(word)


def test_what_is_no_unit_is_not_registered():
    class Plain:
        forward = backward = print

    with pytest.raises(RegistryError, match=r"Plain is not a unit: it needs @dataclass"):
        register(Plain)
    with pytest.raises(RegistryError, match=r"Split is not a unit: .* forward and backward"):
        register(dataclass(frozen=True)(type("Split", (), {})))
    with pytest.raises(
        RegistryError, match="LeakyRelu is no optimizer: it has no init and no step"
    ):
        register(kind="optimizer")(LeakyRelu)


def test_registering_what_is_announced_is_no_duplicate(install):
    """A distribution may decorate the class that it also announces."""
    source = textwrap.dedent(SWISH).replace("@dataclass", "@register\n@dataclass")
    install("stranger", SWISH_POINT, "from pullback import register\n" + source)
    first = registry.lookup("layer", "swish")
    assert registry.lookup("layer", "swish") is first


# load_plugin.


def test_a_file_gives_its_units(plugin):
    """Its own public ones: not what it imports, not what begins with _, no other dataclass."""
    path = plugin(
        SWISH
        + """
    from pullback_basics.activations import Tanh

    @dataclass(frozen=True)
    class SquareLoss:
        def forward(self, y, target):
            return y[..., 0], y

        def backward(self, residual, dl):
            return residual

    @dataclass(frozen=True)
    class _Hidden(Swish):
        pass

    @dataclass(frozen=True)
    class Notes:
        text: str = ""
"""
    )
    found = load_plugin(path)
    assert [(one.kind, one.name, one.provider) for one in found] == [
        ("layer", "swish", path),
        ("loss", "square_loss", path),
    ]
    assert registry.lookup("layer", "swish") is found[0].load()
    assert "notes" not in registry.names("layer")


def test_a_file_twice_is_one_file(plugin, monkeypatch, tmp_path):
    """Also by another spelling of its path."""
    path = plugin(SWISH)
    first = load_plugin(path)
    monkeypatch.chdir(tmp_path)
    assert load_plugin("mine.py") == first
    assert registry.lookup("layer", "swish") is first[0].source


def test_two_files_of_the_same_name_are_two(plugin, tmp_path):
    (tmp_path / "other").mkdir()
    load_plugin(plugin(SWISH))
    load_plugin(plugin(SWISH.replace("Swish", "Mish"), "other/mine.py"))
    assert {"swish", "mish"} <= set(registry.names("layer"))


def test_two_files_cannot_give_one_name(plugin):
    load_plugin(plugin(SWISH))
    with pytest.raises(
        RegistryError, match=r"'swish' of .*other\.py is already provided by .*mine"
    ):
        load_plugin(plugin(SWISH, "other.py"))


def test_a_file_cannot_take_a_name_of_a_distribution(plugin):
    with pytest.raises(
        RegistryError, match=r"the layer 'tanh' of .*mine\.py is already provided by"
    ):
        load_plugin(plugin(SWISH.replace("Swish", "Tanh")))


def test_a_decorated_unit_keeps_the_name_that_it_was_given(plugin):
    source = textwrap.dedent(SWISH).replace("@dataclass", '@register(name="mine")\n@dataclass')
    found = load_plugin(plugin("from pullback import register\n" + source))
    assert [(one.kind, one.name) for one in found] == [("layer", "mine")]
    assert "swish" not in registry.names("layer")


def test_a_module_gives_its_units(plugin, tmp_path, monkeypatch):
    plugin(SWISH, "module_of_units.py")
    monkeypatch.syspath_prepend(tmp_path)
    found = load_plugin("module_of_units")
    assert [(one.name, one.provider) for one in found] == [("swish", "module_of_units")]
    assert load_plugin("module_of_units") == found


def test_a_module_that_is_announced_anyway_is_no_duplicate():
    load_plugin("pullback_basics.activations")
    assert registry.lookup("layer", "tanh").__name__ == "Tanh"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1\ny = (\n", r"SyntaxError: .* \(line 2 of .*mine\.py\)"),
        (
            "x = 1\n\nnowhere.y\n",
            r"NameError: name 'nowhere' is not defined \(line 3 of .*mine\.py\)",
        ),
        ("def f():\n    return 1 / 0\n\nf()\n", r"ZeroDivisionError: .* \(line 2 of .*mine\.py\)"),
        ("import json\njson.loads('')\n", r"JSONDecodeError: .* \(line 2 of .*mine\.py\)"),
    ],
)
def test_a_file_that_cannot_be_imported_says_where(plugin, source, problem):
    """And leaves nothing: mended, it loads."""
    path = plugin(source)
    with pytest.raises(
        RegistryError, match=r"the plugin 'mine\.py' cannot be imported: " + problem
    ):
        load_plugin(path)
    assert load_plugin(plugin(SWISH))[0].name == "swish"


@pytest.mark.parametrize("source", ["x = 1\n", "from pullback_basics.activations import Tanh\n"])
def test_a_file_without_units(plugin, source):
    with pytest.raises(
        RegistryError, match=r"the plugin '.*mine\.py' defines no unit: a unit is a"
    ):
        load_plugin(plugin(source))


def test_a_missing_file_and_a_missing_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryError) as caught:
        load_plugin("nowhere.py")
    assert str(caught.value) == f"the plugin 'nowhere.py' is not a file (looked in {tmp_path})"
    with pytest.raises(
        RegistryError, match="the plugin 'nowhere' cannot be imported: ModuleNotFound"
    ):
        load_plugin("nowhere")


# Laziness.


def loaded_after(program):
    """The modules in use after a program, in a process of its own."""
    text = f"import sys\n{program}\nprint([name for name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout))


def test_a_name_is_imported_when_it_is_asked_for():
    """Listing imports no plugin, and a lookup that plugin alone."""
    listed = loaded_after(
        "from pullback import registry; [registry.names(k) for k in registry.KINDS]"
    )
    assert "pullback.registry" in listed
    assert not {name for name in listed if name.startswith("pullback_basics")}
    asked = loaded_after("from pullback import registry; registry.lookup('layer', 'log')")
    assert "pullback_basics.logarithm" in asked
    assert not {"pullback_basics.softmax", "pullback_basics.affine", "sklearn"} & asked


def test_the_package_itself_costs_nothing():
    loaded = loaded_after("import pullback")
    assert not {"numpy", "hydra", "omegaconf", "mlflow", "pandas", "sklearn"} & loaded


def test_the_registry_and_the_options_need_no_hydra():
    loaded = loaded_after("import pullback.registry, pullback.options, pullback.net")
    assert not {"hydra", "mlflow", "pandas", "sklearn", "matplotlib"} & loaded


# What a unit says of itself.


def test_family():
    """The attribute, else the name: the registered one, else the class's in snake case."""

    class Named(LeakyRelu):
        family = "relu"

    assert registry.family(LeakyRelu) == "leaky_relu"
    assert registry.family(LeakyRelu, "my_relu") == "my_relu"
    assert registry.family(LeakyRelu()) == "leaky_relu"
    assert registry.family(Named, "my_relu") == "relu"
    assert registry.family(Named()) == "relu"
    assert registry.family(registry.lookup("loss", "cross_entropy_exact")) == "cross_entropy"


def test_equation():
    class Documented(LeakyRelu):
        """y = x;
        dx = dy.

        Keeps nothing.
        """

    assert registry.equation(Documented) == "y = x; dx = dy."
    assert registry.equation(LeakyRelu) == ""  # dataclass writes a docstring of its own
    assert registry.equation(type("Bare", (), {})) == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SoftmaxJacobian", "softmax_jacobian"),
        ("CrossEntropyVJP", "cross_entropy_vjp"),
        ("NLLProbabilities", "nll_probabilities"),
        ("MSE", "mse"),
        ("Tanh", "tanh"),
        ("Conv2D", "conv2_d"),
    ],
)
def test_snake_case(name, expected):
    assert registry.snake_case(name) == expected


def test_kind_of():
    assert registry.kind_of(LeakyRelu) == "layer"
    assert registry.kind_of(HingeLoss) == "loss"
    assert registry.kind_of(type("Plain", (), {"forward": print, "backward": print})) is None
    assert registry.kind_of(LeakyRelu()) is None


def modules_of_ours():
    return [
        importlib.import_module(f"{package.__name__}.{one.name}")
        for package in (pullback_basics, pullback_numba)
        for one in pkgutil.iter_modules(package.__path__)
    ]


def test_every_shipped_unit_is_announced():
    announced = {registry.lookup(kind, name) for kind, name in EVERY}
    written = {
        cls
        for module in modules_of_ours()
        for cls in vars(module).values()
        if registry.kind_of(cls) and cls.__module__ == module.__name__
    }
    units = [instance(cls) for cls in announced if hasattr(cls, "stages")]
    stages = {type(one) for unit in units for one in unit.stages.values()}
    assert announced <= written
    assert written - announced <= stages  # what a loss is made of need not have a name of its own


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_shipped_unit_has_its_formula(kind, name):
    """The first line says what it computes; a layer's or loss's, in full, what its law is."""
    cls = registry.lookup(kind, name)
    first = registry.equation(cls)
    assert first.endswith(".")
    if kind not in ("layer", "loss"):
        return
    text = inspect.getdoc(cls)
    assert text == inspect.cleandoc(cls.__doc__), "a docstring of its own"
    forward, *backward = first.split(";")
    assert " = " in forward
    assert backward, "the second equation: the way back"
    assert " = " in backward[-1]
    assert backward[-1].strip().startswith("d")
    assert "(..." in text or "any shape" in text, "shapes"
    assert "Keeps " in text
    assert "Source: " in text or name == "identity"
    assert "Loses " in text or "No digit is lost" in text
