"""The shape of the house: who may import whom, what is imported when, what the face shows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pullback

ROOT = Path(__file__).parents[1]
FRAMEWORK = ROOT / "framework" / "pullback"

# A module may import from the lines above its own; a folder stands for all that is in it.
FLOORS = [
    ["errors", "heap", "locks", "recipe", "sourcefile", "units"],
    ["registry", "checkpoint", "data", "refusals"],
    ["loss", "options"],
    ["net", "listing", "notation", "pages"],
    ["acceleration", "blocks", "divergence", "evaluation", "state"],
    ["meter", "stretches"],
    ["training"],
    ["job", "tracking"],
    ["identity", "verify"],
    ["facts", "compare"],
    ["run", "testing", "twins", "proving", "tracing", "derivations", "bench"],
    ["sweep"],
    ["app"],
    ["cli"],
    ["__main__", "__init__"],
]

# Where a library may be imported at all, and whether at the top or only where it is used.
HYDRA = {"app"}
MLFLOW = {"tracking"}
HEAVY = {
    "mlflow",
    "pandas",
    "sklearn",
    "matplotlib",
    "rich",
    "hydra",
    "omegaconf",
    "scipy",
    "numba",
}
CORE = {"errors", "units", "registry", "checkpoint", "data", "loss", "options", "net"}
CORE |= {
    "divergence",
    "facts",
    "refusals",
    "evaluation",
    "meter",
    "state",
    "training",
    "job",
    "run",
    "tracking",
}
CORE |= {"cli", "listing", "verify", "testing", "notation", "pages", "proving", "tracing"}
CORE |= {"acceleration", "bench", "blocks", "recipe", "stretches"}
CORE |= {"derivations", "heap", "identity", "locks", "sourcefile", "sweep", "twins"}


def modules() -> dict[str, Path]:
    return {
        str(path.relative_to(FRAMEWORK).with_suffix("")).replace("/", "."): path
        for path in sorted(FRAMEWORK.rglob("*.py"))
    }


def place(module: str) -> str:
    return module.split(".")[0]


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """The modules that a file names in its import statements; not those for the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    nodes = tree.body if top_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def ours(path: Path) -> set[str]:
    """The places of our own that a file imports from."""
    named = {name.split(".")[1] for name in imports(path) if name.startswith("pullback.")}
    return {name for name in named if (FRAMEWORK / name).is_dir() or name in modules()}


def test_every_module_has_its_floor():
    assert {place(module) for module in modules()} == {name for floor in FLOORS for name in floor}


@pytest.mark.parametrize("module", modules())
def test_imports_run_one_way(module):
    floor = next(i for i, names in enumerate(FLOORS) if place(module) in names)
    below = {name for names in FLOORS[:floor] for name in names} | {place(module)}
    assert ours(modules()[module]) <= below


def test_the_check_sees_an_import_that_runs_back(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def f():\n    from pullback import app\n    import pullback.training\n")
    assert {"pullback.app", "pullback.training"} <= imports(file)
    assert ours(file) == {"app", "training"}


@pytest.mark.parametrize("module", modules())
def test_the_framework_knows_no_plugin(module):
    assert not {name for name in imports(modules()[module]) if name.startswith("pullback_")}


@pytest.mark.parametrize("module", modules())
def test_libraries_stay_in_their_rooms(module):
    roots = {name.split(".")[0] for name in imports(modules()[module])}
    assert "hydra" not in roots or place(module) in HYDRA
    assert "mlflow" not in roots or place(module) in MLFLOW


@pytest.mark.parametrize("module", [name for name in modules() if place(name) in CORE])
def test_heavy_libraries_are_imported_where_they_are_used(module):
    roots = {name.split(".")[0] for name in imports(modules()[module], top_only=True)}
    assert not roots & HEAVY


def test_plugins_need_only_numpy_to_be_imported():
    for path in (ROOT / "plugins" / "pullback_basics").glob("*.py"):
        roots = {name.split(".")[0] for name in imports(path, top_only=True)}
        assert not roots & (HEAVY | {"pullback"}), path


def test_the_face_shows_what_it_names():
    for name in pullback.__all__:
        assert getattr(pullback, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pullback.nothing
