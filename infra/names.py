"""Where public names point, asked of the servers that answer for their zone: no resolver's memory is in between."""

import socket
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from dnslib import QTYPE, RCODE, RR, DNSError, DNSRecord

from infra import route53
from infra.errors import InfraError

PATIENCE = 5.0
RESOLVERS = Path("/etc/resolv.conf")
Server = tuple[str, int]


def servers(zone: str, configured: list[str], provider: str = "route53") -> list[Server]:
    """Host and port of every server of a zone: those that are `configured` (NAME or NAME:PORT), else those that its
    provider gives it.

    Raises InfraError.
    """
    if configured:
        return [server_of(name) for name in configured]
    return _of_route53(zone) if provider == "route53" else _by_resolver(zone)


def server_of(name: str) -> Server:
    """Host and port of NAME or NAME:PORT."""
    host, _, port = name.partition(":")
    return host, int(port or 53)


def _of_route53(zone: str) -> list[Server]:
    try:
        client = route53.client()
        id = route53.zone_id(client, zone)
        if id is None:
            raise InfraError(f"there is no zone {zone} in Route 53")
        answered = client.get_hosted_zone(Id=id)
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"Route 53 does not say who answers for {zone}: {error}") from None
    return [(name, 53) for name in answered.get("DelegationSet", {}).get("NameServers", [])]


def _by_resolver(zone: str) -> list[Server]:
    reasons: list[str] = []
    for resolver in resolvers():
        try:
            name_servers = sorted(str(r.rdata).rstrip(".") for r in ask(zone, "NS", resolver) if r.rtype == QTYPE.NS)
        except InfraError as error:
            reasons.append(str(error))
            continue
        if name_servers:
            return [(name, 53) for name in name_servers]
        reasons.append(f"{resolver[0]} knows none")
    fault = "; ".join(reasons) or "this machine has no resolver"
    raise InfraError(f"it is not known which servers answer for {zone}: {fault}. infra:nameServers can name them")


def resolvers() -> list[Server]:
    """Those that this machine asks."""
    try:
        lines = RESOLVERS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [(word[1], 53) for word in words if len(word) > 1 and word[0] == "nameserver"]


def ask(name: str, kind: str, server: Server) -> list[RR]:
    """All records of a server's answer; none where the name has none. Raises InfraError when it does not answer."""
    try:
        candidates = socket.getaddrinfo(server[0], server[1], 0, socket.SOCK_DGRAM)
        # One with both is asked over IPv4
        family, *_, place = min(candidates, key=lambda entry: entry[0] != socket.AF_INET)
        address, is_six = str(place[0]), family == socket.AF_INET6
        question = DNSRecord.question(name, kind)
        answer = DNSRecord.parse(question.send(address, server[1], timeout=PATIENCE, ipv6=is_six))
        if answer.header.tc:
            answer = DNSRecord.parse(question.send(address, server[1], tcp=True, timeout=PATIENCE, ipv6=is_six))
    except (OSError, DNSError, UnicodeError) as error:
        raise InfraError(f"{server[0]} does not answer for {name}: {error}") from None
    if answer.header.rcode not in (RCODE.NOERROR, RCODE.NXDOMAIN):
        raise InfraError(f"{server[0]} does not answer for {name}: {RCODE.get(answer.header.rcode)}")
    return list(answer.rr)


def addresses(name: str, server: Server) -> list[str]:
    """The addresses that one server gives for a name, sorted. Raises InfraError when it does not answer."""
    return sorted(str(record.rdata) for record in ask(name, "A", server) if record.rtype == QTYPE.A)


def life(name: str, server: Server) -> int | None:
    """For how many seconds a resolver may keep a name's address; None without one. Raises InfraError."""
    return max((record.ttl for record in ask(name, "A", server)), default=None)
