"""`infra explain`: the reference's words about a name."""

import pytest

from infra.catalogue_fields import rows, sections, title
from infra.errors import InfraError
from infra.explaining import entries, explain
from tests.support import ROOT


def said(field):
    return "\n".join(explain(ROOT, field))


def test_field_is_explained_with_its_page():
    text = said("hold")
    assert text.startswith("hold (docs/reference/catalogue.md, Service)") and "new requests wait at most" in text
    assert "(whole number, from 0 to 600; default: 45)" in " ".join(text.split())
    assert "hold, drain (docs/catalogue.md, " in text and "requests wait at most while the service" in text
    assert "](" not in text and "`" not in text and max(map(len, text.splitlines())) < 110


def test_key_is_found_without_its_namespace_and_field_by_its_path():
    assert said("statusCidrs") == said("infra:statusCidrs") and "Networks that may see" in said("statusCidrs")
    assert said("image.tag").startswith("tag (docs/reference/catalogue.md, Image)")
    assert said("backup.keep.daily").startswith("daily (docs/reference/catalogue.md, Keep)")
    assert said("sites.timeout").startswith("timeout (docs/reference/catalogue.md, Serving)")
    with pytest.raises(InfraError, match=r"no field, key, alert or term is named 'nothing\.name'"):
        said("nothing.name")


def test_field_of_several_models_is_explained_for_each():
    assert said("health").count("(docs/") >= 1 and said("files").count("(docs/") >= 2


def test_an_alert_is_explained():
    text = said("disk")
    assert "(docs/reference/alerts.md, On a host)" in text
    meaning = text.partition("disk (docs/reference/alerts.md, Meaning and what to do)\n")[2].splitlines()
    assert meaning[0].startswith("  Disk almost full. Little disk space is left.")
    assert [line[2:5] for line in meaning if line[2:3].isdigit()] == ["1. ", "2. ", "3. "]
    assert said("cpu-credits").endswith("\n  See docs/runbooks/replace-host.md.")


def test_unknown_term_is_one_line_with_the_nearest():
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
def test_unknown_word_is_refused_in_one_short_line(word):
    with pytest.raises(InfraError) as refused:
        said(word)
    assert len(str(refused.value)) < 200 and "\n" not in str(refused.value)


FIELDS = {(row[0].strip("`"), title(section.model)) for section in sections() for row in rows(section.model)}


def test_every_field_of_the_catalogue_is_explained():
    known = {(name, entry.heading) for entry in entries(ROOT / "docs") for name in entry.names}
    assert len(FIELDS) > 250 and known >= FIELDS


def test_term_without_a_table_is_explained_by_its_paragraph():
    assert said("location").startswith("location (docs/sites.md, ")
