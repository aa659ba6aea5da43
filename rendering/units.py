"""Native services: their units, drop-ins, files and environment, rendered from the catalogue."""

import re
from dataclasses import replace

from catalogue.artefacts import links_used_by
from catalogue.loading import Catalogue, look_up
from catalogue.models import System
from catalogue.service import ConfigFile
from catalogue.services import NativeService, TimerService
from catalogue.systemd.directives import Sections, Value, canonical, texts
from rendering.environment import Secrets, secret_file
from rendering.files import EnvironmentFile, File, HostFiles, Requirement, Unit, own_group
from rendering.templates import BANNER, literal

SYSTEM = "/etc/systemd/system"
OF_ACCOUNT = ".config/systemd/user"


def text(sections: Sections, source: str) -> bytes:
    """Sections as a unit file, in canonical order."""
    blocks = [BANNER.format(source=source)]
    for section, directives in canonical(sections).items():
        lines = [f"{name}={line}" for name, value in directives.items() for line in texts(value)]
        blocks.append("\n".join([f"[{section}]", *lines, ""]))
    return ("\n".join(blocks)).encode()


def directory(system: System, service: NativeService) -> str:
    """Where the unit's file lies: the host's own place, or its account's."""
    account = system.account(service.account) if service.account else None
    return f"{account.home}/{OF_ACCOUNT}" if account else SYSTEM


def qualified_name(service: NativeService, unit: str) -> str:
    return f"{service.account}/{unit}" if service.account else unit


def sections(service: NativeService) -> Sections:
    """The unit's directives with what its other fields say: environment, memory, socket. A timer's are its job's."""
    base = service.program_sections
    own = dict(base.get("Service", {}))
    plain = {} if service.environment_file else service.environment
    variables = [_assignment(service, name, value) for name, value in plain.items()]
    environment: list[Value] = [*texts(own.get("Environment", [])), *variables]
    if environment:
        own["Environment"] = environment
    if service.environment_file:
        own["EnvironmentFile"] = service.environment_file
    if service.memory:
        own["MemoryMax"] = service.memory.limit.upper()
    unit = dict(base.get("Unit", {}))
    if service.socket:
        unit["Requires"] = " ".join([*texts(unit.get("Requires", [])), socket(service)])
    return {**base, "Unit": unit, "Service": own}


def _assignment(service: NativeService, name: str, value: str) -> str:
    """A variable as systemd gives it to the program, which reads quotes, backslashes and specifiers in it."""
    item = f"{name}={value if service.specifiers else literal(value)}"
    if re.fullmatch(r"[A-Za-z0-9_.,:;/@+=%~^?&*(){}<>|!$#\[\]-]*", item):
        return item
    return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'


def socket(service: NativeService) -> str:
    """The unit that holds its port."""
    return f"{service.unit.rsplit('.', 1)[0]}.socket"


def unit_files(system: System, service: NativeService, source: str) -> list[File]:
    """The unit, what goes with it, and its drop-ins."""
    place, owner = directory(system, service), service.account or "root"
    group = "" if service.account else "root"
    sections_by_name: dict[str, Sections] = {service.unit: sections(service)}
    if isinstance(service, TimerService):
        job = sections(service)
        once: Sections = {"Service": {"Type": "oneshot", **job["Service"]}}
        sections_by_name = {service.unit: service.directives, service.job_unit: {**job, **once}}
    if service.socket:
        sections_by_name[socket(service)] = {
            "Unit": {"Description": f"The port of {service.unit}, held while that restarts"},
            "Socket": {"ListenStream": f"127.0.0.1:{service.port}"},
            "Install": {"WantedBy": "sockets.target"},
        }
    sections_by_name |= {f"{service.unit}.d/{name}.conf": sections for name, sections in service.drop_ins.items()}
    return [
        File(f"{place}/{name}", text(sections, source), 0o644, owner, group)
        for name, sections in sections_by_name.items()
    ]


def native(catalogue: Catalogue, system: System, secrets: Secrets) -> HostFiles:
    """Everything that a system's native services have on a host."""
    result = HostFiles("")
    for service in system.native_services:
        files, environment = _own_files(catalogue, system, service, secrets)
        concerned = [file.path for file in [*files, *environment]]
        concerned += links_used_by(catalogue, system, service)
        units = [Unit(qualified_name(service, name), concerned) for name in service.units]
        if service.socket:
            # It stays open whatever changes about the service
            units = [Unit(socket(service), [f"{directory(system, service)}/{socket(service)}"]), *units]
        result = replace(
            result,
            files=result.files + files,
            environment_files=result.environment_files + environment,
            directories=result.directories + _account_directories(system, service),
            units=result.units + units,
            requirements=result.requirements + _requirements(catalogue, system, service),
        )
    # Several services of one account share its directories
    unique = {item["path"]: item for item in result.directories}
    return replace(result, directories=list(unique.values()))


def _own_files(
    catalogue: Catalogue, system: System, service: NativeService, secrets: Secrets
) -> tuple[list[File], list[EnvironmentFile]]:
    """A service's units, drop-ins and configuration, and its environment file."""
    files = [*unit_files(system, service, catalogue.file_of(system)), *_config_files(catalogue, service)]
    if not service.environment_file:
        return files, []
    path, owner = service.environment_file, runs_as(service)
    file = secret_file(path, service.name, service.secrets, secrets, catalogue.stack)
    return files, [replace(file, values=service.environment, owner=owner, group=own_group(owner))]


def _config_files(catalogue: Catalogue, service: NativeService) -> list[File]:
    def build_file(file: ConfigFile) -> File:
        group = file.group or own_group(file.owner)
        return File(file.path, catalogue.sources[file.source], int(file.mode, 8), file.owner, group)

    return [build_file(file) for file in service.files]


def runs_as(service: NativeService) -> str:
    """The account that the unit's processes have."""
    user = texts(sections(service).get("Service", {}).get("User", []))
    return service.account or (user[0] if user else "root")


def _account_directories(system: System, service: NativeService) -> list[dict[str, object]]:
    account = system.account(service.account) if service.account else None
    if account is None:
        return []
    parts = OF_ACCOUNT.split("/")
    paths = [f"{account.home}/{'/'.join(parts[: count + 1])}" for count in range(len(parts))]
    paths += [f"{paths[-1]}/{service.unit}.d"] if service.drop_ins else []
    # They are the account's own: what is there stays as it is
    return [{"path": p, "mode": 0o755, "owner": account.name, "group": "", "if_missing": True} for p in paths]


def _requirements(catalogue: Catalogue, system: System, service: NativeService) -> list[Requirement]:
    """What must be on the host already: what the catalogue names, and what a configuration file points to."""
    requirements = [Requirement(path, f"{service.name} needs it") for path in service.needs]
    for file in service.files:
        if int(file.mode, 8) & 0o111 and (interpreter := _interpreter(catalogue.sources.get(file.source, b""))):
            requirements.append(Requirement(interpreter, f"the interpreter of {file.path}"))
        settings = catalogue.settings(file)
        for key in file.must_exist:
            path = str(look_up(settings, key))
            full = path if path.startswith("/") else f"{file.path.rsplit('/', 1)[0]}/{path}"
            requirements.append(Requirement(full, f"{key} of {file.path} names it"))
    return [_with_restore_hint(system, requirement) for requirement in requirements]


def _interpreter(content: bytes) -> str:
    """The path of a script's interpreter, or its name where `env` looks for it; "" for what is no script."""
    if not content.startswith(b"#!"):
        return ""
    words = content.split(b"\n", 1)[0].decode(errors="replace").removeprefix("#!").split()
    if not words or not words[0].endswith("/env"):
        return words[0] if words else ""
    return next((word for word in words[1:] if not word.startswith("-") and "=" not in word), "")


def _with_restore_hint(system: System, requirement: Requirement) -> Requirement:
    if not any(requirement.path.startswith(f"{place}/") for place in system.data):
        return requirement
    return replace(requirement, reason=f"{requirement.reason}; on a replaced machine: infra restore")
