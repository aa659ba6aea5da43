"""How a service's own health is asked, by the address that its probe has: over HTTP (http://…), by a connection
(tcp://HOST:PORT), or of Docker: the container's health check (container://NAME/health), or how long it has been up
(container://NAME)."""

from __future__ import annotations

import json
import re
from calendar import timegm
from time import strptime

from agent import quoting
from agent.documents.docker import ContainerState, Health, HealthCheck
from agent.engine import Declined
from agent.world import World

STEADY = 10.0  # seconds that a container without any check has to stay up
PATIENCE = 5.0  # seconds that Docker is waited for
TCP, CONTAINER = "tcp://", "container://"


def status(world: World, url: str) -> int:
    """200 when the service is healthy, else what it answered (0: nothing)."""
    if url.startswith((TCP, CONTAINER)):
        return 0 if fault(world, url) else 200
    return world.status_of(url)


def fault(world: World, url: str) -> str:
    """What is wrong with a service that is not asked by HTTP, in words; "" where nothing is, and for any other."""
    if url.startswith(TCP):
        host, _, port = url[len(TCP) :].rpartition(":")
        return "" if world.reachable_address(host, int(port)) else f"accepts no connection at port {port}"
    if not url.startswith(CONTAINER):
        return ""
    name, _, check = url[len(CONTAINER) :].partition("/")
    try:
        state = json.loads(world.docker_has(f"/containers/{name}/json", PATIENCE))["State"]
        if state.get("Running") is not True:
            return f"is not running: the container ended with code {_code(state)}"
        if state.get("Paused") or state.get("Restarting"):
            return (
                "is not running: the container is paused" if state.get("Paused") else "is not running: it is restarting"
            )
        return _unhealthy(state) if check else _unsteady(world, state)
    except (OSError, Declined) as error:
        return f"is not known to Docker: {quoting.quote(str(error))}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return "is unknown: the answer of Docker about its container cannot be read"


def port_of(url: str) -> int:
    """The port of the host that is asked; 0 where none is."""
    match = re.match(r"(?:http|tcp)://[^/:]+(?::(\d+))?", url)
    return int(match[1] or 80) if match else 0


def _unhealthy(state: ContainerState) -> str:
    health: Health = state.get("Health") or {}
    if health.get("Status") == "healthy":
        return ""
    if health.get("Status") in (None, "none"):
        return "has no health check: its image defines none, but health: image needs one"
    entries = health.get("Log") or []
    if not entries:
        return "has not been checked yet"
    output = " ".join(str(entries[-1].get("Output") or "").split())
    code = _code(entries[-1])
    return f"its health check ended with {code}{': ' + quoting.quote(output) if output else ''}"


def _code(entry: HealthCheck) -> str:
    code = entry.get("ExitCode")
    return str(code) if isinstance(code, int) else "unknown"


def _unsteady(world: World, state: ContainerState) -> str:
    up = world.wall() - _seconds(str(state.get("StartedAt", "")))
    # A clock that was set says nothing
    return f"has been up for {up:.0f} s, and counts as healthy after {STEADY:.0f} s" if 0 <= up < STEADY else ""


def _seconds(text: str) -> float:
    """Seconds since 1970 of a time as Docker writes it, 2026-01-31T12:00:00.123456789Z; 0 for anything else."""
    try:
        return timegm(strptime(text.partition(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S"))
    except ValueError:
        return 0.0
