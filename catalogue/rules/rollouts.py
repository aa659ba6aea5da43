"""What a rollout without a gap needs."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import compose_services
from catalogue.rules.places import PORTS


def blue_green(catalogue: Catalogue) -> Iterator[Problem]:
    """A second container needs a place of its own, a proxy that is switched, and a service that may run twice."""
    taken = {port for _, _, service in compose_services(catalogue) for port in service.ports}
    for file, system, service in compose_services(catalogue):
        where = f"service {service.name}"
        spare = [service.spare_port, service.spare_address]
        if not service.is_blue_green:
            if any(spare):
                yield Problem(
                    file, where, "spare_port or spare_address, but no rollout: blue-green", "both, or neither"
                )
            continue
        free = next(port for port in PORTS[service.role] if port not in taken)
        if service.address and not all(spare):
            rule = f"give both, such as spare_port: {free}, and a free spare_address of the subnet"
            yield Problem(file, where, "rollout: blue-green without spare_port and spare_address", rule)
        elif not service.address and (service.spare_address or not service.spare_port):
            rule = f"spare_port alone, such as {free}: a service without an address gets both from Docker"
            yield Problem(file, where, "rollout: blue-green without an address", rule)
        for name, host in catalogue.stack.hosts.items():
            if system in catalogue.systems_on(name) and host.proxy != "nginx":
                found = f"rollout: blue-green on {name}, whose proxy is {host.proxy}"
                yield Problem(file, where, found, "proxy: nginx, which is what takes turns between two slots")
        if service.check in ("image", "running") or not service.port:
            rule = "a path or tcp, or a command, and a port: the proxy is switched once the new container is healthy"
            yield Problem(file, where, f"rollout: blue-green with health {service.check}", rule)
        if service.kept:
            rule = (
                "the default rollout, or what it needs mounted read-only: the old and the new one would write at once"
            )
            yield Problem(file, where, f"rollout: blue-green of a service with data ({service.kept[0].target})", rule)
        if not service.routes:
            yield Problem(
                file, where, "rollout: blue-green without a route", "only what the proxy serves can be switched"
            )
        if service.single:
            rule = "only one of it may run in the world: keep the default rollout"
            yield Problem(file, where, "rollout: blue-green of a single service", rule)
        if sum(other.directory == service.directory for other in system.compose_services) > 1:
            rule = "give it a directory and unit of its own"
            yield Problem(file, where, "rollout: blue-green in a compose project that it shares", rule)
