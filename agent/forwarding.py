"""What Docker keeps in the kernel so that packets come to its containers and from them: rules of the firewall, and a
program at each published port. A firewall script takes the first away; of a container that was being replaced when the
host lost its power, the second can stay behind (https://github.com/moby/moby/issues/20486). Docker makes both again
when it starts, and not before."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, cast

from agent import existing, quoting
from agent.documents import docker
from agent.documents.manifest import Manifest
from agent.engine import Declined
from agent.outcome import Failed, Refused
from agent.shapes import JsonObject
from agent.units import must
from agent.wording import phrase
from agent.world import World

UNIT = "docker.service"
DAEMON, SETTINGS = "dockerd", "/etc/docker/daemon.json"
OPTION = "com.docker.network.bridge"
NO_RULES = re.compile(r"--iptables=(?!true|1)")
# Docker does not answer, or answers in another way than it is known to
UNKNOWN = (OSError, Declined, ValueError, KeyError, TypeError, AttributeError)
PROXY = "docker-proxy"
ONCE_MORE = 2.0  # seconds; of a container that is just starting Docker shows no address yet
# Where FORWARD leads to what Docker accepts: up to 27 by bridges, in 28.0.0 by a set of them, then by a chain
JUMP = r"filter -A FORWARD .*-j DOCKER(-FORWARD|-ISOLATION-STAGE-1)?$"
# Up to 27, which have both of these always
OF_A_BRIDGE = r"filter -A FORWARD -o \S+ -j DOCKER$"
ISOLATION = ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2")

T = TypeVar("T")
Say = Callable[[str], None]


def check(world: World, manifests: list[Manifest]) -> None:
    """Raises Refused where containers of these manifests could not be started or reached."""
    if wrong := _known_faults(world, manifests):
        raise Refused(
            f"{'; '.join(wrong)}: no container can be started or reached. `systemctl restart docker` on the host fixes "
            "this and restarts every container; a monitor that may repair does it by itself"
        )


def restore(world: World, manifests: list[Manifest], say: Say) -> None:
    """Restarts Docker where containers of these manifests could not be started or reached. Raises Failed."""
    if wrong := _known_faults(world, manifests):
        say(f"restarting Docker, since {'; '.join(wrong)}")
        restart(world, manifests)


def _known_faults(world: World, manifests: list[Manifest]) -> list[str]:
    """None where it is not known: a Docker that does not answer is reported by what needs it."""
    if not any(manifest["containers"] for manifest in manifests):
        return []
    try:
        return faults(world, manifests)
    except UNKNOWN:
        return []


def restart(world: World, manifests: list[Manifest]) -> None:
    """Restarts Docker; what needs it is stopped before and started after by systemd. Raises Failed, also where another
    container runs that nothing would start again."""
    ours = {entry["name"] for manifest in manifests for entry in manifest["containers"]}
    try:
        lost = sorted(_containers_without_policy(world, ours))
    except UNKNOWN as error:
        raise Failed(
            phrase(
                "Docker was not restarted, since it did not list the running containers: {error}",
                error=quoting.error(error),
            )
        ) from None
    if lost:
        raise Failed(
            phrase(
                "Docker was not restarted, since {names} would not start again by restart policy: restart Docker by "
                "hand, then start them",
                names=", ".join(lost),
            )
        )
    must(world, "systemctl", "restart", UNIT)


def _containers_without_policy(world: World, ours: set[str]) -> Iterator[str]:
    for container in existing.list_containers(world):
        names = [name.lstrip("/") for name in container.get("Names") or []]
        if container.get("State") == "running" and names and not ours & {*names}:
            details: docker.Container = json.loads(world.docker_has(f"/containers/{container['Id']}/json"))
            if (details["HostConfig"].get("RestartPolicy") or {}).get("Name") in (None, "", "no"):
                yield names[0]


def faults(world: World, manifests: list[Manifest]) -> list[str]:
    """What is missing or was left behind, in words. Raises one of UNKNOWN where Docker does not say."""
    ports = {entry["port"] for manifest in manifests for entry in manifest["ports"] if entry.get("container")}
    missing = _twice(world, lambda: _missing_rules(world, manifests)) if _keeps_rules(world) else []
    complaint = phrase("firewall rules of Docker are missing ({rules})", rules=", ".join(missing)) if missing else ""
    stale_ports = [
        phrase("port {port} is still held for a container that no longer exists", port=port)
        for port in sorted(_twice(world, lambda: _stale_proxy_ports(world, ports)))
    ]
    return [*([complaint] if complaint else []), *stale_ports]


def _keeps_rules(world: World) -> bool:
    """Does Docker write iptables' rules on this host: its settings can say that it does not, or writes nftables'. What
    is not clear counts as not."""
    running = world.arguments_of(DAEMON)
    if not running or not world.has_command("iptables"):
        return False
    words = " ".join(running[0])
    place = re.search(r"--config-file[= ](\S+)", words)
    try:
        parsed: object = json.loads(world.read(place[1] if place else SETTINGS) or b"{}")
    except (ValueError, OSError):
        return False
    if not isinstance(parsed, dict):
        return False
    settings = cast("JsonObject", parsed)
    if settings.get("iptables") is False:
        return False
    return "nftables" not in f"{settings.get('firewall-backend')} {words}" and not NO_RULES.search(words)


def _missing_rules(world: World, manifests: list[Manifest]) -> list[str]:
    names = {entry["name"] for manifest in manifests for entry in manifest["networks"]}
    translated, published = _translated_subnets(world, names), _published_ports(world, manifests)
    rules: list[str] = []
    for table in ("nat", "filter"):
        ran = world.run("iptables", "--wait", "10", "--table", table, "--list-rules")
        if ran.code:
            # Not known, so that nothing follows
            return []
        rules += [f"{table} {line}" for line in ran.output.splitlines()]
    needed_rules = {
        "nat DOCKER": r"nat -N DOCKER$",
        "nat PREROUTING": r"nat -A PREROUTING .*-j DOCKER$",
        "filter DOCKER": r"filter -N DOCKER$",
        "filter FORWARD": JUMP,
    }
    needed_rules |= {
        f"nat POSTROUTING of {subnet}": rf"nat -A POSTROUTING -s {re.escape(subnet)} .*-j (MASQUERADE|SNAT)\b"
        for subnet in translated
    }
    needed_rules |= {
        f"nat DOCKER of port {port}": rf"nat -A DOCKER .*-p {protocol} .*--dport {port} .*-j DNAT\b"
        for port, protocol in sorted(published)
    }
    if "filter -N DOCKER-FORWARD" in rules:
        needed_rules["filter DOCKER-FORWARD"] = r"filter -A DOCKER-FORWARD "
    elif any(re.match(OF_A_BRIDGE, line) for line in rules):
        needed_rules |= {f"filter {chain}": rf"filter -N {chain}$" for chain in ISOLATION}
    missing = [name for name, rule in needed_rules.items() if not any(re.match(rule, line) for line in rules)]
    return [*missing, *(["filter FORWARD before a DROP"] if _drops_first(rules) else [])]


def _drops_first(rules: list[str]) -> bool:
    """Is everything dropped before it comes to Docker's one jump (since 28): a restart puts that first again."""
    chain = [line for line in rules if line.startswith("filter -A FORWARD ")]
    first = next((line for line in chain if not re.search(r"-j (LOG|NFLOG)\b", line)), "")
    return bool(re.match(r"filter -A FORWARD -j (DROP|REJECT)\b", first)) and any(
        line.endswith(" -j DOCKER-FORWARD") for line in chain
    )


def _translated_subnets(world: World, names: set[str]) -> list[str]:
    """The IPv4 subnets of these networks, as Docker has them, whose containers go out under the host's address."""
    translated: list[str] = []
    networks: list[docker.Network] = json.loads(world.docker_has("/networks"))
    for network in networks:
        if network["Name"] in names and _is_plain(network):
            subnets = [plan.get("Subnet", "") for plan in network["IPAM"]["Config"] or []]
            translated += [subnet for subnet in subnets if "." in subnet]
    return translated


def _is_plain(network: docker.Network) -> bool:
    """Does Docker translate addresses of this network."""
    options: dict[str, str] = network.get("Options") or {}
    is_bridge = network.get("Driver", "bridge") == "bridge" and not network.get("Internal")
    is_translated = options.get(f"{OPTION}.enable_ip_masquerade", "true") == "true"
    return is_bridge and is_translated and f"{OPTION}.gateway_mode_ipv4" not in options


def _published_ports(world: World, manifests: list[Manifest]) -> set[tuple[int, str]]:
    """(port, protocol) of what running containers of these manifests publish over IPv4 on such networks."""
    ours = {entry["name"] for manifest in manifests for entry in manifest["containers"]}
    networks: list[docker.Network] = json.loads(world.docker_has("/networks"))
    plain = {network["Name"] for network in networks if _is_plain(network)}
    return {
        (port["PublicPort"], port["Type"])
        for container in existing.list_containers(world)
        if container.get("State") == "running"
        and ours & {name.lstrip("/") for name in container.get("Names") or []}
        and plain >= {*((container.get("NetworkSettings") or {}).get("Networks") or {})}
        for port in container.get("Ports") or []
        if port.get("PublicPort") and "." in (port.get("IP") or "")
    }


def _twice(world: World, find: Callable[[], Iterable[T]]) -> list[T]:
    """What is found twice in a row: a container or Docker itself may be just starting."""
    entries = list(find())
    if entries:
        world.sleep(ONCE_MORE)
        again = set(find())
        entries = [entry for entry in entries if entry in again]
    return entries


def _stale_proxy_ports(world: World, ports: set[int]) -> set[int]:
    address_of = {
        port: address for port, address in map(_proxied_port, world.arguments_of(PROXY, DAEMON)) if port in ports
    }
    if not address_of:
        return set()
    has = {
        address
        for container in existing.list_containers(world)
        for settings in ((container.get("NetworkSettings") or {}).get("Networks") or {}).values()
        for address in (settings.get("IPAddress"), settings.get("GlobalIPv6Address"))
    }
    return {port for port, address in address_of.items() if address not in has}


def _proxied_port(arguments: list[str]) -> tuple[int, str]:
    """The port of the host that a `docker-proxy` holds, and the container's address."""
    values = dict(zip(arguments, arguments[1:]))
    port = values.get("-host-port", "")
    return int(port) if port.isdigit() else 0, values.get("-container-ip", "")
