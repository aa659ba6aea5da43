"""The dashboard in Japanese: its table is whole, and nothing on it is English but names and what hosts report."""

import ast
import re
import string
from html import unescape
from pathlib import Path

import pytest

from agent import japanese as of_hosts
from infra import status
from infra.dashboard import host as host_parts
from infra.dashboard import html, page, readers
from infra.dashboard.japanese import TEXTS
from infra.dashboard.words import speaker
from tests.dashboard.made_up import dashboard, host, silent, troubled
from tests.dashboard.parsed import Parsed
from tests.support import ROOT

JAPANESE = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
# Texts that are data, or are chosen before they are said
CHOSEN = {
    *page.HOSTS, *host_parts.SERVICES, *host_parts.SPREAD, *host_parts.SITES, *host_parts.BACKUPS, *host_parts.RELEASES, readers.COMMA,
    "Services", "Spread services", "Sites", "Backups", "Releases", "its owner's", "machine {number} ({type})", status.NEVER_MADE,
    status.TO_TAKE_OVER, status.EARLIER_AGENT,
}  # fmt: skip
SOURCES = sorted((ROOT / "infra/dashboard").glob("*.py"))
# Names of stacks, hosts, services, paths, zones, units and programs
NAMES = {
    "prod", "web", "web2", "gone", "shop-web", "shop-db", "shop-worker", "reader", "ap-northeast-1", "ap-northeast-", "shop", "example", "com",
    "www", "JST", "USD", "GiB", "MiB", "AWS", "IP", "alice", "laptop", "bob", "desk", "main", "home", "etc", "a", "x", "srv", "infra", "deploy",
    "host", "retire", "disk", "xx", "service", "shop-cron", "pulumi", "up", "f", "ababababab", "abababababab", "cccccccccccc", "c", "d", "be",
}  # fmt: skip
WORD = re.compile(r"[A-Za-z][A-Za-z-]*")
LABELS = ("aria-label", "title")
REPORTED = [
    "the disk of / is 91.2 % full", "expired at 2026-11-01 00:00 UTC", "the repository does not answer, since 2026-11-17 10:00 JST",
    "no tables", "gone (ubuntu@192.0.2.9:22) does not answer: timed out", "shop-web answered 500", "machine 2 is to take over",
    "machine 1 (t4g.small)",
]  # fmt: skip


def forms_of(path: Path) -> set[str]:
    """The texts that a module says, as it wrote them."""
    forms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            place = {"say": 0, "fill": 1}.get(name)
            if place is not None and isinstance(node.args[place], ast.Constant):
                forms.add(node.args[place].value)
    return forms


def names(form: str) -> set[str]:
    return {f"{name}:{how}" for _, name, how, _ in string.Formatter().parse(form) if name}


def test_the_table_has_every_text_and_none_that_is_not_said():
    used = set().union(*map(forms_of, SOURCES)) | CHOSEN
    assert sorted(used - set(TEXTS) - set(of_hosts.TEXTS)) == []
    assert sorted(set(TEXTS) - used) == []
    assert sorted(set(TEXTS) & set(of_hosts.TEXTS)) == []


@pytest.mark.parametrize("form", TEXTS)
def test_a_text_has_the_same_values_in_both_languages(form):
    assert names(TEXTS[form]) == names(form) and JAPANESE.search(TEXTS[form])


def test_nothing_on_it_is_english_but_names_and_reports():
    text = html(dashboard([host(), troubled(), silent()], "ja", "Asia/Tokyo"))
    shown = Parsed(text)
    labels = [value for element in shown.elements for name, value in element.attributes.items() if name in LABELS]
    body = re.sub("<[^>]*>", " ", re.sub("<style>.*?</style>", "", text, flags=re.DOTALL))
    text = " ".join([unescape(body), *labels])
    for report in REPORTED:
        assert report in text, report
        text = text.replace(report, "")
    assert sorted(set(WORD.findall(text)) - NAMES) == []


def test_what_an_unknown_language_says_is_english():
    assert speaker("tlh")("no hosts") == "no hosts" and speaker("ja").word("healthy") == "正常"
