"""Services of which only one may run anywhere: what binds their units to the watch in agent/singletons.py."""

from agent.documents.watches import Singles
from catalogue.host import SshHost
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.proxied import deciding_site
from catalogue.service import Service
from catalogue.services import ComposeService
from rendering import watches
from rendering.files import HostFiles

UNIT = "infra-singles.service"
CONFIG = "/etc/infra/singles.json"
FLAGS = "/run/infra/single"
PARTS = ["singletons", "aws", "nameservers", "world", "places", "ending"]


def singletons(system: System) -> list[Service]:
    return [service for service in system.active if service.single]


def public_name(catalogue: Catalogue, system: System, service: Service) -> str:
    """The public name that decides where it runs: that of its first route, else the system's first one."""
    return catalogue.stack.public_name(deciding_site(system, service).name)


def bind_units(files: HostFiles, catalogue: Catalogue, system: System) -> HostFiles:
    """A system's files, with the units of its single services bound to the watch; each has a flag of its own."""
    source = catalogue.file_of(system)
    for service in singletons(system):
        flag = f"{FLAGS}/{service.name}"
        lines = _lines(catalogue, service, flag)
        files = watches.bind_unit(files, source, service, "infra-single", lines, flag=flag)
    return files


def watch(catalogue: Catalogue, host: str) -> HostFiles:
    """The watch that a host runs once for all of its single services."""
    pairs = [(system, service) for system in catalogue.systems_on(host) for service in singletons(system)]
    if not pairs:
        return HostFiles("")
    stack, spec = catalogue.stack, catalogue.stack.hosts[host]
    config: Singles = {
        "zone": stack.zone,
        "check": stack.singleCheck,
        # An instance asks AWS which one it has: its address is not known before it is made
        "address": spec.address if isinstance(spec, SshHost) else "",
        "singles": [
            {
                "service": service.name,
                "unit": service.unit,
                "name": public_name(catalogue, system, service),
                "container": service.container if isinstance(service, ComposeService) else "",
            }
            for system, service in pairs
        ],
    }
    if stack.dns.provider != "route53":
        # By any provider's own servers
        config["servers"] = stack.nameServers
    return watches.watch(f"Pulumi.{stack.name}.yaml", UNIT, CONFIG, config, PARTS, third=third(stack.singleCheck))


def third(check: int) -> int:
    """Seconds that may pass until a hung watch is noticed, and again until a service has stopped: both, and the third
    that it may be unsure, are over before another host starts one."""
    return check // 3


def _lines(catalogue: Catalogue, service: Service, flag: str) -> list[str]:
    stop = [f"TimeoutStopSec={third(catalogue.stack.singleCheck)}"]
    if isinstance(service, ComposeService):
        # A compose command that was cut short leaves its container: running, which a Docker that hangs does not change,
        # or bound to a network that goes
        stop.append(f"ExecStopPost=-/usr/bin/python3 -I -B /var/lib/infra/bin end-container {service.container}")
        stop.append(f"ExecStopPost=-/usr/bin/docker rm --force {service.container}")
    return [
        "# Only one may run in the world: here while the public name points here, and never without the watch",
        "[Unit]",
        f"BindsTo={UNIT}",
        f"After={UNIT}",
        f"ConditionPathExists={flag}",
        "",
        "[Service]",
        *stop,
    ]
