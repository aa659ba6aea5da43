"""From the catalogue to everything that one host is to be."""

import json
from dataclasses import replace

from catalogue.loading import Catalogue
from catalogue.models import Service, System
from catalogue.sizes import to_bytes
from rendering import compose, nginx
from rendering.files import Certificate, File, Health, HostFiles, Port, Probe, Reaction, Unit

RELOAD_NGINX = "/etc/letsencrypt/renewal-hooks/deploy/reload-nginx"
ROOTS = "/usr/local/share/ca-certificates"


def render(catalogue: Catalogue, host: str, digests: compose.Digests | None = None) -> HostFiles:
    """All files, units, certificates and probes of a host. Pure: the same catalogue and digests give the same value.
    An image whose digest is not known is named by its tag; no host takes such a release."""
    files = HostFiles(host)
    for system in catalogue.systems_on(host):
        files = _joined(files, _system(catalogue, system, digests or {}))
    stack = catalogue.stack
    limits = sum(to_bytes(s.memory.limit) for system in catalogue.systems_on(host) for s in system.active)
    return replace(
        _joined(files, _host(catalogue, host)),
        memory=limits,
        health=Health(deadline=stack.healthDeadline),
        keep=stack.keepReleases,
    )


def _system(catalogue: Catalogue, system: System, digests: compose.Digests) -> HostFiles:
    stack, source = catalogue.stack, catalogue.file_of(system)
    services = system.compose_services
    result = HostFiles(
        host="",
        files=[nginx.site_file(system, site, stack, source) for site in system.sites],
        links=[nginx.site_link(site, stack) for site in system.sites],
        environment_files=compose.environment_files(services, stack),
        certificates=[
            Certificate(stack.public_name(site.name), site.challenge, stack.acmeDirectory, stack.acmeEmail)
            for site in system.sites
        ],
        probes=[_probe(catalogue, system, service) for service in system.active],
        ports=[Port(service.port, service.name, service.unit) for service in system.active],
        commands=["docker", "docker-compose"] if services else [],
    )
    if system.network is None:
        return result
    network_unit = compose.network_unit_file(system.network, source)
    units = [Unit(system.network.unit, [network_unit.path])]
    files, directories = [network_unit], []
    for project in compose.projects(system):
        files += [
            compose.compose_file(project, system.network, stack, digests, source),
            compose.unit_file(project, system.network, source),
        ]
        units.append(compose.unit(project, stack, digests))
        owner = stack.sshUser
        directories.append({"path": project[0].directory, "mode": 0o755, "owner": owner, "group": owner})
    return replace(result, files=result.files + files, units=units, directories=directories)


def _host(catalogue: Catalogue, host: str) -> HostFiles:
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
    if has_images:
        helpers = json.dumps({"credHelpers": {stack.registry: "ecr-login"}}, indent=2) + "\n"
        files.append(File("/root/.docker/config.json", helpers.encode(), mode=0o600))
    return HostFiles(
        host=host,
        files=files,
        trusted_roots=[file.path for file in files if file.path.startswith(ROOTS)],
        units=[Unit("nginx.service", [])] if has_sites else [],
        reactions=[
            Reaction([f"{ROOTS}/"], ["update-ca-certificates", "--fresh"]),
            Reaction(["/etc/nginx/"], ["systemctl", "reload-or-restart", "nginx"]),
        ],
        commands=[*(["nginx", "certbot"] if has_sites else []), "systemctl"],
    )


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
