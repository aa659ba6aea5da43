"""Docker Compose of a host: v1 (the command docker-compose) or v2 (a plugin of Docker's, which is a command too). All
that differs between them is here; what is rendered for both is in rendering/compose.py.

- v1 before 1.27 does not know the Compose Specification, and takes a file without `version` for its oldest format.
- v2 warns of a file's `version` at each start, beside what it says of a real fault; v1 warns of nothing.
- Both take a project's name by the same option, mark its containers with the same labels, remove orphans with the same
  option, and end with another code than 0 for a fault.
- v2 replaces $NAME in an unquoted value of an environment file, v1 does not: the agent puts such a value in quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.outcome import Refused

if TYPE_CHECKING:
    from agent.world import CommandResult, World

UNITS_RUN = "/usr/bin/docker-compose"  # as in files/templates/compose.service.j2
FOLDERS = (
    "/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins", "/root/.docker/cli-plugins",
)  # fmt: skip
PLACES = (UNITS_RUN, "/usr/local/bin/docker-compose", *(f"{folder}/docker-compose" for folder in FOLDERS))
OLDEST = (1, 27)
WARNING = re.compile(r'^time="[^"]*" level=(?:warning|info)|^WARNING: ')


@dataclass(frozen=True)
class Compose:
    """The program at `path`. `version` is how it calls itself, "" where it does not run."""

    path: str
    version: str

    @property
    def is_too_old(self) -> bool:
        numbers = re.search(r"(\d+)\.(\d+)", self.version)
        return numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST

    def fault(self, world: World, file: str) -> CommandResult | None:
        """What it says of a compose file that it does not take, without its warnings; None when it takes it."""
        ran = world.run(self.path, "-f", file, "config", "-q")
        if ran.code == 0:
            return None
        lines = ran.output.splitlines()
        return type(ran)(ran.code, "\n".join(line for line in lines if not WARNING.match(line)) or ran.output)


def look(world: World) -> Compose | None:
    """The first one of PLACES that is there. Raises nothing: one that does not run has no version."""
    path = next((path for path in PLACES if world.exists(path)), None)
    if path is None:
        return None
    ran = world.run(path, "version", "--short", timeout=60)
    return Compose(path, ran.output.strip() if ran.code == 0 else "")


def demand(installed: Compose | None) -> Compose:
    """Raises Refused where a host has none that can read a release's compose files."""
    if installed is None:
        raise Refused(
            "not installed: docker-compose, as a command or as Docker's plugin. Install docker-compose-v2 or "
            "docker-compose-plugin on the host and run again"
        )
    if installed.is_too_old:
        runs = f"is version {installed.version}" if installed.version else "does not run (`version --short` fails)"
        raise Refused(
            f"{installed.path} {runs}, but a release needs at least Docker Compose 1.27: remove it, install "
            "docker-compose-v2 or docker-compose-plugin on the host, and run again"
        )
    return installed


def make_command(world: World, installed: Compose) -> None:
    """A link to the plugin where the units look for the command."""
    if installed.path != UNITS_RUN:
        world.link(UNITS_RUN, installed.path)
