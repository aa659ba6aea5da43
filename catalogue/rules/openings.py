"""Containers that reach further than their network and their product's data: each way has a name, and a reason that the
catalogue gives. `infra check` refuses it without one; the policy and each preview show it with its reason."""

from collections.abc import Iterator

from catalogue.compose.container import ADDED, PLAIN_DEVICE, UNCONFINED
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from catalogue.rules.containers import READABLE, is_the_products
from catalogue.rules.contents import plain
from catalogue.rules.each import compose_services
from catalogue.rules.places import own_ports
from catalogue.service import Service
from catalogue.services import ComposeService, Opening

HTTP3 = "443/udp"


def openings(service: ComposeService, system: System) -> dict[Opening, str]:
    """The ways in which a service reaches further, by their names: what each of them is."""
    paths = [
        mount.source or ""
        for mount in service.volumes
        if mount.type == "bind" and mount.read_only and not mount.is_docker and not is_plain(mount.source, system)
    ]
    wide = [name for name in service.cap_add if name not in ADDED]
    devices = [device for device in service.devices if not PLAIN_DEVICE.fullmatch(device.split(":/dev/")[0])]
    weak = [option for option in service.security_opt if option in UNCONFINED]
    shared = [word for word, value in (("pid", service.pid), ("ipc", service.ipc)) if value]
    reasons: dict[Opening, str] = {}
    if service.publish:
        ports = ", ".join(port.text for port in service.publish)
        reasons["public-ports"] = f"it is public at {ports}, without the proxy"
    if service.is_on_host_network:
        reasons["host-network"] = "network_mode: host, so it shares the network of the host"
    if shared:
        reasons["host-processes"] = (
            f"{', '.join(f'{word}: host' for word in shared)}, so it can reach the host's processes"
        )
    if paths:
        reasons["host-paths"] = f"it can read {', '.join(paths)} of the host"
    if sockets := [mount.source or "" for mount in service.volumes if mount.reaches_sockets]:
        what = (
            "Docker's socket"
            if all(mount.is_docker for mount in service.volumes if mount.reaches_sockets)
            else (f"{', '.join(sockets)}, which include the sockets of Docker and of the host's programs")
        )
        reasons["docker-socket"] = f"{what}, by which it can become root of the host"
    if service.privileged:
        reasons["privileged"] = "privileged, so it has root's rights on the host"
    if wide:
        reasons["capabilities"] = f"cap_add: {', '.join(wide)}, which give rights on the host"
    if devices:
        reasons["devices"] = f"devices: {', '.join(devices)}"
    if weak:
        reasons["unconfined"] = f"security_opt: {', '.join(weak)}, which removes Docker's protection of the host"
    if moving := [image.name for image in service.images if image.is_foreign and image.suffix == ":latest"]:
        reasons["moving-tag"] = f"image {', '.join(moving)}, whose tag can change its version at any time"
    return reasons


def is_plain(source: str | None, system: System) -> bool:
    """Is a path of the host the product's, or one that every container may read."""
    path = plain(source or "/")
    return bool(READABLE.fullmatch(path)) or is_the_products(path, system)


def exceptions(catalogue: Catalogue) -> Iterator[Problem]:
    """Each has a reason, and no reason is left of one that has gone."""
    for file, system, service in compose_services(catalogue):
        where, opened = f"service {service.name}", openings(service, system)
        for name, what in opened.items():
            if name not in service.exceptions:
                rule = f"{INSTEAD[name]}; or give the reason: exceptions: {{{name}: REASON}}"
                yield Problem(file, where, what, rule)
        for name in [name for name in service.exceptions if name not in opened]:
            yield Problem(file, where, f"exceptions: {name} is not needed", "remove it", "warning")


INSTEAD: dict[Opening, str] = {
    "public-ports": "must be port, for the proxy",
    "host-network": "must use the network of its system",
    "host-processes": "must use the container's own",
    "host-paths": "must be a directory of the product (/srv/NAME, or one in its directories or data)",
    "docker-socket": "must not be mounted",
    "privileged": "must be cap_add and devices for the rights that it needs",
    "capabilities": f"must be a capability that is limited to the container ({', '.join(sorted(ADDED))})",
    "devices": "must be a graphics card, a camera, sound or a bus",
    "unconfined": "must be a profile that confines it",
    "moving-tag": 'must be a tag that names a version, such as tag: "16.4", or a digest',
}


def published_ports(catalogue: Catalogue) -> Iterator[Problem]:
    """A public port is one service's, and neither the host's own nor one that another listens on."""
    for host, spec in catalogue.stack.hosts.items():
        reserved = {f"{port}/tcp": whose for port, whose in own_ports(spec).items()} | {HTTP3: "the proxy"}
        owners: dict[str, Service] = {}
        systems = catalogue.systems_on(host)
        for service in [service for system in systems for service in system.active]:
            owners |= {f"{port}/tcp": service for port in service.ports}
        for system in systems:
            for service in system.compose_services:
                where = (catalogue.file_of(system), f"service {service.name}")
                numbers = [f"{n}/{one.protocol}" for one in service.publish for n in one.numbers]
                for number in sorted({number for number in numbers if numbers.count(number) > 1}):
                    yield Problem(*where, f"publish {number} is listed twice", "must be listed once")
                for number in dict.fromkeys(numbers):
                    if number in reserved:
                        yield Problem(
                            *where, f"publish {number} is used by the host ({reserved[number]})", "must be another port"
                        )
                    elif (owner := owners.setdefault(number, service)) is not service:
                        yield Problem(
                            *where,
                            f"publish {number} is already used by {owner.name} on {host}",
                            "must be another port",
                        )


def host_network(catalogue: Catalogue) -> Iterator[Problem]:
    """What a container has in a network of its own, one in the host's has not."""
    for file, _, service in compose_services(catalogue):
        where = f"service {service.name}"
        if service.publish and service.is_blue_green:
            yield Problem(
                file,
                where,
                "has publish with rollout: blue-green",
                "must be the default rollout: the proxy cannot switch a published port",
            )
        port = service.published_port
        if port and service.port and port.inside + service.port - port.first != service.listens_inside:
            fault = f"publish {port.mapping}, but port {service.port} leads to {service.listens_inside}"
            yield Problem(file, where, fault, "must have one of the two: both are the same port of the host")
        if not service.is_on_host_network:
            continue
        rule = "remove it: with network_mode: host its program listens on the host itself"
        moved = [port.mapping for port in service.publish if port.inside != port.first]
        options = {
            "container_port": service.container_port not in (None, service.port), "address": service.address,
            "aliases": service.aliases, "rollout: blue-green": service.is_blue_green,
            "sysctls: net.*": any(name.startswith("net.") for name in service.sysctls),
            f"publish: {', '.join(moved)}": moved,
        }  # fmt: skip
        for name in [name for name, value in options.items() if value]:
            yield Problem(file, where, f"has {name} with network_mode: host", rule)
