"""Runs the rules that span services. Every rule has an example that fails in `tests/catalogue/test_checks.py`."""

from collections.abc import Callable, Iterable, Iterator

from catalogue.loading import Catalogue
from catalogue.problems import CatalogueError, Problem, before_values, errors
from catalogue.rules import (
    alerts,
    artefacts,
    backups,
    cdns,
    containers,
    contents,
    data_disks,
    following,
    groups,
    hosts,
    identity,
    instances,
    listening,
    names,
    openings,
    parts,
    places,
    programs,
    pushers,
    pythons,
    records,
    regions,
    rollouts,
    sites,
    steps,
    units,
    watches,
)


def check(catalogue: Catalogue) -> list[Problem]:
    """Every problem of the catalogue, errors first."""
    problems = [problem for rule in RULES for problem in rule(catalogue)]
    return sorted(problems, key=lambda problem: problem.level)


def ensure_valid(
    catalogue: Catalogue, warn: Callable[[Problem], None] = lambda _: None, with_values: bool = True
) -> Catalogue:
    """The catalogue, its warnings given to `warn`; secrets may lack their values where it is not used `with_values`.
    Raises CatalogueError with every problem when one is an error."""
    problems = check(catalogue) if with_values else before_values(check(catalogue))
    if errors(problems):
        raise CatalogueError(problems)
    for problem in problems:
        warn(problem)
    return catalogue


RULES: Iterable[Callable[[Catalogue], Iterator[Problem]]] = (
    identity.unique_names,
    identity.unique_ports,
    identity.unique_containers,
    identity.unique_addresses,
    identity.unique_paths,
    identity.directories,
    places.port_policy,
    places.reserved_ports,
    places.misplaced_subnets,
    places.addresses,
    places.paths,
    places.health_paths,
    places.sites,
    names.zone,
    pushers.pushers,
    sites.aliases,
    sites.unique_targets,
    sites.redirects,
    sites.static,
    sites.pages,
    sites.site_snippets,
    sites.serving,
    sites.own_certificates,
    cdns.ranges,
    cdns.one_for_a_proxy,
    cdns.behind_cloudflare,
    listening.http_versions,
    listening.address_families,
    sites.proxy_abilities,
    units.unique_units,
    units.foreign_units,
    units.directives,
    units.shapes,
    units.unbounded_logs,
    units.user_units,
    units.accounts,
    units.settings,
    units.environment_files,
    units.files,
    programs.programs,
    units.milestones,
    containers.health,
    containers.dependencies,
    containers.apart,
    containers.mounts,
    containers.nested_mounts,
    containers.names,
    containers.reservations,
    containers.volume_owners,
    containers.database_volumes,
    containers.labels,
    containers.files,
    openings.exceptions,
    openings.published_ports,
    openings.host_network,
    steps.steps,
    backups.backups,
    backups.place,
    records.records,
    records.issuers,
    rollouts.blue_green,
    rollouts.parallel_containers,
    rollouts.replicas,
    rollouts.held_requests,
    watches.singletons,
    watches.alone,
    watches.stop_priorities,
    following.following,
    groups.groups,
    groups.spread,
    groups.memory,
    regions.regions,
    artefacts.inside_artefacts,
    artefacts.unused_artefacts,
    pythons.locks,
    pythons.built_packages,
    pythons.unused_environments,
    contents.open_questions,
    contents.images,
    contents.own_paths,
    contents.unique_files,
    contents.both_plain_and_secret,
    contents.retired_services,
    contents.environment,
    instances.instances,
    instances.secret_groups,
    instances.other_names,
    parts.parts_of_systems,
    parts.lost_rollouts,
    parts.private_ports,
    parts.circles,
    hosts.hosts,
    hosts.names,
    hosts.unique_machines,
    hosts.subnets,
    hosts.memory,
    data_disks.data_disks,
    hosts.admin_networks,
    hosts.temporary_ssh,
    alerts.alerts,
    alerts.alert_recipients,
)
