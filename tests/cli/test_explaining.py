"""`infra explain`: the reference's words about a name."""

import pytest

from infra.catalogue_fields import rows, sections, title
from infra.errors import InfraError
from infra.explaining import entries, explain
from tests.support import ROOT


def said(field):
    return "\n".join(explain(ROOT, field))


def test_a_field_is_said_with_its_page():
    text = said("hold")
    assert text.startswith("hold (docs/reference/catalogue.md, Service)") and "new requests wait at most" in text
    assert "(whole number, from 0 to 600; default: 45)" in " ".join(text.split())
    assert "hold, drain (docs/catalogue.md, " in text and "requests wait at most while the service" in text
    assert "](" not in text and "`" not in text and max(map(len, text.splitlines())) < 110


def test_a_key_is_found_without_its_namespace_and_a_part_by_its_last_name():
    assert said("statusCidrs") == said("infra:statusCidrs") and "Networks that may see" in said("statusCidrs")
    assert said("image.tag").startswith("tag (docs/reference/catalogue.md, Image)")
    assert said("backup.keep.daily").startswith("daily (docs/reference/catalogue.md, Keep)")
    assert said("sites.timeout").startswith("timeout (docs/reference/catalogue.md, Serving)")
    with pytest.raises(InfraError, match=r"no field, key, alert or term is named 'nothing\.name'"):
        said("nothing.name")


def test_what_several_have_is_said_of_each():
    assert said("health").count("(docs/") >= 1 and said("files").count("(docs/") >= 2


def test_an_alert_is_explained():
    text = said("disk")
    assert "(docs/reference/alerts.md, On a host)" in text
    meaning = text.partition("disk (docs/reference/alerts.md, Meaning and what to do)\n")[2].splitlines()
    assert meaning[0].startswith("  Disk almost full. Little disk space is left.")
    assert [line[2:5] for line in meaning if line[2:3].isdigit()] == ["1. ", "2. ", "3. "]
    assert said("cpu-credits").endswith("\n  See docs/runbooks/replace-host.md.")


def test_what_there_is_not_is_a_line():
    with pytest.raises(InfraError, match=r"^no field, key, alert or term is named 'hodl'; the nearest names: hold$"):
        said("hodl")


def test_names_that_are_not_alike_are_not_offered():
    with pytest.raises(InfraError, match=r"is named 'nonsense'; all names: docs/"):
        said("nonsense")


def test_a_term_of_the_glossary_is_explained():
    assert said("holding").startswith("holding (docs/glossary.md, Releases)\n  Requests of a restarting service wait")
    assert said("roll back").startswith("roll back (docs/glossary.md, Releases)")
    with pytest.raises(InfraError):
        said("term")


@pytest.mark.parametrize("word", ["nonsense", "mem limit", "qqqqqqqq", "", "東京"])
def test_a_word_that_nothing_is_called_by_is_one_short_line(word):
    with pytest.raises(InfraError) as refused:
        said(word)
    assert len(str(refused.value)) < 200 and "\n" not in str(refused.value)


FIELDS = {(row[0].strip("`"), title(section.model)) for section in sections() for row in rows(section.model)}


def test_every_field_of_the_catalogue_is_explained():
    known = {(name, entry.heading) for entry in entries(ROOT / "docs") for name in entry.names}
    assert len(FIELDS) > 250 and known >= FIELDS


def test_what_no_table_has_is_explained_by_the_paragraph_that_names_it():
    assert said("location").startswith("location (docs/sites.md, ")
