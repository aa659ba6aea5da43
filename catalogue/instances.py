"""A system that runs more than once: on several hosts, or on one, such as what customers use beside what is tried.

    infra:hosts:
      web: {systems: [shop, {system: shop, as: shop-staging, names: {shop.example.com: staging.example.com}}]}

Each has services, units, containers, networks, volumes, directories, ports, secrets and backups of its own; images are
shared.
"""

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from catalogue.compose.values import Mount
from catalogue.copies import PortCopy, ServiceCopy, SystemCopy
from catalogue.fields import INSTANCE, HostName, Model, Name, Network, Port
from catalogue.models import ContainerNetwork, System
from catalogue.network_defaults import WHY, network_of, port_of, replica_ports
from catalogue.networks import FOR_CONTAINERS, is_for_containers
from catalogue.service import Service
from catalogue.services import ComposeService
from catalogue.serving import Serving
from catalogue.sites import Redirect, Site, StaticFiles


def _port(value: Any) -> Any:
    """Pulumi writes numbers back as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _subnet(subnet: IPv4Network) -> IPv4Network:
    if not is_for_containers(subnet):
        raise ValueError(FOR_CONTAINERS)
    return subnet


class Instance(Model):
    """A system of `files/systems/` under a name of its own."""

    model_config = ConfigDict(**Model.model_config | {"serialize_by_alias": True})

    system: Name
    """The system of `files/systems/`."""
    name: Annotated[str, Field(pattern=INSTANCE)] | None = Field(None, alias="as")
    """Its name here, which no other system of the stack has; else the system's own."""
    variant: Name | None = None
    """One of the system's variants; else that of `infra:variants`."""
    names: dict[HostName, HostName] = {}
    """Names of its sites: the one in the file → the one here."""
    ports: dict[Name, Annotated[Port, BeforeValidator(_port)]] = {}
    """Ports of its containers: the service in the file → its port here. One that is not written is assigned by the
    name."""
    subnet: Annotated[Network, AfterValidator(_subnet)] | None = None
    """The subnet of its containers; else one is assigned by the name."""
    services: list[Name] = []
    """Only these services of a system that another host of the stack runs: they run here, and not there. By default
    all of it."""

    @property
    def own_name(self) -> str:
        part = f"{self.system}-{self.services[0]}" if self.services else self.system
        return self.name or part


def instance_name(name: str, system: str, instance: str) -> str:
    """`shop-web` of `shop` as `shop-staging-web`, and `web` too."""
    return belonging(name, system, instance) or f"{instance}-{name}"


def belonging(name: str, system: str, instance: str) -> str:
    """The instance's name in the place of its system's, where a name begins with that; else ""."""
    rest = name[len(system) :]
    return f"{instance}{rest}" if name.startswith(system) and rest[:1] in ("", "-", "_", ".") else ""


def path_of(path: str, system: str, instance: str) -> str:
    """`/srv/shop/media` as `/srv/shop-staging/media`. A path without the system's name in it stays: a rule refuses that
    two systems of a host write to it. Directly below the root are directories of the host's own."""
    first, *rest = path.lstrip("/").split("/")
    return "/".join(["", first, *(belonging(part, system, instance) or part if part else part for part in rest)])


def instance_of(system: System, instance: Instance) -> System:
    """A system as one of its instances."""
    sites = [_site(site, instance) for site in system.sites]
    changes: SystemCopy = {"system": instance.own_name, "sites": sites}
    if instance.own_name == system.system:
        services = [_common(service, instance) for service in system.services]
        changes["services"], changes["network"] = services, _network(system, instance)
        return system.model_copy(update=changes)
    if system.native_services:
        # Its units say names, paths and ports of all that they use: it has them as the file has them, and no other
        # instance is on its host
        own = {service.name: instance_name(service.name, system.system, instance.own_name) for service in system.active}
        services = [
            _rename_service(_common(service, instance), own)
            for service in system.services
            if isinstance(service, Service)
        ]
        changes["sites"] = [_gates(site, own) for site in sites]
        changes["services"], changes["network"] = services, _network(system, instance)
        return system.model_copy(update=changes)
    make = _Renaming(system, instance)
    changes = SystemCopy(
        system=instance.own_name,
        sites=[make.site(site) for site in sites],
        network=system.network and make.network(system.network),
        services=[make.container(s) for s in system.compose_services],
        data=[make.path(path) for path in system.data],
        directories=[item.model_copy(update={"path": make.path(item.path)}) for item in system.directories],
        drop_ins=[item.model_copy(update={"path": make.file(item.path)}) for item in system.drop_ins],
        milestones=[item.model_copy(update={"unit": make.unit(item.unit)}) for item in system.milestones],
    )
    return system.model_copy(update=changes)


Guarded = TypeVar("Guarded", bound=Serving)


def rename_gate(entry: Guarded, name: Callable[[str], str]) -> Guarded:
    """What is asked first, under the service's name here."""
    gate = entry.forward_auth
    if gate is None or gate.service is None:
        return entry
    return entry.model_copy(update={"forward_auth": gate.model_copy(update={"service": name(gate.service)})})


def _site(site: Site, instance: Instance) -> Site:
    """A site under its names here; what leads to another site of the file leads to that one's name here."""

    def here(name: str) -> str:
        return instance.names.get(name, name)

    redirects: list[Redirect] = []
    for redirect in site.redirects:
        parts = urlsplit(redirect.to)
        to = parts._replace(netloc=here(parts.netloc)).geturl()
        redirects.append(redirect.model_copy(update={"to": to}))
    alias_of = site.alias_of and here(site.alias_of)
    return site.model_copy(update={"name": here(site.name), "alias_of": alias_of, "redirects": redirects})


def _network(system: System, instance: Instance) -> ContainerNetwork | None:
    network = system.network
    if network is None or instance.subnet is None:
        return network
    return network_of(instance.own_name, instance.subnet, network.name, network.unit)


def _gates(site: Site, own: dict[str, str]) -> Site:
    static = [rename_gate(entry, lambda name: own.get(name, name)) for entry in site.static]
    return rename_gate(site, lambda name: own.get(name, name)).model_copy(update={"static": static})


def _rename_service(service: Service, own: dict[str, str]) -> Service:
    waits = service.depends_on if isinstance(service, ComposeService) else {}
    routes = [rename_gate(route, lambda name: own.get(name, name)) for route in service.routes]
    changes: ServiceCopy = {"name": own[service.name], "routes": routes}
    if waits:
        changes["depends_on"] = {own.get(name, name): need for name, need in waits.items()}
    return service.model_copy(update=changes)


def _common(service: Any, instance: Instance) -> Any:
    """A service with what becomes of it under whatever name: the sites of its routes, and a port that is written."""
    if not isinstance(service, Service):
        return service
    routes = [
        route.model_copy(update={"site": instance.names.get(route.site, route.site)}) if route.site else route
        for route in service.routes
    ]
    port = instance.ports.get(service.name)
    if port is None or not isinstance(service, ComposeService):
        return service.model_copy(update=ServiceCopy(routes=routes))
    why = service.port_exception or "chosen by the stack"
    inside = None if service.is_on_host_network else service.listens_inside or port
    own = ServiceCopy(routes=routes, port=port, container_port=inside, port_exception=why)
    return service.model_copy(update=own)


class _Renaming:
    """What becomes of a system's names under an instance's."""

    def __init__(self, system: System, instance: Instance) -> None:
        self.system, self.instance, self.own = system.system, instance, instance.own_name
        self.moved = {service.directory: self.directory(service.directory) for service in system.compose_services}

    def name(self, name: str) -> str:
        return instance_name(name, self.system, self.own)

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

    def file(self, path: str) -> str:
        """A file of a directory that others have files in too."""
        folder, _, last = path.rpartition("/")
        return f"{folder}/{self.name(last)}"

    def unit(self, unit: str) -> str:
        stem, _, kind = unit.rpartition(".")
        return f"{self.name(stem)}.{kind}"

    def site(self, site: Site) -> Site:
        return rename_gate(site, self.name).model_copy(update={"static": [self._files(entry) for entry in site.static]})

    def _files(self, entry: StaticFiles) -> StaticFiles:
        changes = {"directory": entry.directory and self.path(entry.directory)}
        return rename_gate(entry, self.name).model_copy(update=changes)

    def network(self, network: ContainerNetwork) -> ContainerNetwork:
        return network_of(self.own, self.instance.subnet, self.name(network.name), self.unit(network.unit))

    def container(self, service: ComposeService) -> ComposeService:
        name = self.name(service.name)
        alias_names = [*service.aliases, *([service.container] if service.container != service.compose_key else [])]
        ports: PortCopy = {}
        if service.port and not service.is_on_host_network:
            ports = {"port": port_of(self.own, name), "container_port": service.listens_inside}
            ports["port_exception"] = service.port_exception or WHY
        if service.spare_port:
            ports["spare_port"] = port_of(self.own, name, "spare")
        if service.replica_ports:
            ports["replica_ports"] = replica_ports(self.own, name, service.replicas)
        changes: ServiceCopy = {
            **ports,
            "purpose": f"{service.purpose} ({self.own})",
            "purpose_ja": service.purpose_ja and f"{service.purpose_ja} ({self.own})",
            "unit": self.unit(service.unit),
            "container": self.name(service.container),
            "directory": self.moved[service.directory],
            # Others of its network know it by the file's names; its compose_key is one of them
            "aliases": [] if service.is_on_host_network else list(dict.fromkeys(alias_names)),
            "address": None,
            "spare_address": None,
            "volumes": [self._mount(mount) for mount in service.volumes],
            "depends_on": {self.name(other): need for other, need in service.depends_on.items()},
        }
        common = _common(service.model_copy(update=changes), self.instance)
        routes = [rename_gate(route, self.name) for route in common.routes]
        return common.model_copy(update=ServiceCopy(name=name, routes=routes))

    def _mount(self, mount: Mount) -> Mount:
        if not mount.source:
            return mount
        source = self.name(mount.source) if mount.type == "volume" else self.path(mount.source)
        return mount.model_copy(update={"source": source})
