"""When a value of a stack's file was changed last, and by whom: what git says of its lines. Nothing is kept beside."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent import times
from infra.errors import InfraError
from infra.foreign import one_line
from infra.git import git

DAY = 86400
UNKNOWN = "last change unknown"
UNCOMMITTED = "0" * 40  # git's name of what is in no commit yet


@dataclass(frozen=True)
class Change:
    """A commit's `author` and time (seconds); both None while it is in no commit."""

    author: str | None
    at: float | None

    def words(self, now: float) -> str:
        if self.at is None:
            return "changed now, not committed"
        days = int(max(now - self.at, 0) // DAY)
        age = "today" if days == 0 else "1 day ago" if days == 1 else f"{days} days ago"
        return f"changed {times.show(self.at, form=times.DATE)} ({age}) by {one_line(self.author or '?')}"


Changes = dict[tuple[str, str], Change]


def changes(file: Path, keys: Collection[str]) -> Changes:
    """Group and name → the last change of the value's lines, below `keys` of the configuration, as far as git knows. A
    history that was cut off (a shallow clone) is no answer, nor is a file that git does not have."""
    try:
        blamed = git("blame", "--line-porcelain", "--", file.name, root=file.parent)
        is_shallow = git("rev-parse", "--is-shallow-repository", root=file.parent).strip() == b"true"
        ranges = dict(_ranges(yaml.compose(file.read_text(encoding="utf-8")), keys))
    except (InfraError, OSError, ValueError, yaml.YAMLError):
        return {}
    by_line = dict(enumerate(_lines(blamed.decode(errors="replace"), is_shallow)))
    by_path: Changes = {}
    for path, lines in ranges.items():
        entries = [by_line.get(number) for number in lines]
        complete = [entry for entry in entries if entry is not None]
        if complete and len(complete) == len(entries):
            # What is in no commit yet is the latest
            by_path[path] = max(complete, key=lambda entry: float("inf") if entry.at is None else entry.at)
    return by_path


def _lines(porcelain: str, is_shallow: bool) -> Iterator[Change | None]:
    """One for each line of the file; None where the history begins later than the line."""
    commit, author, at, is_first = "", "", 0.0, False
    for line in porcelain.split("\n"):
        if line.startswith("\t"):
            is_cut = is_shallow and is_first
            yield None if is_cut else Change(None, None) if commit == UNCOMMITTED else Change(author, at)
            commit, is_first = "", False
        elif not commit:
            commit = line.partition(" ")[0]
        elif line.startswith("author "):
            author = line.removeprefix("author ")
        elif line.startswith("author-time "):
            at = float(line.removeprefix("author-time "))
        elif line == "boundary":
            is_first = True


def _ranges(root: Any, keys: Collection[str]) -> Iterator[tuple[tuple[str, str], list[int]]]:
    """Group and name → the lines of the value, of a stack's file that was composed."""
    for key, config in _pairs(root):
        for name, groups in _pairs(config) if key == "config" else ():
            for group, values in _pairs(groups) if name in keys else ():
                for secret, value in _pairs(values):
                    yield (group, secret), sorted({*_lines_of(value)})


def _lines_of(node: Any) -> Iterator[int]:
    """Those of its scalars: a mapping ends only where the next key begins."""
    if isinstance(node, yaml.ScalarNode):
        end = node.end_mark.line + (1 if node.end_mark.column else 0)
        yield from range(node.start_mark.line, max(end, node.start_mark.line + 1))
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for part in pair:
                yield from _lines_of(part)
    elif isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from _lines_of(part)


def _pairs(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key.value, value
