"""What a catalogue needs to know of a kind of proxy. A module of catalogue/proxies/ describes each kind that can do
more than serve sites."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


class Reach(Protocol):
    """What a snippet may lead to: `Own` of catalogue/rules/snippets.py."""

    def has(self, path: str) -> bool:
        """Whether a path is one of the product's own, or of what is published."""
        ...

    def is_service(self, address: str) -> bool:
        """Whether one of the host's services answers there, or another machine by its name."""
        ...


@dataclass(frozen=True)
class Abilities:
    """What a proxy can do beyond serving sites: nothing that its description does not name."""

    leads_between: bool = False
    """Whether it can be switched between two places of a service, and have requests wait: rollouts, replicas, hold."""
    limits_clients: bool = False
    """Whether it counts each client's requests and connections."""
    trusts_by_site: bool = False
    """Whether each site has its own list of CDNs that it believes."""
    takes_placeholders: bool = False
    """Whether it puts a value in the place of a name in braces, in a header's value."""
    families_by_site: bool = False
    """Whether one site alone can be left out at the host's IPv6 addresses."""
    http1_alone: bool = False
    """Whether its sites can be without HTTP/2."""
    ipv6: bool = False
    """Whether it listens at the host's IPv6 addresses too."""
    http3: bool = False
    """Whether it serves HTTP/3."""
    client_ca: bool = False
    """Whether it asks clients for a certificate."""
    cdn: bool = False
    """Whether it believes what a CDN says of its clients."""
    compressions: tuple[str, ...] = ("gzip",)
    """The ways in which it compresses answers."""


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy. How its sites are rendered is in rendering/proxies/; what it is on a host, in agent/proxies/."""

    abilities: Abilities = Abilities()
    """What a catalogue may ask of it."""
    snippet_faults: Callable[[str, Reach], Iterator[str]] | None = None
    """What is wrong with a site's snippet, each fault in a few words, by its text and what it may lead to; None for a
    proxy without snippets."""
    snippet_rules: Mapping[str, str] = field(default_factory=dict[str, str])
    """How a fault of its snippets begins → what is allowed, beside those that all proxies have."""
    unwritable: tuple[str, ...] = ()
    """What its configuration cannot have in a header's value, however it is quoted. No site has any of it, so that each
    can be served by every proxy."""
    reserved_users: tuple[str, ...] = ()
    """Names of users that it would read as something else."""
