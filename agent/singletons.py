"""Services of which at most one instance runs anywhere: here only while this host owns the public name.

Every host asks Route 53 itself, or the zone's own servers where another one keeps it, six times in a check. An answer
that the name is not ours stops the service at once, so does a third of a check without any answer; a whole check of
answers that it is ours starts it. The unit of such a service needs its flag, which a reboot removes, and the unit that
runs this, whose end is the service's.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Optional
from xml.etree import ElementTree

from agent import aws, nameservers
from agent.documents.watches import Single, Singles
from agent.outcome import Refused
from agent.watching import every
from agent.world import World

CONFIG = "/etc/infra/singles.json"
FLAGS = "/run/infra/single"
LOOKS = 6  # in a check
UNSURE = 3  # a check's part without an answer after which a service stops
IDENTITY_LIFE = 300.0
SERVERS_LIFE = 300.0  # seconds that the zone's servers are taken for the same
Addresses = Optional[list[str]]


@dataclass
class Name:
    """A public name, and since when this host knows that it owns it."""

    sure_at: float = float("-inf")
    since: float | None = None

    def may_run_after(self, asked_at: float, now: float, addresses: Addresses, mine: str | None, check: float) -> bool:
        """May its services run: after what was answered to a question of `asked_at` (None: nothing)."""
        if addresses is not None and mine is not None:
            self.since = (self.since if self.since is not None else asked_at) if addresses == [mine] else None
            self.sure_at = asked_at
        elif now - self.sure_at > check / UNSURE:
            self.since = None
        return self.since is not None and asked_at - self.since >= check


@dataclass
class Route53:
    """Asks for the address records of a zone."""

    world: World
    timeout: float
    zone: str
    zone_id: str = ""
    known_identity: tuple[float, aws.Identity] | None = None

    def addresses(self, name: str) -> Addresses:
        """None when it does not say."""
        try:
            if not self.zone_id:
                self.zone_id = self._zone()
            query = (("maxitems", "1"), ("name", name), ("type", "A"))
            root = self._get(f"/2013-04-01/hostedzone/{self.zone_id}/rrset", query)
        except (Refused, OSError, ValueError, KeyError, ElementTree.ParseError):
            self.known_identity = None
            return None
        for record in _all(root, "ResourceRecordSet"):
            if _text(record, "Name").rstrip(".") == name and _text(record, "Type") == "A":
                return sorted(_text(value, "Value") for value in _all(record, "ResourceRecord"))
        return []

    def _zone(self) -> str:
        root = self._get("/2013-04-01/hostedzonesbyname", (("dnsname", self.zone), ("maxitems", "1")))
        for zone in _all(root, "HostedZone"):
            if _text(zone, "Name").rstrip(".") == self.zone:
                return _text(zone, "Id").rsplit("/", 1)[-1]
        raise Refused(f"this host cannot see the zone {self.zone} in AWS")

    def _get(self, path: str, query: tuple[tuple[str, str], ...]) -> ElementTree.Element:
        now = self.world.now()
        if self.known_identity is None or now - self.known_identity[0] > IDENTITY_LIFE:
            self.known_identity = (now, aws.identity(self.world))
        request = aws.Request("GET", "route53.amazonaws.com", "us-east-1", "route53", path, query)
        status, body = aws.ask(self.world, self.known_identity[1], request, self.timeout)
        if status != 200:
            raise Refused(f"Route 53 answered {status}")
        return ElementTree.fromstring(body)


@dataclass
class NameServers:
    """Asks the servers that answer for a zone: no resolver's memory is in between. An address counts as the name's
    where all that answer agree."""

    zone: str
    server_names: list[str]
    timeout: float
    now: Callable[[], float]
    known_servers: tuple[float, list[nameservers.Server]] | None = None

    def addresses(self, name: str) -> Addresses:
        """None when none of them says."""
        try:
            if self.known_servers is None or self.now() - self.known_servers[0] > SERVERS_LIFE:
                self.known_servers = (
                    self.now(),
                    nameservers.servers_of(self.zone, self.server_names, self.timeout / 2),
                )
        except nameservers.Silent:
            if self.known_servers is None:
                return None
        addresses = nameservers.addresses(self.known_servers[1], name, self.timeout / 2)
        if addresses is None:
            self.known_servers = None
        return addresses


def _all(root: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.tag.rsplit("}", 1)[-1] == tag]


def _text(root: ElementTree.Element, tag: str) -> str:
    return next((element.text or "" for element in _all(root, tag)), "")


@dataclass
class Watch:
    """The services of a host by its configuration; `look` is one round. `addresses` answers for a name."""

    world: World
    config: Singles
    addresses: Callable[[str], Addresses]
    say: Callable[[str], None]
    names: dict[str, Name] = field(default_factory=dict[str, Name])

    @property
    def check(self) -> float:
        return float(self.config["check"])

    def look(self) -> None:
        mine = self.config["address"] or aws.metadata(self.world, "public-ipv4", self.check / LOOKS)
        for name in sorted({single["name"] for single in self.config["singles"]}):
            asked_at = self.world.now()
            addresses = self.addresses(name)
            state = self.names.setdefault(name, Name())
            may = state.may_run_after(asked_at, self.world.now(), addresses, mine, self.check)
            for single in self.config["singles"]:
                if single["name"] == name:
                    self._let(single, may, addresses)

    def _let(self, single: Single, may: bool, addresses: Addresses) -> None:
        flag, unit = f"{FLAGS}/{single['service']}", single["unit"]
        runs = self.world.exists(flag)
        if may and not runs:
            self.say(f"{single['name']} points here: starting {unit}")
            self.world.write(flag, b"", 0o644, "root", "root")
            self.world.run("systemctl", "start", "--no-block", unit)
        elif runs and not may and self.names[single["name"]].since is None:
            where = "does not answer" if addresses is None else f"points to {', '.join(addresses) or 'nothing'}"
            self.say(f"{single['name']} {where}: stopping {unit}")
            self.stop(single)

    def stop(self, single: Single) -> None:
        """The flag first: nothing starts it again meanwhile."""
        self.world.remove(f"{FLAGS}/{single['service']}")
        if self.world.run("systemctl", "stop", single["unit"], timeout=self.check / UNSURE).code != 0:
            self.world.run("systemctl", "kill", "-s", "KILL", single["unit"])
        # A Docker that hangs stops nothing
        if (container := single.get("container")) and self.world.end_container(container):
            self.say(f"{single['unit']} did not stop: its container was killed")

    def stop_all(self) -> None:
        for single in self.config["singles"]:
            self.stop(single)


def run(world: World, say: Callable[[str], None]) -> None:
    """Watches for as long as the host runs. What an earlier watch left running ends first."""
    config: Singles = json.loads(world.read(CONFIG) or b"{}")
    patience = config["check"] / LOOKS
    if "servers" in config:
        addresses = NameServers(config["zone"], config["servers"], patience, world.now).addresses
    else:
        addresses = Route53(world, patience, config["zone"]).addresses
    watch = Watch(world, config, addresses, say)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: _end(watch))
    watch.stop_all()
    every(world, watch.check / LOOKS, watch.look)


def _end(watch: Watch) -> None:
    watch.stop_all()
    raise SystemExit(0)
