"""From what a host says to a system of the catalogue, and to what must be said beside it. Pure."""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from catalogue.models import DropIn, System
from catalogue.rules.openings import openings
from catalogue.rules.places import OWN_PAGE, PORTS
from catalogue.services import AnyService, ComposeService
from catalogue.shapes import CorsFields, EntryFields, ServiceFields, is_list, is_mapping
from catalogue.stack import Stack
from catalogue.systemd.directives import texts
from catalogue.systemd.parsing import sections
from catalogue.validation import Document, problems_of
from infra.adopt.host import accounts, compose, cron, native, nginx, sites, unresolved, variables
from infra.adopt.host.documents import Entries, Facts
from infra.adopt.host.remarks import Remark, guess, lines, unfit, unsaid
from infra.errors import InfraError

# What the program itself brings to every host is no service of an owner's
PROGRAMS_OWN = "infra-"
DEFAULT_HEALTH = "/health"
AS_FOUND = "as it was found"


@dataclass(frozen=True)
class DerivedSystem:
    """A system of the catalogue as it follows from what a host runs, with remarks on what could not be derived."""

    system: System
    remarks: list[Remark] = field(default_factory=list[Remark])


@dataclass
class _Draft:
    """A service on its way: `published` is its port on the host, `address` where its container is asked."""

    fields: ServiceFields
    published: int | None
    address: str = ""
    health: str | None = None
    purpose: str | None = None
    fallback: str | None = None
    routes: list[nginx.RouteDraft] = field(default_factory=list[nginx.RouteDraft])

    @property
    def inside(self) -> int | None:
        """The port in its container."""
        return self.fields.get("container_port") or self.fields.get("port")


def wanted_paths(facts: Facts) -> tuple[list[str], list[str]]:
    """The files whose variables' names must be known, and the paths of which must be known what they are."""
    of_compose = variables.environment_files(compose.entries(facts, [])).values()
    names = [path for paths in of_compose for path in paths]
    stat: list[str] = []
    for unit in facts["units"]:
        main = sections(unit["text"]).get("Service", {})
        names += [line.removeprefix("-") for line in texts(main.get("EnvironmentFile", [])) if line]
        stat += [*native.programs(main), *native.directories(main)]
    return list(dict.fromkeys(names)), list(dict.fromkeys(stat))


def name_of(hostname: str) -> str:
    """A name of the catalogue's for a host."""
    return re.sub(r"[^a-z0-9_.-]", "-", hostname.split(".")[0].lower()).lstrip("_.-") or "host"


def derive_system(facts: Facts, entries: Entries, stack: Stack, name: str) -> DerivedSystem:
    """`entries` are of the paths that `asked` names. Raises InfraError when there is no service at all."""
    remarks: list[Remark] = []
    containers = compose.entries(facts, remarks)
    net = compose.shared_network(facts, containers, name, remarks) if containers else None
    drafts = [
        *_containers(containers, net, stack, entries, remarks),
        *_native(facts, containers, net, entries, remarks),
    ]
    names = {draft.fields["name"] for draft in drafts}
    drafts += [_Draft(fields, None, purpose=fields.pop("purpose")) for fields in cron.services(facts, names, remarks)]
    served = _sites(facts, remarks)
    for route in served.routes:
        if not _lead(route, drafts, remarks):
            sites.close(served, [route])
    first = {id(route): number for number, route in enumerate(served.routes)}
    drafts.sort(key=lambda draft: min((first[id(route)] for route in draft.routes), default=len(first)))
    cors = served.cors
    services: list[ServiceFields] = []
    led: set[tuple[str, str]] = set()
    for draft in _waiting(_with_unique_names(drafts), remarks):
        fields = _complete_service(draft, cors, remarks)
        if _fits(fields, remarks) and accounts.has_account(fields, facts, remarks):
            services.append(fields)
            led |= {(route.site, route.public) for route in draft.routes}
        else:
            sites.close(served, draft.routes)
    if not services:
        reasons = [
            f"{facts['hostname']} has no service that the catalogue could describe",
            *lines(remarks, "cannot be said"),
            *lines(remarks, "does not fit"),
        ]
        raise InfraError("\n  ".join(reasons))
    account_entries = accounts.accounts_of(facts, services, remarks)
    data = {
        "system": name, "document": f"read off {facts['hostname']}", "accounts": account_entries,
        "directories": accounts.directories_of(services, entries, account_entries, facts),
        "drop_ins": _drop_ins(facts, remarks),
        "network": {key: net.network[key] for key in ("name", "subnet", "gateway", "unit")} if net else None,
        "sites": sites.sites_of(served, led, facts, stack, remarks),
        "services": services,
    }  # fmt: skip
    unresolved.attach(data, remarks)
    text = "purpose_ja, single (one instance anywhere), stop_priority, data, retired services, packages, milestones"
    remarks.append(guess(name, f"{text}: write them down where there are any"))
    try:
        system = System.model_validate(_without_none(data))
    except ValidationError as error:
        containers = problems_of(error, Document("", lambda path: ".".join(map(str, path))), System)
        reasons = "; ".join(f"{problem.where}: {problem.found}; {problem.allowed}" for problem in containers[:3])
        raise InfraError(f"what {facts['hostname']} has cannot be written as a system: {reasons}") from None
    return DerivedSystem(_with_exceptions(system, remarks), remarks)


def _with_exceptions(system: System, remarks: list[Remark]) -> System:
    """With a reason for each way in which its containers reach further: that they do now."""
    services: list[AnyService] = []
    for service in system.services:
        # What a tag means is not known of an image that does not run: that stays an error
        opened = openings(service, system) if isinstance(service, ComposeService) else {}
        opened.pop("moving-tag", None)
        if opened:
            for name, what in opened.items():
                remarks.append(guess(service.name, f"state a reason for exception {name}: {what}"))
            service = service.model_copy(update={"exceptions": dict.fromkeys(opened, AS_FOUND)})
        services.append(service)
    return system.model_copy(update={"services": services})


def _containers(
    containers: list[compose.Entry], net: compose.Shared | None, stack: Stack, entries: Entries, remarks: list[Remark]
) -> list[_Draft]:
    drafts: list[_Draft] = []
    for entry in containers:
        fields = compose.service(entry, net, stack, entries, remarks) if net else None
        if fields and net:
            alone = sum(other.path == entry.path for other in containers) == 1
            drafts.append(
                _Draft(
                    fields, compose.host_port(entry), fields.get("address") or net.now(entry), compose.health(entry),
                    compose.purpose(entry, alone), compose.purpose(entry, True),
                )
            )  # fmt: skip
    return drafts


def _native(
    facts: Facts, containers: list[compose.Entry], net: compose.Shared | None, entries: Entries, remarks: list[Remark]
) -> list[_Draft]:
    used = {f"/{unit['name']}" for unit in facts["units"] if unit["compose"]}
    used |= {f"/{net.network['unit']}"} if net else set()
    units = [u for u in native.service_units(facts, used, remarks) if not u["name"].startswith(PROGRAMS_OWN)]
    native_services = [native.service(unit, facts, entries, remarks) for unit in units]
    return [_Draft(fields, fields.get("port"), purpose=fields.pop("purpose")) for fields in native_services]


def _sites(facts: Facts, remarks: list[Remark]) -> nginx.Sites:
    caddy = facts["caddy"]
    if isinstance(caddy, dict) and caddy["active"]:
        remarks.append(unfit("Caddy", "its sites are not read: write sites: and the routes of services by hand"))
    try:
        served = nginx.sites(facts["nginx"])
    except InfraError as error:
        remarks.append(unfit("Nginx", f"{error}: its sites are left out"))
        return nginx.Sites()
    remarks += served.remarks
    return served


def _lead(route: nginx.RouteDraft, drafts: list[_Draft], remarks: list[Remark]) -> bool:
    """Gives a route to the service that it leads to, if there is one."""
    where = f"site {route.site}: location {route.public}"
    here = route.host in nginx.HERE
    to = [
        draft
        for draft in drafts
        if (draft.published == route.port if here else (draft.address, draft.inside) == (route.host, route.port))
    ]
    if f"{route.public}/".startswith(OWN_PAGE):
        remarks.append(unfit(where, "is reserved for the host's own page: it is left out"))
    elif not to:
        remarks.append(
            unfit(where, f"leads to {route.host}:{route.port}, where no service listens: it is left out, and closed")
        )
    else:
        to[0].routes.append(route)
        return True
    return False


def _with_unique_names(drafts: list[_Draft]) -> list[_Draft]:
    used: set[str] = set()
    for draft in drafts:
        plain = re.sub(r"[^a-z0-9_.-]", "-", draft.fields["name"].lower()).lstrip("_.-") or "service"
        names = [plain, *(f"{plain}-{number}" for number in range(2, len(drafts) + 2))]
        draft.fields["name"] = next(name for name in names if name not in used)
        used.add(draft.fields["name"])
    return drafts


def _waiting(drafts: list[_Draft], remarks: list[Remark]) -> list[_Draft]:
    """What services wait for, by the names that those have in the catalogue."""
    names = {(d.fields.get("directory"), d.fields.get("compose_key")): d.fields["name"] for d in drafts}
    for draft in drafts:
        waits = draft.fields.pop("depends_on", {})
        waits_by_name = {names.get((draft.fields.get("directory"), key)): need for key, need in waits.items()}
        if lost := [key for key in waits if (draft.fields.get("directory"), key) not in names]:
            remarks.append(
                unsaid(draft.fields["name"], f"waits for {', '.join(lost)}, which the catalogue does not have")
            )
        if resolved_waits := {name: need for name, need in waits_by_name.items() if name}:
            draft.fields["depends_on"] = resolved_waits
    return drafts


def _complete_service(draft: _Draft, cors: dict[str, CorsFields], remarks: list[Remark]) -> ServiceFields:
    fields, name = dict(draft.fields), draft.fields["name"]
    fields["purpose"] = draft.purpose or next((r.comment for r in draft.routes if r.comment), None) or draft.fallback
    if not fields["purpose"]:
        remarks.append(guess(name, "its purpose: its name is used"))
        fields["purpose"] = name
    port = fields.get("port")
    if port:
        fields["role"] = next((role for role, ports in PORTS.items() if port in ports), "api")
        fields["port_exception"] = None if port in PORTS[fields["role"]] else AS_FOUND
    fields["routes"] = [sites.route_of(route, len(cors) > 1, cors[route.site]) for route in draft.routes]
    if port and not fields.get("health"):
        health = _health(draft, remarks)
        fields["health"] = health if health != DEFAULT_HEALTH else None
    return fields


def _health(draft: _Draft, remarks: list[Remark]) -> str:
    insides = [route.internal or ("/" if route.public.endswith("/") else route.public) for route in draft.routes]
    health_path = draft.health
    if health_path and (
        not insides or any(health_path.startswith(i) if i.endswith("/") else health_path == i for i in insides)
    ):
        return health_path
    inside = insides[0] if insides else "/"
    path = f"{inside}health" if inside.endswith("/") else inside
    name = draft.fields["name"]
    if health_path:
        remarks.append(unfit(name, f"its health check asks {health_path}, which no route leads to: {path} is taken"))
    else:
        remarks.append(guess(name, f"its health path, since no health check names one: {path} is taken"))
    return path


def _fits(fields: ServiceFields, remarks: list[Remark]) -> bool:
    form = TypeAdapter(AnyService)
    try:
        form.validate_python(_without_none(fields))
    except ValidationError as error:
        for problem in problems_of(error, Document("", lambda path: ".".join(map(str, path[1:]))), form):
            text = f"{problem.where}: {problem.found}; {problem.allowed}: the service is left out"
            remarks.append(unsaid(fields["name"], text))
        return False
    return True


def _without_none(value: Any) -> Any:
    if is_mapping(value):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if is_list(value) else value


def _drop_ins(facts: Facts, remarks: list[Remark]) -> list[EntryFields]:
    drop_ins: list[EntryFields] = []
    for path, content in facts["journald"].items():
        accepted = native.accepted_sections(path, sections(content), ["Journal"], remarks)
        if accepted:
            drop_ins.append(DropIn(path=path, sections=accepted).model_dump())
    return drop_ins
