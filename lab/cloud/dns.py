"""DNS that answers from the emulator's Route 53."""

from collections.abc import Callable
from typing import Any

from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSServer

Records = Callable[[], list[dict[str, Any]]]
SERVED = {"A", "AAAA", "CNAME", "TXT", "MX", "CAA"}


class Zone(BaseResolver):
    """Answers out of `records()`, asked again for every question: nothing is cached."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        reply = request.reply()
        name, kind = str(request.q.qname).lower().rstrip("."), QTYPE[request.q.qtype]
        try:
            found = [record for record in self.records() if record["Name"].lower().rstrip(".") == name]
        except Exception as error:  # an exception in a resolver means silence
            print(f"dns: {error}", flush=True)
            reply.header.rcode = RCODE.SERVFAIL
            return reply
        if not found:
            reply.header.rcode = RCODE.NXDOMAIN
        for record in found:
            if record["Type"] in SERVED and record["Type"] in (kind, "CNAME"):
                for value in record["ResourceRecords"]:
                    line = f"{name}. {record['TTL']} IN {record['Type']} {value['Value']}"
                    reply.add_answer(*RR.fromZone(line))
        return reply


def serve(records: Records, address: str, port: int) -> None:
    """Starts UDP and TCP servers in threads; Pebble asks over TCP."""
    for tcp in (False, True):
        DNSServer(Zone(records), address=address, port=port, tcp=tcp).start_thread()
