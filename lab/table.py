"""The table that `make lab` ends with: every running service, asked through its public name."""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path

from dnslib import DNSRecord
from rich.console import Console
from rich.table import Table

from catalogue.loading import load
from catalogue.stack import read_stack
from lab.settings import ROOT, Lab
from rendering.host import render


def address_of(name: str, dns: str) -> str:
    """A name's address by the lab's DNS. Raises LookupError."""
    host, port = dns.split(":")
    reply = DNSRecord.parse(DNSRecord.question(name).send(host, int(port), timeout=5))
    for answer in reply.rr:
        return str(answer.rdata)
    raise LookupError(f"the lab's DNS has no address for {name}")


class PublicClient(http.client.HTTPSConnection):
    """HTTPS to a public name at the address the lab's DNS gives (or at `address`), its certificate checked against the
    lab's CA."""

    def __init__(self, name: str, dns: str, ca: Path, address: str | None = None, patience: float = 10) -> None:
        super().__init__(name, 443, timeout=patience, context=ssl.create_default_context(cafile=str(ca)))
        self.address = address or address_of(name, dns)

    def connect(self) -> None:
        plain = socket.create_connection((self.address, 443), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=self.host)  # type: ignore[attr-defined]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        self.request(method, path, body, dict(headers or {}))
        answer = self.getresponse()
        return answer.status, dict(answer.headers.items()), answer.read()


def statuses(lab: Lab, project: Path = ROOT) -> list[tuple[str, str, int]]:
    """Service, public URL, HTTP status (0: no answer)."""
    return [(service, url, _status(lab, url)) for service, url in public(lab, project)]


def public(lab: Lab, project: Path = ROOT) -> list[tuple[str, str]]:
    """Service and public URL of its health, of every service that has one."""
    catalogue = load(project, read_stack(project, "lab", lab.config_file))
    probes = [probe for host in catalogue.stack.hosts for probe in render(catalogue, host).probes]
    return [(probe.service, probe.public) for probe in probes if probe.public]


def await_statuses(lab: Lab, project: Path = ROOT, patience: float = 60) -> list[tuple[str, str, int]]:
    """The same, once all are healthy, or after `patience` seconds: what has a single instance anywhere starts last."""
    end = time.monotonic() + patience
    rows = statuses(lab, project)
    while any(status != 200 for _, _, status in rows) and time.monotonic() < end:
        time.sleep(2)
        rows = statuses(lab, project)
    return rows


def _status(lab: Lab, url: str) -> int:
    name, _, path = url.removeprefix("https://").partition("/")
    try:
        client = PublicClient(name, lab.dns, lab.path("ca.pem"))
        return client.ask("GET", f"/{path}")[0]
    except (OSError, LookupError):
        return 0


def show(rows: list[tuple[str, str, int]]) -> bool:
    """Prints the table; True when all answer 200."""
    table = Table(title="Stack lab")
    table.add_column("service")
    table.add_column("URL", no_wrap=True)
    table.add_column("answer", justify="right")
    for service, url, status in rows:
        table.add_row(service, url, f"[green]{status}[/]" if status == 200 else f"[red]{status or 'none'}[/]")
    Console(width=100).print(table)
    return all(status == 200 for _, _, status in rows)
