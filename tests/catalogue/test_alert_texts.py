"""files/alerts.ja.yaml: every alert condition has its Japanese texts, and no text is of one that does not exist."""

import re
from string import Formatter

import pytest

from catalogue.alert_texts import JAPANESE, read_alert_texts
from catalogue.loading import ALERTS, read_alerts
from catalogue.problems import CatalogueError
from infra import alert_pages
from tests.support import ROOT

TEXTS = read_alert_texts(ROOT / JAPANESE)
ALERTS_BY_NAME = {alert.alert: alert for alert in read_alerts(ROOT / ALERTS)}
ENTRY = "disk: {title: x, text: x, meaning: x, actions: [x]}\n"


def fields_of(text: str) -> list[tuple[str, str | None]]:
    return sorted((name, shape or "") for _, name, shape, _ in Formatter().parse(text) if name is not None)


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_alert_has_its_texts_and_no_text_is_of_another():
    assert list(TEXTS) == list(ALERTS_BY_NAME)
    assert [name for name, text in TEXTS.items() if not (text.title and text.meaning and text.actions)] == []


@pytest.mark.parametrize("name", ALERTS_BY_NAME)
def test_a_text_names_what_the_english_one_names(name):
    assert fields_of(TEXTS[name].text) == fields_of(ALERTS_BY_NAME[name].text)


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if text.see])
def test_the_page_to_read_has_that_heading(name):
    page, _, anchor = (TEXTS[name].see or "").partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert not anchor or anchor in [slug(heading) for heading in headings]


def test_the_page_has_a_section_for_each():
    page = alert_pages.japanese(ROOT)
    assert re.findall(r"^### (.+)$", page, re.MULTILINE) == list(ALERTS_BY_NAME)


def test_an_alert_of_a_projects_own_has_its_english_text(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / ALERTS).write_text("- {alert: ours, measure: disk, above: 50, text: half full}\n")
    (tmp_path / JAPANESE).write_text(ENTRY)
    page = alert_pages.japanese(tmp_path)
    assert "| `ours` |  | half full | `disk` | 50を超える |" in page and "### " not in page


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (ENTRY.replace("meaning", "meanin"), "disk.meanin: unknown field 'meanin'; did you mean 'meaning'?"),
        (ENTRY.replace("[x]", "[3]"), "disk.actions.0: "),
        (ENTRY.replace("}\n", ", see: every-day.md}\n"), "disk.see: found 'every-day.md'"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, changed, line):
    (tmp_path / "alerts.ja.yaml").write_text(changed)
    with pytest.raises(CatalogueError) as error:
        read_alert_texts(tmp_path / "alerts.ja.yaml")
    assert f"files/alerts.ja.yaml: {line}" in str(error.value)
