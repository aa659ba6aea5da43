"""Security groups as a firewall: what no rule of an instance's groups lets in is dropped, as in AWS.

Two ways lead to a host of the lab: its public address, as this machine's programs ask it, and its own address, as the
other hosts ask it. Rules about what goes out are not judged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from lab import network
from lab.settings import Lab

CLIENT = "127.0.0.1"  # the source address of whatever this machine's programs send to 127.0.0.0/8
OWNERS_MACHINES = 254  # the third number of public addresses that no instance has: see lab/existing.py


@dataclass(frozen=True)
class Opening:
    """What one rule lets in: `first`–`last` are ports (0–65535 for a protocol without any, or all), `cidr` who."""

    protocol: str
    first: int
    last: int
    cidr: str


@dataclass(frozen=True)
class Host:
    """A running instance: its address in its own network (`private`, as AWS has it), on the lab's bridge (`inner`), and
    the public one, if any."""

    inner: str
    private: str
    public: str | None
    openings: tuple[Opening, ...]


@dataclass
class Firewall:
    """Writes the rules again when they have changed."""

    lab: Lab
    written: list[str] = field(default_factory=list)

    def follow(self, hosts: Iterable[Host]) -> None:
        lines = rules(self.lab, hosts)
        if lines != self.written:
            network.restore("filter", lines)
            self.written = lines


def openings(groups: Iterable[Any], members: Callable[[str], Iterable[str]]) -> tuple[Opening, ...]:
    """What moto's security groups let in; `members(group id)` are the private addresses of a group's instances."""
    made = []
    for group in groups:
        for rule in group.ingress_rules:
            first, last = (rule.from_port, rule.to_port) if rule.from_port is not None else (0, 65535)
            cidrs = [rule.cidr_ipv4] if rule.cidr_ipv4 else []
            if rule.source_group:
                cidrs += [f"{address}/32" for address in members(rule.source_group["GroupId"])]
            made += [Opening(rule.ip_protocol or "-1", first, last, cidr) for cidr in cidrs]
    return tuple(dict.fromkeys(made))


def rules(lab: Lab, hosts: Iterable[Host]) -> list[str]:
    """Lines of iptables-restore for the chain of the security groups. Pure."""
    known, chain = list(hosts), f"{lab.bridge}-sg"
    lines = [
        f":{chain} - [0:0]",
        f"-A {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
        f"-A {chain} -d 127.{lab.number}.255.0/24 -j RETURN",
    ]
    for host in known:
        for opening in host.openings:
            if host.public and _includes(opening.cidr, CLIENT):
                # The port has been shifted by now; the rule is about the one that was asked for
                lines.append(f"-A {chain} -d {host.public}{_ports(opening, '-m conntrack --ctorigdstport')} -j RETURN")
            for other in known:
                if other is not host and _includes(opening.cidr, other.private):
                    lines.append(f"-A {chain} -s {other.inner} -d {host.inner}{_ports(opening, '--dport')} -j RETURN")
        lines.append(f"-A {chain} -d {host.inner} -j DROP")
    # The owners' own machines have no security group, and no more ports than were published
    machines = f"127.{lab.number}.{OWNERS_MACHINES}.0/24"
    lines.append(f"-A {chain} -d {machines} -m conntrack --ctstate DNAT -j RETURN")
    lines.append(f"-A {chain} -d {lab.public_network} -j DROP")
    return lines


def _includes(cidr: str, address: str) -> bool:
    return ip_address(address) in ip_network(cidr, strict=False)


def _ports(opening: Opening, match: str) -> str:
    if opening.protocol not in ("tcp", "udp"):
        return ""
    return f" -p {opening.protocol} {match} {opening.first}:{opening.last}"
