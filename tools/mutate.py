#!/usr/bin/env python3
"""Mutation testing: changes a module in small ways, and lists what no test sees.

For every change, the tests run in a forked process that has everything
imported and collected already, so that a mutant costs no more than its tests:

> python tools/mutate.py speechbrain_merit/data/mixing/mixture.py \
>     tests/unittests/test_mixing.py

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import ast
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
_SWAPS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,  # codespell:ignore notin
    ast.NotIn: ast.In,  # codespell:ignore notin
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.RShift: ast.LShift,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


class Mutant(NamedTuple):
    """A module with one change.

    Arguments
    ---------
    line : int
        Where.
    before : str
        What stood there.
    after : str
        What stands there now.
    source : str
        The whole module.
    """

    line: int
    before: str
    after: str
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Makes all changes of a module, one at a time.

    Operators are swapped, numbers raised by one, flags turned, conditions
    negated, and calls without arguments, such as `.detach()`, left out.
    Docstrings, annotations, decorators and what is raised stay as they are.

    Arguments
    ---------
    source : str
        The module.

    Yields
    ------
    Mutant
        One after the other, in the order of `ast.walk`.

    Example
    -------
    >>> [(m.before, m.after) for m in mutants("y = not x < 1")]
    [('not x < 1', 'x < 1'), ('x < 1', 'x <= 1'), ('1', '2')]
    """
    tree = ast.parse(source)
    fixed = {id(node) for part in _left_alone(tree) for node in ast.walk(part)}
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            places = value if isinstance(value, list) else [value]
            for index, node in enumerate(places):
                if not isinstance(node, ast.expr) or id(node) in fixed:
                    continue
                before = ast.unparse(node)
                for changed in _changes(node):
                    _put(parent, field, value, index, changed)
                    yield Mutant(
                        node.lineno,
                        before,
                        ast.unparse(changed),
                        ast.unparse(tree),
                    )
                    _put(parent, field, value, index, node)


def _left_alone(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.JoinedStr):
            yield node
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield from node.decorator_list
        for field in ("annotation", "returns"):
            if isinstance(getattr(node, field, None), ast.AST):
                yield getattr(node, field)


def _put(
    parent: ast.AST, field: str, value: object, index: int, node: ast.expr
) -> None:
    if isinstance(value, list):
        value[index] = node
    else:
        setattr(parent, field, node)


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(left, [operator], comparators):
            yield ast.Compare(left, [_SWAPS[type(operator)]()], comparators)
        case ast.BinOp(left, operator, right) if type(operator) in _SWAPS:
            yield ast.BinOp(left, _SWAPS[type(operator)](), right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(_SWAPS[type(operator)](), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value) | float(value)):
            yield ast.Constant(value + 1)
        case ast.Call(ast.Attribute(receiver), [], []):
            yield receiver
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)


def replace(path: Path, source: str) -> None:
    """Gives a module another source, and its users what is in it now.

    Arguments
    ---------
    path : Path
        The module's file, relative to the repository.
    source : str
        Its other source.
    """
    name = ".".join(path.with_suffix("").parts)
    module = importlib.import_module(name)
    old = dict(vars(module))
    names = {id(value): key for key, value in old.items()}
    exec(compile(source, str(ROOT / path), "exec"), vars(module))
    for user in list(sys.modules.values()):
        for key, value in list(vars(user).items()):
            # Only what is defined there, not what it imports.
            if (
                user is not module
                and id(value) in names
                and getattr(value, "__module__", None) == name
            ):
                setattr(user, key, vars(module)[names[id(value)]])


class MutationRun:
    """A plugin of pytest: runs the collected tests once for every mutant.

    Arguments
    ---------
    path : Path
        The module's file, relative to the repository.
    limit_s : int
        After so many seconds, a mutant counts as found.
    """

    def __init__(self, path: Path, limit_s: int) -> None:
        self.path, self.limit_s = path, limit_s

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Runs all mutants, and lists those that no test sees.

        Arguments
        ---------
        session : pytest.Session
            With its tests.

        Returns
        -------
        bool
            That the tests were run.
        """
        source = (ROOT / self.path).read_text(encoding="utf-8")
        if not self._survives(session, source):
            raise pytest.UsageError("The tests fail without any change.")
        made = list(mutants(source))
        survivors = [m for m in made if self._survives(session, m.source)]
        for mutant in survivors:
            print(f"{self.path}:{mutant.line}: {mutant.before} ->", end=" ")
            print(mutant.after)
        print(f"{self.path}: {len(made) - len(survivors)} of {len(made)} found")
        return True

    def _survives(self, session: pytest.Session, source: str) -> bool:
        """Tells whether all tests pass, in a process of their own."""
        child = os.fork()
        if child:
            return os.waitpid(child, 0)[1] == 0
        signal.alarm(self.limit_s)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        failed = True
        try:
            replace(self.path, source)
            for item, following in zip(
                session.items, [*session.items[1:], None], strict=True
            ):
                item.ihook.pytest_runtest_protocol(
                    item=item, nextitem=following
                )
                failed = session.testsfailed > 0
                if failed:
                    break
        finally:
            # Not even an error may leave this process.
            os._exit(int(failed))


def main() -> int:
    """Runs all mutants of a module.

    Returns
    -------
    int
        Exit status of pytest.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("module", type=Path)
    parser.add_argument(
        "tests", nargs=argparse.REMAINDER, help="for pytest: files, -k, ..."
    )
    parser.add_argument("--limit_s", type=int, default=600)
    arguments = parser.parse_args()
    os.chdir(ROOT)
    # What runs threads cannot be forked.
    torch.set_num_threads(1)
    options = ["-q", "-s", "-o", "addopts=", "-m", "not long"]
    # Others may start processes, or print.
    options += ["--disable-plugin-autoload", "-p", "no:cacheprovider"]
    run = MutationRun(arguments.module, arguments.limit_s)
    return int(pytest.main([*options, *arguments.tests], plugins=[run]))


if __name__ == "__main__":
    sys.exit(main())
