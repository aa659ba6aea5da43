"""What `infra push` calls an image of this machine."""

import pytest

from infra.push import _named


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("my-built-image", "docker-daemon:my-built-image:latest"),
        ("team/web:2", "docker-daemon:team/web:2"),
        ("localhost:5000/web", "docker-daemon:localhost:5000/web:latest"),
        ("oci:build/web:latest", "oci:build/web:latest"),
        ("docker-archive:web.tar", "docker-archive:web.tar"),
    ],
)
def test_a_plain_name_is_an_image_of_docker_with_its_tag(given, named):
    assert _named(given) == named
