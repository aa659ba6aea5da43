"""docs/troubleshooting.md: what it looks up is what the program says, and both languages have the same messages."""

import re
from pathlib import Path

import pytest

from tests.support import ROOT

PAGES = [ROOT / "docs/troubleshooting.md", ROOT / "docs/troubleshooting.ja.md"]
SOURCES = [
    path
    for folder in ("agent", "catalogue", "components", "infra", "rendering")
    for path in (ROOT / folder).rglob("*.py")
]
SOURCES += [ROOT / "__main__.py", ROOT / "files/static/prepare-host.sh"]
# What is said by AWS, by Pulumi and by sudo themselves
OTHERS = {"InsufficientInstanceCapacity", "AddressLimitExceeded", "VcpuLimitExceeded", "pending operations", "sudo:"}
PLACES = re.compile(r"HOST|SERVICE|KEY")


def beginnings(page: Path) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", page.read_text(), re.MULTILINE)


def said() -> str:
    """The text of all programs, literals in one piece, what is filled in left open."""
    text = "\n".join(path.read_text() for path in SOURCES)
    text = re.sub(r"\"\s*\n\s*f?\"", "", text)
    return re.sub(r"\{[^{}\n]*\}", "…", text)


@pytest.mark.parametrize("beginning", [entry for entry in beginnings(PAGES[0]) if entry not in OTHERS])
def test_a_message_is_one_of_the_programs(beginning):
    pattern = "…".join(re.escape(part) for part in PLACES.split(beginning))
    assert re.search(pattern, said()), beginning


def test_both_languages_have_the_same_messages():
    assert beginnings(PAGES[0]) == beginnings(PAGES[1]) and len(beginnings(PAGES[0])) > 40
