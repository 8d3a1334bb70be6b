"""Tests of the package's layout: its folders, their names, who imports whom.

That the lobes import nothing of the rest is in test_lobes_alone.py.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import graphlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from repository import PACKAGE, ROOT, files

# As docs/architecture.md describes them.
FOLDERS = {
    "command_line",
    "config",
    "data",
    "experiments",
    "export",
    "inference",
    "lobes",
    "losses",
    "metrics",
    "pretrained",
    "training",
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in files(".py")
    if path.is_relative_to(PACKAGE)
}


def named(name: str, path: Path) -> Iterator[tuple[str, ...]]:
    """What a module imports, wherever in it; the likelier of two first."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = name.split(".")[: -node.level] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            yield from ((f"{base}.{a.name}", base) for a in node.names)


def graph(modules: dict[str, Path]) -> dict[str, set[str]]:
    """Tells which modules a module imports."""
    known = {name.removesuffix(".__init__"): name for name in modules}
    found = {}
    for name, path in modules.items():
        found[name] = {
            next((known[n] for n in names if n in known), name)
            for names in named(name, path)
        } - {name}
    return found


def folder(name: str) -> str:
    """Names the folder of the package that a module is in."""
    return name.split(".")[1]


def test_no_module_lies_beside_the_folders():
    inside = [path.relative_to(PACKAGE) for path in MODULES.values()]
    loose = {path.name for path in inside if len(path.parts) == 1}
    assert loose == {"__init__.py", "__main__.py"}
    assert {path.parts[0] for path in inside} - loose == FOLDERS


def test_no_modules_import_one_another():
    graphlib.TopologicalSorter(graph(MODULES)).prepare()


def test_no_folders_import_one_another():
    folders: dict[str, set[str]] = {name: set() for name in FOLDERS}
    for name, others in graph(MODULES).items():
        if folder(name) in FOLDERS:
            folders[folder(name)] |= set(map(folder, others)) & FOLDERS
    for name, others in folders.items():
        others.discard(name)
    graphlib.TopologicalSorter(folders).prepare()


def test_hardly_a_name_occurs_twice():
    names = Counter(path.name for path in MODULES.values())
    del names["__init__.py"]
    twice = [name for name, count in names.items() if count > 1]
    assert len(twice) <= 2, twice


@pytest.mark.parametrize(
    "statement", ["import p.b", "from p import b", "from . import b"]
)
def test_a_circle_is_found(statement: str, tmp_path: Path):
    (tmp_path / "a.py").write_text(f"def f():\n    {statement}\n")
    (tmp_path / "b.py").write_text("from .a import f\n")
    found = graph({"p.a": tmp_path / "a.py", "p.b": tmp_path / "b.py"})
    assert found == {"p.a": {"p.b"}, "p.b": {"p.a"}}
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter(found).prepare()
