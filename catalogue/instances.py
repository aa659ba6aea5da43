"""A system that runs more than once: on several hosts, or on one, such as what customers use beside what is tried.

    infra:hosts:
      web: {systems: [shop, {system: shop, as: shop-staging, names: {shop.example.com: staging.example.com}}]}

Each has services, units, containers, networks, volumes, directories, ports, secrets and backups of its own; images are
shared.
"""

from typing import Annotated, Any

from pydantic import Field

from catalogue.assigned import WHY, network_of, port_of
from catalogue.compose.values import Mount
from catalogue.fields import HostName, Model, Name, Network
from catalogue.models import System
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService, RetiredService


class Instance(Model):
    """A system of `files/systems/` under a name of its own (`as`). `names` are its sites' names by those of the file,
    `ports` the ports of containers by the names that the file has for their services; a port that is not written is
    assigned."""

    system: Name
    name: Name | None = Field(None, alias="as")
    variant: Name | None = None
    names: dict[HostName, HostName] = {}
    # Pulumi writes numbers back as text
    ports: dict[Name, Annotated[int, Field(ge=1, le=65535, strict=False)]] = {}
    subnet: Network | None = None

    @property
    def known_as(self) -> str:
        return self.name or self.system


def renamed(name: str, system: str, instance: str) -> str:
    """`shop-web` of `shop` as `shop-staging-web`, and `web` too."""
    return belonging(name, system, instance) or f"{instance}-{name}"


def belonging(name: str, system: str, instance: str) -> str:
    """The instance's name in the place of its system's, where a name begins with that; else ""."""
    rest = name[len(system) :]
    return f"{instance}{rest}" if name.startswith(system) and rest[:1] in ("", "-", "_", ".") else ""


def path_of(path: str, system: str, instance: str) -> str:
    """`/srv/shop/media` as `/srv/shop-staging/media`. A path without the system's name in it stays: two systems of a
    host that both write to it are refused."""
    return "/".join(belonging(part, system, instance) or part if part else part for part in path.split("/"))


def instance_of(system: System, instance: Instance) -> System:
    """A system as one of its instances."""
    given = {
        "system": instance.known_as,
        "sites": [site.model_copy(update={"name": instance.names.get(site.name, site.name)}) for site in system.sites],
    }
    if instance.known_as == system.system:
        services = [_same(service, instance) for service in system.services]
        network = system.network
        if network and instance.subnet:
            network = network_of(system.system, instance.subnet, network.name, network.unit)
        return system.model_copy(update={**given, "services": services, "network": network})
    make = _Renaming(system, instance)
    return system.model_copy(
        update={
            **given,
            "network": system.network and make.network(system),
            "services": [
                make.service(service) for service in system.services if not isinstance(service, RetiredService)
            ],
            "data": [make.path(path) for path in system.data],
            "directories": [item.model_copy(update={"path": make.path(item.path)}) for item in system.directories],
            "milestones": [
                item.model_copy(update={"unit": make.unit(item.unit, system)}) for item in system.milestones
            ],
            # Of a host's own there is one of each, and the first has them
            "monitor_names": [],
        }
    )


def _same(service: Any, instance: Instance) -> Any:
    return service.model_copy(update=_common(service, instance)) if isinstance(service, Service) else service


def _common(service: Service, instance: Instance) -> dict[str, Any]:
    """What becomes of a service under whatever name: the sites of its routes, and a port that is written."""
    routes = [
        route.model_copy(update={"site": instance.names.get(route.site, route.site)}) if route.site else route
        for route in service.routes
    ]
    port = instance.ports.get(service.name)
    if port is None or not isinstance(service, ComposeService):
        return {"routes": routes}
    why = service.port_exception or "chosen by the stack"
    return {"routes": routes, "port": port, "container_port": service.listens_inside or port, "port_exception": why}


class _Renaming:
    """What becomes of a system's names under an instance's."""

    def __init__(self, system: System, instance: Instance) -> None:
        self.system, self.instance, self.own = system.system, instance, instance.known_as
        self.moved = {service.directory: self.directory(service.directory) for service in system.compose_services}

    def name(self, name: str) -> str:
        return renamed(name, self.system, self.own)

    def path(self, path: str) -> str:
        """A path of the host, where the system's directories have gone."""
        for before, after in self.moved.items():
            if path == before or path.startswith(f"{before}/"):
                return f"{after}{path[len(before) :]}"
        return path_of(path, self.system, self.own)

    def directory(self, path: str) -> str:
        """A compose project's own directory, whose last part names it."""
        folder, _, last = path.rpartition("/")
        return f"{path_of(folder, self.system, self.own)}/{self.name(last)}"

    def own_unit(self, unit: str) -> str:
        stem, _, kind = unit.rpartition(".")
        return f"{self.name(stem)}.{kind}"

    def unit(self, unit: str, system: System) -> str:
        """A unit that another part of the system names."""
        mine = {service.unit for service in system.compose_services} | {system.network.unit if system.network else ""}
        return self.own_unit(unit) if unit in mine else unit

    def network(self, system: System) -> Any:
        assert system.network
        name, unit = self.name(system.network.name), self.own_unit(system.network.unit)
        return network_of(self.own, self.instance.subnet, name, unit)

    def service(self, service: Any) -> Any:
        common = _common(service, self.instance)
        if isinstance(service, NativeService):
            # Its unit says paths and ports of its own, and a host has one of it
            return service.model_copy(update={**common, "name": self.name(service.name)})
        return service.model_copy(update={**self._container(service), **common})

    def _container(self, service: ComposeService) -> dict[str, Any]:
        name = self.name(service.name)
        known = [*service.aliases, *([service.container] if service.container != service.compose_key else [])]
        ports: dict[str, Any] = {}
        if service.port:
            ports = {"port": port_of(self.own, name), "container_port": service.listens_inside}
            ports["port_exception"] = service.port_exception or WHY
        if service.spare_port:
            ports["spare_port"] = port_of(self.own, name, "spare")
        return {
            **ports,
            "name": name,
            "unit": self.own_unit(service.unit),
            "container": self.name(service.container),
            "directory": self.moved[service.directory],
            # Others of its network know it by the names of before; its compose_key is one of them
            "aliases": list(dict.fromkeys(known)),
            "address": None,
            "spare_address": None,
            "volumes": [self._mount(mount) for mount in service.volumes],
            "depends_on": {self.name(other): needed for other, needed in service.depends_on.items()},
        }

    def _mount(self, mount: Mount) -> Mount:
        if not mount.source:
            return mount
        source = self.name(mount.source) if mount.type == "volume" else self.path(mount.source)
        return mount.model_copy(update={"source": source})
