"""A compose file has the bytes that pyyaml makes of it, whichever dumper writes it: a release's id is their hash."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from rendering import compose
from rendering.host import render
from tests.support import whole

WORDS = (
    "http://a.b/c", "--x=y", "key: value", "#c", "-", "''", "'", '"', "yes", "null", "~", "0x1f", "1:30", "2026-01-01", "<<", "=",
    "a" * 30, "b" * 70, "%x", "@y", "`z`", "", "\t", "\n", "\\", "é", "\u2028", "\U0001f600", "[", "{", "*", "&", "!", "|", ">", "?", ",",
)  # fmt: skip
texts = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join) | st.text(max_size=8)
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
SHARED = {"x": "y"}


def by_pyyaml(document: Any) -> str:
    # The dumper that decides what a file is, of which the faster one is to make the same
    return yaml.dump(document, Dumper=compose._Dumper, sort_keys=False, allow_unicode=True)


@given(st.dictionaries(texts, values, max_size=4))
@example({"one": SHARED, "other": [SHARED]})
@example({"a" * 127: 1, "b" * 128: 1, "c" * 129: 1, "": ""})
@example({"deep": {"deep": {"deep": [["x" * 60 + " " + "y" * 60]]}}})
def test_the_dumper_that_is_faster_makes_the_same_bytes(document):
    assert compose.text_of(document) == by_pyyaml(document)


def test_the_slow_dumper_writes_no_usual_compose_file(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("written by pyyaml's own emitter")

    monkeypatch.setattr(compose._Dumper, "open", refuse)
    files = {file.path for file in render(whole(), "watchme").files}
    assert any(path.endswith(".yml") for path in files), sorted(files)
