"""Native units: are their directives ones that systemd knows, and does what they name exist."""

import re
from collections.abc import Iterator

from catalogue.files import parse_toml
from catalogue.loading import STATIC, Catalogue, look_up
from catalogue.problems import CatalogueError, Problem
from catalogue.proxies import NAMES
from catalogue.rules.each import absent, native_services, services, twice
from catalogue.services import ComposeService, NativeService, OneshotService, TimerService
from catalogue.systemd.directives import Sections, canonical, judge, texts

SANDBOX = {
    "PrivateTmp", "PrivateDevices", "PrivateNetwork", "PrivateIPC", "ProtectSystem", "ProtectHome", "ProtectHostname",
    "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock",
    "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem", "BindPaths", "CapabilityBoundingSet",
}  # fmt: skip
# Units that the system, its packages or the agent bring: one of a service's with such a name would take its place
OF_THE_HOST = re.compile(
    r"(?:(?:infra|systemd)-.*|(?:user|user-runtime-dir|init|dbus|dbus-broker|ssh|sshd|docker|containerd|cron"
    rf"|{'|'.join(NAMES)}"
    r"|crond|certbot|apt-daily|apt-daily-upgrade|dpkg-db-backup|networking|NetworkManager|NetworkManager-wait-online|ifup"
    r"|netplan-ovs-cleanup|getty|serial-getty|console-getty|console-setup|rescue|emergency|debug-shell|polkit|rsyslog|syslog"
    r"|auditd|apparmor|ufw|nftables|iptables|netfilter-persistent|firewalld|fail2ban|cloud-init|cloud-init-local|cloud-config"
    r"|cloud-final|snapd|amazon-ssm-agent|chrony|chronyd|ntp|ntpd|unattended-upgrades|logrotate|fstrim|e2scrub|e2scrub_all"
    r"|e2scrub_reap|man-db|multipathd|mdadm|rpcbind|kmod|udev|keyboard-setup|procps|acpid)(?:@.*)?)\.(?:service|timer)"
)
# Directives by which one unit acts on another
OWN_NAME = "must be a name of the product, such as PRODUCT-SERVICE.service"
ACTING = ("Alias", "Also", "Conflicts", "PropagatesStopTo", "PropagatesReloadTo", "JoinsNamespaceOf")


def directives(catalogue: Catalogue) -> Iterator[Problem]:
    for file, _, service in native_services(catalogue):
        for part, sections, allowed_sections in _parts(service):
            for finding in judge(sections, allowed_sections):
                where = f"service {service.name}: {part}"
                yield Problem(file, where, finding.fault, finding.rule, finding.level)
    for system in catalogue.running.values():
        for drop_in in system.drop_ins:
            for finding in judge(drop_in.sections, ["Journal"]):
                yield Problem(catalogue.file_of(system), drop_in.path, finding.fault, finding.rule, finding.level)


def _parts(service: NativeService) -> Iterator[tuple[str, Sections, list[str]]]:
    own = "Timer" if isinstance(service, TimerService) else "Service"
    yield "directives", service.directives, ["Unit", own, "Install"]
    if isinstance(service, TimerService):
        yield "job", service.job, ["Unit", "Service"]
    for name, sections in service.drop_ins.items():
        yield f"drop_ins.{name}", sections, ["Unit", own]


def user_units(catalogue: Catalogue) -> Iterator[Problem]:
    """An account's manager may take rights from its units only in a user namespace: seen with systemd 252, which else
    fails at the first ones ("Failed to drop capabilities") and passes over the others."""
    for file, _, service in native_services(catalogue):
        for sections in service.all_sections if service.account else []:
            own = canonical(sections).get("Service", {})
            sandboxing = [name for name in own if name in SANDBOX and texts(own[name]) != ["no"]]
            if sandboxing and texts(own.get("PrivateUsers", "no")) not in (["yes"], ["true"]):
                fault = f"has {', '.join(sandboxing)} in a unit of an account"
                yield Problem(file, f"service {service.name}", fault, "must have PrivateUsers: yes too")


def shapes(catalogue: Catalogue) -> Iterator[Problem]:
    """A unit is what its kind says it is."""
    for file, _, service in native_services(catalogue):
        where = f"service {service.name}"
        for fault, rule in _shape_problems(service):
            yield Problem(file, where, fault, rule)


def _shape_problems(service: NativeService) -> Iterator[tuple[str, str]]:
    is_timer, is_oneshot = isinstance(service, TimerService), isinstance(service, OneshotService)
    main = service.program_sections.get("Service", {})
    if service.unit.endswith(".timer") != is_timer:
        yield (
            f"has unit {service.unit}",
            "must be NAME.timer for kind: timer, and NAME.service for any other",
        )
    if "ExecStart" not in main:
        yield "has no ExecStart", "must have the command to run in [Service] (a timer: in its job)"
    if not is_timer and (main.get("Type", "oneshot" if is_oneshot else "simple") == "oneshot") != is_oneshot:
        yield f"has Type={main.get('Type')}", "must be Type=oneshot for kind: oneshot, and any other for kind: unit"
    if is_oneshot and next(iter(texts(main.get("RemainAfterExit", "no"))), "no") not in ("yes", "true", "on", "1"):
        yield (
            "has no RemainAfterExit",
            "must have RemainAfterExit: yes; without it a finished service looks as if it never ran",
        )
    if is_timer and not canonical(service.directives).get("Timer"):
        yield "has no [Timer]", "must have the times when it runs, such as OnCalendar: '*:0/5'"
    if ("@." in service.unit) != bool(service.instances):
        yield (
            f"has unit {service.unit} with instances {service.instances}",
            "must be NAME@.service with its running instances",
        )
    if service.socket and (service.port is None or service.account or service.instances):
        yield "has socket: true", "must be one unit of the system manager, with a port"
    if service.secrets and not service.environment_file:
        yield "has secrets, but no environment_file", "must have the file for them, such as /srv/NAME/.env"
    if service.memory and any("MemoryMax" in canonical(part).get("Service", {}) for part in service.all_sections):
        yield "has memory and MemoryMax", "must have one of the two: memory.limit is rendered as MemoryMax"


def unbounded_logs(catalogue: Catalogue) -> Iterator[Problem]:
    """What a unit writes into a file grows until the disk is full, unless something rotates it."""
    for file, system, service in native_services(catalogue):
        paths = [config.path for other in system.native_services for config in other.files]
        if any(path.startswith("/etc/logrotate.d/") for path in paths):
            continue
        for name in ("StandardOutput", "StandardError"):
            for target in texts(service.program_sections.get("Service", {}).get(name, [])):
                kind, _, path = target.partition(":")
                if kind in ("append", "file", "truncate") and not path.startswith(("/dev/", "/run/")):
                    fault = f"[Service] {name}: {target} grows without bound"
                    rule = "must be journal, whose size the host limits; or have a file in /etc/logrotate.d/"
                    yield Problem(file, f"service {service.name}", fault, rule, "warning")


def accounts(catalogue: Catalogue) -> Iterator[Problem]:
    """Who a unit runs as and whom a file belongs to is described, and a user's units run without a login."""
    for file, system, service in native_services(catalogue):
        where, account_names = f"service {service.name}", {"root", *(account.name for account in system.accounts)}
        rule = f"accounts of the system: {', '.join(sorted(account_names))}"
        main = service.program_sections.get("Service", {})
        accounts = {*texts(main.get("User", [])), *(config.owner for config in service.files)}
        for name in sorted(accounts - account_names):
            yield Problem(file, where, f"account {name!r} is not defined", rule)
        owner = system.account(service.account) if service.account else None
        if service.account and owner is None:
            yield Problem(file, where, f"account {service.account!r} is not defined", rule)
        if owner and not owner.lingering:
            yield Problem(
                file,
                where,
                f"account {owner.name} does not linger",
                "must have lingering: true, or its units stop when its session ends",
            )
    for system in catalogue.running.values():
        account_names = {"root", *(account.name for account in system.accounts)}
        for directory in system.directories:
            if directory.owner not in account_names and not directory.owner.isdigit():
                fault = f"owner {directory.owner!r} is not defined"
                rule = (
                    f"accounts of the system: {', '.join(sorted(account_names))}; define another under accounts. "
                    'The user of a container is a number in quotes, such as "999"'
                )
                yield Problem(catalogue.file_of(system), directory.path, fault, rule)


def environment_files(catalogue: Catalogue) -> Iterator[Problem]:
    """systemd reads them as root, and follows links: the owner of their directory could have it read anything."""
    for file, system, service in native_services(catalogue):
        if service.environment_file is None or service.account:
            continue
        owned = {item.path: item.owner for item in system.directories if item.owner != "root"}
        owned |= {account.home: account.name for account in system.accounts}
        for place, owner in owned.items():
            if service.environment_file.startswith(f"{place.rstrip('/')}/"):
                fault = f"environment_file {service.environment_file} lies in {place}, which belongs to {owner}"
                rule = (
                    f"must be in a directory that root owns, such as /etc/{service.name}/: systemd reads it as root "
                    "and follows links"
                )
                yield Problem(file, f"service {service.name}", fault, rule, "warning")
                break


def settings(catalogue: Catalogue) -> Iterator[Problem]:
    """Every TOML file that a service reads can be read."""
    sources = {config.source for _, _, service in native_services(catalogue) for config in service.files}
    for source in sorted(name for name in sources if name.endswith(".toml") and name in catalogue.sources):
        try:
            parse_toml(catalogue.sources[source], f"{STATIC}/{source}")
        except CatalogueError as error:
            yield from error.problems


def files(catalogue: Catalogue) -> Iterator[Problem]:
    """Every file that a service names is here, and so is every key that is asked of it."""
    for file, system, service in native_services(catalogue):
        where = f"service {service.name}"
        for config in service.files:
            if config.source not in catalogue.sources:
                yield Problem(file, where, *absent(catalogue, config.source))
                continue
            for key in config.must_exist:
                if not isinstance(look_up(catalogue.settings(config), key), str):
                    yield Problem(
                        file,
                        where,
                        f"must_exist {key!r} names no path",
                        f"must be a key of {STATIC}/{config.source} (TOML) whose value is a path",
                    )
        for route in service.routes:
            if route.max_body is not None and not isinstance(route.max_body, str):
                place, value = route.max_body, catalogue.value_of(system, route.max_body)
                if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                    fault = f"max_body: {place.key!r} of {place.file} is {value!r}"
                    yield Problem(file, where, fault, "must be a number of bytes")


def unique_units(catalogue: Catalogue) -> Iterator[Problem]:
    projects: dict[str, list[list[ComposeService]]] = {}
    for system in catalogue.running.values():
        of_system: dict[str, list[ComposeService]] = {}
        for service in system.compose_services:
            of_system.setdefault(service.directory, []).append(service)
        for directory, sharing in of_system.items():
            projects.setdefault(directory, []).append(sharing)

    def own(_: object, service: object) -> list[object]:
        if isinstance(service, NativeService):
            names = [*service.units, *([service.job_unit] if isinstance(service, TimerService) else [])]
            return [f"{name} of account {service.account}" if service.account else name for name in names]
        if isinstance(service, ComposeService) and _alone(projects.get(service.directory, []), service):
            return [service.unit]
        return []

    yield from twice(catalogue, "unit", own, "each service needs a different unit")
    for system in catalogue.running.values():
        if system.network and is_of_the_host(system.network.unit):
            fault = f"unit {system.network.unit} belongs to another program"
            yield Problem(catalogue.file_of(system), f"network {system.network.name}", fault, OWN_NAME)
    for file, system, service in services(catalogue):
        of_network = system.network is not None and service.unit == system.network.unit
        if of_network or (is_of_the_host(service.unit) and not getattr(service, "account", None)):
            fault = f"unit {service.unit} belongs to another program"
            yield Problem(file, f"service {service.name}", fault, OWN_NAME)


def foreign_units(catalogue: Catalogue) -> Iterator[Problem]:
    """No unit of a product stops, renames or joins one of the host's own."""
    for file, _, service in native_services(catalogue):
        directives = [
            item for sections in service.all_sections for block in sections.values() for item in block.items()
        ]
        for name, value in [item for item in directives if item[0] in ACTING]:
            for unit in [unit for line in texts(value) for unit in line.split() if is_of_the_host(unit)]:
                fault = f"{name} names {unit}, which belongs to another program"
                yield Problem(file, f"service {service.name}", fault, "must name units of the product only")


def is_of_the_host(unit: str) -> bool:
    """Is a unit's name one that the system, its packages or the agent have."""
    return bool(OF_THE_HOST.fullmatch(unit))


def _alone(projects: list[list[ComposeService]], service: ComposeService) -> bool:
    """Services of one compose project share a unit: the first of them stands for all. `projects` are those in the
    service's directory, of one system each."""
    return next((sharing[0] == service for sharing in projects if service in sharing), True)


def milestones(catalogue: Catalogue) -> Iterator[Problem]:
    for system in catalogue.running.values():
        units = {unit for service in system.native_services for unit in service.units}
        for milestone in system.milestones:
            if milestone.unit not in units:
                where = f"milestone {milestone.name}"
                yield Problem(
                    catalogue.file_of(system),
                    where,
                    f"unit {milestone.unit} is not defined",
                    f"units: {', '.join(sorted(units))}",
                )
