"""Security groups as a firewall: what no rule of an instance's groups lets in is dropped, as in AWS.

Two ways lead to a host of the lab: its public address, as this machine's programs ask it, and its own address, as the
other hosts ask it. Rules about what goes out are not judged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from lab import network, ports
from lab.settings import Lab

CLIENT = "127.0.0.1"  # the source address of whatever this machine's programs send to 127.0.0.0/8
MOST_PORTS = 200  # of one opening, as catalogue/compose/values.py has it
OWNERS_MACHINES = 254  # the third number of public addresses that no instance has: see lab/existing.py


@dataclass(frozen=True)
class Opening:
    """What one rule allows: `first`–`last` are ports (0–65535 for a protocol without any, or all), `cidr` who."""

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
    applied: dict[str, list[str]] = field(default_factory=dict)

    def follow(self, hosts: Iterable[Host]) -> None:
        all_hosts = list(hosts)
        for table, lines in (("filter", rules(self.lab, all_hosts)), ("nat", published_rules(self.lab, all_hosts))):
            if lines != self.applied.get(table):
                network.restore(table, lines)
                self.applied[table] = lines


def openings(groups: Iterable[Any], members: Callable[[str], Iterable[str]]) -> tuple[Opening, ...]:
    """What moto's security groups allow; `members(group id)` are the private addresses of a group's instances."""
    entries = []
    for group in groups:
        for rule in group.ingress_rules:
            first, last = (rule.from_port, rule.to_port) if rule.from_port is not None else (0, 65535)
            cidrs = [rule.cidr_ipv4] if rule.cidr_ipv4 else []
            if rule.source_group:
                cidrs += [f"{address}/32" for address in members(rule.source_group["GroupId"])]
            entries += [Opening(rule.ip_protocol or "-1", first, last, cidr) for cidr in cidrs]
    return tuple(dict.fromkeys(entries))


def published_ports(openings: Iterable[Opening]) -> list[int]:
    """The TCP ports that rules open beside those that each public address leads to; not of one that opens most."""
    narrow = [one for one in openings if one.protocol == "tcp" and one.last - one.first < MOST_PORTS]
    return sorted({port for one in narrow for port in range(one.first, one.last + 1)} - {*ports.PUBLIC})


def published_rules(lab: Lab, hosts: Iterable[Host]) -> list[str]:
    """Lines of iptables-restore that lead what is sent to a published port to where it is listened on. Pure."""
    chain = f"{lab.bridge}-open"
    return [
        f":{chain} - [0:0]",
        *(
            f"-A {chain} -d {host.public} -p tcp --dport {port} -j DNAT "
            f"--to-destination :{ports.shift_port(port, lab.shift)}"
            for host in hosts
            if host.public
            for port in published_ports(host.openings)
        ),
    ]


def rules(lab: Lab, hosts: Iterable[Host]) -> list[str]:
    """Lines of iptables-restore for the chain of the security groups. Pure."""
    all_hosts, chain = list(hosts), f"{lab.bridge}-sg"
    lines = [
        f":{chain} - [0:0]",
        f"-A {chain} -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
        f"-A {chain} -d 127.{lab.number}.255.0/24 -j RETURN",
    ]
    for host in all_hosts:
        for opening in host.openings:
            if host.public and _includes(opening.cidr, CLIENT):
                # The port has been shifted by now; the rule is about the one that was asked for
                lines.append(f"-A {chain} -d {host.public}{_ports(opening, '-m conntrack --ctorigdstport')} -j RETURN")
            for other in all_hosts:
                if other is not host and _includes(opening.cidr, other.private):
                    # One private address is asked for from another
                    for source, target in ((other.inner, host.inner), (other.private, host.private)):
                        lines.append(f"-A {chain} -s {source} -d {target}{_ports(opening, '--dport')} -j RETURN")
    lines += [f"-A {chain} -d {address} -j DROP" for host in all_hosts for address in (host.inner, host.private)]
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
