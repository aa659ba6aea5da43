"""docs/reference/catalogue.md: every field that a person writes, out of the models."""

from collections.abc import Iterator

import pytest

from catalogue.fields import Model
from catalogue.models import Directory, GroupedNetwork, System
from catalogue.relays import Relay
from catalogue.service import Artefact, Route, Service
from catalogue.services import ComposeService, TimerService
from catalogue.serving import Rate, Serving
from catalogue.sites import Site
from catalogue.spread import SpreadService
from catalogue.stack import Stack
from infra.catalogue_fields import ADDED, rows, sections, title

MODELS = [section.model for section in sections()]


def models(of: type[Model] = Model) -> Iterator[type[Model]]:
    for model in of.__subclasses__():
        yield model
        yield from models(model)


def row(model: type[Model], name: str) -> tuple[str, str, str, str]:
    return next(found for found in rows(model) if found[0] == f"`{name}`")


def test_every_model_of_the_catalogue_is_on_the_page():
    made_by_the_program = {GroupedNetwork, Relay, SpreadService}
    known = {model for model in models() if model.__module__.startswith("catalogue.")} - {Stack, *made_by_the_program}
    assert known == {*MODELS} and len({title(model) for model in MODELS}) == len(MODELS) > 40


@pytest.mark.parametrize("model", MODELS, ids=title)
def test_every_field_has_a_description(model):
    for name, kind, default, text in rows(model):
        assert kind and default and text.endswith("."), name
        assert 10 <= len(text) <= 200, (name, len(text))
        assert text[0].isupper() or text[0] in "`0123456789", name


@pytest.mark.parametrize("model", MODELS, ids=title)
def test_every_field_is_in_a_table_of_its_model_or_a_base(model):
    shown = {found[0].strip("`") for base in model.__mro__ if base in MODELS for found in rows(base)}
    written = {info.alias or name for name, info in model.model_fields.items() if name not in ADDED.get(model, ())}
    assert written <= shown


def test_types_of_fields_are_described_in_words():
    assert row(Rate, "per")[1] == "one of `second`, `minute`"
    assert row(Rate, "requests")[1] == "whole number, from 1 to 100000"
    assert row(Service, "single")[1:3] == ("`true` or `false`", "`false`")
    assert row(Service, "routes")[1] == "list of [Route](#route)"
    assert row(Service, "unit")[1:3] == ("text: a unit with its ending, such as notes-worker.service", "required")
    assert row(ComposeService, "unit")[2] == "`NAME.service`" and row(ComposeService, "directory")[2] == "`/opt/NAME`"
    assert row(ComposeService, "replica_ports")[1] == "list of whole numbers, each from 1 to 65535"
    assert row(ComposeService, "release")[1] == "one, or a list of [Release step](#release-step), at most 20"
    assert row(Serving, "max_body")[1].endswith("such as 512m, or [File key](#file-key)")
    assert row(Site, "hsts")[2] == "as in [HSTS](#hsts)"
    assert row(Directory, "mode")[2] == '`"0755"`'
    assert row(TimerService, "job")[1] == "mapping: section → directive → a value, or a list of values"


def test_preprocessed_fields_are_listed_and_computed_ones_are_not():
    names = [found[0] for found in rows(System)]
    assert "`variants`" in names and "`variant`" not in names
    assert row(ComposeService, "without")[1] == "list of texts"


def test_the_words_are_no_part_of_the_models():
    """What a stack's state or a release holds of a model has none of them."""
    assert [name for model in (Route, Artefact) for name, info in model.model_fields.items() if info.description] == []
