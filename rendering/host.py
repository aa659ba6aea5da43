"""From the catalogue to everything that one host is to be."""

import json
from dataclasses import replace

from catalogue.loading import Catalogue
from catalogue.models import Service, System
from catalogue.sizes import to_bytes
from catalogue.stack import SshHost, Stack
from rendering import compose, nginx
from rendering.files import Certificate, File, Health, HostFiles, Port, Probe, Reaction, Unit
from rendering.templates import fill

RELOAD_NGINX = "/etc/letsencrypt/renewal-hooks/deploy/reload-nginx"
AWS = "@aws"  # no service has such a name
CREDENTIALS = ["aws_access_key_id", "aws_secret_access_key"]
ROOTS = "/usr/local/share/ca-certificates"


def render(
    catalogue: Catalogue,
    host: str,
    digests: compose.Digests | None = None,
    secrets: compose.Secrets | None = None,
) -> HostFiles:
    """All files, units, certificates and probes of a host. Pure: the same arguments give the same value.

    An image whose digest is not known is named by its tag; no host takes such a release. Of `secrets` (the stack's,
    where none are given) only versions come into it.
    """
    files = HostFiles(host)
    known = catalogue.stack.secrets if secrets is None else secrets
    for system in catalogue.systems_on(host):
        files = _joined(files, _system(catalogue, host, system, digests or {}, known))
    stack = catalogue.stack
    limits = sum(s.at_once * to_bytes(s.memory.limit) for system in catalogue.systems_on(host) for s in system.active)
    return replace(
        _joined(files, _host(catalogue, host, known)),
        memory=limits,
        health=Health(deadline=stack.healthDeadline),
        keep=stack.keepReleases,
    )


def _system(
    catalogue: Catalogue, host: str, system: System, digests: compose.Digests, secrets: compose.Secrets
) -> HostFiles:
    stack, source = catalogue.stack, catalogue.file_of(system)
    services = system.compose_services
    result = HostFiles(
        host="",
        files=[nginx.site_file(system, site, stack, source) for site in system.sites],
        links=[nginx.site_link(site, stack) for site in system.sites],
        environment_files=compose.environment_files(services, secrets, stack),
        certificates=[
            Certificate(stack.public_name(site.name), site.challenge, stack.acmeDirectory, stack.acmeEmail)
            for site in system.sites
        ],
        probes=[_probe(catalogue, system, service) for service in system.active],
        ports=_ports(system),
        slots=[nginx.slots(service) for service in services if service.is_blue_green],
        commands=["docker", "docker-compose"] if services else [],
    )
    if system.network is None:
        return result
    network_unit = compose.network_unit_file(system.network, source)
    units = [Unit(system.network.unit, [network_unit.path])]
    files = [network_unit, *(file for s in services if s.is_blue_green for file in nginx.slot_files(s))]
    directories, owner = [], stack.login(host).user
    for project in compose.projects(system):
        files += [
            compose.compose_file(project, system.network, stack, digests, source),
            compose.unit_file(project, system.network, source),
        ]
        units.append(compose.unit(project, system.network, stack, digests))
        directories.append({"path": project.directory, "mode": 0o755, "owner": owner, "group": owner})
    return replace(result, files=result.files + files, units=units, directories=directories)


def _host(catalogue: Catalogue, host: str, secrets: compose.Secrets) -> HostFiles:
    """What a host has once, whatever runs on it."""
    stack = catalogue.stack
    has_sites = any(system.sites for system in catalogue.systems_on(host))
    has_images = any(system.compose_services for system in catalogue.systems_on(host))
    files = [
        File(f"{ROOTS}/infra-root-{number}.crt", f"{root.strip()}\n".encode())
        for number, root in enumerate(stack.trustedRoots, 1)
    ]
    if has_sites:
        files.append(File(RELOAD_NGINX, b"#!/bin/sh\nexec systemctl reload nginx\n", mode=0o755))
    login = _registry_login(stack, host) if has_images else HostFiles("")
    # A machine that AWS gives no role identifies itself with a user's key
    credentials = ["/root/.aws/credentials"] if host not in stack.ec2_hosts and (has_images or has_sites) else []
    files_of_host = HostFiles(
        host=host,
        files=files,
        environment_files=[
            compose.secret_file(path, AWS, CREDENTIALS, secrets, stack, head="[default]") for path in credentials
        ],
        trusted_roots=[file.path for file in files if file.path.startswith(ROOTS)],
        units=[Unit("nginx.service", [])] if has_sites else [],
        reactions=[
            Reaction([f"{ROOTS}/"], ["update-ca-certificates", "--fresh"]),
            Reaction(["/etc/nginx/"], ["systemctl", "reload-or-restart", "nginx"]),
        ],
        commands=[*(["nginx", "certbot"] if has_sites else []), "systemctl"],
    )
    return _joined(files_of_host, login)


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
        Port(place.port, service.name, place.unit)
        for service in system.compose_services
        for place in compose.places(service)
    ]
    named = {port.service for port in of_compose}
    return of_compose + [Port(s.port, s.name, s.unit) for s in system.active if s.name not in named]


def _probe(catalogue: Catalogue, system: System, service: Service) -> Probe:
    public = None
    if service.route and (site := system.site_of(service.route)):
        rest = service.health.removeprefix(service.route.internal)
        public = f"https://{catalogue.stack.public_name(site.name)}{service.route.public}{rest}"
    return Probe(service.name, service.unit, f"http://127.0.0.1:{service.port}{service.health}", public)


def _joined(first: HostFiles, second: HostFiles) -> HostFiles:
    lists = {
        name: getattr(first, name) + getattr(second, name)
        for name in HostFiles.__dataclass_fields__
        if isinstance(getattr(first, name), list)
    }
    return replace(first, host=first.host or second.host, **lists)
