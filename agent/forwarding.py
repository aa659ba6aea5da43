"""What Docker keeps in the kernel so that packets come to its containers and from them: rules of the firewall, and a
program at each published port. A firewall script takes the first away; of a container that was being replaced when the
host lost its power, the second can stay behind (https://github.com/moby/moby/issues/20486). Docker makes both again
when it starts, and not before."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from agent import existing
from agent.outcome import Refused
from agent.units import must
from agent.world import World

UNIT = "docker.service"
SETTINGS = "/etc/docker/daemon.json"
PROXY = "docker-proxy"
ONCE_MORE = 2.0  # seconds; of a container that is just starting Docker shows no address yet

Say = Callable[[str], None]


def check(world: World, manifests: list[dict[str, Any]]) -> None:
    """Raises Refused where containers of these manifests could not be started or reached."""
    if any(manifest["containers"] for manifest in manifests) and (found := faults(world, manifests)):
        raise Refused(
            f"{'; '.join(found)}: no container can be started or reached. On the host `systemctl restart docker` puts "
            "that right, and restarts every container; where the monitor may repair it does so by itself"
        )


def restore(world: World, manifests: list[dict[str, Any]], say: Say) -> None:
    """Restarts Docker where containers of these manifests could not be started or reached. Raises Failed."""
    if not any(manifest["containers"] for manifest in manifests):
        return
    # A Docker that does not answer is reported by what needs it
    with suppress(OSError):
        if found := faults(world, manifests):
            say(f"restarting Docker, since {'; '.join(found)}")
            restart(world)


def restart(world: World) -> None:
    """Restarts Docker; what needs it is stopped before and started after by systemd. Raises Failed."""
    must(world, "systemctl", "restart", UNIT)


def faults(world: World, manifests: list[dict[str, Any]]) -> list[str]:
    """What is missing or was left behind, in words. Raises OSError where Docker does not answer."""
    networks = {entry["name"]: entry["subnet"] for manifest in manifests for entry in manifest["networks"]}
    ports = {entry["port"] for manifest in manifests for entry in manifest["ports"] if entry.get("container")}
    missing = _missing_rules(world, networks) if _keeps_rules(world) else []
    gone = f"the firewall has lost rules of Docker's ({', '.join(missing)})" if missing else ""
    left = [f"port {port} is held for a container that is gone" for port in _left_ports(world, ports)]
    return [*([gone] if gone else []), *left]


def _keeps_rules(world: World) -> bool:
    """Does Docker write iptables' rules on this host: its settings can say that it does not, or writes nftables'."""
    try:
        settings = json.loads(world.read(SETTINGS) or b"{}")
    except ValueError:
        return False
    if not isinstance(settings, dict) or settings.get("iptables") is False:
        return False
    if "nftables" in str(settings.get("firewall-backend")) or not world.has_command("iptables"):
        return False
    started = world.run("systemctl", "show", "--property=ExecStart", "--value", UNIT).output
    return not re.search(r"--iptables=false|--firewall-backend[= ]nftables", started)


def _missing_rules(world: World, networks: dict[str, str]) -> list[str]:
    rules: list[str] = []
    for table in ("nat", "filter"):
        ran = world.run("iptables", "--wait", "10", "--table", table, "--list-rules")
        if ran.code:
            # Not known, so that nothing follows
            return []
        rules += [f"{table} {line}" for line in ran.output.splitlines()]
    there = set(_networks(world))
    wanted = {
        "nat DOCKER": r"nat -N DOCKER$",
        "nat PREROUTING": r"nat -A PREROUTING .*-j DOCKER$",
        "filter DOCKER": r"filter -N DOCKER$",
        "filter FORWARD": r"filter -A FORWARD .*-j DOCKER",
    } | {
        f"nat POSTROUTING of {subnet}": rf"nat -A POSTROUTING -s {re.escape(subnet)} .*-j MASQUERADE$"
        for name, subnet in networks.items()
        if name in there
    }
    return [name for name, rule in wanted.items() if not any(re.match(rule, line) for line in rules)]


def _networks(world: World) -> list[str]:
    """The names of Docker's networks. Raises OSError where Docker does not answer."""
    return [entry["Name"] for entry in json.loads(world.docker_has("/networks"))]


def _left_ports(world: World, ports: set[int]) -> list[int]:
    """Those of the ports that are held for an address that no container has, twice in a row."""
    found = _held_for_nothing(world, ports)
    if found:
        world.sleep(ONCE_MORE)
        found &= _held_for_nothing(world, ports)
    return sorted(found)


def _held_for_nothing(world: World, ports: set[int]) -> set[int]:
    held = {port: address for port, address in map(_held, world.arguments_of(PROXY)) if port in ports}
    if not held:
        return set()
    has = {
        address
        for container in existing.listed(world)
        for settings in ((container.get("NetworkSettings") or {}).get("Networks") or {}).values()
        for address in (settings.get("IPAddress"), settings.get("GlobalIPv6Address"))
    }
    return {port for port, address in held.items() if address not in has}


def _held(arguments: list[str]) -> tuple[int, str]:
    """The port of the host that a `docker-proxy` holds, and the container's address."""
    values = dict(zip(arguments, arguments[1:]))
    port = values.get("-host-port", "")
    return int(port) if port.isdigit() else 0, values.get("-container-ip", "")
