"""Questions to name servers: what they answer, and what is no answer."""

import socket
import struct
import threading
from contextlib import contextmanager, suppress

import pytest
from dnslib import RR, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from agent import nameservers
from agent.nameservers import Silent

NAME, PATIENCE = "api.example.com", 1.0


@contextmanager
def listening():
    """A listener for TCP and a socket for UDP at one port, of which another program may have either."""
    for _ in range(50):
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
        ):
            try:
                out.bind(listener.getsockname())
            except OSError:
                continue
            yield listener, out
            return
    pytest.fail("no port is free for both TCP and UDP")


@contextmanager
def answering(answer, out=None):
    """A server at 127.0.0.1 that says `answer(question)` to each question, and nothing where that is None."""
    with out or socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        if not out.getsockname()[1]:
            out.bind(("127.0.0.1", 0))
        out.settimeout(0.1)
        over = threading.Event()

        def serve():
            while not over.is_set():
                try:
                    packet, sender = out.recvfrom(4096)
                except TimeoutError:
                    continue
                said = answer(packet)
                if said is not None:
                    out.sendto(said, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield out.getsockname()
        finally:
            over.set()
            thread.join(10)


def zone(*lines):
    """What answers with these records, whatever is asked."""

    def answer(packet):
        reply = DNSRecord.parse(packet).reply()
        for line in lines:
            reply.add_answer(*RR.fromZone(line))
        return reply.pack()

    return answer


def test_records_are_read():
    lines = (f"{NAME}. 60 IN CNAME web.example.com.", "web.example.com. 60 IN A 192.0.2.7")
    with answering(zone(*lines)) as server:
        found = nameservers.ask(server, NAME, "A", PATIENCE)
    assert [(record.name, record.kind, record.value) for record in found] == [
        (NAME, 5, "web.example.com"), ("web.example.com", 1, "192.0.2.7"),
    ]  # fmt: skip
    with answering(zone(f'{NAME}. 60 IN TXT "{"a" * 255}" "b"')) as server:
        assert nameservers.texts([server], NAME, PATIENCE) == [[b"a" * 255 + b"b"]]
    with answering(zone("example.com. 60 IN NS ns1.example.com.")) as server:
        assert [record.value for record in nameservers.ask(server, "example.com", "NS", PATIENCE)] == [
            "ns1.example.com"
        ]


def failing(packet):
    reply = DNSRecord.parse(packet).reply()
    reply.header.rcode = 2
    return reply.pack()


def of_another_question(packet):
    return (
        struct.pack(">H", (struct.unpack(">H", packet[:2])[0] + 1) % 65536)
        + zone(f"{NAME}. 60 IN A 192.0.2.7")(packet)[2:]
    )


def in_a_circle(packet):
    head = packet[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
    pointer = struct.pack(">H", 0xC000 | len(packet))
    return head + packet[12:] + pointer + struct.pack(">HHIH", 1, 1, 60, 4) + bytes(4)


NO_ANSWER = {
    "a server that failed": failing,
    "an answer to another question": of_another_question,
    "the question itself": lambda packet: packet,
    "half of one": lambda packet: zone(f"{NAME}. 60 IN A 192.0.2.7")(packet)[:-2],
    "a name that leads to itself": in_a_circle,
    "nothing": lambda packet: None,
    "an empty packet": lambda packet: b"",
}


@pytest.mark.parametrize("answer", NO_ANSWER.values(), ids=NO_ANSWER)
def test_invalid_dns_answer_counts_as_silence(answer):
    with answering(answer) as server, pytest.raises(Silent):
        nameservers.ask(server, NAME, "A", 0.3)


@given(st.binary(max_size=200), st.booleans())
def test_any_dns_packet_is_an_answer_or_silence(junk, is_headed):
    question = nameservers._encode_name(NAME) + struct.pack(">HH", 1, 1)
    head = struct.pack(">HHHHHH", 7, 0x8180, 1, 3, 0, 0) + question if is_headed else b""
    # What `ask` takes for silence
    with suppress(Silent, struct.error, IndexError, OSError):
        nameservers._read(head + junk, 7, question)


def test_unknown_name_has_no_address():
    def absent(packet):
        reply = DNSRecord.parse(packet).reply()
        reply.header.rcode = 3
        return reply.pack()

    with answering(absent) as server:
        assert nameservers.addresses([server], NAME, PATIENCE) == []


def test_servers_have_to_agree():
    with answering(zone(f"{NAME}. 60 IN A 192.0.2.7")) as one, answering(zone(f"{NAME}. 60 IN A 192.0.2.8")) as other:
        assert nameservers.addresses([one, one], NAME, PATIENCE) == ["192.0.2.7"]
        assert nameservers.addresses([one, other], NAME, PATIENCE) == ["192.0.2.7", "192.0.2.8"]
        with answering(lambda packet: None) as silent:
            assert nameservers.addresses([silent, one], NAME, PATIENCE) == ["192.0.2.7"]
            assert nameservers.addresses([silent, silent], NAME, 0.4) is None


def test_name_servers_of_a_zone_are_asked_of_the_resolver(monkeypatch):
    def resolver(packet):
        asked = DNSRecord.parse(packet)
        known = {
            ("example.com.", 2): "example.com. 60 IN NS ns1.example.com.",
            ("ns1.example.com.", 1): "ns1.example.com. 60 IN A 192.0.2.53",
        }
        reply = asked.reply()
        line = known.get((str(asked.q.qname), asked.q.qtype))
        if line:
            reply.add_answer(*RR.fromZone(line))
        return reply.pack()

    monkeypatch.setattr(nameservers, "_answered", {})
    with answering(resolver) as (address, port):
        # The first one of a host may be dead: it has its share of the time, once
        monkeypatch.setattr(nameservers, "_resolvers", lambda: ["127.0.0.99", address])
        monkeypatch.setattr(nameservers, "PORT", port)
        assert nameservers.servers_of("example.com", [], PATIENCE) == [("192.0.2.53", port)]
        assert nameservers.servers_of("example.com", ["192.0.2.1:5353", "ns1.example.com"], PATIENCE) == [
            ("192.0.2.1", 5353), ("192.0.2.53", port),
        ]  # fmt: skip
        with pytest.raises(Silent, match="knows the name servers of other"):
            nameservers.servers_of("other.example", [], PATIENCE)


def test_timeout_is_shared_by_all_questions(monkeypatch):
    """The watch of single services is ended when it says nothing for a third of a check."""
    asked, clock = [], [0.0]

    def ask(server, name, kind, timeout):
        asked.append((server[0], name))
        if server[0] == "dead":
            clock[0] += timeout
            raise Silent("nothing")
        return [
            nameservers.Record(name, nameservers.KINDS[kind], "192.0.2.53" if kind == "A" else f"ns{n}.example.com")
            for n in range(6 if kind == "NS" else 1)
        ]

    monkeypatch.setattr(nameservers, "_answered", {})
    monkeypatch.setattr(nameservers, "_resolvers", lambda: ["dead", "well"])
    monkeypatch.setattr(nameservers, "ask", ask)
    assert len(nameservers.servers_of("example.com", [], 2.0, lambda: clock[0])) == 6
    assert clock[0] <= 2.0 and [name for server, name in asked if server == "dead"] == ["example.com"]
    monkeypatch.setattr(nameservers, "_resolvers", lambda: ["dead", "dead"])
    with pytest.raises(Silent):
        nameservers.servers_of("example.com", [f"ns{n}.example.com" for n in range(9)], 2.0, lambda: clock[0])
    assert clock[0] <= 4.0


def test_an_answer_that_drips_is_no_answer():
    """Over TCP, byte by byte: each would be in time, and the whole never."""

    def cut(packet):
        reply = DNSRecord.parse(packet).reply()
        reply.header.tc = 1
        return reply.pack()

    with listening() as (listener, out), answering(cut, out) as server:
        over = threading.Event()

        def drip():
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                while not over.wait(0.1):
                    connection.send(b"\0")
                    connection.send(b"\1")

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(Silent):
            nameservers.ask(server, NAME, "TXT", 0.6)
        over.set()
        thread.join(10)


@pytest.mark.parametrize("name", ["x\u00e9.example", "a" * 64 + ".example", "..example"])
def test_a_name_that_cannot_be_asked_for_is_silence(name):
    with answering(lambda packet: None) as server, pytest.raises(Silent):
        nameservers.ask(server, name, "A", 0.2)


def test_invalid_port_counts_as_silence():
    with pytest.raises(Silent):
        nameservers.ask(("127.0.0.1", 99999), NAME, "A", 0.2)
