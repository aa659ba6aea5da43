"""What is used of dnslib, which has no types of its own."""

class DNSError(Exception): ...

class _Names:
    """Numbers of the protocol and their names: `QTYPE.A` is 1, `QTYPE[1]` and `QTYPE.get(1)` are "A"."""

    def __getattr__(self, name: str) -> int: ...
    def __getitem__(self, number: int) -> str: ...
    def get(self, number: int) -> str: ...

QTYPE: _Names
RCODE: _Names

class RD:
    """A record's value; as text, how a zone file has it."""

class TXT(RD):
    data: list[bytes]

class RR:
    rtype: int
    ttl: int
    rdata: RD
    @classmethod
    def fromZone(cls, zone: str) -> list[RR]: ...

class DNSHeader:
    rcode: int
    tc: int

class DNSQuestion:
    qname: object
    qtype: int

class DNSRecord:
    header: DNSHeader
    q: DNSQuestion
    rr: list[RR]
    @classmethod
    def parse(cls, packet: bytes) -> DNSRecord: ...
    @classmethod
    def question(cls, qname: str, qtype: str = "A") -> DNSRecord: ...
    def send(
        self, dest: str, port: int = 53, tcp: bool = False, timeout: float | None = None, ipv6: bool = False
    ) -> bytes: ...
    def reply(self) -> DNSRecord: ...
    def add_answer(self, *rr: RR) -> None: ...
