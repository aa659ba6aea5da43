"""What a host says in the language of its owners: the table is whole, and every text finds its way through it."""

import ast
import copy
import json
import re
import string
from pathlib import Path

import pytest

from agent import tag_releases
from agent.japanese import TEXTS
from agent.monitor import page
from agent.outcome import OUTCOMES
from agent.wording import Phrase, Speaker, join_phrases, phrase, speaker
from tests.support import ROOT

JAPANESE = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]")
# What the page takes from data: heads of its tables, what is measured of a machine, kinds of jobs and how they end
WORDS = {
    *page.SERVICES, *page.STATES, *page.RELEASES, *page.REPAIRS, *page.MACHINE, page.UNSEEN, *page.MADE_ROOM, *OUTCOMES,
    "apply", "rollback", "restart", tag_releases.KIND,
}  # fmt: skip


def forms_of(path: Path) -> set[str]:
    """The texts that a program gives to `said`, `joined` or a speaker, as it wrote them."""
    found, source = set(), path.read_text()
    calls = ("phrase", "join_phrases", "say") if path.parent.name == "monitor" else ("phrase", "join_phrases")
    for node in ast.walk(ast.parse(source)) if "wording" in source or "look.say(" in source else []:
        name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in calls and node.args:
            found |= {part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)}
        # A form that is chosen first
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("form", "declined", "silent"):
            found |= {part.value for part in ast.walk(node.value) if isinstance(part, ast.Constant)}
    return {text for text in found if isinstance(text, str)}


def names(form: str) -> set[str]:
    return {f"{name}:{how}" for _, name, how, _ in string.Formatter().parse(form) if name}


def test_japanese_table_has_exactly_the_used_texts():
    used = set().union(*(forms_of(path) for path in (ROOT / "agent").rglob("*.py") if path.name != "wording.py"))
    assert sorted((used | WORDS) - set(TEXTS)) == []
    assert sorted(set(TEXTS) - used - WORDS) == []


@pytest.mark.parametrize("form", TEXTS)
def test_a_text_has_the_same_values_in_both_languages(form):
    assert names(TEXTS[form]) == names(form)
    assert JAPANESE.search(TEXTS[form])


def test_phrase_can_be_translated_as_part_of_another():
    inner = phrase("{path} is missing", path="/a")
    outer = phrase("{asker} cannot connect to it", asker=inner)
    assert outer == "/a is missing cannot connect to it" and speaker("en").of(outer) == outer
    assert speaker("ja").of(outer) == "/aがありませんから接続できません"
    assert (
        speaker("ja").of(join_phrases("; ", [inner, "what a program wrote {x}"]))
        == "/aがありません。what a program wrote {x}"
    )
    assert join_phrases("; ", []) == "" == speaker("ja").of("")


def test_unknown_words_stay_in_english():
    assert speaker("ja").of("healthy") == "healthy" and speaker("ja").word("{odd") == "{odd"
    assert speaker("tlh")("{path} is missing", path="/a") == "/a is missing"
    assert Speaker({})("a {b}", b="{c}") == "a {c}"


def test_a_text_is_copied_and_written_as_any_other():
    text = copy.deepcopy(phrase("{path} is missing", path="/a"))
    assert (
        isinstance(text, Phrase)
        and speaker("ja").of(text) == "/aがありません"
        and json.dumps(text) == '"/a is missing"'
    )
