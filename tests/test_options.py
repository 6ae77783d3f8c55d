"""A unit's fields are its options: what they are, what is checked, how a unit is built of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException, ValidationError

from pullback import registry
from pullback.errors import ConfigError, RegistryError
from pullback.options import Option, build, options_of, plain, schema
from pullback.units import KINDS, Initializer, Layer, Optimizer
from pullback_basics.activations import Tanh
from pullback_basics.affine import Affine
from pullback_basics.initializers import Given, Glorot, He, Zeros

EVERY = [(kind, name) for kind in KINDS for name in registry.names(kind)]


class Unit:
    """The methods of a layer, for the classes below, which are about their fields."""

    def forward(self, x):
        return x, None

    def backward(self, residual, dy):
        return dy


@dataclass(frozen=True)
class Every(Unit):
    required: int
    number: float = 0.5
    flag: bool = False
    text: str = "a"
    mode: Literal["low", "high"] = "low"
    pair: tuple[int, int] = (1, 2)
    many: tuple[float, ...] = ()
    names: tuple[str, ...] = ("p", "q")
    maybe: int | None = None
    either: int | str = 1
    anything: Any = None
    where: Path = Path("data")
    inner: Layer = Tanh()  # noqa: RUF009 - a unit is frozen
    start: Initializer = Glorot()  # noqa: RUF009
    fresh: list[int] = field(default_factory=lambda: [1, 2])
    hidden: int = field(default=3, init=False)

    def __post_init__(self):
        if self.required < 0:
            raise ValueError(f"required must not be negative, and it is {self.required}")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    registry.register(Every)


def made(**options):
    return build("layer", {"name": "every", "required": 1, **options}, "net.z")


def refused(kind="layer", spec=None, where="net.z", **words):
    with pytest.raises(ConfigError) as caught:
        build(kind, spec, where, **words)
    return str(caught.value)


# What the options are.


def test_options_of():
    """In the order of the fields; without those that are not given to the class."""
    options = {option.name: option for option in options_of(Every)}
    assert list(options) == [
        *("required", "number", "flag", "text", "mode", "pair", "many", "names"),
        *("maybe", "either", "anything", "where", "inner", "start", "fresh"),
    ]
    assert options["required"].required
    assert [name for name, option in options.items() if option.required] == ["required"]
    assert options["number"] == Option("number", float, 0.5, None)
    assert options["mode"].type == Literal["low", "high"]
    assert options["fresh"].default == [1, 2]
    kinds = {name: option.kind for name, option in options.items() if option.kind}
    assert kinds == {"inner": "layer", "start": "initializer"}


def test_the_type_of_an_option_may_be_a_name_that_only_a_type_checker_imports():
    """affine imports Initializer under TYPE_CHECKING."""
    kinds = {option.name: option.kind for option in options_of(Affine)}
    assert kinds == {"width": None, "W": "initializer", "b": "initializer"}


def test_a_type_that_cannot_be_read_is_told():
    @dataclass(frozen=True)
    class Unreadable(Unit):
        size: Nowhere = 1  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(RegistryError, match=r"an option of Unreadable cannot be read: .*'Nowhere'"):
        options_of(Unreadable)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_schema_is_one_that_omegaconf_takes(kind, name):
    """It has the unit's name and defaults; those, given back, build the unit with its defaults."""
    cls = registry.lookup(kind, name)
    typed = OmegaConf.structured(schema(cls, name))
    options = options_of(cls)
    assert list(typed) == ["name", *(option.name for option in options)]
    assert typed.name == name
    for option in options:
        assert OmegaConf.is_missing(typed, option.name) == option.required
    if not any(option.required for option in options) and name != "given":
        built = build(kind, OmegaConf.to_container(typed))
        assert type(built) is cls
        assert built == cls()


def test_a_schema_checks_the_types():
    typed = OmegaConf.structured(schema(Every, "every"))
    for key, value in [
        ("required", "x"),
        ("required", 1.5),
        ("number", "x"),
        ("flag", "x"),
        ("many", [1, "x"]),
        ("pair", ["x", 1]),
        ("maybe", "x"),
        ("either", [1]),
        ("nothing_like_it", 1),
    ]:
        with pytest.raises(OmegaConfBaseException):
            typed[key] = value
    typed.maybe = None
    typed.either = "x"
    typed.anything = {"a": [1]}
    typed.inner = "relu"
    typed.inner = {"name": "affine", "width": 3}
    with pytest.raises(ValidationError):
        typed.number = None


def test_a_schema_without_a_name():
    assert "name" not in OmegaConf.structured(schema(Every))


def test_the_defaults_of_two_schemas_are_not_shared():
    first = OmegaConf.structured(schema(Every, "every"))
    first.fresh.append(3)
    first.start.gain = 7.0
    second = OmegaConf.structured(schema(Every, "every"))
    assert second.fresh == [1, 2]
    assert second.start.gain == 1.0


def test_plain_is_what_a_config_writes():
    assert plain(Affine(3, W=He())) == {
        "name": "affine",
        "width": 3,
        "W": {"name": "he", "distribution": "normal"},
        "b": {"name": "zeros"},
    }
    assert plain((1, (2, "x"), [None, True])) == [1, [2, "x"], [None, True]]
    assert plain(Path("a") / "b") == str(Path("a") / "b")
    assert plain(0.5) == 0.5


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_plain_names_a_unit_as_it_is_registered(kind, name):
    cls = registry.lookup(kind, name)
    values = {int: 5, float: 0.5, str: "x.csv", tuple[int, ...]: (1, 2)}
    required = {option.name: values[option.type] for option in options_of(cls) if option.required}
    if name == "given":
        required = {"values": [1.0]}
    assert plain(cls(**required))["name"] == name


@pytest.mark.parametrize("unit", [Affine(3, W=He("uniform"), b=Zeros()), Every(2, many=(1.0, 2.0))])
def test_plain_and_build_are_inverse(unit):
    written = plain(unit)
    written.pop("hidden", None)  # not an option
    if "where" in written:
        written.pop("where")
    assert build("layer", written) == unit


# Building.


def test_a_unit_by_its_name_its_mapping_and_itself():
    assert build("layer", "tanh") == Tanh()
    assert build("layer", {"name": "tanh"}) == Tanh()
    assert build("layer", {"name": "affine", "width": 4}) == Affine(4)
    assert build("layer", OmegaConf.create({"name": "affine", "width": 4})) == Affine(4)
    unit = Affine(2)
    assert build("layer", unit) is unit


def test_the_spec_is_left_as_it_was():
    spec = {"name": "affine", "width": "classes", "W": {"name": "he"}}
    copy = {**spec, "W": dict(spec["W"])}
    build("layer", spec, classes=3)
    assert spec == copy


def test_options_are_given_and_the_others_keep_their_defaults():
    unit = made(number=2, flag=True, many=[1, 2], pair=[3, 4], mode="high", maybe=5)
    assert unit == Every(
        1, number=2.0, flag=True, many=(1.0, 2.0), pair=(3, 4), mode="high", maybe=5
    )
    assert isinstance(unit.number, float)
    assert isinstance(unit.many, tuple)
    assert [type(one) for one in unit.many] == [float, float]
    assert unit.fresh == [1, 2]


def test_text_is_read_as_a_command_line_gives_it():
    unit = made(number="1e-3", flag="true", maybe="7")
    assert (unit.number, unit.flag, unit.maybe) == (1e-3, True, 7)


def test_null_is_a_value_where_the_type_has_none():
    assert made(maybe=None).maybe is None
    assert refused(spec={"name": "every", "required": 1, "number": None}).startswith(
        "net.z.number: "
    )


def test_a_required_option():
    assert refused(spec="affine") == "net.z: affine needs a value for 'width'"
    assert refused(spec={"name": "affine"}) == "net.z: affine needs a value for 'width'"
    missing = {"name": "affine", "width": "???"}
    assert refused(spec=missing) == "net.z: affine needs a value for 'width'"
    assert refused(spec="affine", where="") == "affine needs a value for 'width'"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"required": "x"},
            "net.z.required: Value 'x' of type 'str' could not be converted to Int",
        ),
        (
            {"required": 1.5},
            "net.z.required: Value '1.5' of type 'float' could not be converted to",
        ),
        ({"required": True}, "net.z.required: Value 'True' of type 'bool' could not be converted"),
        ({"required": [1]}, "net.z.required: "),
        ({"number": "x"}, "net.z.number: Value 'x' of type 'str' could not be converted to Float"),
        ({"flag": "perhaps"}, "net.z.flag: Value 'perhaps' is not a valid bool"),
        ({"many": [1, "x"]}, "net.z.many: Value 'x' of type 'str' could not be converted to Float"),
        ({"many": 1.0}, "net.z.many: "),
        ({"names": "pq"}, "net.z.names: "),
        ({"maybe": "x"}, "net.z.maybe: "),
    ],
)
def test_a_value_of_another_type_is_refused_under_its_key(options, message):
    """One line, and without a key where the spec has none."""
    spec = {"name": "every", "required": 1, **options}
    found = refused(spec=spec)
    assert found.startswith(message)
    assert "\n" not in found
    assert refused(spec=spec, where="").startswith(message.removeprefix("net.z."))


def test_literals_and_fixed_tuples():
    base = {"name": "every", "required": 1}
    found = refused(spec={**base, "mode": "middle"})
    assert found == "net.z.mode: 'middle' is not one of 'low', 'high'"
    for pair in ([1], [1, 2, 3], []):
        found = refused(spec={**base, "pair": pair})
        assert found == f"net.z.pair: needs 2 values, not {len(pair)}"
    assert refused(spec={**base, "pair": ["x", 1]}).startswith("net.z.pair: ")
    assert made(pair=(5, 6)).pair == (5, 6)
    assert made(many=[]).many == ()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"name": "affine", "widht": 3},
            "net.z: affine has no option 'widht'; did you mean 'width'?",
        ),
        ({"name": "tanh", "slope": 3}, "net.z: tanh has no option 'slope'; it has none"),
        (
            {"name": "affine", "qqq": 3, "width": 2},
            "net.z: affine has no option 'qqq'; there are: W, b, width",
        ),
        (
            {"name": "affine", "_target_": "os.system", "width": 2},
            "net.z: affine has no option '_target_'",
        ),
        ({"name": "every", "required": 1, "hidden": 3}, "net.z: every has no option 'hidden'"),
        ("tahn", "net.z: nothing is called 'tahn' among the layers; did you mean 'tanh'?"),
        (
            {"name": "tahn"},
            "net.z: nothing is called 'tahn' among the layers; did you mean 'tanh'?",
        ),
        ({"width": 3}, "net.z: a layer needs its 'name', as in {name: "),
        ({"name": 3}, "net.z: a layer needs its 'name', as in {name: "),
        ({"_target_": "os.system"}, "net.z: a layer needs its 'name', as in {name: "),
        ({}, "net.z: a layer needs its 'name', as in {name: "),
        (3, "net.z: 3 is no layer: give its name, or its name and options"),
        (None, "net.z: None is no layer: give its name, or its name and options"),
        (["tanh"], "net.z: ['tanh'] is no layer: give its name, or its name and options"),
        (Tanh, "net.z: <class 'pullback_basics.activations.Tanh'> is no layer: give its name"),
        (Zeros(), "net.z: Zeros() is no layer: give its name, or its name and options"),
    ],
)
def test_what_cannot_be_a_unit_is_told(spec, message):
    assert refused(spec=spec).startswith(message)


def test_a_value_error_of_the_unit_has_the_key():
    assert refused(spec={"name": "affine", "width": 0}) == "net.z: width must be at least 1, not 0"
    found = refused(spec={"name": "every", "required": -1})
    assert found == "net.z: required must not be negative, and it is -1"
    with pytest.raises(ConfigError) as caught:
        build("layer", {"name": "affine", "width": 0}, "net.z")
    assert caught.value.where == "net.z"
    assert caught.value.message == "width must be at least 1, not 0"
    assert isinstance(caught.value.__cause__, ValueError)


# Units in options, and words.


def test_a_unit_in_an_option_by_name_by_mapping_and_itself():
    assert build("layer", {"name": "affine", "width": 3, "W": "he"}) == Affine(3, W=He())
    uniform = {"name": "he", "distribution": "uniform"}
    assert build("layer", {"name": "affine", "width": 3, "W": uniform}) == Affine(
        3, W=He("uniform")
    )
    given = Given(values=[[1.0, 2.0]])
    assert build("layer", {"name": "affine", "width": 2, "W": given}).W is given
    values = [[1.0, 2.0], [3.0, 4.0]]
    unit = build("layer", {"name": "affine", "width": 2, "W": {"name": "given", "values": values}})
    assert isinstance(unit.W, Given)
    assert unit.W.values == values
    config = OmegaConf.create({"name": "affine", "width": 2, "W": {"name": "he"}})
    assert build("layer", config) == Affine(2, W=He())


def test_units_within_units():
    inner = {"name": "every", "required": 2, "inner": {"name": "affine", "width": 3, "W": "he"}}
    assert made(inner=inner).inner.inner == Affine(3, W=He())


@pytest.mark.parametrize(
    ("W", "message"),
    [
        ("hee", "net.z.W: nothing is called 'hee' among the initializers; did you mean 'he'?"),
        ("tanh", "net.z.W: nothing is called 'tanh' among the initializers; there are: "),
        (
            {"name": "he", "distribution": "cauchy"},
            "net.z.W.distribution: 'cauchy' is not one of 'uniform', 'normal'",
        ),
        ({"name": "glorot", "gain": "x"}, "net.z.W.gain: Value 'x' of type 'str' could not be"),
        (
            {"name": "glorot", "gian": 2},
            "net.z.W: glorot has no option 'gian'; did you mean 'gain'?",
        ),
        ({"name": "glorot", "gain": -1}, "net.z.W: gain must be >= 0, not -1.0"),
        ({"name": "given"}, "net.z.W: given needs either values or a file, and not both"),
        (3, "net.z.W: 3 is no initializer: give its name, or its name and options"),
        (None, "net.z.W: None is no initializer: give its name, or its name and options"),
        (Tanh(), "net.z.W: Tanh() is no initializer: give its name, or its name and options"),
    ],
)
def test_a_unit_in_an_option_that_is_refused_has_its_own_key(W, message):
    assert refused(spec={"name": "affine", "width": 3, "W": W}).startswith(message)


def test_a_word_stands_for_a_number():
    assert build("layer", {"name": "affine", "width": "classes"}, classes=7) == Affine(7)
    found = refused(spec={"name": "affine", "width": "classes"})
    assert found.startswith("net.z.width: Value 'classes' of type 'str' could not be converted")
    found = refused(spec={"name": "affine", "width": "clases"}, classes=7)
    assert found.startswith("net.z.width: Value 'clases' of type 'str' could not be converted")
    assert made(text="classes").text == "classes"


def test_a_plugin_that_cannot_be_imported_has_the_key(monkeypatch):
    def broken(kind, name):
        raise RegistryError(f"the {kind} '{name}' cannot be imported")

    monkeypatch.setattr(registry, "lookup", broken)
    assert refused(spec="tanh") == "net.z: the layer 'tanh' cannot be imported"


def test_every_kind_is_one_of_option():
    """A field of each protocol's type takes a unit of that kind."""

    @dataclass(frozen=True)
    class Holder(Unit):
        layer: Layer
        initializer: Initializer
        optimizer: Optimizer

    kinds = [option.kind for option in options_of(Holder)]
    assert kinds == ["layer", "initializer", "optimizer"]
