"""The command line: help, list, completion, and every mistake told in one message."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from pullback import cli, registry
from pullback.units import KINDS

SWISH = '''
from dataclasses import dataclass
import numpy as np

@dataclass(frozen=True)
class Swish:
    """y = x σ(βx);  dx = dy (σ + βy (1 − σ)).   Keeps y and σ."""

    beta: float = 1.0

    def forward(self, x):
        s = 1 / (1 + np.exp(-self.beta * x))
        return x * s, (x * s, s)

    def backward(self, residual, dy):
        y, s = residual
        return dy * (s + self.beta * y * (1 - s))
'''


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run the command line in this process, in an empty directory: (exit status, out, err).

    What a call leaves behind in the process is put back afterwards.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(*words):
        try:
            status = cli.main(words)
        except SystemExit as stopped:  # argparse and Hydra's own flags
            status = stopped.code or 0
        assert not GlobalHydra.instance().is_initialized()
        return status, *capsys.readouterr()

    return run


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def distribution(root, name, entry_points):
    """What pip leaves of an installed package, as far as entry points go."""
    facts = root / f"{name}-1.5.dist-info"
    write(facts / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    write(facts / "entry_points.txt", entry_points)
    return str(root)


# Help, version, start-up


@pytest.mark.parametrize("words", [["--help"], []])
def test_help_names_every_command_and_shows_examples(call, words):
    status, out, err = call(*words)
    assert (status, err) == (0, "")
    for command, told in cli.COMMANDS.items():
        assert re.search(rf"^ +{command} .*{re.escape(told.split()[0])}", out, re.M)
    assert "pullback train -m loss=" in out


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])
def test_each_command_has_its_help(call, command):
    status, out, _ = call(command, "--help")
    assert status == 0
    assert f"usage: pullback {command}" in out


def test_version_is_that_of_the_package(call):
    from importlib.metadata import version

    assert call("--version") == (0, f"pullback {version('pullback')}\n", "")


def test_train_help_lists_groups_and_settings_and_no_module_of_ours(call):
    status, out, _ = call("train", "--help")
    assert status == 0
    groups = dict(re.findall(r"^(\w+): (.+)$", out.split("== Settings")[0], re.M))
    assert {"loss", "optimizer", "schedule", "dataset", "net", "tracking"} <= set(groups)
    assert "adam" in groups["optimizer"].split(", ")
    assert "compare" not in groups
    assert "checkpoint_every: 100" in out


PROBE = """
import sys
from pullback.cli import main
try:
    main({words!r})
except SystemExit:
    pass
print("heavy:", *sorted({heavy!r} & set(sys.modules)), file=sys.stderr)
"""
HEAVY = {"mlflow", "pandas", "sklearn", "matplotlib", "hydra", "numba", "scipy", "omegaconf"}


def heavy_modules(*words):
    script = PROBE.format(words=list(words), heavy=HEAVY)
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return found.stderr.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_what_only_tells_imports_nothing_heavy(words):
    assert heavy_modules(*words) == []


@pytest.mark.parametrize("words", [["list"], ["list", "loss", "--json"]])
def test_a_list_imports_what_its_units_are_made_with(words):
    assert set(heavy_modules(*words)) <= {"numba", "scipy"}


def test_the_probe_sees_what_is_imported():
    assert "hydra" in heavy_modules("train", "--cfg", "job")


# list


def test_list_shows_every_kind_with_equation_provider_and_options(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    status, out, err = call("list")
    assert (status, err) == (0, "")
    titles = [line.strip() for line in out.splitlines() if line.strip() in KINDS]
    assert titles == list(KINDS)
    for kind in KINDS:
        for name in registry.names(kind):
            assert re.search(rf"\b{name}\b", out)
    assert "y = tanh x; dx = (1 − y²) dy." in out
    assert re.search(r"width=required\s+W=scaled_normal", out)
    assert re.search(r"tanh_exact\s.*\btanh\b", out)  # its family
    assert out.count(registry.entry("layer", "tanh").provider) >= len(registry.names("layer"))


def test_list_json_is_what_the_registry_has(call):
    status, out, _ = call("list", "loss", "--json")
    units = json.loads(out)
    assert status == 0
    assert sorted(unit["name"] for unit in units) == registry.names("loss")
    assert {unit["kind"] for unit in units} == {"loss"}
    by_name = {unit["name"]: unit for unit in units}
    fused = by_name["cross_entropy_fused"]
    assert fused["family"] == by_name["cross_entropy_vjp"]["family"] == "cross_entropy"
    assert fused["equation"].startswith("ℓ = log Σ eᶻ")
    assert fused["options"]["ignore_index"] == -100
    assert fused["provider"].startswith("pullback ")


def test_list_shows_the_units_of_a_file(call, tmp_path):
    write(tmp_path / "swish.py", SWISH)
    status, out, _ = call("list", "layer", "--plugins", "swish.py", "--json")
    (swish,) = [unit for unit in json.loads(out) if unit["name"] == "swish"]
    assert status == 0
    assert swish["options"] == {"beta": 1.0}
    assert swish["equation"].startswith("y = x σ(βx)")
    assert "swish.py" in swish["provider"]
    assert "swish" not in call("list", "loss")[1]


def test_a_package_that_cannot_be_imported_spoils_its_own_line_only(pullback, tmp_path):
    announced = "[pullback.layers]\nshattered = no_such_package.layers:Shattered\n"
    path = distribution(tmp_path / "site", "shards", announced)
    done = pullback("list", "layer", "--json", PYTHONPATH=path)
    units = {unit["name"]: unit for unit in json.loads(done.stdout)}
    assert done.returncode == 0
    assert units["shattered"]["provider"] == "shards 1.5"
    assert "No module named 'no_such_package'" in units["shattered"]["problem"]
    assert "equation" in units["tanh"]
    assert "problem" not in units["tanh"]

    shown = pullback("list", PYTHONPATH=path)
    assert shown.returncode == 0
    assert "shattered" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr

    used = pullback("train", "net.a1=shattered", PYTHONPATH=path)
    assert used.returncode == 2
    assert "net.a1: the layer 'shattered' of shards 1.5 cannot be imported" in used.stderr


def test_a_name_that_two_packages_provide_is_told_with_both(pullback, tmp_path):
    announced = "[pullback.layers]\ntanh = twice:Tanh\n"
    path = distribution(tmp_path / "site", "twice", announced)
    done = pullback("train", "tracking=none", PYTHONPATH=path)
    assert done.returncode == 2
    assert "net.a1: the layer 'tanh' is provided by" in done.stderr
    assert "twice 1.5 (twice:Tanh)" in done.stderr
    assert "pullback_basics.activations:Tanh" in done.stderr


# Mistakes: the words, the key that the message begins with, what it says

MISTAKES = [
    ("loss=cross_entropy_exat", "loss", "did you mean 'cross_entropy_exact'?"),
    ("optimizer=adm", "optimizer", "did you mean 'adam'?"),
    ("schedule=cosin", "schedule", "did you mean 'cosine'?"),
    ("dataset=moon", "dataset", "did you mean 'moons'?"),
    ("tracking=mlfow", "tracking", "did you mean 'mlflow'?"),
    ("net=foundin", "net", "did you mean 'founding'?"),
    ("experiment=digit", "experiment", "did you mean 'digits'?"),
    ("hydra/launcher=bsic", "hydra/launcher", "did you mean 'basic'?"),
    ("loss=zzz", "loss", "there are: cross_entropy_exact, "),
    ("reference=cross_entropy_fusd", "reference", "did you mean 'cross_entropy_fused'?"),
    ("net.a1=tahn", "net.a1", "did you mean 'tanh'?"),
    ("net.z1.name=afine", "net.z1", "did you mean 'affine'?"),
    ("+net.a2=relo", "net.a2", "did you mean 'relu'?"),
    ("+net.z1.W=hee", "net.z1.W", "did you mean 'he'?"),
    ("traning.steps=3", "traning", "did you mean 'training'?"),
    ("training.step=3", "training.step", "did you mean 'steps'?"),
    ("optimizer.l=0.1", "optimizer.l", "did you mean 'lr'?"),
    ("dataset.nois=3", "dataset.nois", "did you mean 'noise'?"),
    ("loss.weigt=2", "loss.weigt", "did you mean 'weight'?"),
    ("net.z1.widht=3", "net.z1.widht", "did you mean 'width'?"),
    ("+net.z1.widht=3", "net.z1", "no option 'widht'; did you mean 'width'?"),
    ("training.steps=many", "training.steps", "'many'"),
    ("training.steps=0", "training", "steps must be at least 1, not 0"),
    ("training.l2=-1", "training", "l2 must not be negative"),
    ("training.reduction=median", "training", "reduction must be mean or sum, not 'median'"),
    ("training.select=bst", "training", "select must be last or best, not 'bst'"),
    ("optimizer.lr=fast", "optimizer.lr", "'fast'"),
    ("optimizer.lr=-1", "optimizer", "lr must be >= 0, not -1.0"),
    ("seed=often", "seed", "'often'"),
    ("seed=-1", "seed", "must not be negative, and it is -1"),
    ("plugins=${seed}", "plugins", "takes a list of files"),
    ("-m optimizer.lr=interval(0,1)", "", "does not support sweep type"),
    ("hydra.mode=${nope}", "hydra.mode", "Interpolation key 'nope' not found"),
    ("schedule=[1,[2,{}]]", "schedule=[1,[2,{}]]", "Hydra cannot compose this (TypeError"),
    ("dtype=float16", "dtype", "must be float32 or float64, not float16"),
    ("dtype=flot32", "dtype", "must be float32 or float64, not flot32"),
    ("threads=0", "threads", "must be auto or a number from 1 on"),
    ("split.test=0.9 split.validation=0.9", "dataset", "nothing is left for training"),
    ("dataset.noise=-1", "dataset", "noise must be >= 0"),
    ("dataset=file", "dataset", "file needs a value for 'path'"),
    ("dataset=file dataset.path=no.csv dataset.target=t", "dataset", "no.csv"),
    ("schedule=step", "schedule", "step needs a value for 'step_size'"),
    ("net.z1.width=0", "net.z1", "width must be at least 1, not 0"),
    ("net.z1.width=wide", "net.z1.width", "'wide'"),
    ("net.z2.width=3", "net.z2", "the data set has 2 classes; width: classes fits any"),
    ("net=[]", "net", "at least one stage"),
    ("loss.weight=[1,2,3]", "loss", "weight has 3 numbers for 2 classes"),
    ("loss.weight=[-1,2]", "loss", "weight must not be negative"),
    ("loss=mse,cross_entropy_exact", "loss", "add -m"),
    ("seed", "command line", "cannot be read as key=value"),
    ("net.z1={name:affine,width:3", "command line", "cannot be read as key=value"),
    ("plugins=[nope.py]", "", "nope.py' is not a file"),
    ("plugins=[broken.py]", "", "SyntaxError"),
    ("plugins=[raises.py]", "", "ZeroDivisionError: division by zero (line 3 of "),
    ("plugins=[empty.py]", "", "defines no unit"),
    ("plugins=[twice.py]", "", "already provided by pullback"),
    ("plugins=[no_such_module]", "", "No module named 'no_such_module'"),
    ("plugins=swish.py", "plugins", "takes a list of files, as in plugins=[swish.py]"),
    ("plugins=[swish.py", "command line", "cannot be read as key=value"),
    ("--config-dir nowhere", "--config-dir", "there is no folder nowhere"),
    ("--config-path nowhere", "--config-path", "--config-dir"),
    ("--experimental-rerun job.pickle", "--experimental-rerun", "not taken"),
    (
        "--config-dir mine experiment=typo",
        "optimizer.lrr",
        "did you mean 'lr'? (in experiment/typo",
    ),
    ("--config-dir mine experiment=kind", "training.steps", "(in experiment/kind.yaml)"),
    ("--config-dir mine experiment=torn", "", "torn.yaml, line 3: this is not YAML"),
    ("--config-dir mine experiment=unit", "optimizer", "did you mean 'sgd'?"),
    ("--cfg job loss=cross_entropy_exat", "loss", "did you mean 'cross_entropy_exact'?"),
    ("--help training.step=3", "training.step", "did you mean 'steps'?"),
]


@pytest.fixture
def clumsy(tmp_path):
    """Files with mistakes in them."""
    write(tmp_path / "broken.py", "import numpy as np\n\nclass A(:\n    pass\n")
    write(tmp_path / "raises.py", "import math\n\n1 / 0\n")
    write(tmp_path / "empty.py", "x = 1\n")
    write(tmp_path / "twice.py", SWISH.replace("Swish", "Tanh"))
    experiment = "# @package _global_\n"
    mine = tmp_path / "mine" / "experiment"
    write(mine / "typo.yaml", f"{experiment}optimizer: {{lrr: 0.1}}\n")
    write(mine / "kind.yaml", f"{experiment}training: {{steps: many}}\n")
    write(mine / "torn.yaml", f"{experiment}training: {{steps: 5\n")
    write(mine / "unit.yaml", f"{experiment}defaults:\n  - override /optimizer: sdg\n")


@pytest.mark.usefixtures("clumsy")
@pytest.mark.parametrize(("words", "key", "told"), MISTAKES, ids=[words for words, *_ in MISTAKES])
def test_a_mistake_is_one_message_with_its_key(call, tmp_path, words, key, told):
    before = sorted(tmp_path.rglob("*"))
    status, out, err = call("train", *words.split())
    assert (status, out) == (2, "")
    assert err.startswith(f"pullback: {key}: " if key else "pullback: ")
    assert err.count("\n") == 1
    assert told in err
    assert [p for p in sorted(tmp_path.rglob("*")) if "__pycache__" not in p.parts] == before


def test_the_same_words_without_the_mistake_are_taken(call):
    words = "net.z1.width=3 training.steps=3 loss.weight=[1,2] seed=1 dtype=float64"
    status, out, err = call("train", "--cfg", "job", *words.split())
    assert (status, err) == (0, "")
    config = OmegaConf.create(out)
    assert (config.net.z1.width, config.training.steps, config.seed) == (3, 3, 1)
    assert (config.dtype, config.loss.weight) == ("float64", [1, 2])
    assert config.net.a1 == "tanh"
    assert config.optimizer.name == "adam"
    assert "hydra" not in config


@pytest.mark.usefixtures("clumsy")
def test_a_syntax_error_in_a_plugin_names_its_line(call, tmp_path):
    _, _, err = call("train", "plugins=[broken.py]")
    assert f"(line 3 of {tmp_path / 'broken.py'})" in err


def test_every_mistake_of_one_config_is_told_at_once(call):
    words = ["net.a1=tahn", "optimizer.lr=-1", "loss.weight=[-1,2]", "threads=0", "training.l2=-1"]
    status, _, err = call("train", *words)
    assert status == 2
    keys = [line.split(": ")[0] for line in err.removeprefix("pullback: ").splitlines()]
    assert sorted(keys) == ["loss", "net.a1", "optimizer", "threads", "training"]


def test_mistakes_in_a_sweep_count_the_jobs(call, tmp_path):
    losses = "loss=cross_entropy_exact,cross_entropy_exat"
    status, out, err = call("train", "-m", losses, "seed=0,1,2", "net.z1.width=5,0")
    assert (status, out) == (2, "")
    first, second = sorted(err.removeprefix("pullback: ").splitlines())
    assert first.startswith("loss: ")
    assert "(6 of 12 jobs, first #6: loss=cross_entropy_exat seed=0 net.z1.width=5)" in first
    assert second.startswith("net.z1: width must be at least 1, not 0")
    assert "(3 of 12 jobs, first #1: loss=cross_entropy_exact seed=0 net.z1.width=0)" in second
    assert not list(tmp_path.iterdir())

    _, _, err = call("train", "-m", "seed=0,1", "dtype=half")
    assert err.endswith("not half  (all 2 jobs)\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "lss"], "list: there is no kind 'lss'; did you mean 'loss'?"),
        (["list", "--plugins", "nope.py"], "nope.py' is not a file"),
        (["resume", "nowhere"], "nowhere is not the directory of a run"),
    ],
)
def test_mistakes_with_the_other_commands(call, words, told):
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_command_that_is_not_there(call):
    status, _, err = call("trian")
    assert status == 2
    assert "invalid choice: 'trian'" in err
    assert "train" in err.split("invalid choice: 'trian'")[1]


@pytest.mark.parametrize("words", [["--debug", "list", "lss"], ["train", "net.a1=tahn", "--debug"]])
def test_debug_shows_the_traceback(pullback, words):
    done = pullback(*words)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "did you mean" in done.stderr.splitlines()[-1]


def test_hydra_full_error_shows_the_traceback(pullback):
    told = pullback("train", "net.a1=tahn", HYDRA_FULL_ERROR="1")
    assert "Traceback" in told.stderr
    quiet = pullback("train", "net.a1=tahn", HYDRA_FULL_ERROR="0")
    assert quiet.returncode == 2
    (line,) = quiet.stderr.splitlines()
    assert told.stderr.splitlines()[-1].endswith(line.removeprefix("pullback: "))


# A config calls nothing. Each of these would leave a file called ``called`` behind.

PAYLOAD = """
from pathlib import Path

Path("called").touch()
stream = None

def call(*args, **options):
    return None
"""
COMMAND = "command: touch called"
CALLS = {
    "a unit": f"loss: {{_target_: os.system, {COMMAND}}}",
    "a stage": f"net: {{z1: {{_target_: os.system, {COMMAND}}}}}",
    "a partial": "net: {z1: {name: affine, width: 3, _partial_: true}}",
    "a callback": f"hydra: {{callbacks: {{x: {{_target_: os.system, {COMMAND}}}}}}}",
}
LOGGED = {
    "a class": f"handlers: {{x: {{class: os.system, {COMMAND}}}}}",
    "a class through logging": f"handlers: {{x: {{class: logging.os.system, {COMMAND}}}}}",
    "a config of its own": "handlers: {x: {class: logging.config.fileConfig, fname: x.ini}}",
    "a factory": f"handlers: {{x: {{'()': os.system, {COMMAND}}}}}",
    "a queue": "handlers: {x: {class: logging.handlers.QueueHandler, queue: payload.call}}",
    "a stream": "handlers: {x: {class: logging.StreamHandler, stream: 'ext://payload.stream'}}",
    "a formatter": "formatters: {x: {class: payload.call}}",
    "a filter": "filters: {x: {'()': payload.call}}",
}
LOGS = ("job_logging", "hydra_logging")
CALLS |= {
    f"{what} in {log}": f"hydra: {{{log}: {{{text}}}}}"
    for what, text in LOGGED.items()
    for log in LOGS
}
QUICK = ("tracking=none", "tracking.pictures=false", "training.steps=2", "net.z1.width=3")


@pytest.fixture
def payload(tmp_path, monkeypatch):
    write(tmp_path / "payload.py", PAYLOAD)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "called"
    sys.modules.pop("payload", None)


@pytest.mark.parametrize("what", CALLS)
def test_a_file_of_configs_calls_nothing(call, tmp_path, payload, what):
    write(tmp_path / "mine" / "experiment" / "bad.yaml", f"# @package _global_\n{CALLS[what]}\n")
    status, out, err = call("train", "--config-dir", "mine", "experiment=bad", *QUICK)
    assert not payload.exists()
    assert (status, out) == (2, "")
    assert re.match(r"pullback: (hydra|loss|net)\.\S+: ", err)
    assert "refused" in err or "there is no '_target_' in loss" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("multirun", [[], ["-m"]])
@pytest.mark.parametrize("part", ["launcher", "sweeper"])
@pytest.mark.parametrize("where", ["itself", "an argument"])
def test_a_launcher_or_sweeper_of_ones_own_calls_nothing(
    call, tmp_path, payload, part, multirun, where
):
    text = "_target_: payload.call\n"
    if where == "an argument":
        target = f"hydra._internal.core_plugins.basic_{part}.Basic{part.title()}"
        reached = "hydra._internal.core_plugins.bash_completion.os.system"
        text = f"_target_: {target}\nx: {{_target_: {reached}, {COMMAND}}}\n"
    write(tmp_path / "mine" / "hydra" / part / "bad.yaml", text)
    words = [*multirun, "--config-dir", "mine", f"hydra/{part}=bad", *QUICK]
    status, out, err = call("train", *words)
    assert not payload.exists()
    assert (status, out) == (2, "")
    key = f"hydra.{part}." + ("x." if where == "an argument" else "")
    assert err.startswith(f"pullback: {key}_target_: '_target_' is refused")


def test_what_is_refused_would_have_been_called(call, payload):
    import payload as module

    assert module.call() is None
    assert payload.exists()


@pytest.mark.parametrize("flag", [["--help"], ["--cfg", "job"], ["--cfg", "hydra"], ["--info"]])
def test_what_only_shows_a_config_calls_nothing_either(call, tmp_path, payload, flag):
    bad = "# @package _global_\n" + CALLS["a queue in hydra_logging"] + "\n"
    write(tmp_path / "mine" / "experiment" / "bad.yaml", bad)
    status, out, err = call("train", "--config-dir", "mine", "experiment=bad", *flag)
    assert not payload.exists()
    assert (status, out) == (2, "")
    assert "refused" in err


def test_an_experiment_that_is_swept_over_calls_nothing(call, tmp_path, payload):
    experiments = tmp_path / "mine" / "experiment"
    write(experiments / "good.yaml", "# @package _global_\nseed: 1\n")
    bad = "# @package _global_\n" + CALLS["a queue in job_logging"] + "\n"
    write(experiments / "bad.yaml", bad)
    status, _, err = call("train", "-m", "--config-dir", "mine", "experiment=good,bad", *QUICK)
    assert not payload.exists()
    assert status == 2
    assert "(1 of 2 jobs, first #1: experiment=bad " in err


@pytest.mark.parametrize(
    "words",
    [
        "+loss._target_=os.system +loss.command='touch called'",
        "+net.a1={_target_:os.system,command:'touch called'}",
        "net.z1._target_=os.system",
        "hydra.launcher._target_=os.system",
        "+hydra.callbacks.x._target_=os.system",
        "+hydra.callbacks={x:{_target_:os.system,command:'touch called'}}",
        "+hydra.job_logging.handlers.x={class:os.system,command:'touch called'}",
        "+hydra.job_logging.handlers.x.class=payload.call",
    ],
)
def test_the_command_line_calls_nothing(call, payload, words):
    first, _, rest = words.partition(" +")
    status, out, err = call("train", first, *([f"+{rest}"] if rest else []), *QUICK)
    assert not payload.exists()
    assert (status, out) == (2, "")
    assert "calls nothing" in err or "refused" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("hydra.output_subdir=../outside", "is not in the run's directory"),
        ("hydra.job.name=../../outside", "is not in the run's directory"),
        ("hydra.sweep.subdir=/outside", "is not in the run's directory"),
        ("hydra.job_logging.handlers.file.filename=outside", "is not in the run's directory"),
        (
            "hydra.job_logging.handlers.file.filename='${hydra.runtime.output_dir}/../outside'",
            "is not in the run's directory",
        ),
        ("+hydra.hydra_logging.handlers.file.filename=//outside", "is not in the run's directory"),
        ("hydra.job_logging.handlers.file.filename=.5", "is not in the run's directory"),
        ("hydra.job.name=${oc.env:NOBODY_SET_THIS}", "NOBODY_SET_THIS"),
        ("hydra/sweeper=[]", "hydra.sweeper: Missing mandatory value"),
        ("hydra.verbose=3", "names of loggers"),
        ("hydra.verbose=[a,{b:c}]", "names of loggers"),
        ("hydra.verbose=???", "Missing mandatory value"),
        ("~split", "split: is missing"),
        ("training.l2=range(0,1,0)", "range() arg 3 must not be zero"),
        ("--nothing", "unrecognized arguments: --nothing"),
        ("net.a1='\x1b[31m'", "\\x1b[31m"),
    ],
)
def test_what_a_fuzzer_found(call, tmp_path, word, told):
    status, out, err = call("train", "-m", word, *QUICK)
    assert (status, out) == (2, "")
    assert told in err
    assert err.startswith("pullback: ")
    assert len(err.splitlines()) < 4
    assert not list(tmp_path.rglob("outside"))


def test_a_message_quotes_no_thousand_letters(call):
    _, _, err = call("train", f"loss={'x' * 9000}", *QUICK)
    assert len(err) < 2000
    assert "xxx … xxx" in err


# What Hydra's users expect of train


def test_an_experiment_of_ones_own_runs_with_a_launcher_named(pullback, tmp_path):
    write(tmp_path / "swish.py", SWISH)
    mine = tmp_path / "mine"
    stages = "h: {name: affine, width: 3}\ng: {name: swish, beta: 2}\n"
    write(mine / "net" / "small.yaml", f"{stages}z: {{name: affine, width: classes}}\n")
    write(
        mine / "experiment" / "small.yaml",
        "# @package _global_\ndefaults:\n  - override /net: small\n  - override /optimizer: sgd\n"
        "training: {steps: 7}\noptimizer: {lr: 0.25}\n",
    )
    words = ["--config-dir", "mine", "experiment=small", "plugins=[swish.py]", "tracking=none"]
    done = pullback("train", "-m", *words, "hydra/launcher=basic", "seed=0,1")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    runs = sorted(tmp_path.glob("runs/seed-*/*/run.json"))
    assert len(runs) == 2
    options = [json.loads(run.read_text())["options"] for run in runs]
    assert [option["seed"] for option in options] == [0, 1]
    for option in options:
        assert (option["net.g.name"], option["net.g.beta"], option["net.h.width"]) == (
            "swish",
            2,
            3,
        )
        assert (option["optimizer.name"], option["optimizer.lr"]) == ("sgd", 0.25)
        assert option["training.steps"] == 7
        assert not [key for key in option if key.startswith(("net.z1", "net.a1"))]


def test_a_directory_that_holds_a_run_takes_no_second_one(call, tmp_path):
    write(tmp_path / "here" / "run.json", "{}")
    write(tmp_path / "there" / "sweep.json", '{"key": "another", "jobs": [], "runs": {}}')
    status, _, err = call("train", "hydra.run.dir=here", *QUICK)
    assert (status, err) == (2, "pullback: hydra.run.dir: there is a run in here already\n")
    status, _, err = call("train", "-m", "seed=0,1", "hydra.sweep.dir=there", *QUICK)
    there = f"pullback: hydra.sweep.dir: there is another sweep in {tmp_path / 'there'}\n"
    assert (status, err) == (2, there)


def test_hydras_own_choices_of_a_log_are_taken(pullback, tmp_path):
    done = pullback("train", *QUICK, "hydra.run.dir=quiet")
    assert (done.returncode, done.stderr) == (0, "")
    log = (tmp_path / "quiet" / "train.log").read_text()
    assert re.search(r"\[pullback\.app\.train\]\[INFO\] - finished: test loss", log)
    assert "INFO" not in done.stdout

    done = pullback("train", *QUICK, "hydra.run.dir=loud", "hydra/job_logging=stdout")
    assert done.returncode == 0
    assert "begins in " in done.stdout
    assert not (tmp_path / "loud" / "train.log").exists()


# Tab completion


@pytest.fixture
def complete(call, monkeypatch):
    def run(line):
        monkeypatch.setenv("COMP_LINE", line)
        status, out, err = call("-sc", "query=bash")
        assert (status, err) == (0, "")
        return out.split()

    return run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pullback ", list(cli.COMMANDS)),
        ("pullback tr", ["train", "trace"]),
        ("pullback train lo", ["loss.", "loss="]),
        (
            "pullback train loss=cross_entropy_e",
            ["loss=cross_entropy_exact", "loss=cross_entropy_exact_numba"],
        ),
        ("pullback train -m los", ["loss.", "loss="]),
        ("pullback train training.st", ["training.steps="]),
        ("pullback train net.z1.", ["net.z1.name=", "net.z1.width="]),
        ("pullback train experiment=", ["experiment=digits", "experiment=founding"]),
        ("pullback train dataset=spirals dataset.t", ["dataset.turns="]),
        ("pullback train dataset=moons dataset.t", []),
        ("pullback list lo", []),
    ],
)
def test_completion(complete, line, words):
    assert complete(line) == words


def test_completion_offers_every_registered_unit(complete):
    for group in ("loss", "optimizer", "schedule", "dataset"):
        offered = complete(f"pullback train {group}=")
        assert offered == [f"{group}={name}" for name in registry.names(group)]


def test_completion_shows_no_module_of_ours_as_a_group(complete):
    offered = complete("pullback train ")
    assert {"loss=", "net=", "seed=", "training."} <= set(offered)
    assert "compare" not in offered


@pytest.mark.parametrize("before", [[], ["train"]])
def test_the_completion_script(call, before):
    status, out, _ = call(*before, "-sc", "install=bash")
    assert status == 0
    assert "complete -o nospace" in out
    assert "-sc query=bash" in out


def test_flags_may_stand_between_overrides(call):
    status, out, _ = call("train", "seed=7", "--cfg", "job", "dtype=float64")
    assert status == 0
    shown = OmegaConf.create(out)
    assert (shown.seed, shown.dtype) == (7, "float64")
