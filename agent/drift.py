"""What on the host is not as the current release left it. Reads only; no secret is shown."""

from __future__ import annotations

import difflib

from agent import adopting, artefacts, environments, existing, overrides, quoting, slots, store, units
from agent.desired_state import ALONE, WHOLE, DesiredFile
from agent.documents.answers import Finding
from agent.documents.manifest import EnvironmentFile
from agent.overrides import Override
from agent.world import World

LARGEST = 512 * 1024  # bytes of a file whose differences are shown


def drift(world: World, overriding: list[Override] | None = None) -> list[Finding]:
    """An entry a finding: `path` (or unit), `found`, and for a file's content `diff`, unified: from the release to the
    host. `overriding` is what is in force in the release's place, where that is known already."""
    release = store.current(world)
    if release is None:
        return []
    environment = {item["path"]: item for item in release.manifest["environment_files"]}
    findings: list[Finding] = [
        finding for file in release.files for finding in _file(world, file, environment.get(file.path))
    ]
    for link in release.manifest["links"]:
        try:
            target = world.link_target(link["path"])
        except OSError as error:
            findings.append({"path": link["path"], "found": f"cannot be checked: {quoting.error(error)}"})
            continue
        if target != link["target"]:
            findings.append({"path": link["path"], "found": f"links to {target or 'nothing'}, not to {link['target']}"})
    for entry in release.manifest["artefacts"]:
        if (paths := artefacts.edited_paths(world, entry["folder"])) != []:
            reason = "is incomplete; the next release fetches it again"
            findings.append(_folder(entry["folder"], paths, "the next build replaces it", reason))
    for folder, paths in environments.differing(world, release.manifest):
        reason = "is incomplete, or its Python is missing; the next release builds it again"
        findings.append(_folder(folder, paths, "the next lock replaces it", reason))
    overriding = overrides.list_overrides(world, release) if overriding is None else overriding
    findings += [Finding(path=entry.path, found=entry.found) for entry in overriding]
    return findings + _containers(world, release) + _units(world, release)


def _folder(folder: str, paths: list[str] | None, later: str, reason: str) -> Finding:
    more = f", and {len(paths) - 3} more" if paths and len(paths) > 3 else ""
    return {"path": folder, "found": f"was edited: {', '.join(paths[:3])}{more}; {later}" if paths else reason}


def _file(world: World, file: DesiredFile, item: EnvironmentFile | None) -> list[Finding]:
    try:
        entry = world.entry(file.path)
    except OSError as error:
        # An account may have laid something on the way: it hides nothing else
        return [{"path": file.path, "found": f"cannot be checked: {quoting.error(error)}"}]
    if entry.kind != "file":
        what = {"link": f"is a link to {entry.target}", "other": f"is {entry.what}"}.get(entry.kind, "is missing")
        return [{"path": file.path, "found": what}]
    findings: list[Finding] = []
    content = entry.content
    if content != file.content:
        findings.append({"path": file.path, "found": "was edited", "diff": _diff(file, content, item)})
    owner, group, mode = entry.owner, entry.group, entry.mode
    if (owner, mode) != (file.owner, file.mode) or file.group not in ("", group):
        is_, should = f"{mode:04o} {owner}:{group}", f"{file.mode:04o} {file.owner}:{file.group or group}"
        findings.append({"path": file.path, "found": f"is {is_}, not {should}"})
    return findings


def _diff(file: DesiredFile, content: bytes, item: EnvironmentFile | None) -> str:
    if item and item.get("between", "=") in (WHOLE, ALONE):
        return "[another text, not shown]"
    if max(len(file.content), len(content)) > LARGEST:
        # To compare such files takes minutes
        return f"[{len(file.content)} bytes in the release, {len(content)} bytes here: too large to show]"
    before, after = _lines(file.content), _lines(content)
    if item is not None:
        plain = item["values"]
        ours = dict(line.split("=", 1) for line in before if "=" in line)
        before, after = [[_redact_line(line, plain, ours) for line in lines] for lines in (before, after)]
    return "\n".join(difflib.unified_diff(before, after, f"release{file.path}", f"host{file.path}", lineterm=""))


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").splitlines()


def _redact_line(line: str, plain: dict[str, str], ours: dict[str, str]) -> str:
    """A line of an environment file. Only what the catalogue itself shows is shown: anything else may be a secret."""
    name, sign, value = line.partition("=")
    if line == "[default]":
        return line
    if not sign:
        return "[a line without a value, not shown]"
    if name in plain:
        return line
    return f"{name}=[not shown]" if ours.get(name) == value else f"{name}=[another value, not shown]"


def _containers(world: World, release: store.Release) -> list[Finding]:
    """Containers at the release's names that are neither its own nor adopted. A Docker that does not answer is seen by
    its units."""
    entries = {entry["name"]: entry for entry in release.manifest["containers"]}
    adopted = {
        id
        for unit in {entry["unit"] for entry in entries.values()}
        for id, _ in adopting.adopted_ids(world, adopting.path_of(unit))
    }
    try:
        containers = existing.list_containers(world) if entries else []
    except (OSError, ValueError):
        return []
    findings: list[Finding] = []
    for container in containers:
        names = [name.lstrip("/") for name in container.get("Names") or []]
        labels: dict[str, str] = container.get("Labels") or {}
        for name in (name for name in names if name in entries):
            if not existing.is_of(labels, entries[name]) and container["Id"] not in adopted:
                reason = "is not the release's container, something else started it: remove it (docker rm --force "
                findings.append({"path": name, "found": f"{reason}{name}), and its unit starts the release's"})
    return findings


def _units(world: World, release: store.Release) -> list[Finding]:
    findings: list[Finding] = []
    for name, state in units.states(world, slots.running(world, release.manifest)).items():
        for kind in ("active", "enabled"):
            if not state[kind]:
                findings.append({"path": name, "found": f"is not {kind}"})
    return findings
