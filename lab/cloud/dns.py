"""DNS that answers from the emulator's Route 53."""

from collections.abc import Callable
from typing import Any

from dnslib import QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSServer

Records = Callable[[], list[dict[str, Any]]]
SERVED = {"A", "AAAA", "CNAME", "TXT", "MX", "CAA", "SRV"}
JUMPS = 8  # aliases that are followed


class Zone(BaseResolver):
    """Answers out of `records()`, asked again for every question: nothing is cached."""

    def __init__(self, records: Records) -> None:
        self.records = records

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        reply = request.reply()
        name, kind = str(request.q.qname).lower().rstrip("."), QTYPE[request.q.qtype]
        try:
            records = self.records()
        except Exception as error:  # an exception in a resolver means silence
            print(f"dns: {error}", flush=True)
            reply.header.rcode = RCODE.SERVFAIL
            return reply
        for _ in range(JUMPS):
            matching = [record for record in records if record["Name"].lower().rstrip(".") == name]
            if not matching and not reply.rr:
                reply.header.rcode = RCODE.NXDOMAIN
            target = ""
            for record in matching:
                if record["Type"] in SERVED and record["Type"] in (kind, "CNAME"):
                    for value in record["ResourceRecords"]:
                        line = f"{name}. {record['TTL']} IN {record['Type']} {value['Value']}"
                        reply.add_answer(*RR.fromZone(line))
                        target = value["Value"].lower().rstrip(".") if record["Type"] == "CNAME" else target
            # As a resolver does, which answers for all zones
            if not target or kind == "CNAME":
                break
            name = target
        return reply


def serve(records: Records, address: str, port: int) -> None:
    """Starts UDP and TCP servers in threads; Pebble asks over TCP."""
    for tcp in (False, True):
        DNSServer(Zone(records), address=address, port=port, tcp=tcp).start_thread()
