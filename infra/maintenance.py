"""Sites in maintenance: which hosts serve a site, and what they answer."""

from collections.abc import Iterator, Sequence

from agent.documents.answers import InMaintenance
from agent.documents.requests import MaintenancePayload
from agent.maintenance import LONGEST
from catalogue.loading import Catalogue
from catalogue.problems import nearest
from infra import hosts, remote
from infra.delivery import who
from infra.errors import InfraError, gather_errors
from infra.releases import until
from infra.ssh import Target


def sites_by_host(catalogue: Catalogue, names: Sequence[str]) -> dict[str, list[str]]:
    """Host → the public names of these sites there; of all sites where none is named. Raises InfraError."""
    stack = catalogue.stack
    served: dict[str, dict[str, set[str]]] = {host: {} for host in stack.hosts}
    for host, own in served.items():
        for site in [site for system in catalogue.systems_on(host) for site in system.sites]:
            # Another name of a site is away with it
            of = (site.alias_of, stack.public_name(site.alias_of)) if site.alias_of else ()
            own[stack.public_name(site.name)] = {site.name, stack.public_name(site.name), *of}
    served_names = {name for own in served.values() for names_of in own.values() for name in names_of}
    if not served_names:
        raise InfraError(f"stack {stack.name} has no site")
    for name in names:
        if name not in served_names:
            raise InfraError(f"stack {stack.name} serves no {name}: {nearest(name, sorted(served_names), 'sites')}")
    selected = {
        host: [public for public, names_of in own.items() if not names or names_of & {*names}]
        for host, own in served.items()
    }
    return {host: sites for host, sites in selected.items() if sites}


def switch(catalogue: Catalogue, names: Sequence[str], begin: bool, seconds: float) -> Iterator[str]:
    """Begins or ends it, on one host after the other; a line for each site. Raises InfraError."""
    if begin and not 1 <= seconds <= LONGEST:
        raise InfraError("--for is 1s to 168h (7 days): a maintenance ends by itself")
    with gather_errors() as alone:
        for host, target, sites in _serving_hosts(catalogue, names):
            with alone():
                yield from _ask_host(host, target, sites, _payload(sites, begin, int(seconds)))


def show(catalogue: Catalogue, names: Sequence[str]) -> Iterator[str]:
    """A line for each site. Raises InfraError."""
    with gather_errors() as alone:
        for host, target, sites in _serving_hosts(catalogue, names):
            with alone():
                yield from _ask_host(host, target, sites, _payload([], False, 0))


def _serving_hosts(catalogue: Catalogue, names: Sequence[str]) -> Iterator[tuple[str, Target, list[str]]]:
    """Each host that serves one of the sites, in its regions that stand by too."""
    sites_of = sites_by_host(catalogue, names)
    targets = hosts.targets(catalogue.stack)
    candidates = [(name, target, sites_of.get(name.partition("@")[0], [])) for name, target in targets.items()]
    if not any(sites for _, _, sites in candidates):
        raise InfraError(f"no host that serves {', '.join(names) or 'a site'} has been made yet: pulumi up")
    yield from (entry for entry in candidates if entry[2])


def _payload(sites: list[str], begin: bool, seconds: int) -> MaintenancePayload:
    return {"sites": sites, "begin": begin, "seconds": seconds, "who": who()}


def _ask_host(host: str, target: Target, sites: list[str], payload: MaintenancePayload) -> Iterator[str]:
    answer: InMaintenance = remote.ask(target, "maintenance", payload)
    in_maintenance = answer["maintenance"]
    for site in sites:
        yield f"{host}: {site} {until(in_maintenance[site]) if site in in_maintenance else 'is served'}"
