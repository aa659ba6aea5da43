"""files/alerts.en.yaml and files/alerts.ja.yaml: every alert condition is explained in both languages, and nothing is said
of one that does not exist."""

import re
from string import Formatter

import pytest

from catalogue.alert_texts import ENGLISH, JAPANESE, read_alert_explanations, read_alert_texts
from catalogue.loading import ALERTS, read_alerts
from catalogue.problems import CatalogueError
from infra import alert_pages
from tests.support import ROOT

READERS = {ENGLISH: read_alert_explanations, JAPANESE: read_alert_texts}
PAGES = {ENGLISH: alert_pages.english, JAPANESE: alert_pages.japanese}
TEXTS = read_alert_texts(ROOT / JAPANESE)
EXPLANATIONS = {ENGLISH: read_alert_explanations(ROOT / ENGLISH), JAPANESE: TEXTS}
ALERTS_BY_NAME = {alert.alert: alert for alert in read_alerts(ROOT / ALERTS)}
ENTRY = {
    ENGLISH: "disk: {title: x, meaning: x, actions: [x]}\n",
    JAPANESE: "disk: {title: x, text: x, meaning: x, actions: [x]}\n",
}
LANGUAGES = pytest.mark.parametrize("file", [ENGLISH, JAPANESE], ids=str)


def fields_of(text: str) -> list[tuple[str, str | None]]:
    return sorted((name, shape or "") for _, name, shape, _ in Formatter().parse(text) if name is not None)


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@LANGUAGES
def test_explanations_cover_exactly_the_alerts(file):
    texts = EXPLANATIONS[file]
    assert list(texts) == list(ALERTS_BY_NAME)
    assert [name for name, text in texts.items() if not (text.title and text.meaning and text.actions)] == []


@pytest.mark.parametrize("name", ALERTS_BY_NAME)
def test_translated_text_has_the_placeholders_of_the_english_one(name):
    assert fields_of(TEXTS[name].text) == fields_of(ALERTS_BY_NAME[name].text)


@pytest.mark.parametrize("name", ALERTS_BY_NAME)
def test_both_languages_name_the_same_commands_and_pages(name):
    english, japanese = EXPLANATIONS[ENGLISH][name], EXPLANATIONS[JAPANESE][name]
    in_code = [[set(re.findall(r"`([^`]+)`", line)) for line in text.actions] for text in (english, japanese)]
    assert in_code[0] == in_code[1]
    pages = [(text.see or "").partition("#")[0].replace(".ja.md", ".md") for text in (english, japanese)]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("file", "name"), [(file, name) for file, texts in EXPLANATIONS.items() for name, text in texts.items() if text.see]
)
def test_the_page_to_read_has_that_heading(file, name):
    page, _, anchor = (EXPLANATIONS[file][name].see or "").partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert page.endswith(".ja.md") == (file == JAPANESE)
    assert not anchor or anchor in [slug(heading) for heading in headings]


@LANGUAGES
def test_the_page_has_a_section_for_each(file):
    page = PAGES[file](ROOT)
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == list(ALERTS_BY_NAME)
    assert re.findall(r"^\| \[`([^`]+)`\]\(#\1\) \|", page, re.MULTILINE) == list(ALERTS_BY_NAME)


@pytest.mark.parametrize(
    ("file", "row"),
    [
        (ENGLISH, "| `ours` | half full | `disk` | above 50 |"),
        (JAPANESE, "| `ours` |  | half full | `disk` | 50を超える |"),
    ],
    ids=str,
)
def test_an_alert_of_a_projects_own_has_its_english_text(tmp_path, file, row):
    (tmp_path / "files").mkdir()
    (tmp_path / ALERTS).write_text("- {alert: ours, measure: disk, above: 50, text: half full}\n")
    (tmp_path / file).write_text(ENTRY[file])
    page = PAGES[file](tmp_path)
    assert row in page and "### " not in page


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("meaning", "meanin", "disk.meanin: unknown field 'meanin'; did you mean 'meaning'?"),
        ("[x]", "[3]", "disk.actions.0: "),
        ("}\n", ", see: every-day.md}\n", "disk.see: found 'every-day.md'"),
    ],
)
@LANGUAGES
def test_a_wrong_field_is_named(tmp_path, file, old, new, line):
    path = tmp_path / file.name
    path.write_text(ENTRY[file].replace(old, new))
    with pytest.raises(CatalogueError) as error:
        READERS[file](path)
    assert f"{file}: {line}" in str(error.value)


def test_the_english_file_has_no_text_of_its_own(tmp_path):
    (tmp_path / "alerts.en.yaml").write_text(ENTRY[JAPANESE])
    with pytest.raises(CatalogueError, match=r"files/alerts\.en\.yaml: disk\.text: unknown field 'text'"):
        read_alert_explanations(tmp_path / "alerts.en.yaml")
