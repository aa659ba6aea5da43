"""Where public names point, asked of the servers that answer for their zone: no resolver's memory is in between."""

import socket

from botocore.exceptions import BotoCoreError, ClientError
from dnslib import QTYPE, DNSError, DNSRecord

from infra import route53
from infra.errors import InfraError

PATIENCE = 5.0


def servers(zone: str, named: list[str]) -> list[tuple[str, int]]:
    """Host and port of every server of a zone: those `named` (NAME or NAME:PORT), else the ones Route 53 gives it.

    Raises InfraError.
    """
    if named:
        return [(host, int(port or 53)) for host, _, port in (name.partition(":") for name in named)]
    try:
        client = route53.client()
        id = route53.zone_id(client, zone)
        if id is None:
            raise InfraError(f"there is no zone {zone} in Route 53")
        answered = client.get_hosted_zone(Id=id)
    except (BotoCoreError, ClientError) as error:
        raise InfraError(f"Route 53 does not say who answers for {zone}: {error}") from None
    return [(name, 53) for name in answered.get("DelegationSet", {}).get("NameServers", [])]


def addresses(name: str, server: tuple[str, int]) -> list[str]:
    """The addresses that one server gives for a name, sorted. Raises InfraError when it does not answer."""
    try:
        address = socket.getaddrinfo(server[0], server[1], socket.AF_INET, socket.SOCK_DGRAM)[0][4][0]
        answer = DNSRecord.parse(DNSRecord.question(name).send(str(address), server[1], timeout=PATIENCE))
    except (OSError, DNSError) as error:
        raise InfraError(f"{server[0]} does not answer for {name}: {error}") from None
    return sorted(str(record.rdata) for record in answer.rr if record.rtype == QTYPE.A)
