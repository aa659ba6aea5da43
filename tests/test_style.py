"""The words of docs/style.md, held against what people read."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

STYLE = ROOT / "docs/style.md"
AVOIDED = re.compile(
    r"\b(told|tells?|telling|nobod\w*|somebod\w*|anybod\w*|everybod\w*|whoever|mend(s|ed|able)?|anew|sick|unwell|(was|were) there before|of before"
    r"|for want of|want of memory|stands twice|is (given|named) twice|at work|not as it should be|damaged on the way"
    r"|in each other|(to|can) be had|(is|are|be|was|were|all|not|never|gets?) well)\b",
    re.IGNORECASE,
)
CODE = ["infra", "agent", "catalogue", "components", "rendering", "policy", "lab", "benchmarks", "tests"]
# They hold the words themselves, or the names that alerts had before
ABOUT_WORDS = {
    *(ROOT / "tests" / name for name in ("test_style.py", "test_names.py")),
    ROOT / "agent/monitor/names.py",
    ROOT / "catalogue/alert_names.py",
}
# Keys of files on hosts, which fields of classes are named by: transaction.json, told.json
KEYS = {"sick", "told"}
# Names in code and keys of data, which are read by hosts and programs of other versions, stand in backticks, braces or "":
QUOTED = re.compile(r"`` .*? ``|`[^`]*`|\{[^{}]*\}|\"\w+\":")
# Comments that are part of what hosts have: another wording would be another release of every host
ON_HOSTS = (
    "for want of memory itself",
    "its clients are told to come back",
    "# Whoever provides it",
    "USER nobody",
)
OTHER_FILES = [
    ROOT / "Makefile",
    ROOT / "Pulumi.yaml",
    ROOT / "tests/tests.mk",
    *(
        path
        for folder in ("files", "lab", "starter", "infra", "catalogue", ".github", ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and ".ja." not in path.name
    ),
]
ENGLISH = [
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not path.name.endswith(".ja.md") and path != STYLE
]


def found_in(text: str) -> list[str]:
    return [match[0] for match in AVOIDED.finditer(QUOTED.sub("", text))]


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every message, docstring and comment of a program: a single word is a name."""
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def names_in(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of all that a program defines: functions, classes, parameters, variables, attributes, imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.alias(asname=str(name)):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case _:
                pass


def in_words(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.replace("_", " "))


@pytest.mark.parametrize("package", CODE)
def test_programs_use_the_words_of_the_field(package):
    paths = sorted({*(ROOT / package).rglob("*.py")} - ABOUT_WORDS)
    complaints = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in paths
        for line, text in texts_of(path)
        for word in found_in(text)
    ]
    assert paths and complaints == []


@pytest.mark.parametrize("package", CODE)
def test_names_use_the_words_of_the_field(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    complaints = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in paths
        for line, name in names_in(path)
        if found_in(in_words(name)) and not (package == "agent" and name in KEYS)
    ]
    assert paths and complaints == []


def test_a_name_is_read_as_words():
    assert [in_words(name).strip() for name in ("_is_well", "NOBODY", "isWellNow")] == [
        "is well",
        "NOBODY",
        "is Well Now",
    ]


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_use_the_words_of_the_field(path):
    in_no_block = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    assert found_in(in_no_block) == []


@pytest.mark.parametrize("path", OTHER_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_descriptions_templates_and_scripts_use_the_words_of_the_field(path):
    """With their comments."""
    text = path.read_text()
    for comment in ON_HOSTS:
        text = text.replace(comment, "")
    assert found_in(text) == []


def test_excepted_comments_exist():
    texts = [path.read_text() for path in OTHER_FILES]
    assert [comment for comment in ON_HOSTS if not any(comment in text for text in texts)] == []


def test_the_page_names_every_word_that_is_held():
    """And the test can fail: each example of the first column is found."""
    rows = re.findall(r"^\| (?!not |---)([^|]+) \|", STYLE.read_text(), re.MULTILINE)
    words = [word.strip() for row in rows for part in row.split(";") for word in part.split(",")]
    assert len(words) > 12 and [word for word in words if not found_in(word)] == []


LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]+)?\)")


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()) for title in titles)
    return {title.replace(" ", "-") for title in plain}


@pytest.mark.parametrize(
    "path", [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_link_leads_somewhere(path):
    for target, anchor in LINK.findall(path.read_text()):
        if target.startswith(("http", "mailto:")):
            continue
        place = (path.parent / target).resolve()
        assert place.exists(), target
        assert not anchor or place.suffix != ".md" or anchor[1:] in anchors(place), f"{target}{anchor}"


def test_the_index_has_every_page():
    """A project has none of the systems' pages, and no link to one."""
    docs, systems = ROOT / "docs", ROOT / "docs/systems"
    index, theirs = (docs / "README.md").read_text(), (systems / "README.md").read_text()
    pages = [path for path in docs.rglob("*.md") if path.name != "README.md"]
    assert [page for page in pages if systems not in page.parents and f"({page.relative_to(docs)})" not in index] == []
    assert [page for page in pages if systems in page.parents and f"({page.name})" not in theirs] == []
    assert [page for page in pages if systems not in page.parents and "(systems/" in page.read_text()] == []


CONFLICT = re.compile(rb"^(?:<{7}|>{7})(?: |\r?$)", re.MULTILINE)


def test_no_file_has_the_marks_of_an_unfinished_merge():
    """Of all files in git: a changelog with such lines is rendered, and no program complains."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    paths = [ROOT / name for name in names.decode().split("\0") if name]
    texts = {path: path.read_bytes() for path in paths if path.is_file()}
    unfinished = [str(path) for path, text in texts.items() if b"\0" not in text and CONFLICT.search(text)]
    assert len(texts) > 100 and unfinished == []


@pytest.mark.parametrize(
    ("text", "is_mark"),
    [("<" * 7 + " HEAD", True), (">" * 7 + " 3f2a9c0", True), (" " + "<" * 7 + " HEAD", False), ("<" * 8, False)],
)
def test_a_mark_of_a_merge_is_found(text, is_mark):
    assert bool(CONFLICT.search(f"first\n{text}\nlast".encode())) is is_mark
