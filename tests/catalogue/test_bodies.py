"""Keys of what is written into compose files."""

from catalogue.compose.bodies import ContainerBody
from catalogue.compose.container import ContainerOptions
from catalogue.compose.writing import PLAIN


def test_plain_options_are_keys_of_a_containers_body():
    assert {*PLAIN} == {*ContainerBody.__annotations__} - {"ulimits", "deploy", "healthcheck"}
    assert {*PLAIN} <= {*ContainerOptions.model_fields}
