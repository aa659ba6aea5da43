"""Questions asked from inside a container's network."""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

NETWORK = 0x40000000  # CLONE_NEWNET
RESOLVER = ("127.0.0.11", 53)  # Docker's own, in every network that was made
TIMEOUT = 1.0
REACH = 3.0  # seconds in which a connection is answered
Answer = TypeVar("Answer")


def resolve(names: list[tuple[int, str]]) -> list[str]:
    """See World.resolve_inside."""
    return _inside([(pid, partial(_address, name)) for pid, name in names], "")


def reach(addresses: list[tuple[int, str, int]]) -> list[bool]:
    """See World.reach_inside."""
    return _inside([(pid, partial(_answers, address, port)) for pid, address, port in addresses], False)


def _inside(questions: list[tuple[int, Callable[[], Answer]]], otherwise: Answer) -> list[Answer]:
    """For each process what a question gives in its network; `otherwise` where it fails."""
    results = [otherwise] * len(questions)

    def ask(index: int, pid: int, question: Callable[[], Answer]) -> None:
        try:
            _enter(pid)
            results[index] = question()
        except OSError:
            pass

    # A thread each, which ends there: one that has gone into another network never comes back
    threads = [threading.Thread(target=ask, args=(i, *pair)) for i, pair in enumerate(questions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def _answers(address: str, port: int) -> bool:
    # A refusal is an answer too
    with suppress(ConnectionRefusedError):
        socket.create_connection((address, port), REACH).close()
    return True


def reachable_address(name: str, port: int) -> str:
    """See World.reached."""
    try:
        # Docker's networks have IPv4
        address = str(socket.getaddrinfo(name, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
        with socket.create_connection((address, port), REACH):
            return address
    except OSError:
        return ""


def _enter(pid: int) -> None:
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(descriptor, NETWORK):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)


def query(name: str) -> bytes:
    """A DNS question for a name's IPv4 address."""
    labels = b"".join(bytes([len(part)]) + part for part in name.encode().split(b"."))
    return b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00\x00\x01\x00\x01"


def address_of_reply(reply: bytes, question: bytes) -> str:
    """The address in the reply to a question; "" where it has none. Docker gives one answer, its address last."""
    failed, answers = reply[3] & 0x0F, int.from_bytes(reply[6:8], "big")
    if failed or not answers or len(reply) < len(question) + 16:
        return ""
    return ".".join(str(byte) for byte in reply[-4:])


def _address(name: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.settimeout(TIMEOUT)
        question = query(name)
        out.sendto(question, RESOLVER)
        return address_of_reply(out.recv(512), question)
