"""Definitions of this project, with all that they need, as one module.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_Span = tuple[int, int, str]


class Module:
    """A source file of the project.

    Arguments
    ---------
    name : str
        With dots.
    path : Path
        Its file.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.text = path.read_text(encoding="utf-8")
        self.definitions: dict[str, ast.stmt] = {}
        # Where an imported name is from: its module, and what it is there.
        self.imports: dict[str, tuple[str, str | None]] = {}
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        for node in ast.parse(self.text).body:
            if isinstance(node, ast.Import):
                self.imports |= {
                    a.asname or a.name: (a.name, None) for a in node.names
                }
            elif isinstance(node, ast.ImportFrom):
                module = node.module or ""
                if node.level > 0:
                    above = package.split(".")[: 1 - node.level or None]
                    module = ".".join([*above, *filter(None, [module])])
                self.imports |= {
                    a.asname or a.name: (module, a.name) for a in node.names
                }
            elif isinstance(node, ast.Assign):
                self.definitions |= {ast.unparse(t): node for t in node.targets}
            elif isinstance(node, ast.ClassDef | ast.FunctionDef):
                self.definitions[node.name] = node

    def source(self, name: str, dropped: Iterable[str]) -> str:
        """Gives a definition without annotations, as upstream writes it.

        Arguments
        ---------
        name : str
            A class, function or constant of the module.
        dropped : iterable of str
            Methods to leave out, such as `Class.method`.

        Returns
        -------
        str
            Python, with the comments just above it.
        """
        node, lines = self.definitions[name], self.text.splitlines(True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line))
        begin = _first_line(node) - 1
        while begin and lines[begin - 1].startswith("#"):
            begin -= 1
        spans = list(_annotations(node, self.text, starts))
        for method in getattr(node, "body", []):
            if f"{name}.{getattr(method, 'name', '')}" in dropped:
                first, last = (
                    starts[_first_line(method) - 1],
                    starts[method.end_lineno],
                )
                spans = [s for s in spans if not first <= s[0] < last]
                spans.append((first, last, ""))
        text = self.text
        for first, last, new in sorted(spans, reverse=True):
            text = text[:first] + new + text[last:]
        kept = starts[node.end_lineno] + len(text) - len(self.text)
        return text[starts[begin] : kept]


def _first_line(node: Any) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _annotations(
    outer: ast.stmt, text: str, starts: list[int]
) -> Iterable[_Span]:
    """Where something stands that Python 3.8 or upstream's style has not."""

    def place(node: Any, end: bool = False) -> int:
        if end:
            return starts[node.end_lineno - 1] + node.end_col_offset
        return starts[node.lineno - 1] + node.col_offset

    fields = [
        n
        for c in ast.walk(outer)
        if isinstance(c, ast.ClassDef)
        for n in c.body
        if isinstance(n, ast.AnnAssign)
    ]
    for node in ast.walk(outer):
        if isinstance(node, ast.arg) and node.annotation:
            yield place(node) + len(node.arg), place(node.annotation, True), ""
        elif isinstance(node, ast.FunctionDef) and node.returns:
            closed = text.rindex(")", 0, place(node.returns)) + 1
            yield closed, place(node.returns, True), ""
        elif isinstance(node, ast.AnnAssign):
            first, last = place(node.annotation), place(node.annotation, True)
            if node in fields:
                # Of a dataclass, which has to have one.
                kind = re.split(r"[\[|]", text[first:last])[0].strip()
                yield first, last, kind
            else:
                yield place(node.target, True), last, ""
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "strict":
                    first = text.rindex(",", 0, place(keyword))
                    yield first, place(keyword, True), ""


class Flattening:
    """Collects definitions, each after those that it needs.

    Arguments
    ---------
    folders : iterable of Path
        Where modules of the project are looked for.
    stand_ins : str, optional
        Module whose definitions are taken for others of the same name.
    replacements : Mapping, optional
        Text by what it is written for.
    elsewhere : Mapping, optional
        Another's module by the name of what is imported from it.
    dropped : iterable of str
        Methods to leave out, such as `Class.method`.
    """

    def __init__(
        self,
        folders: Iterable[Path],
        stand_ins: str | None = None,
        replacements: Mapping[str, str] | None = None,
        elsewhere: Mapping[str, str] | None = None,
        dropped: Iterable[str] = (),
    ) -> None:
        self.folders, self.dropped = list(folders), set(dropped)
        self.replacements = dict(replacements or {})
        self.elsewhere = dict(elsewhere or {})
        self.modules: dict[str, Module | None] = {}
        self.stand_ins = stand_ins
        self.pieces: dict[str, str] = {}
        self.imports: set[str] = set()

    def module(self, name: str) -> Module | None:
        """Reads a module of the project; None for another's.

        Arguments
        ---------
        name : str
            With dots.

        Returns
        -------
        Module or None
            Read once.
        """
        if name not in self.modules:
            stem = name.replace(".", "/")
            found = [
                folder / file
                for folder in self.folders
                for file in (f"{stem}.py", f"{stem}/__init__.py")
                if (folder / file).is_file()
            ]
            self.modules[name] = Module(name, found[0]) if found else None
        return self.modules[name]

    def add(self, module: str, name: str) -> None:
        """Adds a definition and what it needs.

        Arguments
        ---------
        module : str
            Where it is, or is imported.
        name : str
            What it is called there.

        Raises
        ------
        ValueError
            If another definition of this name is needed, too.
        """
        if name in self.elsewhere:
            self.imports.add(f"from {self.elsewhere[name]} import {name}")
            return
        if self.stand_ins and name in self.module(self.stand_ins).definitions:
            module = self.stand_ins
        found = self.module(module)
        if name in found.imports:
            source, original = found.imports[name]
            if original is None:
                self.imports.add(f"import {source}")
            elif self.module(source) is None:
                self.imports.add(f"from {source} import {original}")
            else:
                self.add(source, original)
        elif name in found.definitions:
            text = found.source(name, self.dropped)
            for old, new in self.replacements.items():
                text = text.replace(old, new)
            if name in self.pieces:
                if self.pieces[name] != text:
                    raise ValueError(f"{module} has another {name}: rename it.")
                return
            # Taken before what it needs is, or circles would have no end.
            self.pieces[name] = text
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Name) and node.id != name:
                    self.add(module, node.id)
            self.pieces[name] = self.pieces.pop(name)

    def text(self, docstring: str) -> str:
        """Writes the module.

        Arguments
        ---------
        docstring : str
            Its own.

        Returns
        -------
        str
            Python, to be formatted.
        """
        imports = "\n".join(sorted(self.imports))
        # Constants first, as one writes them.
        pieces = sorted(
            self.pieces.values(), key=lambda piece: not _is_constant(piece)
        )
        body = "\n\n".join(pieces)
        return f'"""{docstring.strip()}\n"""\n\n{imports}\n\n{body}'


def _is_constant(piece: str) -> bool:
    return isinstance(ast.parse(piece).body[0], ast.Assign)
