"""What a release would do to a host that was made by hand: file by file, setting by setting, unit by unit. Pure."""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import yaml

from agent.quoting import count
from catalogue.checks import check
from catalogue.host import Host
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import Problem
from infra.adopt.host import documents, nginx, settings
from infra.adopt.host.documents import Entries, Facts
from infra.adopt.host.serving import Directive, Tree, inside
from infra.adopt.host.settings import Settings
from infra.errors import InfraError
from rendering.files import HostFiles, Unit
from rendering.host import render

How = Literal["same", "changed", "new"]


@dataclass(frozen=True)
class Change:
    """A file or link of the release. `meta` is what else than its text differs (mode, owner), `diff` is unified."""

    path: str
    how: How
    meta: str = ""
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What a release would change on a host."""

    changes: list[Change] = field(default_factory=list[Change])
    lost_settings: list[str] = field(default_factory=list[str])
    """Settings of the host that the release does not have."""

    other: list[str] = field(default_factory=list[str])
    """Settings that would have another value."""

    starts: list[str] = field(default_factory=list[str])
    """Units that run only with the release."""

    restarts: list[str] = field(default_factory=list[str])
    """Units that run now, and whose files change."""

    stays: list[str] = field(default_factory=list[str])
    """Units of the host that the release does not touch."""

    twice: list[str] = field(default_factory=list[str])
    """Other files of Nginx that serve a name of the release too."""


def with_system(catalogue: Catalogue, system: System, host: str, spec: Host) -> Catalogue:
    """The stack with one host, which runs this system alone."""
    hosts = {host: spec.model_copy(update={"systems": [system.system]})}
    stack = catalogue.stack.model_copy(update={"hosts": hosts, "secrets": {}})
    return replace(catalogue, stack=stack, systems={system.system: system}, origins={})


def stack_problems(catalogue: Catalogue, system: System, host: str, spec: Host) -> list[Problem]:
    """What the whole stack has against this host and its system, and has not now: memory, names, addresses. That
    secrets have no values is said elsewhere."""
    hosts = {**catalogue.stack.hosts, host: spec.model_copy(update={"systems": [system.system]})}
    origins = {name: one for name, one in catalogue.origins.items() if name != system.system}
    extended = replace(
        catalogue,
        stack=catalogue.stack.model_copy(update={"hosts": hosts}),
        systems={**catalogue.systems, system.system: system},
        origins=origins,
    )
    now = {problem.message for problem in check(catalogue)}
    own = extended.file_of(system)
    return [p for p in check(extended) if p.file != own and not p.unset and p.message not in now]


def render_release(catalogue: Catalogue, host: str, facts: Facts) -> HostFiles:
    """What a release would bring: images by the digests that run there now."""
    digests: dict[str, str] = {}
    running = {container["name"]: container for container in facts["containers"] or []}
    for service in next(iter(catalogue.systems.values())).compose_services:
        container = running.get(service.container)
        own_digests = container["digests"] if container else []
        if own_digests and service.image.tag:
            digests[f"{service.image.repository}{service.image.suffix}"] = own_digests[0].rsplit("@", 1)[-1]
    return render(catalogue, host, digests, {})


def wanted_paths(files: HostFiles) -> tuple[list[str], list[str]]:
    """The paths whose text must be known, and the files of variables of which only names may be."""
    return [file.path for file in files.files] + [link.path for link in files.links], [
        file.path for file in files.environment_files
    ]


def compare(files: HostFiles, facts: Facts, entries: Entries) -> Comparison:
    changes = list(_changes(files, entries))
    lost_settings, other = _setting_lines(files, facts, entries)
    changed = {change.path for change in changes if change.how != "same"}
    running = {_unit_name(unit) for unit in facts["units"] if unit["active"]}
    ours = [unit for unit in files.units if unit.files]
    return Comparison(
        changes=changes,
        lost_settings=lost_settings,
        other=other,
        starts=[unit.name for unit in ours if not _runs(unit, running, facts)],
        restarts=[unit.name for unit in ours if _runs(unit, running, facts) and changed & set(unit.files)],
        stays=_unaffected_units(files, facts),
        twice=list(_twice(files, facts)),
    )


def _setting_lines(files: HostFiles, facts: Facts, entries: Entries) -> tuple[list[str], list[str]]:
    """A line for each setting of the host that would be gone, and for each that would have another value. Images that
    the release names by the digest which runs now are counted in one line."""
    lost_settings: list[str] = []
    other: list[str] = []
    pinned = 0
    for place, before, after in _settings(files, facts, entries):
        moved = _moved_variables(files, place)
        lost = [key for key in before if key not in after and key.partition(".environment.")[2] not in moved]
        lost_settings += [f"{place}: {key}: {' | '.join(before[key])}" for key in lost]
        for key in [key for key in before if key in after and before[key] != after[key]]:
            if _is_pin(before[key][0], after[key][0]):
                pinned += 1
            else:
                other.append(f"{place}: {key}: {' | '.join(before[key])} → {' | '.join(after[key])}")
    if pinned:
        other.append(
            f"{count(pinned, 'image')}: named by the digest that runs now, and not by a tag; each restarts once for it"
        )
    return lost_settings, other


def _unaffected_units(files: HostFiles, facts: Facts) -> list[str]:
    """The units of the host that the release does not touch."""
    touched = {file.path for file in files.files} | {unit.name for unit in files.units}
    untouched = [unit for unit in facts["units"] if unit["path"] not in touched]
    return [_unit_name(unit) for unit in untouched if not {_unit_name(unit), *_instances(unit)} & touched]


def _moved_variables(files: HostFiles, place: str) -> set[str]:
    """The variables that stand in a file beside a compose file, and no longer in it."""
    folder = place.rpartition("/")[0]
    beside = [file for file in files.environment_files if folder and file.path.startswith(f"{folder}/")]
    return {name for file in beside for name in (*file.values, *file.secrets)}


def _is_pin(before: str, after: str) -> bool:
    """Is it the same image, by its digest."""
    repository, _, digest = after.partition("@")
    return digest.startswith("sha256:") and before.rpartition(":")[0] == repository


def _unit_name(unit: documents.Unit) -> str:
    return f"{unit['account']}/{unit['name']}" if unit["account"] else unit["name"]


def _instances(unit: documents.Unit) -> list[str]:
    stem, kind = _unit_name(unit).rsplit(".", 1)
    return [f"{stem}{instance}.{kind}" for instance in unit["instances"]]


def _runs(unit: Unit, running: set[str], facts: Facts) -> bool:
    return unit.name in running or any(unit.name in _instances(entry) for entry in facts["units"])


def _changes(files: HostFiles, entries: Entries) -> Iterator[Change]:
    for file in files.files:
        entry = entries[file.path]
        if entry["kind"] == "none":
            yield Change(file.path, "new", "", _diff("", file.content.decode(errors="replace")))
            continue
        before, after = entry.get("text"), file.content.decode(errors="replace")
        rights = (f"{file.mode:04o}", file.owner)
        there = (entry.get("mode", ""), entry.get("owner", ""))
        meta = "" if there == rights else f"{' '.join(there)} → {' '.join(rights)}"
        same = before == after and not meta
        yield Change(file.path, "same" if same else "changed", meta, _diff(before or "", after))
    for link in files.links:
        entry = entries[link.path]
        how: How = "new" if entry["kind"] == "none" else "same" if entry.get("target") == link.target else "changed"
        yield Change(link.path, how, "", () if how == "same" else (f"+ → {link.target}",))
    for file in files.environment_files:
        names = entries[file.path].get("names")
        variables = {*file.values, *file.secrets}
        # Without the right to read the values it is unknown whether they stay
        how = "new" if names is None else "changed"
        lines = [f"-{name}" for name in sorted(set(names or []) - variables)] + [f"+{n}" for n in sorted(variables)]
        yield Change(file.path, how, "names alone: values are not read" if names is not None else "", tuple(lines))


def _diff(before: str, after: str) -> tuple[str, ...]:
    return tuple(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]


def _settings(files: HostFiles, facts: Facts, entries: Entries) -> Iterator[tuple[str, Settings, Settings]]:
    """Place, what is set there now, and what a release would set."""
    for file in files.files:
        now = entries[file.path].get("text")
        if now is None or (reader := _reader(file.path)) is None:
            continue
        try:
            yield (
                file.path.rsplit("/", 1)[1] if reader is settings.of_unit else file.path,
                reader(now),
                reader(file.content.decode()),
            )
        except yaml.YAMLError:
            continue
    texts = {file.path: file.content.decode(errors="replace") for file in files.files}
    groups = [texts[link.target] for link in files.links if "/conf.d/" in link.path and link.target in texts]
    for name in files.names:
        site_texts = [file.content.decode() for file in files.files if file.path.endswith(f"/sites-available/{name}")]
        try:
            now_tree = [block for block in _servers(facts) if name in _names(block)]
            after = [entry for text in site_texts for entry in nginx.parse(text)]
            ours = nginx.upstreams([entry for text in groups for entry in nginx.parse(text)])
            theirs = nginx.upstreams(_http(facts))
            before, then = nginx.resolve_upstreams(now_tree, theirs), nginx.resolve_upstreams(after, ours)
            yield f"site {name}", settings.of_nginx(before), settings.of_nginx(then)
        except InfraError:
            continue


def _reader(path: str) -> Callable[[str], Settings] | None:
    if path.endswith((".yml", ".yaml")):
        return settings.of_compose
    return (
        settings.of_unit if path.endswith((".service", ".timer", ".socket", ".conf")) and "/systemd/" in path else None
    )


def _servers(facts: Facts) -> Tree:
    return [entry for entry in _http(facts) if entry["directive"] == "server"]


def _http(facts: Facts) -> Tree:
    http = [entry for entry in nginx.whole(facts["nginx"]) if entry["directive"] == "http"]
    return [entry for block in http for entry in inside(block)]


def _names(server: Directive) -> list[str]:
    return [name for entry in inside(server) if entry["directive"] == "server_name" for name in entry["args"]]


def _twice(files: HostFiles, facts: Facts) -> Iterator[str]:
    """Other files of Nginx that have a site's name too: two servers of one name are one too many."""
    links = {link.path for link in files.links} | {file.path for file in files.files}
    for path, text in facts["nginx"].items():
        try:
            servers = [entry for entry in nginx.parse(text, path) if entry["directive"] == "server"]
        except InfraError:
            continue
        names = sorted({name for server in servers for name in _names(server)} & set(files.names))
        if path not in links and names:
            yield f"{path} serves {', '.join(names)} too: take it away when the release comes, or Nginx has two"
