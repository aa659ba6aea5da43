"""What a field, a key, an alert or a term means, in the words of the tables of the project's own pages."""

import difflib
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catalogue.alert_names import current_alert
from infra.errors import InfraError

FIELDS = "reference/catalogue.md"
ALERTS = "reference/alerts.md"
GLOSSARY = "glossary.md"
KEYS = "reference/configuration.md"
PAGES = (FIELDS, "catalogue.md", "sites.md", "backups.md", KEYS, ALERTS, GLOSSARY)
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
# Links whose own words say nothing without their target
HOW = re.compile(r"\[how\]\((?:[^)#]*/)?([^)#/]+)(?:#[^)]*)?\)")
BELOW = re.compile(r"\[below\]\(#[^)]*\)")
# The line below a table's head, which names the columns
HEAD = re.compile(r"^\|[\s:|-]+\|$")
CODE = re.compile(r"`([^`]+)`")
ROW = re.compile(r"^\|(.+)\|\s*$")
# Of a cell's code that names a field: `volumes`, `infra:zone`, `image.tag`, `socket: true`
NAMED = re.compile(r"(infra:|aws:)?[A-Za-z_][A-Za-z0-9_.-]*")
WIDTH = 100
MOST = 3
SIMILAR = 0.65  # 1 is the same word; names less alike than this are not offered


@dataclass(frozen=True)
class Entry:
    """A row of a table: the names in its first cell, what it says, and where it stands; of a field also its type."""

    names: tuple[str, ...]
    text: str
    page: str
    heading: str
    kind: str = ""
    steps: tuple[str, ...] = ()
    """Of an alert: what to do, in the order to try it, and the page with more."""


def explain(root: Path, field: str) -> Iterator[str]:
    """Lines about each meaning that a name has. Raises InfraError where it has none."""
    all_entries = list(entries(root / "docs"))
    name = field.strip().rstrip(":")
    # `zone` stands for infra:zone, `tag` for image.tag, and `image` for all that is below it
    matches = (
        [e for e in all_entries if any(name in (whole, *re.split("[:.]", whole)) for whole in e.names)] if name else []
    )
    matches = [*below(all_entries, name), *matches, *alert_sections(root / "docs", name)]
    matches = matches or (list(mentions(root / "docs", name))[:MOST] if name else [])
    if not matches:
        raise InfraError(f"no field, key, alert or term is named {field!r}{_alternatives(name, all_entries)}")
    for number, entry in enumerate(matches):
        if number:
            yield ""
        yield f"{', '.join(entry.names)} ({entry.page}, {entry.heading})"
        for line in (entry.text, *entry.steps):
            yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _alternatives(name: str, all_entries: list[Entry]) -> str:
    """Names that are written alike; where there is none, the pages that have all of them."""
    names = sorted({name for entry in all_entries for name in entry.names if len(name) > 2})
    near = difflib.get_close_matches(name, names, MOST, cutoff=SIMILAR)
    pages = "docs/reference/catalogue.md, docs/reference/configuration.md, docs/reference/alerts.md, docs/glossary.md"
    return f"; the nearest names: {', '.join(near)}" if near else f"; all names: {pages}"


def entries(docs: Path) -> Iterator[Entry]:
    """The rows of all tables whose first cell names something."""
    for page in PAGES:
        path = docs / page
        if not path.is_file():
            continue
        heading, columns = "", [""]
        lines = path.read_text().splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if line.startswith("#"):
                heading = _plain(line.lstrip("# "))
            elif match := ROW.match(line):
                # A | within code is written as \|
                first, *rest = [cell.strip() for cell in re.split(r"(?<!\\)\|", match[1])]
                if HEAD.match(following):
                    columns = rest
                    continue
                names = _terms(first) if page == GLOSSARY else _in_code(first)
                if names and rest:
                    cells = [_plain(cell) for cell in rest]
                    is_field = page in (FIELDS, KEYS) and len(cells) == 3
                    text = _of_field(*cells) if is_field else _with_columns(columns, cells)
                    yield Entry(names, text, f"docs/{page}", heading, cells[0] if is_field else "")


def _in_code(cell: str) -> tuple[str, ...]:
    return tuple(name[0] for code in CODE.findall(cell) if (name := NAMED.match(code)))


def _terms(cell: str) -> tuple[str, ...]:
    """A row's term; a table's head and the line below it have none."""
    return () if cell == "term" or cell.startswith("---") else (_plain(cell),)


def below(all_entries: list[Entry], path: str) -> list[Entry]:
    """What `tag` of `image.tag` means: of the fields called `tag` those of the thing that an `image` is."""
    *above, name = path.split(".")
    kinds = [entry.kind for entry in all_entries if above and above[-1] in entry.names]
    of_name = [entry for entry in all_entries if kinds and name in entry.names]
    return [entry for entry in of_name if any(entry.heading in kind for kind in kinds)] or of_name


def alert_sections(docs: Path, name: str) -> Iterator[Entry]:
    """What an alert means and what to do about it: its section, where the page has one."""
    name = current_alert(name)
    text = (docs / ALERTS).read_text() if (docs / ALERTS).is_file() else ""
    heading = ""
    for part in filter(str.strip, re.split(r"^(?=##+ )", text, flags=re.MULTILINE)):
        title, *lines = [_plain(line) for line in part.splitlines() if line]
        if part.startswith("## "):
            heading = title.lstrip("# ")
        elif title == f"### {name}" and lines:
            yield Entry((name,), lines[0], f"docs/{ALERTS}", heading, steps=tuple(lines[1:]))


def mentions(docs: Path, name: str) -> Iterator[Entry]:
    """What pages say of a name that no table has: each paragraph with it, or the heading of an example."""
    in_code, in_example = re.compile(rf"`{re.escape(name)}\b[^`]*`"), re.compile(rf"^[\s\-{{]*{re.escape(name)}:", re.M)
    for page in PAGES:
        path, heading = docs / page, ""
        for part in path.read_text().split("\n\n") if path.is_file() else []:
            if part.startswith("#"):
                heading = _plain(part.split("\n")[0].lstrip("# "))
            if part.startswith("```"):
                if in_example.search(part):
                    yield Entry((name,), f"an example is on that page, under {heading!r}", f"docs/{page}", heading)
            elif in_code.search(part):
                # Of a table the rows that have it
                rows = [line.strip("| ") for line in part.splitlines() if in_code.search(line)]
                text = "; ".join(rows).replace(" | ", ": ") if part.startswith("|") else part
                yield Entry((name,), _plain(text), f"docs/{page}", heading)


def _with_columns(columns: list[str], cells: list[str]) -> str:
    """The cells of a row; of one with several those after the first with their column's name."""
    pairs = [(name, cell) for name, cell in zip(columns, cells, strict=False) if cell]
    return "; ".join(cell if not number else f"{name}: {cell}" for number, (name, cell) in enumerate(pairs))


def _of_field(kind: str, default: str, text: str) -> str:
    need = {"none": "optional"}.get(default, default if default.startswith("required") else f"default: {default}")
    return f"{text} ({kind}; {need})"


def _plain(text: str) -> str:
    """Without links and the marks of code."""
    text = BELOW.sub("further down that page", HOW.sub(r"see \1", text))
    return LINK.sub(r"\1", text).replace("`", "").replace("**", "").replace("\\|", "|")
