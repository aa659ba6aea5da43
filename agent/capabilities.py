"""What the programs of a host can do. Hosts have them in many versions: what not all versions have is asked of the
program itself, once a job, and has another way. docs/hosts.md lists every program and option."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from agent import compose

if TYPE_CHECKING:
    from agent.world import World

# Program → the package of Debian and Ubuntu that brings it. Every release needs those of ALWAYS
ALWAYS = {
    "journalctl": "systemd", "ss": "iproute2", "systemctl": "systemd", "systemd-analyze": "systemd",
    "systemd-run": "systemd",
}  # fmt: skip
FOR_ACCOUNTS = {"useradd": "passwd", "usermod": "passwd"}
FOR_MANAGERS = {"loginctl": "systemd", "runuser": "util-linux"}
FOR_CERTIFICATES = {"openssl": "openssl"}
FOR_PROXIES = {"unshare": "util-linux"}


class Capabilities:
    """Of one host, each asked for when it is first needed."""

    def __init__(self, world: World) -> None:
        self.world = world

    @cached_property
    def judges_units_alone(self) -> bool:
        """Can `systemd-analyze verify` leave out what it finds in the units that a unit depends on (systemd 250)."""
        return "--recursive-errors" in self.world.run("systemd-analyze", "--help", timeout=30).output

    @cached_property
    def compose(self) -> compose.Compose | None:
        """The host's Docker Compose, of either generation."""
        return compose.look(self.world)
