"""Which proxies a host can have, and what a catalogue may ask of each.

A proxy is there once `rendering/proxies/` has a module of its name. That name is also its program's, its unit's, and
that of its directory below /etc, which are no product's.
"""

from dataclasses import dataclass
from pathlib import Path

USUAL = "nginx"
MODULES = Path(__file__).parent.parent / "rendering" / "proxies"
# The usual one is first
NAMES = (USUAL, *sorted({path.stem for path in MODULES.glob("[a-z]*.py")} - {USUAL}))


@dataclass(frozen=True)
class Abilities:
    """What a proxy can do beyond serving sites. One that is not in ABILITIES can do none of it."""

    leads_between: bool = False
    """Whether it can be switched between two places of a service, and have requests wait: rollouts, replicas, hold."""
    limits_clients: bool = False
    """Whether it counts each client's requests and connections."""
    trusts_by_site: bool = False
    """Whether each site has its own list of CDNs that it believes."""
    takes_placeholders: bool = False
    """Whether it puts a value in the place of a name in braces, in a header's value."""


ABILITIES = {
    "nginx": Abilities(leads_between=True, limits_clients=True, trusts_by_site=True),
    "caddy": Abilities(takes_placeholders=True),
}


def abilities(name: str) -> Abilities:
    return ABILITIES.get(name, Abilities())
