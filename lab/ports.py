"""The ports that the lab's parts are reached at, and the ones that they really listen on.

A machine's own sshd, web server, resolver or registry may hold a port on all addresses, which leaves it free on none.
So every listener of a lab has its port plus `Lab.shift`, and rules of the machine's firewall (lab/network.py) lead
there what is sent to the usual port of the lab's addresses, and nothing else.
"""

import socket
from collections.abc import Callable, Iterable

API, DNS, METADATA, RUNS, PROXY, ACME, ACME_MANAGEMENT = 5000, 5353, 8169, 8170, 8171, 14000, 15000
SSH, HTTP, HTTPS = 22, 80, 443
# What a host's public address leads to
PUBLIC = (SSH, HTTP, HTTPS)
# At the hosts' gateway and at the registries' addresses; DNS over UDP as well
INNER_TCP = (HTTPS, DNS, METADATA, RUNS, ACME, ACME_MANAGEMENT)
# At the services' addresses of 127.0.0.0/8, for this machine's programs
SERVICES_TCP = (API, DNS, PROXY)
UDP = (DNS,)
# Below the ports that outgoing connections get (32768 and up); the default first
SHIFTS = tuple(range(10000, 17001, 1000))


def shift_port(port: int, shift: int) -> int:
    """Where a port that a host publishes is listened on; one of the highest goes down."""
    return port + shift if port + shift < 65536 else port - shift


def choose_shift(is_free: Callable[[int, str], bool]) -> int | None:
    """The first shift at which `is_free(port, "tcp" or "udp")` holds for every port of a lab; None: at none."""
    ports = [(port, "tcp") for port in {*PUBLIC, *INNER_TCP, *SERVICES_TCP}] + [(port, "udp") for port in UDP]
    return next((shift for shift in SHIFTS if all(is_free(port + shift, kind) for port, kind in ports)), None)


def is_free_on(addresses: Iterable[str]) -> Callable[[int, str], bool]:
    """Can a port be listened on at these addresses of this machine, now."""
    places = list(addresses)

    def is_free(port: int, kind: str) -> bool:
        return all(_can_bind(address, port, kind) for address in places)

    return is_free


def _can_bind(address: str, port: int, kind: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as probe:
        if kind == "tcp":
            # As the lab's servers do: connections that have just ended do not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            if kind == "tcp":
                probe.listen(1)
        except OSError:
            return False
    return True
