"""From `files/systems/*.yaml` to a checked catalogue."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from catalogue.alert_names import current_alert, current_measure
from catalogue.alerts import KINDS as ALERT_KINDS
from catalogue.alerts import Alert, AnyAlert, CloudAlert, CloudMetric
from catalogue.compose.source import ComposeSource
from catalogue.compose.upstream import Upstream
from catalogue.files import SourceText, parse_toml, read_bytes, read_compose, read_text, read_yaml
from catalogue.groups import spread_in, with_groups
from catalogue.instances import instance_of
from catalogue.languages import alerts_in
from catalogue.locating import allowed_fields, entry_of, place_of
from catalogue.models import System
from catalogue.network_defaults import with_assigned
from catalogue.parts import with_parts
from catalogue.problems import CatalogueError, Problem
from catalogue.secret_groups import group_of
from catalogue.service import Artefact, ConfigFile, Image
from catalogue.serving import FileKey
from catalogue.shapes import is_list, is_mapping
from catalogue.stack import Stack
from catalogue.validation import Document, misread_values, problems_of
from catalogue.validation import Path as Place
from catalogue.variants import apply_variant

SYSTEMS = Path("files/systems")
STATIC = Path("files/static")
TO_WRITE = "TODO"
ALERTS = Path("files/alerts.yaml")
LARGEST_SOURCE = 1024**2  # bytes of a static file, which git and each state of the stack hold
LARGER = "bring it as an artefact: {repository, tag, into}, pushed by uv run infra push (docs/catalogue.md)"


@dataclass(frozen=True)
class Catalogue:
    """Everything that a stack runs: the systems by name, and the stack that says which host runs which. `sources` are
    the static files that the systems' services name, by their path below `files/static/`, `static` the paths of all
    that are there, `alerts` the alert conditions, `origins` instances' names → the
    system that each is one of, as its file has it, `addresses` hosts' private ones, as far as they are known,
    `places` systems' names → their files."""

    stack: Stack
    systems: dict[str, System]
    sources: dict[str, bytes] = field(default_factory=dict[str, bytes])
    alerts: list[AnyAlert] = field(default_factory=list[AnyAlert])
    static: list[str] = field(default_factory=list[str])
    origins: dict[str, System] = field(default_factory=dict[str, System])
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    places: dict[str, str] = field(default_factory=dict[str, str])

    def systems_on(self, host: str) -> list[System]:
        return [self.systems[name] for name in dict.fromkeys(self.stack.hosts[host].runs) if name in self.systems]

    def images_on(self, host: str) -> list[Image]:
        """The images and artefacts that a host needs: of its own systems, and of spread services of its group."""
        own = images_of(self.systems_on(host))
        spread = [image for _, service in spread_in(self.stack, self.systems, host) for image in service.images]
        return list({image.name: image for image in [*own, *spread]}.values())

    def has_identity(self, host: str) -> bool:
        """Does AWS know the host: an instance by its role, any other machine by a user's key, where it asks AWS for
        something."""
        systems = self.systems_on(host)
        pulls = bool(self.images_on(host))
        dns, active = self.stack.dns, [service for system in systems for service in system.active]
        in_route53 = dns.provider == "route53"
        proves = any(site.is_proved_by_dns for system in systems for site in system.sites)
        proves = proves and (in_route53 or bool(dns.challenges))
        asks = any(service.backup or (service.single and in_route53) for service in active)
        return host in self.stack.ec2_hosts or pulls or proves or asks

    @property
    def host_alerts(self) -> list[Alert]:
        """What hosts' monitors look at."""
        return [alert for alert in self.alerts if isinstance(alert, Alert)]

    @property
    def cloud_alerts(self) -> list[CloudAlert]:
        """What only AWS can look at."""
        return [alert for alert in self.alerts if isinstance(alert, CloudAlert)]

    def file_of(self, system: System) -> str:
        name = self.origin(self.origin(system)).system
        return self.places.get(name, f"{SYSTEMS}/{name}.yaml")

    def origin(self, system: System) -> System:
        """What a system is an instance of; itself where it is none."""
        return self.origins.get(system.system, system)

    def settings(self, file: ConfigFile) -> dict[str, object]:
        """What stands in a TOML file of a service; nothing where it is none, or not there."""
        if not file.source.endswith(".toml"):
            return {}
        with suppress(CatalogueError):
            return parse_toml(self.sources.get(file.source, b""), f"{STATIC}/{file.source}")
        return {}

    def value_of(self, system: System, place: FileKey) -> object:
        """The value of a key of one of the system's files, or None."""
        files = [file for service in system.native_services for file in service.files if file.path == place.file]
        return look_up(self.settings(files[0]), place.key) if files else None

    @property
    def running(self) -> dict[str, System]:
        """The systems that some host of this stack runs."""
        names = {name for host in self.stack.hosts.values() for name in host.runs}
        return {name: system for name, system in self.systems.items() if name in names}

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The stack's secrets, those of each service with what it takes from its system's group: a value that several
        services share is written once."""
        groups = {group: dict(values) for group, values in self.stack.secrets.items()}
        for system in self.running.values():
            for service in system.active:
                for name in service.secret_names:
                    group = group_of(self.stack, system, service.name, name)
                    if group != service.name and name in self.stack.secrets.get(group, {}):
                        groups.setdefault(service.name, {})[name] = self.stack.secrets[group][name]
        return groups

    @property
    def images(self) -> list[Image]:
        """The images and artefacts that run, each once, by their names."""
        return images_of(self.running.values())

    @property
    def foreign_images(self) -> list[Image]:
        """Those of other registries."""
        return [image for image in self.images if image.is_foreign]


def artefacts_of(systems: Iterable[System]) -> list[Artefact]:
    """What hosts unpack for systems."""
    return [one for system in systems for service in system.native_services for one in service.artefact]


def images_of(systems: Iterable[System]) -> list[Image]:
    """The images and artefacts that systems run, each once, by their names."""
    services = [service for system in systems for service in system.active]
    images = {image.name: image for service in services for image in service.images}
    return [images[name] for name in sorted(images)]


def look_up(settings: Mapping[str, object], key: str) -> object:
    """`look_up({"server": {"port": 80}}, "server.port")` is 80; None for what is not there."""
    value: object = settings
    for part in key.split("."):
        value = value.get(part) if is_mapping(value) else None
    return value


def system_files(root: Path) -> list[Path]:
    """The systems' files, in whatever folder below `files/systems/`; and what is named like one, but is none."""
    files = (path for path in (root / SYSTEMS).rglob("*.y*ml") if not path.is_dir())
    return sorted(files, key=lambda path: (path.name, path))


def _folder(path: Path) -> Path:
    """`files/systems/` above a system's file."""
    return next((parent for parent in path.parents if parent.parts[-2:] == SYSTEMS.parts), path.parent)


def name_of_file(path: Path) -> str:
    """How a system's file is named to people: `files/systems/shops/shop.yaml`."""
    return f"{SYSTEMS}/{path.relative_to(_folder(path)).as_posix()}"


def read_system(path: Path, variant: str | None = None) -> System:
    """One system's file, in one of its variants. Raises CatalogueError naming every field that is wrong."""
    file = name_of_file(path)
    data = read_yaml(path, file)
    try:
        data = apply_variant(data, variant)
    except ValueError as error:
        fault = f"variant {variant!r}" if variant else "its variants"
        raise CatalogueError([Problem(file, "variants", fault, str(error))]) from None
    if unwritten := [*_still_to_write(data)]:
        rule = "write its value, or remove it"
        raise CatalogueError([Problem(file, place, "is still TODO", rule) for place in unwritten])
    data = _with_compose_file(path, data)
    document = Document(file, lambda path: place_of(data, path), allowed_fields, _text_lookup(path, file, data))
    try:
        system = System.model_validate(data)
    except ValidationError as error:
        raise CatalogueError(problems_of(error, document, System)) from None
    if fault := [*misread_values(data, system, document)]:
        raise CatalogueError(fault)
    if system.system != path.stem:
        raise CatalogueError([Problem(file, "system", f"found {system.system!r}", f"the file's name, {path.stem!r}")])
    return with_assigned(system)


def _still_to_write(value: Any, place: str = "") -> Iterator[str]:
    """Where a new project's file waits for its owner."""
    if value == TO_WRITE:
        yield place
    elif is_mapping(value):
        for key, item in value.items():
            yield from _still_to_write(item, f"{place}.{key}" if place else str(key))
    elif is_list(value):
        for number, item in enumerate(value):
            yield from _still_to_write(item, f"{place}.{number}")


def _with_compose_file(path: Path, data: Any) -> Any:
    """A system's data with what its makers' compose file says of its services. Raises CatalogueError."""
    try:
        source = ComposeSource.model_validate(data["compose"])
        own = list(data["services"])
    except (KeyError, TypeError, ValidationError):
        # Without one, or with a fault that is reported where all others are
        return data
    file = f"{STATIC}/{source.file}"
    upstream_file = _folder(path).parent / STATIC.name / source.file
    folder = upstream_file.parent

    def beside(name: str) -> str | None:
        path = folder / name
        inside = path.resolve().is_relative_to(folder.resolve())
        return read_text(path, f"{STATIC}/{name}") if inside and path.is_file() else None

    upstream = Upstream(str(data.get("system")), file, source, beside)
    services = upstream.services(read_compose(upstream_file, file), own)
    if upstream.problems:
        raise CatalogueError(upstream.problems)
    return {**data, "services": services, "compose": {**data["compose"], "apart": upstream.apart}}


def _text_lookup(path: Path, file: str, data: Any) -> Callable[[Place, Any], str | None]:
    """What a system's file has for a value: its variant's part, where that says something else, or what all share."""
    text = SourceText(read_text(path, file))

    def text_at(place: Place, value: Any) -> str | None:
        if is_mapping(data) and "variant" in data and len(place) > 2 and place[0] == "services":
            service = data["services"][place[1]]
            own = ("variants", data["variant"], "services", service.get("name"), *place[2:])
            return text.at(own, value) or text.at(place, value)
        return text.at(place, value)

    return text_at


def load(root: Path, stack: Stack) -> Catalogue:
    """The catalogue of a stack. Raises CatalogueError with the problems of every file."""
    systems: dict[str, System] = {}
    places: dict[str, Path] = {}
    problems: list[Problem] = []
    for path in system_files(root):
        file = name_of_file(path)
        if path.suffix != ".yaml":
            problems.append(Problem(file, "file", "is not read", f"name it {path.stem}.yaml, or move it elsewhere"))
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            # Nothing of it is shown: it may be any file of who runs this
            problems.append(
                Problem(file, "file", "is a link that points outside the project", "put the file itself there")
            )
            continue
        if path.stem in places:
            fault = f"{path.stem} is the system of {name_of_file(places[path.stem])} too"
            problems.append(Problem(file, "file", fault, "must have another name: a system has one file"))
            continue
        places[path.stem] = path
        try:
            systems[path.stem] = read_system(path, stack.variants.get(path.stem))
        except CatalogueError as error:
            problems += error.problems
    if problems:
        raise CatalogueError(problems)
    files = {*systems}
    origins: dict[str, System] = {}
    for one in [one for host in stack.hosts.values() for one in host.instances]:
        # Anything else is a rule's, which says what is wrong
        if not one.services and one.system in files and (one.own_name == one.system or one.own_name not in files):
            variant = one.variant or stack.variants.get(one.own_name) or stack.variants.get(one.system)
            origins[one.own_name] = read_system(places[one.system], variant)
            systems[one.own_name] = instance_of(origins[one.own_name], one)
    origins |= with_parts(stack, systems)
    systems = with_groups(stack, systems)
    folder = root / STATIC
    static = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    alerts = alerts_in(stack.language, read_alerts(root / ALERTS), root)
    files_by_name = {name: name_of_file(path) for name, path in places.items()}
    return Catalogue(stack, systems, read_sources(root, systems, static), alerts, static, origins, places=files_by_name)


def read_alerts(path: Path) -> list[AnyAlert]:
    """Raises CatalogueError naming every field that is wrong."""
    data = read_yaml(path, str(ALERTS))
    form = TypeAdapter(list[AnyAlert])
    try:
        return form.validate_python([_name_today(entry) for entry in data] if is_list(data) else data)
    except ValidationError as error:
        source_text = SourceText(read_text(path, str(ALERTS))).at
        document = Document(str(ALERTS), lambda path: _where_alert(data, path), _alert_fields, source_text)
        raise CatalogueError(problems_of(error, document, form)) from None


def _name_today(entry: Any) -> Any:
    """An alert as it is called now, where an earlier version's file has it."""
    if not is_mapping(entry):
        return entry
    ways = {"alert": current_alert, "measure": current_measure}
    return {key: ways[key](value) if key in ways and isinstance(value, str) else value for key, value in entry.items()}


def _where_alert(data: Any, path: tuple[int | str, ...]) -> str:
    """`(3, "host", "metric")` as `alert disk: metric`."""
    if not path:
        return "file"
    return entry_of("alert", data, int(path[0]), "alert", path[2:])


def _alert_fields(path: tuple[int | str, ...]) -> list[str]:
    """(number, kind, field) or (number, kind, "cloud", field)."""
    if len(path) < 3:
        return []
    return list((CloudMetric if path[2:-1] == ("cloud",) else ALERT_KINDS[str(path[1])]).model_fields)


def read_sources(root: Path, systems: dict[str, System], static: list[str]) -> dict[str, bytes]:
    """Source → content of the files that services and sites have; without one that is missing, or that a link leads
    away to. `static` are the paths of all that are there."""
    names = {source for system in systems.values() for service in system.active for source in service.sources}
    sites = [site for system in systems.values() for site in system.sites]
    names |= {name for site in sites for name in site.pages}
    folders = tuple(f"{folder}/" for site in sites for folder in site.folders)
    names |= {name for name in static if folders and name.startswith(folders)}
    folder = (root / STATIC).resolve()
    # A link may lead elsewhere in the directory, and not out of it, nor in a circle
    paths = {name: Path(os.path.realpath(folder / name)) for name in sorted(names)}
    return {
        name: read_bytes(path, f"{STATIC}/{name}", LARGEST_SOURCE, LARGER)
        for name, path in paths.items()
        if path.is_relative_to(folder) and path.is_file()
    }
