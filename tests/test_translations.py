"""Every page has its Japanese one beside it: the same headings, tables, lists and commands, and links that stay Japanese."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT

DOCS = ROOT / "docs"
JAPANESE = ".ja.md"
# Of a project that `infra new` makes: templates, of what lies in the project's root
STARTER = ROOT / "starter/project"
TEMPLATE = ".j2"
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
        *STARTER.glob(f"*.md{TEMPLATE}"),
    ]
    if JAPANESE not in path.name and path not in ENGLISH_ALONE
)
TRANSLATIONS = sorted(
    [*ROOT.glob(f"*{JAPANESE}"), *DOCS.rglob(f"*{JAPANESE}"), *STARTER.glob(f"*{JAPANESE}{TEMPLATE}")]
)
# What is generated may say more in one language
COMPARED = [page for page in TRANSLATIONS if page.parent != DOCS / "reference"]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CELL_ENDS = re.compile(r"(?<!\\)\|")
REMARK = re.compile(r"(?:^|\s)#(?:\s.*)?$")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+\.md)(?:#[^)]*)?\)")
# A link of a Japanese page that leads to an English one which has a Japanese one beside it says so
SAYS_SO = {"English", "英語"}
JAPANESE_CHARACTER = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff01-\uffee]")
# Lines that are no part of a paragraph, and those that begin one of their own
STANDS_ALONE = re.compile(r" {4}|\s*[#|<>]")
BEGINS = re.compile(r"\s*(?:[#|<>]|[-*] |\d+\. )")
# A drawing: its words are translated
DRAWING = "text"


@dataclass(frozen=True)
class Shape:
    """What a translation has in common with its original."""

    parts: list[str]
    commands: list[list[str]]


def shape_of(text: str) -> Shape:
    """Headings by their levels, rows by their numbers of cells and items of lists, in their order; lines of blocks
    without their comments."""
    blocks = [body for kind, body in BLOCK.findall(text) if kind != DRAWING]
    commands = [[line for line in map(without_remark, body.splitlines()) if line] for body in blocks]
    parts: list[str] = []
    for line in BLOCK.sub("", text).splitlines():
        if part := re.match(r"#+ |- |\d+\. ", line):
            parts.append(part[0].rstrip())
        elif line.startswith("|"):
            parts.append(f"row of {len(CELL_ENDS.split(line.strip())) - 2}")
    return Shape(parts, commands)


def names_in_code(text: str) -> set[str]:
    lines = BLOCK.sub("", text).replace("\n", " ")
    return {re.sub(r"\s+", " ", name) for name in re.findall(r"`([^`]+)`", lines)}


def without_remark(line: str) -> str:
    return REMARK.sub("", line).rstrip()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def translated(page: Path) -> Path:
    return page.with_name(page.name.replace(".md", JAPANESE))


def original(page: Path) -> Path:
    return page.with_name(page.name.replace(JAPANESE, ".md"))


def link_to(language: str, page: Path) -> str:
    return f"[{language}]({page.name.removesuffix(TEMPLATE)})"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_page_has_and_links_a_japanese_one(page):
    beside = translated(page)
    assert beside.is_file(), f"{named(page)}: {named(beside)} is missing"
    assert link_to("日本語", beside) in page.read_text()


@pytest.mark.parametrize("page", COMPARED, ids=named)
def test_japanese_page_has_the_structure_of_its_original(page):
    beside = original(page)
    assert beside.is_file(), f"{named(page)}: {named(beside)} is missing"
    text = page.read_text()
    here, there = shape_of(text), shape_of(beside.read_text())
    assert here.parts == there.parts
    assert here.commands == there.commands
    assert names_in_code(beside.read_text()) - names_in_code(text) == set()
    assert link_to("English", beside) in text


@pytest.mark.parametrize("page", TRANSLATIONS, ids=named)
def test_a_japanese_page_leads_to_japanese_pages(page):
    text = BLOCK.sub("", page.read_text())
    home = ROOT if page.suffix == TEMPLATE else page.parent
    leading = [(word, (home / target).resolve()) for word, target in LINK.findall(text) if "://" not in target]
    astray = [
        (word, named(path))
        for word, path in leading
        # A project has a README of its own, which may be in one language
        if path in PAGES and path != ROOT / "README.md" and translated(path).is_file() and word not in SAYS_SO
    ]
    assert astray == []


def marks_that_stay(text: str) -> list[str]:
    """Lines whose ** GitHub shows as they are: before a letter none can end behind a full stop or a bracket."""
    plain = re.sub(r"`[^`\n]*`", lambda code: "`" * len(code[0]), BLOCK.sub("", text))
    found: list[str] = []
    for line in plain.splitlines():
        parts = line.split("**")
        bold = [(parts[i - 1][-1:], parts[i], parts[i + 1][:1]) for i in range(1, len(parts) - 1, 2)]
        wrong = [
            words
            for before, words, after in bold
            if (is_letter(before) and not is_letter(words[:1])) or (is_letter(after) and not is_letter(words[-1:]))
        ]
        found += [line] if wrong or len(parts) % 2 == 0 else []
    return found


def broken_lines(text: str) -> list[str]:
    """What follows a line break beside a Japanese character within a paragraph or item: shown as a blank there."""
    before, broken = "", list[str]()
    for line in BLOCK.sub("\n", text).splitlines():
        goes_on = bool(before.strip() and line.strip()) and not (STANDS_ALONE.match(before) or BEGINS.match(line))
        if goes_on and (JAPANESE_CHARACTER.match(before[-1]) or JAPANESE_CHARACTER.match(line.lstrip())):
            broken.append(line)
        before = line
    return broken


@pytest.mark.parametrize("page", TRANSLATIONS, ids=named)
def test_japanese_page_has_no_line_break_within_a_paragraph(page):
    """Japanese has no blanks between words, and Markdown makes one of a line break."""
    assert broken_lines(page.read_text()) == []


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("一つの文が\n続きます。\n", ["続きます。"]),
        ("- 項目が\n  続きます。\n", ["  続きます。"]),
        ("文。\n次の文。\n", ["次の文。"]),
        ("`code`\nの中\n", ["の中"]),
        ("- 項目\n- 次の項目\n\n段落\n\n1. 一\n2. 二\n", []),
        ("# 見出し\n段落\n| 列 |\n|---|\n| 値 |\n", []),
        ("```sh\n一 # 行\n二\n```\n", []),
        ("段落\n\n    出力\n    次の行\n", []),
    ],
)
def test_a_line_break_in_japanese_is_found(text, broken):
    assert broken_lines(text) == broken


def is_letter(character: str) -> bool:
    return bool(re.fullmatch(r"\w", character))


@pytest.mark.parametrize("page", TRANSLATIONS, ids=named)
def test_bold_marks_of_japanese_pages_are_rendered(page):
    """Japanese has no blank behind a mark, which Markdown waits for."""
    assert marks_that_stay(page.read_text()) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [("これは**太字**です", True), ("**太字です。** 次", True), ("**太字です。**次", False), ("次の**`x`**も", False)],
)
def test_marks_before_a_letter_are_found(text, shown):
    assert (marks_that_stay(text) == []) is shown


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

- `infra
  check`

```text
this -> that
```
"""


def test_structure_and_code_of_pages_are_compared():
    parts = ["#", "row of 2", "row of 2", "row of 2", "##", "-"]
    assert shape_of(ENGLISH) == Shape(parts, [["do it --now", "curl http://h/#part"]])
    assert names_in_code(ENGLISH) == {"x", "infra check"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("## More", "### More"),
        ("## More\n", ""),
        ("| `x` |", "| `x` | y |"),
        ("| one", "| zero | |\n| one"),
        ("- `infra", "`infra"),
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
