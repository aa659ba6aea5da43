"""`infra explain`: the reference's words about a name."""

import pytest

from catalogue.models import System
from catalogue.service import Route
from catalogue.services import ComposeService, NativeService
from catalogue.sites import Site
from infra.errors import InfraError
from infra.explaining import entries, explained, mentions
from tests.support import ROOT


def said(field):
    return "\n".join(explained(ROOT, field))


def test_a_field_is_said_with_its_page():
    text = said("hold")
    assert text.startswith("hold, drain (docs/catalogue.md, ") and "requests wait at most while the service" in text
    assert "](" not in text and "`" not in text and max(map(len, text.splitlines())) < 110


def test_a_key_is_found_without_its_namespace_and_a_part_by_its_last_name():
    assert said("statusCidrs") == said("infra:statusCidrs") and "Networks that may see" in said("statusCidrs")
    assert "image.tag" in said("image.tag").splitlines()[0]


def test_what_several_have_is_said_of_each():
    assert said("health").count("(docs/") >= 1 and said("files").count("(docs/") >= 2


def test_an_alert_is_explained():
    assert "(docs/reference/alerts.md, On a host)" in said("disk")


def test_what_there_is_not_is_a_line():
    with pytest.raises(InfraError, match="nothing is called 'hodl': did you mean 'hold'"):
        said("hodl")


FIELDS = {
    name
    for model in (System, Site, Route, ComposeService, NativeService)
    for name in model.model_fields
    if name not in ("kind",)
}


def test_every_field_has_words():
    known = {name.partition(".")[0] for entry in entries(ROOT / "docs") for name in entry.names}
    assert [name for name in sorted(FIELDS - known) if not any(mentions(ROOT / "docs", name))] == []


def test_what_no_table_has_is_explained_by_the_paragraph_that_names_it():
    assert said("snippet").startswith("snippet (docs/sites.md, ")
