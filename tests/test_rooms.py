"""The import graph of the package, read from its source: nothing imports upward or in a circle."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import derain_plugin

PACKAGE = Path(derain_plugin.__file__).parent
NAME = PACKAGE.name
OUTSIDE = {"projects", "tools", "tests"}  # not in the wheel

# From low to high: a room imports from those before it alone.
ROOMS = (
    "version", "files", "mim",
    "config",
    "engine.safety",  # reads and writes files alone: models load their weights through it
    "rain",
    "models.layers", "models.rtdetr", "models.loading",
    "models.backbones", "models.necks", "models.dense_heads",
    "models.data_preprocessors", "models.restorers", "models.detectors", "models",
    "datasets",
    "visualization",
    "engine.optim_wrappers", "engine.hooks", "engine",
    "evaluation",
    "hf", "adapting",
    "apis", "export",
    NAME,  # registers all of the above
    "app", "cli",
)  # fmt: skip


def modules() -> dict[str, Path]:
    """The package's modules by name; hidden folders hold configs, which are none."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if not any(part.startswith(".") for part in parts):
            found[".".join([NAME, *parts]).removesuffix(".__init__")] = path
    return found


def room_of(module: str) -> str:
    """``models.necks`` of ``derain_plugin.models.necks.derain_neck``; ``files`` of that file."""
    inside = module.removeprefix(NAME).removeprefix(".")
    rooms = [room for room in ROOMS if f"{inside}.".startswith(f"{room}.")]
    return max(rooms, key=len, default=inside or NAME)


def imports(node: ast.AST) -> Iterator[str]:
    """Every name that is imported below ``node``, also in functions, but not for types alone."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=0):
            yield from (f"{module}.{alias.name}" for alias in names)
        case ast.ImportFrom():
            yield "a relative import"
        case ast.Call(func=ast.Name("import_module"), args=[ast.Constant(value=str(name)), *_]):
            yield name
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


def graph() -> dict[str, set[str]]:
    """What each module imports: modules of ours, and the first part of other names."""
    known = modules()

    def target(name: str) -> str:
        while name.startswith(f"{NAME}.") and name not in known:
            name = name.rpartition(".")[0]
        return name if name in known else name.partition(".")[0]

    return {
        module: {target(name) for name in imports(ast.parse(path.read_text("utf-8")))}
        for module, path in known.items()
    }


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    return graph()


def test_every_room_has_its_height(imported):
    assert {room_of(module) for module in imported} == set(ROOMS)


def test_no_room_imports_a_higher_one(imported):
    upward = [
        f"{module} imports {target}"
        for module, targets in imported.items()
        for target in sorted(targets & imported.keys())
        if ROOMS.index(room_of(target)) > ROOMS.index(room_of(module))
    ]
    assert upward == []


def test_no_module_imports_itself_by_way_of_others(imported):
    try:
        TopologicalSorter({m: targets - {m} for m, targets in imported.items()}).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_the_package_needs_nothing_that_the_wheel_lacks(imported):
    outside = {m: targets & OUTSIDE for m, targets in imported.items() if targets & OUTSIDE}
    assert outside == {}
    assert not [m for m, targets in imported.items() if "a relative import" in targets]


def test_imports_in_functions_count_and_those_for_types_do_not():
    source = """
import numpy
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from derain_plugin.cli import work
def late():
    from derain_plugin.rain import images
    import_module("derain_plugin.files")
    from . import sibling
"""
    assert list(imports(ast.parse(source))) == [
        "numpy", "typing.TYPE_CHECKING", "derain_plugin.rain.images", "derain_plugin.files",
        "a relative import",
    ]  # fmt: skip
