"""For a browser: one file, nothing from outside, diffs side by side."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra.preview.formats import words
from infra.preview.report import Report

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Row(NamedTuple):
    """A line on the left and one on the right, by their numbers; 0 and "" where there is none."""

    kind: str
    left: int
    old: str
    right: int
    new: str


def rows(diff: tuple[str, ...]) -> Iterator[Row]:
    """A unified diff side by side: removed lines beside the added ones."""
    before = after = 0
    removed_lines: list[tuple[int, str]] = []
    added_lines: list[tuple[int, str]] = []

    def flush_changes() -> Iterator[Row]:
        for index in range(max(len(removed_lines), len(added_lines))):
            (a, old), (b, new) = (
                side[index] if index < len(side) else (0, "") for side in (removed_lines, added_lines)
            )
            yield Row("both" if a and b else "gone" if a else "come", a, old, b, new)
        removed_lines.clear()
        added_lines.clear()

    for line in diff:
        if hunk := HUNK.match(line):
            yield from flush_changes()
            before, after = int(hunk[1]), int(hunk[2])
            yield Row("hunk", 0, line, 0, "")
        elif line.startswith("-"):
            removed_lines.append((before, line[1:]))
            before += 1
        elif line.startswith("+"):
            added_lines.append((after, line[1:]))
            after += 1
        else:
            yield from flush_changes()
            yield Row("same", before, line[1:], after, line[1:])
            before, after = before + 1, after + 1
    yield from flush_changes()


def text(report: Report) -> str:
    """The page."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(report=report, words=words, rows=rows)
