"""Questions to name servers, without a library (RFC 1035): what the servers that answer for a zone say of a name."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

PORT = 53
KINDS = {"A": 1, "NS": 2, "CNAME": 5, "TXT": 16}
RESOLVERS = "/etc/resolv.conf"
SIZE = 4096  # bytes of an answer
JUMPS = 64  # pointers in a name
NOTHING_THERE = 3  # NXDOMAIN
Server = tuple[str, int]  # host or address, and port


class Silent(Exception):
    """A server does not answer, or not so that it could be read."""


class Record(NamedTuple):
    """`value` is an address, a name, or a text's bytes."""

    name: str
    kind: int
    value: object


def server_of(text: str) -> Server:
    """Host and port of NAME or NAME:PORT."""
    name, _, port = text.partition(":")
    return name, int(port or PORT)


def servers_of(zone: str, names: list[str], timeout: float, now: Callable[[], float] = time.monotonic) -> list[Server]:
    """Address and port of each server of a zone: those in `names`, else those that this host's resolver knows; none
    whose address is not known. `timeout` is for all questions together. Raises Silent."""
    end = now() + timeout
    hosts = [server_of(name) for name in names] or [(name, PORT) for name in _resolve(zone, "NS", end, now)]
    servers = [(address, port) for name, port in hosts for address in _addresses_of(name, end, now)[:1]]
    if not servers:
        raise Silent(f"no resolver of this host knows the name servers of {zone}")
    return servers


def _addresses_of(name: str, end: float, now: Callable[[], float]) -> list[str]:
    try:
        socket.inet_aton(name)
        return [name]
    except OSError:
        return _resolve(name, "A", end, now)


def _resolve(name: str, kind: str, end: float, now: Callable[[], float]) -> list[str]:
    """What the first of this host's resolvers that knows any gives, sorted; the one that answered last is asked
    first."""
    resolvers = sorted(_resolvers(), key=lambda one: one != _answered.get("resolver"))
    for number, resolver in enumerate(resolvers):
        remaining = end - now()
        if remaining <= 0:
            break
        try:
            # One that is dead leaves time for the others
            records = ask((resolver, PORT), name, kind, remaining / (len(resolvers) - number) / 2)
        except Silent:
            continue
        _answered["resolver"] = resolver
        if values := sorted(str(record.value) for record in records if record.kind == KINDS[kind]):
            return values
    return []


# Of this process: which resolver answered last
_answered: dict[str, str] = {}


def addresses(servers: list[Server], name: str, timeout: float) -> list[str] | None:
    """The addresses that all servers that answer give for a name, sorted; those of the first two that differ together.
    None where none answers. `timeout` is for all of them."""
    agreed: list[str] | None = None
    for server in servers:
        try:
            records = ask(server, name, "A", timeout / len(servers))
        except Silent:
            continue
        own_addresses = sorted(str(record.value) for record in records if record.kind == KINDS["A"])
        if agreed is not None and own_addresses != agreed:
            return sorted({*agreed, *own_addresses})
        agreed = own_addresses
    return agreed


def texts(servers: list[Server], name: str, timeout: float) -> list[list[object] | None]:
    """What each server has as texts of a name; None for one that does not answer."""
    answers: list[list[object] | None] = []
    for server in servers:
        try:
            records = ask(server, name, "TXT", timeout / len(servers))
            answers.append([r.value for r in records if r.kind == KINDS["TXT"]])
        except Silent:
            answers.append(None)
    return answers


def ask(server: Server, name: str, kind: str, timeout: float) -> list[Record]:
    """The records of the answer of a server (address and port); none of a name that is not there. Raises Silent."""
    id = secrets.randbelow(65536)
    try:
        query = struct.pack(">HHHHHH", id, 0x0100, 1, 0, 0, 0) + _encode_name(name) + struct.pack(">HH", KINDS[kind], 1)
        end = time.monotonic() + timeout
        # A connected socket gets what comes from there alone
        with socket.socket(_family(server), socket.SOCK_DGRAM) as out:
            out.settimeout(timeout)
            out.connect(server)
            out.send(query)
            answer = out.recv(SIZE)
        if len(answer) > 2 and answer[2] & 0x02:
            answer = _over_tcp(server, query, end)
        return _read(answer, id, query[12:])
    except (OSError, struct.error, IndexError, ValueError, OverflowError) as error:
        raise Silent(f"{server[0]}: {error}") from None


def _family(server: Server) -> int:
    return socket.AF_INET6 if ":" in server[0] else socket.AF_INET


def _over_tcp(server: Server, query: bytes, end: float) -> bytes:
    """One that sends a byte now and then has no longer than one that is silent."""
    with socket.socket(_family(server), socket.SOCK_STREAM) as out:

        def wait() -> None:
            out.settimeout(max(0.01, end - time.monotonic()))
            if time.monotonic() > end:
                raise Silent(f"{server[0]}: too slow")

        def receive(size: int) -> bytes:
            data = b""
            while len(data) < size:
                wait()
                part = out.recv(size - len(data))
                if not part:
                    raise Silent(f"{server[0]}: the connection ended midway")
                data += part
            return data

        wait()
        out.connect(server)
        out.sendall(struct.pack(">H", len(query)) + query)
        (length,) = struct.unpack(">H", receive(2))
        return receive(length)


def _encode_name(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _read(answer: bytes, id: int, question: bytes) -> list[Record]:
    """Raises Silent for what is no answer to this question, or a server's failure; struct.error and IndexError for one
    that is cut off."""
    got, flags, questions, count = struct.unpack(">HHHH", answer[:8])
    end = 12 + len(question)
    if got != id or not flags & 0x8000 or questions != 1 or answer[12:end].lower() != question.lower():
        raise Silent("the response does not match the query")
    if flags & 0x0F not in (0, NOTHING_THERE):
        raise Silent(f"the server failed (code {flags & 0x0F})")
    records: list[Record] = []
    place = end
    for _ in range(count):
        name, place = _name(answer, place)
        kind, _, _, length = struct.unpack(">HHIH", answer[place : place + 10])
        place += 10
        data = answer[place : place + length]
        if len(data) < length:
            raise Silent("the answer is cut off")
        records.append(Record(name, kind, _value(answer, place, kind, data)))
        place += length
    return records


def _value(answer: bytes, place: int, kind: int, data: bytes) -> object:
    if kind == KINDS["A"]:
        return socket.inet_ntoa(data)
    if kind in (KINDS["NS"], KINDS["CNAME"]):
        return _name(answer, place)[0]
    if kind != KINDS["TXT"]:
        return data
    text, at = b"", 0
    while at < len(data):
        text += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return text


def _name(answer: bytes, place: int) -> tuple[str, int]:
    """A name, and what follows it; pointers to names before it are followed."""
    labels: list[str] = []
    after = 0
    for _ in range(JUMPS):
        length = answer[place]
        if length >= 0xC0:
            after = after or place + 2
            place = struct.unpack(">H", answer[place : place + 2])[0] & 0x3FFF
        elif length:
            labels.append(answer[place + 1 : place + 1 + length].decode("ascii", "replace").lower())
            place += 1 + length
        else:
            return ".".join(labels), after or place + 1
    raise Silent("a name in the answer does not end")


def _resolvers() -> list[str]:
    try:
        with open(RESOLVERS, encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
