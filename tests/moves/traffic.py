"""Clients of the public name, who remember its address for as long as its record says, and no longer."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

from dnslib import DNSRecord

from lab.run import run
from lab.table import PublicClient
from tests.moves.on import NAME, SYDNEY, TOKYO, client, region_of
from tests.system.conftest import System

PATHS = ["/health", "/avatar/health", "/vault/health", "/behavior-features/health"]


@dataclass
class Clients:
    """`failed` are what went wrong, `served` counts answers by the address that gave them."""

    system: System
    pause: float = 0.08
    failed: list[str] = field(default_factory=list)
    served: dict[str, int] = field(default_factory=dict)
    inner: dict[str, str] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        return sum(self.served.values()) + len(self.failed)

    @contextmanager
    def going(self, workers: int = 8) -> Iterator["Clients"]:
        self.stopped.clear()
        threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(workers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join(15)

    def in_region(self, region: str) -> int:
        """Answers that a region gave so far."""
        with self.lock:
            counted = dict(self.served)
        return sum(count for address, count in counted.items() if region_of(self.system, address) == region)

    def _work(self, number: int) -> None:
        """A client that breaks down is a failure too, whatever it broke down of."""
        try:
            self._ask(number)
        except Exception as error:
            with self.lock:
                self.failed.append(f"client {number} broke down: {error!r}")

    def _ask(self, number: int) -> None:
        address, until, connection = "", 0.0, None
        asked = number
        while not self.stopped.is_set():
            if monotonic() >= until:
                found, ttl = self._resolved()
                until = monotonic() + ttl
                if found != address and connection is not None:
                    connection.close()
                    connection = None
                address = found
            asked += 1
            try:
                if connection is None:
                    # To the machine itself: the lab's forwarder, which stands for AWS's network, loses a connection in
                    # some thousands
                    connection = PublicClient(NAME, "", self.system.lab.path("ca.pem"), self._inner(address))
                status, headers, _ = connection.ask("GET", PATHS[asked % len(PATHS)])
                if headers.get("Connection") == "close":
                    connection.close()
                    connection = None
                failure = "" if status == 200 else f"{status}"
            except (OSError, http.client.HTTPException) as error:
                failure, connection = repr(error), None
            with self.lock:
                if failure:
                    self.failed.append(f"{PATHS[asked % len(PATHS)]} at {address}: {failure}")
                else:
                    self.served[address] = self.served.get(address, 0) + 1
            sleep(self.pause)

    def _resolved(self) -> tuple[str, int]:
        host, port = self.system.lab.dns.split(":")
        for _ in range(5):
            try:
                reply = DNSRecord.parse(DNSRecord.question(NAME).send(host, int(port), timeout=2))
                return str(reply.rr[0].rdata), reply.rr[0].ttl
            except (OSError, IndexError):
                continue
        raise AssertionError(f"{NAME} has no address")

    def _inner(self, address: str) -> str:
        with self.lock:
            if address not in self.inner:
                self.inner[address] = inner_address(self.system, address)
            return self.inner[address]


def inner_address(system: System, address: str) -> str:
    """The machine behind a public address, on the lab's own network."""
    for region in (SYDNEY, TOKYO):
        for entry in client(system, "ec2", region).describe_addresses()["Addresses"]:
            if entry["PublicIp"] == address:
                container = f"wml-{system.lab.name}-{entry['InstanceId']}"
                form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
                return run("docker", "inspect", "-f", form, container).strip()
    raise AssertionError(f"nothing has the address {address}")
