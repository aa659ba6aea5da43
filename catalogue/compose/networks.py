"""Networks of a compose file: here all containers of a system share one. Pure."""

from collections.abc import Collection, Iterator, Mapping
from itertools import combinations
from typing import Any

from catalogue.shapes import is_list, is_mapping

# Of a container in a network; the order of several has no meaning for one
UNDERSTOOD = {"aliases", "priority", "gw_priority"}
ADDRESSES = ("ipv4_address", "ipv6_address", "link_local_ips", "mac_address")


def attachments(body: Mapping[str, Any], has_address: bool) -> tuple[list[str], list[tuple[str, str]]]:
    """A container's other names in its networks, and (key, reason) of what cannot be said. Whether the catalogue gives
    it an address of its own."""
    names: dict[str, None] = {}
    unsaid: list[tuple[str, str]] = []
    networks: object = body.get("networks")
    attached: Mapping[str, Any] = networks if is_mapping(networks) else {}
    for network, settings in attached.items():
        entry: Mapping[str, Any] = settings if is_mapping(settings) else {}
        aliases: object = entry.get("aliases") or []
        names |= dict.fromkeys(str(alias) for alias in (aliases if is_list(aliases) else [aliases]))
        for key in entry:
            place = f"networks.{network}.{key}"
            if key in ADDRESSES and not (has_address and key == "ipv4_address"):
                unsaid.append((place, "its network is another one here: a fixed address is address: in the catalogue"))
            elif key not in ADDRESSES and key not in UNDERSTOOD and not str(key).startswith("x-"):
                unsaid.append((place, "the catalogue has no such option"))
    return list(names), unsaid


def apart(services: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    """Each two of these services that share no network in the file."""
    networks_by_name = {
        str(name): _names(body)
        for name, body in services.items()
        if str(name) in names and is_mapping(body) and not body.get("network_mode")
    }
    for (name, networks), (other, others) in combinations(networks_by_name.items(), 2):
        if not networks & others:
            yield f"{name} and {other}"


def _names(body: Mapping[str, Any]) -> set[str]:
    networks: object = body.get("networks") or ["default"]
    return {str(name) for name in networks} if is_mapping(networks) or is_list(networks) else set()
