"""Keys of what is written into compose files, and of fields that are read from them."""

import pytest

from catalogue.compose import fields
from catalogue.compose.bodies import ContainerBody
from catalogue.compose.container import ContainerFile, ContainerOptions
from catalogue.compose.steps import ReleaseStep
from catalogue.compose.values import Dependency, HealthCommand, Mount
from catalogue.compose.writing import PLAIN
from catalogue.service import Image, Memory
from catalogue.services import ComposeService
from catalogue.serving import Cors
from catalogue.shapes import CorsFields

MODELS = [
    (fields.MountFields, Mount), (fields.FileFields, ContainerFile), (fields.HealthFields, HealthCommand),
    (fields.ImageFields, Image), (fields.ImageField, ComposeService), (fields.LimitFields, Memory),
    (fields.MemoryField, ComposeService), (fields.PortFields, ComposeService), (fields.ConditionFields, Dependency),
    (CorsFields, Cors), (fields.WaitField, ComposeService), (fields.EnvironmentField, ComposeService), (fields.StepFields, ReleaseStep),
]  # fmt: skip


def test_plain_options_are_keys_of_a_containers_body():
    assert {*PLAIN} == {*ContainerBody.__annotations__} - {"ulimits", "deploy", "healthcheck"}
    assert {*PLAIN} <= {*ContainerOptions.model_fields}


@pytest.mark.parametrize(("form", "model"), MODELS)
def test_fields_that_are_read_are_those_of_their_model(form, model):
    assert form.__annotations__ and {*form.__annotations__} <= {*model.model_fields}
