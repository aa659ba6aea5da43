"""Renders the catalogue to the whole desired state of one host."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import TypeVar

from catalogue import models as catalogue_models
from catalogue.host import SshHost
from catalogue.loading import Catalogue, images_of
from catalogue.models import System
from catalogue.parts import leader_of, parts
from catalogue.proxied import proxied_names
from catalogue.relays import relay_name
from catalogue.service import Service
from catalogue.services import ComposeService, NativeService, most_memory
from catalogue.stack import Stack
from rendering import (
    alarms,
    artefacts,
    backups,
    collisions,
    compose,
    data_disks,
    environments,
    following,
    groups,
    holding,
    monitor,
    neighbours,
    places,
    pressure,
    proofs,
    rollouts,
    shipping,
    singletons,
    sites,
    steps,
    ties,
    units,
)
from rendering.certificates import WHOLE
from rendering.environment import Secrets, secret_file
from rendering.files import Account, File, Health, HostFiles, Milestone, Port, Probe, Reaction, Unit, own_group
from rendering.proxies import PROXIES
from rendering.templates import fill

AWS = "@aws"  # no service has such a name
CREDENTIALS = ["aws_access_key_id", "aws_secret_access_key"]
ROOTS = "/usr/local/share/ca-certificates"
# Every account but root, in a rule of the routing policy
NOT_ROOT = "uidrange 1-4294967294"

Item = TypeVar("Item")


def render(
    catalogue: Catalogue,
    host: str,
    digests: compose.Digests | None = None,
    secrets: Secrets | None = None,
) -> HostFiles:
    """All files, units, certificates and probes of a host. Pure: the same arguments give the same value.

    Raises CatalogueError where two of its parts make one path, unit or container.

    An image whose digest is not known is named by its tag; no host takes such a release. Of `secrets` (the stack's,
    where none are given) only versions come into it.
    """
    files = HostFiles(host)
    stack_secrets = catalogue.secrets if secrets is None else secrets
    for system in catalogue.systems_on(host):
        own = _system(catalogue, host, system, digests or {}, stack_secrets)
        own = groups.with_swarm(own, catalogue, system, digests or {}, stack_secrets)
        bound = pressure.bar_units(singletons.bind_units(own, catalogue, system), catalogue, system)
        files = _join(files, data_disks.hold_units(bound, catalogue, host, system))
    stack = catalogue.stack
    limits = most_memory(service for system in catalogue.systems_on(host) for service in system.active)
    files = _join(files, backups.backup_timers(catalogue, host, stack_secrets, digests or {}))
    files = _join(files, groups.group_files(catalogue, host, digests or {}))
    joined = _join(files, _host(catalogue, host, stack_secrets))
    # What packages bring, and people that are there, several systems may name
    once = replace(
        joined,
        units=_once(joined.units, lambda unit: not unit.files),
        accounts=_once(joined.accounts),
        certificates=_once(joined.certificates),
        environment_files=_once(joined.environment_files, lambda file: file.between == WHOLE),
    )
    whole = neighbours.with_addresses(collisions.refuse(once, stack.file), catalogue)
    return replace(
        ties.tie_units(whole, catalogue.systems_on(host)),
        memory=limits,
        health=Health(deadline=stack.healthDeadline),
        keep=stack.keepReleases,
        alerts=[alert.model_dump() for alert in catalogue.host_alerts],
        metrics=alarms.metrics_destination(catalogue, host),
        language=stack.language,
        timezone=stack.timezone,
        mounts=data_disks.required_mounts(catalogue, host),
        kind=stack.hosts[host].kind,
        region=stack.region if host in stack.ec2_hosts else "",
    )


def _system(catalogue: Catalogue, host: str, system: System, digests: compose.Digests, secrets: Secrets) -> HostFiles:
    """All files of a system; each of its parts is rendered on its own."""
    proxy = PROXIES[catalogue.stack.hosts[host].proxy]
    own_artefacts = artefacts.artefacts(system, catalogue.stack, digests)
    parts = [
        _ground(system, catalogue.file_of(system)),
        *(proxy.of_site(catalogue, host, system, site) for site in system.sites),
        holding.held_upstreams(system, proxy.leading),
        units.native(catalogue, system, secrets),
        own_artefacts,
        environments.environments(catalogue, host, system, own_artefacts.artefacts),
        compose.containers(catalogue, system, catalogue.stack.login(host).user, digests, secrets),
        HostFiles("", steps=steps.steps(system, system.network, catalogue.stack, digests) if system.network else []),
        *rollouts.rollouts(system, proxy.leading),
        HostFiles(
            host="",
            probes=[probe for service in system.active for probe in _probes(catalogue, system, service)],
            ports=_ports(system),
            milestones=[_milestone(system, milestone) for milestone in system.milestones],
        ),
    ]
    return reduce(_join, parts)


def _ground(system: System, source: str) -> HostFiles:
    """What a system's services need on the host: accounts, directories, and drop-ins for other programs."""
    return HostFiles(
        host="",
        accounts=[Account(a.name, a.home, a.login, a.lingering, a.groups) for a in system.accounts],
        directories=[
            {
                "path": d.path,
                "mode": int(d.mode, 8),
                "owner": d.owner,
                "group": d.group or own_group(d.owner),
            }
            for d in system.directories
        ],
        files=[File(d.path, units.text(d.sections, source)) for d in system.drop_ins],
        units=[Unit(name, []) for name in system.enables],
    )


def _milestone(system: System, milestone: catalogue_models.Milestone) -> Milestone:
    owner = next(service for service in system.native_services if milestone.unit in service.units)
    return Milestone(milestone.name, units.qualified_name(owner, milestone.unit), milestone.within)


def _host(catalogue: Catalogue, host: str, secrets: Secrets) -> HostFiles:
    """What every host has once, whichever systems it runs."""
    stack = catalogue.stack
    has_sites = any(system.sites for system in catalogue.systems_on(host))
    has_images = runs_containers(catalogue, host)
    files = [
        File(f"{ROOTS}/infra-root-{number}.crt", f"{root.strip()}\n".encode())
        for number, root in enumerate(stack.trustedRoots, 1)
    ]
    # First in the order of names: a system's own limits have the last word
    files += [File("/etc/systemd/journald.conf.d/00-infra.conf", fill("journald.conf.j2", f"Pulumi.{stack.name}.yaml"))]
    login = _registry_login(stack, host) if has_images else HostFiles("")
    # A machine that AWS gives no role identifies itself with a user's key
    has_user = host not in stack.ec2_hosts and catalogue.has_identity(host)
    credentials = ["/root/.aws/credentials"] if has_user else []
    files_of_host = HostFiles(
        host=host,
        files=files,
        environment_files=[
            replace(secret_file(path, AWS, CREDENTIALS, secrets, stack), head="[default]") for path in credentials
        ],
        trusted_roots=[file.path for file in files if file.path.startswith(ROOTS)],
        reactions=[
            Reaction([f"{ROOTS}/"], ["update-ca-certificates", "--fresh"]),
            Reaction(["/etc/systemd/journald.conf.d/"], ["systemctl", "try-restart", "systemd-journald"]),
        ],
        commands=["systemctl"],
    )
    guard = _metadata_guard(stack) if host in stack.ec2_hosts else HostFiles("")
    proxy = PROXIES[stack.hosts[host].proxy].of_host(catalogue, host) if has_sites else HostFiles("")
    watches = [singletons.watch(catalogue, host), pressure.watch(catalogue, host), following.timer(catalogue, host)]
    watches.append(shipping.service(catalogue, host, secrets))
    proof = proofs.token(catalogue, host, secrets)
    return reduce(
        _join, [files_of_host, guard, proxy, login, proof, *watches, monitor.monitor_files(catalogue, host, secrets)]
    )


def zone_names(catalogue: Catalogue, host: str) -> list[str]:
    """The public names of a host that lie in infra:zone."""
    names = [catalogue.stack.public_name(s.name) for system in catalogue.systems_on(host) for s in system.sites]
    return [name for name in names if catalogue.stack.in_zone(name)]


def switched_names(catalogue: Catalogue, host: str) -> list[str]:
    """Those of them that lead to the host itself: a name whose record is proxied leads to Cloudflare; and where a
    person keeps the zone, a name behind a CDN leads there."""
    if catalogue.stack.dns.is_ours:
        proxied = proxied_names(catalogue)
        return [name for name in zone_names(catalogue, host) if name not in proxied]
    systems = catalogue.systems_on(host)
    fronted = {
        catalogue.stack.public_name(site.name) for s in systems for site in s.sites if sites.serving_site(s, site).cdn
    }
    return [name for name in zone_names(catalogue, host) if name not in fronted]


def data(catalogue: Catalogue, host: str) -> list[str]:
    """Data directories of a host, which no release brings, its containers' volumes included."""
    return [path for system in catalogue.systems_on(host) for path in [*system.data, *compose.data(system)]]


def watches(catalogue: Catalogue, host: str) -> bool:
    """Whether a host runs services of which only one may run anywhere."""
    return any(singletons.singletons(system) for system in catalogue.systems_on(host))


def runs_containers(catalogue: Catalogue, host: str) -> bool:
    """Whether a host has containers: its own systems', or those of its group."""
    own = any(system.compose_services for system in catalogue.systems_on(host))
    return own or bool(leader_of(catalogue.stack, host))


def needs(catalogue: Catalogue, host: str) -> list[str]:
    """What `prepare-host.sh` installs: the Debian packages of the host's systems, and `docker` and the proxy under
    these names, since several packages provide them."""
    systems = catalogue.systems_on(host)
    packages = ["docker"] if runs_containers(catalogue, host) else []
    if leader_of(catalogue.stack, host):
        packages += [groups.ASKER_PACKAGE]
    if images_of(systems):
        # Images are copied from region to region on the host itself
        packages += ["skopeo"]
    if any(system.sites for system in systems):
        proxy = PROXIES[catalogue.stack.hosts[host].proxy]
        packages += [proxy.package, "certbot", *proofs.packages(catalogue.stack), "logrotate"]
    if backups.services_with_backup(catalogue, host):
        packages += ["restic"]
    if data(catalogue, host):
        # What goes to another host with a move
        packages += ["rsync"]
    if any(service.account for system in systems for service in system.native_services):
        # A user's own manager is started through PAM
        packages += ["libpam-systemd"]
    return list(dict.fromkeys([*packages, *(name for system in systems for name in system.packages)]))


def _metadata_guard(stack: Stack) -> HostFiles:
    """Accounts other than root do not reach the metadata service of an instance: it would give them the credentials of
    the host's role. Containers are behind its hop limit."""
    path = f"{compose.UNITS}/infra-metadata.service"
    file = File(path, fill("infra-metadata.service.j2", f"Pulumi.{stack.name}.yaml", uids=NOT_ROOT))
    return HostFiles("", files=[file], units=[Unit("infra-metadata.service", [path])], commands=["ip"])


def _registry_login(stack: Stack, host: str) -> HostFiles:
    """A login for the registry that never expires: ECR's helper asks for a new one at each pull; where there is none, a
    timer does twice in the life of a token."""
    spec = stack.hosts[host]
    if not isinstance(spec, SshHost) or spec.registryLogin == "helper":
        helpers = json.dumps({"credHelpers": {stack.registry: "ecr-login"}}, indent=2) + "\n"
        config = File("/root/.docker/config.json", helpers.encode(), mode=0o600)
        return HostFiles("", files=[config], commands=["docker-credential-ecr-login"])
    source = f"Pulumi.{stack.name}.yaml"
    files = [
        File(
            f"{compose.UNITS}/infra-registry-login.{kind}",
            fill(f"registry-login.{kind}.j2", source, registry=stack.registry),
        )
        for kind in ("service", "timer")
    ]
    timer = Unit("infra-registry-login.timer", [file.path for file in files])
    return HostFiles("", files=files, units=[timer], logins=[stack.registry])


def _ports(system: System) -> list[Port]:
    of_compose = [
        Port(place.port, service.name, place.unit, place.container)
        for service in system.compose_services
        for place in places.places(service)
        if place.port
    ]
    port_services = {port.service for port in of_compose}
    native = [s for s in system.native_services if s.listens and s.name not in port_services]
    return of_compose + [
        Port(s.listens or 0, s.name, units.socket(s) if s.socket else units.qualified_name(s, s.units[0]))
        for s in native
    ]


def _probes(catalogue: Catalogue, system: System, service: Service) -> list[Probe]:
    """The probe of a service: one, or one for each replica or instance of a template."""
    public = sites.public_url(catalogue, system, service)
    if isinstance(service, ComposeService):
        first, *others = places.places(service)
        # Of two slots that take turns there is one probe, which the agent aims at the one that serves
        probe_places = [(service.name, service.unit, first)]
        probe_places += [(f"{service.name}/{place.slot}", place.unit, place) for place in others if service.is_balanced]
        return [Probe(name, unit, places.own_url(service, place), public) for name, unit, place in probe_places]
    assert isinstance(service, NativeService), "there are no other kinds"
    url = f"http://127.0.0.1:{service.listens}{service.health}" if service.listens else None
    if service.name in _unasked_relays(catalogue):
        url = public = None
    names = [f"{service.name}/{instance}" for instance in service.instances] or [service.name]
    return [
        Probe(name, units.qualified_name(service, unit), url, public)
        for name, unit in zip(names, service.units, strict=True)
    ]


def _unasked_relays(catalogue: Catalogue) -> set[str]:
    """The relays to services that start, in a move, only once their data has come: after the gate of the host that
    calls them. Their own host asks for their health."""
    pairs = [(host, entry, catalogue.systems.get(entry.own_name)) for host, entry in parts(catalogue.stack)]
    return {
        relay_name(name, host)
        for host, entry, system in pairs
        if system and (system.data or compose.data(system))
        for name in entry.services
    }


def _once(items: list[Item], may_be: Callable[[Item], bool] = lambda _: True) -> list[Item]:
    """The items in order, without duplicates of those for which `may_be` holds."""
    unique: list[Item] = []
    for item in items:
        if not may_be(item) or item not in unique:
            unique.append(item)
    return unique


def _join(first: HostFiles, second: HostFiles) -> HostFiles:
    lists = {
        name: getattr(first, name) + getattr(second, name)
        for name in HostFiles.__dataclass_fields__
        if isinstance(getattr(first, name), list)
    }
    return replace(first, host=first.host or second.host, **lists)
