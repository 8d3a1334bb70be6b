"""Writes the tables of a Markdown file as JSON.

> python benchmarks/tables_as_json.py gpu_check.md gpu_check.json

Every heading becomes a key, with the lines of text and the rows below it.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import json
from pathlib import Path


def value(cell: str) -> float | str:
    """Reads a number where there is one."""
    try:
        return float(cell)
    except ValueError:
        return cell


def read_sections(text: str) -> dict[str, dict[str, list]]:
    """Collects text and rows by heading."""
    sections: dict[str, dict[str, list]] = {}
    section: dict[str, list] = {"text": [], "rows": []}
    header: list[str] = []
    for line in text.splitlines():
        if line.startswith("#"):
            section = {"text": [], "rows": []}
            sections[line.lstrip("# ")] = section
        elif not line.startswith("|"):
            header = []
            section["text"] += [line] if line else []
        else:
            cells = [cell.strip() for cell in line.strip("|\n ").split("|")]
            if not header:
                header = cells
            elif not set(line) <= set("|:- "):
                row = dict(zip(header, map(value, cells), strict=False))
                section["rows"].append(row)
    return sections


def main() -> None:
    """Reads one file and writes the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path, help="Markdown")
    parser.add_argument("output", type=Path, help="JSON")
    arguments = parser.parse_args()
    sections = read_sections(arguments.tables.read_text(encoding="utf-8"))
    arguments.output.write_text(json.dumps(sections, indent=1) + "\n")


if __name__ == "__main__":
    main()
