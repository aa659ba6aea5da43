"""Who the host is in AWS while a release is being fetched: the release's own key counts before it is in place."""

from collections.abc import Iterator
from contextlib import contextmanager

from agent.store import Release
from agent.world import World

CREDENTIALS = "/root/.aws/credentials"
STAGED = "/run/infra/aws"


@contextmanager
def of_release(world: World, target: Release) -> Iterator[dict[str, str]]:
    """The environment for programs that talk to AWS; empty where the machine has a role."""
    content = next((file.content for file in target.files if file.path == CREDENTIALS), None)
    if content is None:
        yield {}
        return
    world.write(STAGED, content, 0o600, "root", "root")
    try:
        yield {"AWS_SHARED_CREDENTIALS_FILE": STAGED}
    finally:
        world.remove(STAGED)
