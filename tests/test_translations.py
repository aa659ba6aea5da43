"""Every page has its Japanese one beside it: the same headings, tables and commands, and links that stay in the language."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

DOCS = ROOT / "docs"
JAPANESE = ".ja.md"
# Read by those who change the program: in English alone. Of the reference, which is generated, the alerts are translated
ENGLISH_ALONE = {DOCS / "style.md", DOCS / "promises.md"}
PAGES = sorted(
    path
    for path in [
        ROOT / "README.md",
        DOCS / "reference/alerts.md",
        *DOCS.glob("*.md"),
        *(DOCS / "runbooks").glob("*.md"),
        *(DOCS / "systems").glob("*.md"),
    ]
    if not path.name.endswith(JAPANESE) and path not in ENGLISH_ALONE
)
TRANSLATIONS = sorted([*ROOT.glob(f"*{JAPANESE}"), *DOCS.rglob(f"*{JAPANESE}")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REMARK = re.compile(r"(?:^|\s)#(?:\s.*)?$")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")
# A link of a Japanese page that leads to an English one which has a Japanese one beside it says so
SAYS_SO = {"English", "英語"}
# A drawing: its words are translated
DRAWING = "text"


@dataclass(frozen=True)
class Shape:
    """What a translation has in common with its original."""

    headings: list[int]
    tables: list[list[int]]
    commands: list[list[str]]


def shape_of(text: str) -> Shape:
    """Levels of headings, numbers of cells of each row of each table, and lines of blocks without their comments."""
    blocks = [body for kind, body in BLOCK.findall(text) if kind != DRAWING]
    commands = [[line for line in map(without_remark, body.splitlines()) if line] for body in blocks]
    lines = BLOCK.sub("", text).splitlines()
    headings = [len(line) - len(line.lstrip("#")) for line in lines if re.match(r"#+ ", line)]
    tables: list[list[int]] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            tables[-1].append(len(re.split(r"(?<!\\)\|", line.strip())) - 2)
    return Shape(headings, tables, commands)


def without_remark(line: str) -> str:
    return REMARK.sub("", line).rstrip()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def translated(page: Path) -> Path:
    return page.with_name(page.stem + JAPANESE)


def original(page: Path) -> Path:
    return page.with_name(page.name.removesuffix(JAPANESE) + ".md")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_has_a_japanese_one_and_links_to_it(page):
    beside = translated(page)
    assert beside.is_file(), f"{named(page)}: {named(beside)} is missing"
    assert f"[日本語]({beside.name})" in page.read_text()


@pytest.mark.parametrize("page", TRANSLATIONS, ids=named)
def test_a_japanese_page_has_what_its_original_has(page):
    beside = original(page)
    assert beside.is_file(), f"{named(page)}: {named(beside)} is missing"
    text = page.read_text()
    here, there = shape_of(text), shape_of(beside.read_text())
    assert here.headings == there.headings
    assert here.tables == there.tables
    assert here.commands == there.commands
    assert f"[English]({beside.name})" in text


@pytest.mark.parametrize("page", TRANSLATIONS, ids=named)
def test_a_japanese_page_leads_to_japanese_pages(page):
    text = BLOCK.sub("", page.read_text())
    leading = [(word, (page.parent / target).resolve()) for word, target in LINK.findall(text) if "://" not in target]
    astray = [
        (word, named(path))
        for word, path in leading
        if path in PAGES and translated(path).is_file() and word not in SAYS_SO
    ]
    assert astray == []


ENGLISH = """# A page

| what | how |
|---|---|
| one \\| two | `x` |

```sh
do it --now   # at once
# all of it
curl http://h/#part
```

## More

```text
this -> that
```
"""


def test_what_is_compared():
    assert shape_of(ENGLISH) == Shape([1, 2], [[2, 2, 2]], [["do it --now", "curl http://h/#part"]])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("## More", "### More"),
        ("## More\n", ""),
        ("| `x` |", "| `x` | y |"),
        ("| one", "| zero | |\n| one"),
        ("--now", "--later"),
        ("\ncurl", "\n\ndo more\ncurl"),
    ],
)
def test_a_difference_is_found(old, new):
    assert old in ENGLISH and shape_of(ENGLISH.replace(old, new)) != shape_of(ENGLISH)


@pytest.mark.parametrize(
    ("old", "new"), [("at once", "すぐに"), ("A page", "ページ"), ("this -> that", "これ -> それ")]
)
def test_words_may_differ(old, new):
    assert old in ENGLISH and shape_of(ENGLISH.replace(old, new)) == shape_of(ENGLISH)
