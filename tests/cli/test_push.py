"""What `infra push` calls an image of this machine."""

from pathlib import Path

import pytest

from infra import push
from infra.errors import InfraError
from infra.push import _skopeo_source


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
def test_plain_name_is_an_image_of_the_local_docker(given, named):
    assert _skopeo_source(given) == named


def test_missing_image_is_reported_without_skopeos_message(monkeypatch):
    class Done:
        returncode = 1
        stderr = 'time="…" level=fatal msg="Error response from daemon: reference does not exist"'

    monkeypatch.setattr(push.subprocess, "run", lambda *_, **__: Done)
    with pytest.raises(InfraError, match=r"there is no image my-built-image:latest: build or pull it") as error:
        push._copy("docker-daemon:my-built-image:latest", "docker://x", Path("/tmp/auth"))
    assert "level=fatal" not in str(error.value)
