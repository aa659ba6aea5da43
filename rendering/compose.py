"""Compose projects and the units that run them."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from agent.documents.manifest import Directory
from catalogue.compose import writing
from catalogue.compose.bodies import ComposeFile, MountBody, PlaceBody, PortsBody, ReachBody, ServiceBody
from catalogue.compose.durations import seconds
from catalogue.compose.values import Mount
from catalogue.data_disks import DOCKER
from catalogue.loading import Catalogue
from catalogue.models import ContainerNetwork, GroupedNetwork, System
from catalogue.service import Image
from catalogue.services import ComposeService
from catalogue.shapes import is_list, is_mapping
from catalogue.stack import Stack
from rendering.environment import Secrets, secret_file, whole_secret
from rendering.files import Container, EnvironmentFile, File, HostFiles, Network, PublishedPorts, Unit
from rendering.neighbours import private_ports
from rendering.places import (
    Place,
    Project,
    environment_path,
    file_path,
    places,
    plain_variables,
    projects,
    secret_path,
    secrets_directory,
)
from rendering.templates import BANNER, fill, literal
from rendering.waits import waits_for

UNITS = "/etc/systemd/system"
DEFAULT_STOP, MARGIN = 90, 30  # seconds: systemd's own limit of a stop, and what is left for the removal
# Of a network that a unit of a release created
NETWORK_LABEL = "infra.network"
POST = "curl --silent --show-error --output /dev/null --unix-socket /run/docker.sock --request POST http://localhost"
WAIT = f"{POST}/containers"
PRUNE = f"/usr/bin/{POST}/containers/prune?filters="
# `repository:tag` → the digest that the registry has under it
Digests = Mapping[str, str]


def full_name(image: Image, stack: Stack, digests: Digests) -> str:
    """An image's full name: by its digest where that is known, so that a release always means the same bytes."""
    digest = digests.get(image.name)
    return f"{stack.registry}/{image.repository}{f'@{digest}' if digest else image.suffix}"


def body(service: ComposeService, image: str, unit: str, environment_file: str | None, below: str = "") -> ServiceBody:
    """What a container of a service has wherever it runs: no name, no port, no network. Its files lie `below` a
    directory by their own paths."""
    fields: ServiceBody = {
        "image": image,
        "mem_limit": service.memory.limit,
        **writing.body(service, service.health),
        # Docker writes to the journal under the unit's name: `journalctl -u` shows it
        "labels": {"object_systemd_unit": unit, **writing.escape_dollars(service.labels)},
        "logging": {"driver": "journald", "options": {"labels": "object_systemd_unit", "tag": "{{.Name}}"}},
    }
    mounts = [writing.mount(mount) for mount in service.volumes]
    mounts += [_own_file(f"{below}{file_path(service, file.path)}", file.path) for file in service.files]
    mounts += [_own_file(f"{below}{secret_path(service, path)}", path) for path in service.secret_files]
    if mounts:
        fields["volumes"] = mounts
    in_file = plain_variables(service)
    if plain := {name: value for name, value in service.environment.items() if name not in in_file}:
        # What no environment file can hold
        fields["environment"] = writing.escape_dollars(plain)
    if environment_file:
        fields["env_file"] = [environment_file]
    return fields


def _own_file(source: str, target: str) -> MountBody:
    return {"type": "bind", "source": source, "target": target, "read_only": True}


def document(project: Project, network: ContainerNetwork, stack: Stack, digests: Digests) -> ComposeFile:
    """The compose file's content: ports on loopback only, the network external, as the document demands. Compose of
    either generation takes it; without the document's `version`, which v2 warns of at each start and v1 from 1.27 on
    does not ask for. A name is given to each container, and none to the project: v1 takes none from the file."""

    def entry(service: ComposeService, place: Place) -> ServiceBody:
        # Other containers know a service by its container's name, whichever slot it is in
        alias_names = [*([service.container] if place.slot else []), *service.aliases]
        aliases: PlaceBody = {"aliases": alias_names} if alias_names else {}
        fixed: PlaceBody = {"ipv4_address": str(place.address)} if place.address else {}
        path = environment_path(service)
        beside = f"{'..' if place.slot else '.'}/{path.rsplit('/', 1)[1]}" if path else None
        whole = body(service, full_name(service.image, stack, digests), place.unit, beside)
        ports = [*_ports(service, place), *private_ports(service, stack)]
        published: PortsBody = {"ports": ports} if ports else {}
        fields: ServiceBody = {
            "image": whole.pop("image"),
            "container_name": place.container,
            **published,
            **network_settings(service, network, {**fixed, **aliases}),
            **whole,
        }
        keys = {other.name: other.compose_key for other in project.services}
        if waits := {keys[name]: need for name, need in service.depends_on.items() if name in keys}:
            fields["depends_on"] = {key: {"condition": need.condition} for key, need in waits.items()}
        return fields

    file: ComposeFile = {
        "services": {service.compose_key: entry(service, place) for service, place in project.members},
        "networks": {name: {"external": True} for name in networks_of(network)},
    }
    if volumes := [name for service in project.services for name in service.volume_names]:
        # No project's own: nothing that removes a project removes its data
        file["volumes"] = {name: {"external": True} for name in volumes}
    return file


def network_settings(service: ComposeService, network: ContainerNetwork, settings: PlaceBody) -> ReachBody:
    """The networks that a container of a service is in, in the words of a compose file."""
    if service.is_on_host_network:
        return {"network_mode": "host"}
    first, *others = networks_of(network)
    # An address is one of its system's own network
    in_others: PlaceBody = {"aliases": settings["aliases"]} if "aliases" in settings else {}
    return {"networks": {first: settings} | dict.fromkeys(others, in_others)}


def networks_of(network: ContainerNetwork) -> list[str]:
    """A system's own network, and that of its group of hosts."""
    return [network.name, *([network.group] if isinstance(network, GroupedNetwork) else [])]


def _ports(service: ComposeService, place: Place) -> list[str]:
    """On loopback alone but for what it publishes; in the host's own network nothing is to be led to it."""
    if service.is_on_host_network:
        return []
    own = [f"127.0.0.1:{place.port}:{service.listens_inside}"] if place.port and not service.published_port else []
    return [*own, *(port.mapping for port in service.publish)]


class _Dumper(yaml.SafeDumper):
    """Text that YAML 1.2, or the parser of Compose's own language, would read as a number is in quotes."""


NUMBER = re.compile(
    r"[-+]?(0[xob][0-9a-f_]+|(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)(e[-+]?[0-9]+)?)|[-+]?\.(inf|nan)", re.IGNORECASE
)


def _text(dumper: yaml.SafeDumper | yaml.CSafeDumper, text: str) -> yaml.Node:
    # pyyaml's types leave a scalar's value open
    return dumper.represent_scalar(  # pyright: ignore[reportUnknownMemberType]
        "tag:yaml.org,2002:str", text, style="'" if NUMBER.fullmatch(text) else None
    )


class _FastDumper(yaml.CSafeDumper):
    """libyaml's, which takes a tenth of the time."""


for _dumper in (_Dumper, _FastDumper):
    _dumper.add_representer(str, _text)
# Text that both write alike. Of other text they fold and escape differently, and a release's id is a hash of its bytes
ALIKE = re.compile(r"[!-~]+(?: [!-~]+)*")
KEY_LENGTH = 100


def _is_alike(value: Any) -> bool:
    """Do both dumpers make the same bytes of a value."""
    if is_mapping(value):
        keys = [str(key) for key in value]
        return all(len(key) <= KEY_LENGTH and ALIKE.fullmatch(key) for key in keys) and _is_alike([*value.values()])
    if is_list(value):
        return all(map(_is_alike, value))
    return not isinstance(value, str) or not value or ALIKE.fullmatch(value) is not None


def text_of(document: ComposeFile) -> str:
    """A compose file's text."""
    dumper = _FastDumper if _is_alike(document) else _Dumper
    return yaml.dump(document, Dumper=dumper, sort_keys=False, allow_unicode=True)


def compose_file(project: Project, network: ContainerNetwork, stack: Stack, digests: Digests, source: str) -> File:
    text = text_of(document(project, network, stack, digests))
    return File(project.path, f"{BANNER.format(source=source)}\n{text}".encode())


def unit_file(project: Project, network: ContainerNetwork, system: System, source: str) -> File:
    after, waits = waits_for(project, system)
    content = fill(
        "compose.service.j2",
        source,
        description=literal("; ".join(service.purpose for service in project.services)),
        network=network,
        project=project.name,
        compose_file=project.path,
        containers=[place.container for _, place in project.members],
        after=after,
        waits=[(name, literal(asks)) for name, asks in waits],
        patience=_patience(project),
        volumes=list(dict.fromkeys(name for service in project.services for name in service.volume_names)),
        system=system.system,
        wait=WAIT,
        prune=PRUNE,
    )
    return File(f"{UNITS}/{project.unit}", content)


def _patience(project: Project) -> int:
    """Seconds that systemd waits for the end of a project's containers; 0 for as long as it does by itself."""
    periods = [seconds(service.stop_grace_period) for service in project.services if service.stop_grace_period]
    longest = math.ceil(max(periods, default=0.0))
    return longest + MARGIN if longest + MARGIN > DEFAULT_STOP else 0


def network_unit_file(network: ContainerNetwork, source: str) -> File:
    return File(f"{UNITS}/{network.unit}", fill("network.service.j2", source, network=network, label=NETWORK_LABEL))


def environment_files(services: Iterable[ComposeService], secrets: Secrets, stack: Stack) -> list[EnvironmentFile]:
    def of(service: ComposeService, path: str) -> EnvironmentFile:
        file = secret_file(path, service.name, service.secrets, secrets, stack)
        return replace(file, values=plain_variables(service))

    return [of(service, path) for service in services if (path := environment_path(service))] + [
        whole_secret(secret_path(service, path), service.name, name, secrets, stack)
        for service in services
        for path, name in service.secret_files.items()
    ]


def unit(project: Project, network: ContainerNetwork, stack: Stack, digests: Digests) -> Unit:
    """The project's unit, with all that a change of must restart it: the network's unit takes it down with it."""
    environment = [path for service in project.services if (path := environment_path(service))]
    own = [file_path(service, file.path) for service in project.services for file in service.files]
    own += [secret_path(service, path) for service in project.services for path in service.secret_files]
    files = [f"{UNITS}/{project.unit}", project.path, *environment, *dict.fromkeys(own), f"{UNITS}/{network.unit}"]
    images = [full_name(image, stack, digests) for service in project.services for image in service.images]
    return Unit(project.unit, files, list(dict.fromkeys(images)))


def containers(catalogue: Catalogue, system: System, owner: str, digests: Digests, secrets: Secrets) -> HostFiles:
    """All that a system's containers put on a host. `owner` has their directories."""
    services, network = system.compose_services, system.network
    if network is None:
        return HostFiles("")
    stack, source = catalogue.stack, catalogue.file_of(system)
    files = [network_unit_file(network, source)]
    units, directories = [Unit(network.unit, [files[0].path])], list[Directory]()
    for project in projects(system):
        files.append(compose_file(project, network, stack, digests, source))
        files.append(unit_file(project, network, system, source))
        units.append(unit(project, network, stack, digests))
        directories.append({"path": project.directory, "mode": 0o755, "owner": owner, "group": owner})
    of_secrets = dict.fromkeys(secrets_directory(service) for service in services if service.secret_files)
    for path in of_secrets:
        directories.append({"path": path, "mode": 0o700, "owner": "root", "group": "root"})
    files += [
        File(file_path(service, file.path), catalogue.sources[file.source], int(file.mode, 8))
        for service in services
        for file in service.files
    ]
    return HostFiles(
        host="",
        files=files,
        units=units,
        directories=directories + _bind_directories(system),
        environment_files=environment_files(services, secrets, stack),
        commands=["docker", "docker-compose"],
        networks=[Network(network.name, str(network.subnet), str(network.gateway), network.unit)],
        containers=[
            container(service, place, network, full_name(service.image, stack, digests))
            for service in services
            for place in places(service)
        ],
        private=[way.rpartition(":")[0] for service in services for way in private_ports(service, stack)],
        published=[
            PublishedPorts(port.first, port.last, port.protocol, service.name, service.unit, service.container)
            for service in services
            for port in service.publish
        ],
    )


def _bind_directories(system: System) -> list[Directory]:
    """Paths of the host that containers see, where they are not there yet: a directory, as Docker would make it."""
    described = {directory.path for directory in system.directories} | {account.home for account in system.accounts}
    sources = [
        mount.source for service in system.compose_services for mount in service.data_mounts if mount.type == "bind"
    ]
    return [
        {"path": path, "mode": 0o755, "owner": "root", "group": "root", "if_missing": True}
        for path in dict.fromkeys(sources)
        if path and path not in described
    ]


def path_on_host(mount: Mount) -> str:
    """Where what a container keeps lies."""
    return str(mount.source) if mount.type != "volume" else f"{DOCKER}/{mount.source}/_data"


def data(system: System) -> list[str]:
    """Where on the host the data of a system's containers is, that its `data` does not name."""
    mounts = [mount for service in system.compose_services for mount in service.data_mounts]
    paths = [path_on_host(mount) for mount in mounts]
    data_paths = [PurePosixPath(path) for path in system.data]
    return [
        path
        for path in dict.fromkeys(paths)
        if path and not any(PurePosixPath(path).is_relative_to(k) for k in data_paths)
    ]


def container(service: ComposeService, place: Place, network: ContainerNetwork, image: str) -> Container:
    """What the host's monitor and its releases hold a container against."""
    aliases = [service.compose_key, *([service.container] if place.slot else []), *service.aliases]
    return Container(
        place.container,
        service.name,
        place.unit,
        "" if service.is_on_host_network else network.name,
        str(place.address or ""),
        aliases,
        service.limit,
        place.project,
        image,
        service.covered_paths,
        {mount.target: str(mount.source) for mount in service.volumes if mount.source},
        service.image.name,
        service.user or "",
    )
