"""Services of which only one may run in the world: what binds their units to the watch in agent/singles.py."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.services import ComposeService, Service
from catalogue.stack import SshHost
from rendering.compose import UNITS
from rendering.files import File, HostFiles, Unit
from rendering.templates import BANNER, fill

AGENT = Path(__file__).parent.parent / "agent"
UNIT = "infra-singles.service"
CONFIG = "/etc/infra/singles.json"
FLAGS = "/run/infra/single"


def singles(system: System) -> list[Service]:
    return [service for service in system.active if service.single]


def public_name(catalogue: Catalogue, system: System, service: Service) -> str:
    """The name whose owner runs it: that of its first route, else the system's own."""
    site = next((site for route in service.routes if (site := system.site_of(route))), None) or system.sites[0]
    return catalogue.stack.public_name(site.name)


def bound(files: HostFiles, catalogue: Catalogue, system: System) -> HostFiles:
    """A system's files with its single services' units bound to the watch: each gets a drop-in and its flag."""
    for service in singles(system):
        drop_in = _drop_in(catalogue, system, service)
        files = replace(
            files,
            files=[*files.files, drop_in],
            units=[_flagged(unit, service, drop_in) if unit.name == service.unit else unit for unit in files.units],
        )
    return files


def watch(catalogue: Catalogue, host: str) -> HostFiles:
    """What a host that has single services runs once for all of them."""
    found = [(system, service) for system in catalogue.systems_on(host) for service in singles(system)]
    if not found:
        return HostFiles("")
    stack, spec = catalogue.stack, catalogue.stack.hosts[host]
    config = {
        "zone": stack.zone,
        "check": stack.singleCheck,
        # An instance asks AWS which one it has: its address is not known before it is made
        "address": spec.address if isinstance(spec, SshHost) else "",
        "singles": [
            {"service": service.name, "unit": service.unit, "name": public_name(catalogue, system, service)}
            for system, service in found
        ],
    }
    source = f"Pulumi.{stack.name}.yaml"
    files = [
        File(CONFIG, json.dumps(config, indent=2, sort_keys=True).encode() + b"\n"),
        File(f"{UNITS}/{UNIT}", fill("infra-singles.service.j2", source, third=third(stack.singleCheck), code=code())),
    ]
    return HostFiles("", files=files, units=[Unit(UNIT, [file.path for file in files])])


def code() -> str:
    """What the watch is made of: a new one takes the place of the one that runs."""
    parts = [(AGENT / f"{name}.py").read_bytes() for name in ("singles", "aws", "world", "places")]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def third(check: int) -> int:
    """Seconds that may pass until a hung watch is noticed, and again until a service has stopped: both, and the third
    that it may be unsure, are over before another host starts one."""
    return check // 3


def _flagged(unit: Unit, service: Service, drop_in: File) -> Unit:
    return replace(unit, files=[*unit.files, drop_in.path], flag=f"{FLAGS}/{service.name}")


def _drop_in(catalogue: Catalogue, system: System, service: Service) -> File:
    stop = [f"TimeoutStopSec={third(catalogue.stack.singleCheck)}"]
    if isinstance(service, ComposeService):
        # A compose command that was cut short leaves its container: running, or bound to a network that goes
        stop.append(f"ExecStopPost=-/usr/bin/docker rm --force {service.container}")
    lines = [
        BANNER.format(source=catalogue.file_of(system)),
        "# Only one may run in the world: here while the public name points here, and never without the watch",
        "[Unit]",
        f"BindsTo={UNIT}",
        f"After={UNIT}",
        f"ConditionPathExists={FLAGS}/{service.name}",
        "",
        "[Service]",
        *stop,
    ]
    return File(f"{UNITS}/{service.unit}.d/infra-single.conf", "\n".join([*lines, ""]).encode())
