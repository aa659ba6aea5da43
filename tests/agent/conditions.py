"""WatchMe on a host in memory that a monitor can look at, and what may be wrong with it."""

import json
from email.utils import formatdate

from agent.credentials import CREDENTIALS
from agent.world import CommandResult
from rendering.archive import build
from rendering.host import render
from tests.agent.docker import Docker
from tests.agent.fake import FakeWorld
from tests.agent.releases import serving
from tests.support import Change, changed, digests, unchanged, whole

LOGIN = json.dumps({"Username": "AWS", "Secret": "t"})
MEMINFO = (
    "MemTotal: 8000000 kB\nMemFree: 100 kB\nMemAvailable: 4000000 kB\nSwapTotal: 2000000 kB\nSwapFree: 1900000 kB\n"
)
NETWORK = "watchme-network"
KEY = b"[default]\naws_access_key_id = AKIA1\naws_secret_access_key = s3cret\n"


def watchme(change: Change = unchanged, config: Change = unchanged) -> FakeWorld:
    """WatchMe on a host in memory, all healthy."""
    made = build(render(changed(whole(config), "watchme", change), "watchme", digests(change)))
    world = serving(made)
    world.docker = Docker.of(made.manifest)
    world.files["/proc/meminfo"] = (MEMINFO.encode(), 0o444, "root", "root")
    world.answers["docker-credential-ecr-login get"] = CommandResult(0, LOGIN)
    world.fetch = lambda url, *_, **__: (200, b"")  # type: ignore[method-assign]
    world.date = formatdate(world.time, usegmt=True)
    world.files[CREDENTIALS] = (KEY, 0o600, "root", "root")
    return world


def moved(world: FakeWorld) -> None:
    world.docker.containers["ast-api"][NETWORK] = "172.27.0.99"


TRANSACTION = json.dumps(
    {
        "job": "j", "kind": "apply", "who": "alice@laptop", "host": "watchme", "release": "abc", "base": None, "began": 0,
        "before": [], "states": {}, "stops": [], "starts": [], "sick": [],
    }
).encode()  # fmt: skip
