"""The stack's language: whose texts travel with a release, and what is refused in them."""

import copy
import re
import string
from functools import cache
from pathlib import Path

import pytest
import yaml

from catalogue.languages import alerts_in, file_of
from catalogue.loading import ALERTS, read_alerts
from catalogue.problems import CatalogueError
from rendering.archive import build
from rendering.host import render
from tests.support import ROOT, stack, whole

HOSTS = ("watchme", "services", "home")
FILE = file_of("ja")
OF_JAPAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


@cache
def spoken(language: str):
    return whole(lambda values: values.update({"infra:language": language} if language else {}))


@cache
def released(language: str, host: str):
    return build(render(spoken(language), host))


def names(text: str) -> list[str]:
    return sorted(f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name)


@pytest.mark.parametrize("host", HOSTS)
def test_english_release_equals_one_without_a_language(host):
    unsaid, english = released("", host), released("en", host)
    assert (english.id, english.archive) == (unsaid.id, unsaid.archive) and "language" not in english.manifest


@pytest.mark.parametrize("host", HOSTS)
def test_japanese_release_differs_only_in_texts_for_people(host):
    one, other = released("en", host), released("ja", host)
    assert one.hashes == other.hashes
    english, japanese = copy.deepcopy(one.manifest), copy.deepcopy(other.manifest)
    assert japanese.pop("language") == "ja"
    for was, will in zip(english.pop("alerts"), japanese.pop("alerts"), strict=True):
        assert OF_JAPAN.search(will.pop("text")) and not OF_JAPAN.search(was.pop("text"))
        assert was == will
    assert english == japanese


def test_japanese_alert_texts_match_the_alerts_and_their_placeholders():
    texts = yaml.safe_load((ROOT / FILE).read_text())
    alerts = read_alerts(ROOT / ALERTS)
    assert list(texts) == [alert.alert for alert in alerts]
    for alert in alerts:
        said = texts[alert.alert]["text"]
        assert names(said) == names(alert.text), alert.alert
        # Where a text ends in a colon, what was measured follows it
        assert said.endswith("：") == alert.text.endswith(": "), alert.alert


WRONG = {
    "no such alert": ("dsk: {text: x}", "alert dsk: is not an alert of files/alerts.yaml; did you mean 'disk'?"),
    "no such field": ("disk: {txt: x}", "disk.txt: unknown field 'txt'; did you mean 'text'?"),
    "not to be translated": ("disk: {above: 3}", "disk.above: unknown field 'above'; fields: title, meaning"),
    "no mapping": ("disk: x", "disk: found 'x'; a mapping"),
    "no text": ("disk: {text: 3}", "disk.text: found 3"),
    "a name that it has not": ('disk: {text: "{colour}"}', "text names 'colour'; it may name subject, value"),
    "a list": ("- disk", "file: is a list; the name of each alert"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line"), WRONG.values(), ids=WRONG)
def test_invalid_translation_file_is_reported(tmp_path: Path, text, line):
    (tmp_path / "files").mkdir()
    (tmp_path / FILE).write_text(f"{text}\n")
    with pytest.raises(CatalogueError) as error:
        alerts_in("ja", read_alerts(ROOT / ALERTS), tmp_path)
    assert line in str(error.value) and str(error.value).startswith(f"error: {FILE}: ")


def test_alert_without_a_translation_stays_in_english(tmp_path: Path):
    (tmp_path / "files").mkdir()
    (tmp_path / FILE).write_text("swap: {text: スワップ}\n")
    found = {alert.alert: alert.text for alert in alerts_in("ja", read_alerts(ROOT / ALERTS), tmp_path)}
    assert found["swap"] == "スワップ" and found["disk"] == "the disk of {subject} is {value} % full"


@pytest.mark.parametrize("language", ["de", "japanese", "JA", 1])
def test_unsupported_language_is_refused(language):
    with pytest.raises(CatalogueError, match=r"infra:language: found .*; en or ja"):
        stack(lambda values: values.update({"infra:language": language}))
