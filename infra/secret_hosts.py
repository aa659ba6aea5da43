"""Secrets on hosts, held against the stack's: by digests under the stack's own key, which are in each release's
manifest. No value leaves the stack's file or a host."""

from collections.abc import Iterable, Iterator, Mapping

from agent.desired_state import assignments
from agent.documents.answers import Contents
from agent.documents.manifest import EnvironmentFile
from catalogue.loading import Catalogue
from catalogue.secret_groups import group_of
from infra import hosts, remote
from infra.errors import InfraError
from infra.foreign import one_line
from infra.secret import Secret
from rendering.host import AWS, render
from rendering.sites import HASHED

NOT_OURS = "[another value, not shown]"  # agent/contents.py

Versions = dict[str, str]


def path_of(catalogue: Catalogue, place: str) -> str:
    """Of a `GROUP/NAME` of a manifest the path in the stack: what a service takes from its system is the system's."""
    group, _, name = place.removesuffix(HASHED).partition("/")
    for system in catalogue.running.values():
        if any(service.name == group for service in system.active):
            return f"{group_of(catalogue.stack, system, group, name)}.{name}"
    return f"{group}.{name}"


def environment_files(answer: Contents) -> list[EnvironmentFile]:
    """Of the release that a host serves; none where it has no release."""
    # Each answer that names a release has a manifest (infra/answers.py)
    return answer["manifest"]["environment_files"] if answer["release"] and "manifest" in answer else []


def versions_of(items: Iterable[EnvironmentFile]) -> Versions:
    """`GROUP/NAME` → digest, of a manifest's environment files; without the host's own key in AWS."""
    return {
        place: version
        for item in items
        for place, version in item["versions"].items()
        if not place.startswith(f"{AWS}/")
    }


def wanted_versions(catalogue: Catalogue, host: str) -> tuple[Versions, set[str]]:
    """`GROUP/NAME` → digest of what the stack has for a host, and every place that something on it names. The
    catalogue has its values."""
    files = render(catalogue, host).environment_files
    versions = {place: version for file in files for place, version in file.versions.items()}
    places = {place for file in files for place in file.secrets.values()}
    return versions, {place for place in places if not place.startswith(f"{AWS}/")}


def differences(catalogue: Catalogue, host: str, answer: Contents) -> list[str]:
    """What a host has otherwise than the stack, by its answer to `contents`: a line for each, no value in it. Pure."""
    versions, places = wanted_versions(catalogue, host)
    items = environment_files(answer)
    serving = versions_of(items)
    lines = {
        path_of(catalogue, place): "has another value on the host than in the stack"
        if place in serving
        else "has no value on the host yet"
        for place, version in versions.items()
        if place in places and serving.get(place) != version
    }
    leftovers = {
        path_of(catalogue, place): "is on the host, and the stack has no value"
        if place in places
        else "is on the host, and nothing there names it any more"
        for place in serving
        if place not in versions
    }
    edited = dict(_hand_edits(catalogue, items, answer.get("files", {})))
    return [f"{one_line(path)} {what}" for path, what in sorted((leftovers | lines | edited).items())]


def _hand_edits(
    catalogue: Catalogue, items: Iterable[EnvironmentFile], files: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for item in items:
        text = files.get(item["path"])
        values = assignments(text or "", item)
        for name, place in item["secrets"].items():
            if place.startswith(f"{AWS}/") or place not in item["versions"]:
                continue
            if text is None or values.get(name) in (None, NOT_OURS):
                what = "was changed" if text is not None and name in values else "was removed"
                yield path_of(catalogue, place), f"{what} by hand on the host ({one_line(item['path'])})"


def of_stack(secrets: Iterable[Secret]) -> list[str]:
    """What the stack itself lacks, or has for nothing."""
    words = {"missing": "has no value in the stack", "used by nothing": "has a value, and nothing uses it"}
    return [f"{entry.path} {words[entry.state]}" for entry in secrets if entry.state in words]


def compare(catalogue: Catalogue, secrets: Iterable[Secret], only: str | None) -> tuple[list[str], list[str]]:
    """What differs, a line for each, and why hosts could not be asked. Raises InfraError where none can be."""
    lines = [f"stack {catalogue.stack.name}: {line}" for line in of_stack(secrets)]
    unknown: list[str] = []
    for name, target in hosts.targets(catalogue.stack, only).items():
        host = name.partition("@")[0]
        if host not in catalogue.stack.hosts:
            unknown.append(f"{name} leaves the stack; it was not asked")
            continue
        try:
            answer = remote.ask(target, "contents")
            lines += [f"{name}: {line}" for line in differences(catalogue, host, answer)]
        except InfraError as error:
            unknown.append(f"{name} could not be asked: {error}")
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            unknown.append(f"{name}: what it says of its release cannot be read ({one_line(repr(error))[:200]})")
    return lines, unknown
