"""Tests that docstrings exist and agree with the code below them.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from repository import files, relative

SOURCES = [
    path
    for path in files(".py")
    if relative(path).startswith(("speechbrain_merit/", "recipes/", "tools/"))
    or relative(path) == "train.py"
]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
RECORDS = {"dataclass", "NamedTuple", "TypedDict"}
PROPERTIES = {"property", "cached_property"}


def last_name(node: ast.expr) -> str:
    """`dataclass` for `dataclass`, `dataclasses.dataclass` and its calls."""
    return ast.unparse(node).split("(")[0].split(".")[-1]


def decorators(node) -> set[str]:
    """Last names of the decorators."""
    return {last_name(decorator) for decorator in node.decorator_list}


def sections(docstring: str) -> dict[str, list[str]]:
    """Lines of every underlined section by its title."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in docstring.splitlines():
        if current and re.fullmatch(r"-{3,}", line):
            title = current.pop()
            current = found.setdefault(title, [])
        else:
            current.append(line)
    return found


def documented_arguments(lines: list[str]) -> list[str]:
    """Names on the unindented lines `name : type` or `a, b : type`."""
    heads = [line for line in lines if line and not line[0].isspace()]
    return [
        name.strip().lstrip("*")
        for line in heads
        for name in line.split(" : ")[0].split(",")
    ]


def signature_arguments(function, bound: bool) -> list[str]:
    """Names of a function's arguments, without `self` or `cls`."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    if bound and "staticmethod" not in decorators(function):
        names = names[1:]
    named = (arguments.vararg, *arguments.kwonlyargs, arguments.kwarg)
    return names + [a.arg for a in named if a is not None]


def class_arguments(node: ast.ClassDef) -> list[str] | None:
    """What the class is called with; None where a base class says it."""
    for member in node.body:
        if isinstance(member, FUNCTIONS) and member.name == "__init__":
            return signature_arguments(member, bound=True)
    bases = {last_name(base) for base in node.bases}
    if not RECORDS & (decorators(node) | bases):
        return [] if not bases else None
    return [
        member.target.id
        for member in node.body
        if isinstance(member, ast.AnnAssign)
        and not member.target.id.startswith("_")
        and last_name(member.annotation).split("[")[0] != "ClassVar"
        and "init=False" not in ast.unparse(member)
    ]


def check_arguments(found: dict, expected: list[str] | None) -> Iterator[str]:
    """Says how the section "Arguments" differs from the signature."""
    if expected is None:
        return
    names = documented_arguments(found.get("Arguments", []))
    missing = [name for name in expected if name not in names]
    surplus = [name for name in names if name not in expected]
    if missing:
        yield f'"Arguments" lacks {", ".join(missing)}'
    if surplus:
        yield f'"Arguments" names {", ".join(surplus)}, not in the signature'
    if not missing and not surplus and names != expected:
        yield '"Arguments" has another order than the signature'


def check_function(node, parent: str, found: dict) -> Iterator[str]:
    """Checks the sections of a function or method of the package."""
    yield from check_arguments(found, signature_arguments(node, bool(parent)))
    if PROPERTIES & decorators(node):
        return
    if node.returns is None:
        # Otherwise leaving the annotation out would evade the next rule.
        yield "no annotation of what it returns"
    elif ast.unparse(node.returns) not in ("None", "NoReturn"):
        if not {"Returns", "Yields"} & set(found):
            yield f'no "Returns" or "Yields" for {ast.unparse(node.returns)}'
    if not parent and ">>> " not in "\n".join(found.get("Example", [])):
        yield 'no "Example"'


def is_override(owner: object, name: str) -> bool:
    """Whether a base class has the method, and says the rest of it."""
    bases = owner.__mro__[1:] if isinstance(owner, type) else ()
    return any(name in vars(base) for base in bases)


def check_definitions(
    body: list[ast.stmt],
    in_package: bool,
    parent: str = "",
    owner: object = None,
) -> Iterator[str]:
    """Checks the public definitions of a module or class, one by one.

    `owner` is the module or class itself, where it can be had: what overrides
    a method says in a sentence what differs, and needs no sections.
    """
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            for part in (node.body, node.orelse):
                yield from check_definitions(part, in_package, parent, owner)
            continue
        if not isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            continue
        if node.name.startswith("_"):
            continue
        docstring = ast.get_docstring(node)
        problems: list[str] = []
        if not docstring:
            problems = ["no docstring"]
        elif in_package and isinstance(node, ast.ClassDef):
            problems = list(
                check_arguments(sections(docstring), class_arguments(node))
            )
        elif in_package and not is_override(owner, node.name):
            problems = list(check_function(node, parent, sections(docstring)))
        name = f"{parent}{node.name}"
        yield from (f"{node.lineno}: {name}: {p}" for p in problems)
        if isinstance(node, ast.ClassDef):
            inner = getattr(owner, node.name, None)
            yield from check_definitions(
                node.body, in_package, f"{name}.", inner
            )


def check_module(
    source: str, in_package: bool, module: ModuleType | None = None
) -> list[str]:
    """Checks a whole module; one message per violation, with its line."""
    tree = ast.parse(source)
    problems = []
    docstring = ast.get_docstring(tree)
    if not docstring:
        problems.append("1: module: no docstring")
    elif not re.search(r"^Authors?$", docstring, flags=re.MULTILINE):
        problems.append('1: module: no "Authors" in the docstring')
    return problems + list(
        check_definitions(tree.body, in_package, owner=module)
    )


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_docstrings_agree_with_the_code(path: Path):
    in_package = relative(path).startswith("speechbrain_merit/")
    module = None
    if in_package:
        name = relative(path.with_suffix("")).replace("/", ".")
        module = importlib.import_module(name.removesuffix(".__init__"))
    source = path.read_text(encoding="utf-8")
    problems = check_module(source, in_package, module)
    listing = "\n".join(f"{relative(path)}:{p}" for p in problems)
    assert not problems, f"Docstrings to be mended:\n{listing}"


def test_all_python_code_is_checked():
    names = {relative(path) for path in SOURCES}
    assert "train.py" in names
    assert any(name.startswith("recipes/") for name in names)
    assert "speechbrain_merit/lobes/sparse_moe.py" in names


HEADER = '"""A module.\n\nAuthors\n * Somebody 2026\n"""\n'
DOCUMENTED = '''
def scale(
    signal: list,
    *factors: float,
    offset: float = 0.0,
) -> list:
    """Scales.

    Arguments
    ---------
    signal : list
        Samples: any.
    *factors : float
        Factors.
    offset : float
        Added.

    Returns
    -------
    list
        Samples.

    Example
    -------
    >>> scale([])
    []
    """
'''


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (HEADER + DOCUMENTED, None),
        (HEADER + "def _private(x): pass", None),
        ("", "module: no docstring"),
        ('"""A module."""', 'no "Authors"'),
        (HEADER + "def f(\n    x: int,\n) -> int:\n    pass", "no docstring"),
        (HEADER + "class A:\n    def f(self): pass", "A.f: no docstring"),
        (
            HEADER + DOCUMENTED.replace("    offset : float\n", ""),
            "lacks offset",
        ),
        (HEADER + DOCUMENTED.replace("offset : ", "shift : "), "names shift"),
        (
            HEADER + DOCUMENTED.replace("Returns\n    ---", "Gives\n    ..."),
            'no "Returns"',
        ),
        (HEADER + DOCUMENTED.replace(") -> list:", "):"), "no annotation"),
        (HEADER + DOCUMENTED.replace(">>> ", ""), 'no "Example"'),
        (
            HEADER
            + '@dataclasses.dataclass\nclass A:\n    """A record."""\n'
            + "    width: int",
            'A: "Arguments" lacks width',
        ),
        (
            HEADER
            + 'class A:\n    """A class."""\n'
            + "    def __init__(self, width): pass",
            'A: "Arguments" lacks width',
        ),
    ],
)
def test_checker_sees_each_violation(source: str, expected: str | None):
    problems = check_module(source, in_package=True)
    if expected is None:
        assert problems == []
    else:
        assert any(expected in problem for problem in problems), problems


def test_an_override_needs_no_sections():
    source = (
        HEADER
        + 'class A(Base):\n    """A class."""\n'
        + '    def f(self, x: int) -> int:\n        """As ever."""\n'
        + '    def g(self, x: int) -> int:\n        """New."""\n'
    )
    module = ModuleType("a")
    base = type("Base", (), {"f": None})
    module.A = type("A", (base,), {"f": None, "g": None})
    problems = check_module(source, in_package=True, module=module)
    assert {problem.split(": ")[1] for problem in problems} == {"A.g"}
