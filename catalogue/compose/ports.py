"""Ports as the services of a compose file publish them. Pure."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from catalogue.compose.fields import PortFields
from catalogue.compose.values import PublishedPort
from catalogue.shapes import is_list, is_mapping

LOOPBACK = ("127.", "[::1]", "::1", "localhost")
_SHORT = re.compile(
    r"(?:(?P<address>\[[^]]*\]|[^:]*):)??(?:(?P<outside>[^:]*):)?(?P<inside>[^:/]+)(?:/(?P<protocol>.*))?"
)


class PortEntry(NamedTuple):
    """One entry of `ports`, in its own words: `outside` and `inside` are a port or a range of them."""

    address: str
    outside: str
    inside: str
    protocol: str

    @property
    def is_on_loopback(self) -> bool:
        return self.address.startswith(LOOPBACK)

    @property
    def is_everywhere(self) -> bool:
        return self.address in ("", "0.0.0.0", "::", "[::]")

    @property
    def is_single(self) -> bool:
        return all(re.fullmatch("[0-9]{1,5}", part) for part in (self.outside, self.inside))

    @property
    def publish_entry(self) -> PublishedPort | None:
        """As the catalogue has it; None for what it cannot say."""
        try:
            return PublishedPort.model_validate(self.text)
        except ValidationError:
            return None

    @property
    def text(self) -> str:
        """As `publish` has it."""
        kind = "" if self.protocol == "tcp" else f"/{self.protocol}"
        return f"{self.outside}{'' if self.inside == self.outside else f':{self.inside}'}{kind}"


def port_entry(value: Any) -> PortEntry:
    """An entry however it is written; a port that is only the container's gets the same number on the host."""
    if is_mapping(value):
        inside = str(value.get("target", ""))
        address, outside = str(value.get("host_ip") or ""), str(value.get("published") or inside)
        return PortEntry(address, outside, inside, str(value.get("protocol") or "tcp"))
    match = _SHORT.fullmatch(str(value))
    if not match:
        return PortEntry("", str(value), str(value), "tcp")
    address, inside = match["address"] or "", match["inside"]
    return PortEntry(address, match["outside"] or inside, inside, match["protocol"] or "tcp")


def ports(body: Mapping[str, Any], own: Mapping[str, Any], unsaid: list[tuple[str, str]]) -> PortFields:
    """`port`, which a service publishes on its host alone, and `container_port`, where its program listens; none of
    those that the catalogue's `own` entry publishes to the world. To `unsaid` come (key, reason)."""
    world = own.get("publish")
    ports = [port_entry(item).publish_entry for item in (world if is_list(world) else [])]
    inside_by_port = {(port.first, port.last, port.protocol): port.inside for port in ports if port}
    items: list[Any] = body.get("ports") or []
    entries = [port_entry(item) for item in items]
    single_ports: list[PortEntry] = []
    for entry in entries:
        published = entry.publish_entry
        inside = inside_by_port.get((published.first, published.last, published.protocol)) if published else None
        if published and inside == published.inside:
            continue
        if published and inside is not None:
            unsaid.append(("ports", f'{entry.text}, but publish has another port of the container: "{entry.text}"'))
            continue
        if entry.protocol != "tcp":
            reason = f"{entry.text} is for {entry.protocol}, but the proxy needs TCP: list it under publish"
            unsaid.append(("ports", reason))
        elif not entry.is_single:
            unsaid.append(("ports", f"{entry.text} is a port range: list it under publish"))
        else:
            single_ports.append(entry)
    if len(single_ports) > 1:
        reason = "several ports are published, but the proxy uses only one: list the public ones under publish"
        unsaid.append(("ports", reason))
    return {"port": int(single_ports[0].outside), "container_port": int(single_ports[0].inside)} if single_ports else {}
