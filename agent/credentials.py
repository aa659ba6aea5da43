"""Who the host is in AWS while a release is being fetched: the release's own key counts before it is in place, and for
that preparation alone."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager

from agent.store import Release
from agent.world import World

CREDENTIALS = "/root/.aws/credentials"
FILE = "AWS_SHARED_CREDENTIALS_FILE"
STAGED = "/run/infra/aws"  # for the programs that the preparation runs


class _Preparation:
    """Of this process: what else runs on the host is who the host is."""

    content: bytes | None = None


@contextmanager
def aws_environment(world: World, target: Release) -> Generator[dict[str, str]]:
    """The environment for programs that talk to AWS; empty where the machine has a role."""
    content = next((file.content for file in target.files if file.path == CREDENTIALS), None)
    if content is None:
        yield {}
        return
    world.write(STAGED, content, 0o600, "root", "root")
    _Preparation.content = content
    try:
        yield {FILE: STAGED}
    finally:
        _Preparation.content = None
        world.remove(STAGED)


def current(world: World) -> bytes | None:
    """The key of the release that this process prepares, or that of its parent; else the one of the release that
    serves."""
    return _Preparation.content or world.read(os.environ.get(FILE) or CREDENTIALS)


def forget_staged(world: World) -> None:
    """What a killed preparation left."""
    if world.exists(STAGED):
        world.remove(STAGED)
