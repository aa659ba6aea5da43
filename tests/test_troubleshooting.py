"""docs/troubleshooting.md and the list of messages: what they look up is what the programs say, in both languages."""

import ast
import re
from pathlib import Path

import pytest

from infra import messages
from infra.message_texts import constants_of, texts_of
from tests.support import ROOT

PAGES = [ROOT / "docs/troubleshooting.md", ROOT / "docs/troubleshooting.ja.md"]
# What is said by AWS, by Pulumi and by sudo themselves
OTHERS = {
    "InsufficientInstanceCapacity", "AddressLimitExceeded", "VcpuLimitExceeded", "pending operations", "sudo:",
    "the stack is currently locked",
}  # fmt: skip
DIFFERS = re.compile(r"['‘]?(…|\b[A-Z][A-Z_0-9]+\b)['’]?")


def beginnings(page: Path) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE)


def in_one_form(text: str) -> str:
    """What differs is named in many ways."""
    return DIFFERS.sub("…", text)


@pytest.mark.parametrize("beginning", [entry for entry in beginnings(PAGES[0]) if entry not in OTHERS])
def test_quoted_messages_exist_in_the_program(beginning):
    script = (ROOT / "files/static/prepare-host.sh").read_text()
    said = [*(message.text for message in messages.messages()), *script.splitlines()]
    assert any(in_one_form(beginning) in in_one_form(text) for text in said), beginning


def test_both_languages_have_the_same_messages():
    assert beginnings(PAGES[0]) == beginnings(PAGES[1]) and len(beginnings(PAGES[0])) > 40


def examples() -> list[str]:
    return re.findall(r"^    (.+)$", (ROOT / "docs/style.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("example", examples(), ids=lambda line: line[:20])
def test_style_examples_are_messages_of_the_program(example):
    forms = [in_one_form(message.text).split("…") for message in messages.messages()]
    patterns = [".+".join(map(re.escape, form)) for form in forms if len("".join(form)) > len("is already used by ")]
    assert any(re.search(pattern, example) for pattern in patterns)


def test_each_module_that_has_messages_has_a_heading():
    missing = sorted({message.module for message in messages.messages() if not messages.place_of(message.module)})
    assert missing == [], (
        "write each into infra/messages.yaml, below the heading and the page that its messages belong to"
    )


def test_message_table_names_existing_modules_and_pages():
    pages = {place.page for place in messages.places().values() if place.heading != messages.NOT_LISTED}
    assert [module for module in messages.places() if not (ROOT / module).exists()] == []
    assert [page for page in pages if not (ROOT / "docs" / page).is_file()] == []
    assert [module for module in messages.places() if module.endswith("/") != (ROOT / module).is_dir()] == []


def test_the_tables_list_a_module_once():
    tables = "".join((ROOT / name / "messages.yaml").read_text() for name in messages.tables())
    lines = re.findall(r"[\w/]+(?:\.py|/)(?=[\],\n])", tables)
    assert len(lines) == len(set(lines)) == len(messages.places())


SOURCE = '''
LIMIT = 5
PATIENCE = 10.0
WHY = {"a": "the first of two reasons", "b": "the second of two reasons"}
def check(host, files):
    """A docstring is no message."""
    raise InfraError(f"{host.name} does not answer within {LIMIT} s{why(host)}: {', '.join(files)}")
    raise TypeError("an error of programming is no message")
    rule = f"another port than {host.port!r}"
    yield Problem("a.yaml", "service a", "its port is in use", rule)
    reason = "it cannot be read" if host else "it cannot be written"
    raise Refused(reason) from None
    say("copying {name} to {place:.0f}", name=1, place=2)
    say("in {count} steps{ends} for the {kind}{many}", count=2, ends="", kind="", many="")
    warn(WHY[host])
    raise Refused(f"no answer after {PATIENCE:.0f} s from {own}")
    raise Refused(f"{count(len(files), 'file')} cannot be read")
    say("import sys, types\\nexec(text, module.__dict__)")
    run("docker compose up --detach", "this is not shown to people")
    return f"aws ec2 describe-instances {host}"
'''


def test_messages_are_read_with_placeholders():
    tree = ast.parse(SOURCE)
    assert list(texts_of(tree, constants_of([tree]))) == [
        "HOST does not answer within 5 s…: FILES",
        "its port is in use; another port than 'PORT'",
        "it cannot be read",
        "it cannot be written",
        "copying NAME to PLACE",
        "in COUNT steps… for the KIND…",
        "the first of two reasons",
        "the second of two reasons",
        "no answer after 10 s from …",
        "… files cannot be read",
    ]


def test_only_raised_messages_of_some_packages_are_listed():
    tree = ast.parse(
        'raise LabError("no lab is running")\nraise Refusal("the zone is not yours")\nsay("one two three")\n'
    )
    assert list(texts_of(tree, {}, ["LabError"])) == ["no lab is running"]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("HOST does not answer", "does not answer"),
        ("'NAME' is no region", "is no region"),
        ("…: …; STACK is locked", "is locked"),
        ("A name", "a name"),
    ],
)
def test_messages_are_sorted_by_their_first_words(text, first):
    assert messages.first_words(text) == first
