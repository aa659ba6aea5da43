"""One release onto one host: receive, verify, preflight, pull, certify, validate, switch, restart, probe, record."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from agent import certificates, health, images
from agent.desired import Difference, difference, wanted_files
from agent.outcome import Failed, Outcome, Refused
from agent.validate import validate
from agent.world import World

STATE = "/var/lib/infra"
PENDING = f"{STATE}/pending.json"
CURRENT = f"{STATE}/current.json"

Say = Callable[[str], None]


def apply(world: World, release: str, contents: dict[str, bytes], secrets: dict[str, Any], say: Say) -> Outcome:
    """Brings the host to the release. `contents` are the archive's members by name. Every end is an Outcome."""
    manifest: dict[str, Any] = {}
    try:
        manifest = verified(release, contents)
        return _apply(world, release, manifest, contents, secrets, say)
    except Refused as refusal:
        return _refused(release, manifest, str(refusal), secrets)
    except Failed as failure:
        return _failed(release, manifest, str(failure), secrets)
    except Exception as error:
        # A full disk, an account that does not exist: the result says so, whatever it was
        reason = f"{type(error).__name__}: {error}"
        return (_failed if _stored(world, PENDING) else _refused)(release, manifest, reason, secrets)


def _refused(release: str, manifest: dict[str, Any], reason: str, secrets: dict[str, Any]) -> Outcome:
    line = f"refused on {manifest.get('host', '?')}, nothing touched: {reason}"
    return Outcome("refused", release, masked(line, secrets))


def _failed(release: str, manifest: dict[str, Any], reason: str, secrets: dict[str, Any]) -> Outcome:
    line = f"failed on {manifest['host']} after the switch: {reason}. Mend it and run again; it goes on from here"
    return Outcome("failed", release, masked(line, secrets))


def masked(text: str, secrets: dict[str, dict[str, str]]) -> str:
    """The text without any secret's value: what a program complains about may quote it."""
    for value in (value for values in secrets.values() for value in values.values() if value):
        text = text.replace(value, "[secret]")
    return text


def verified(release: str, contents: dict[str, bytes]) -> dict[str, Any]:
    """The manifest. Raises Refused when the archive is not the release that it claims to be."""
    text = contents.get("manifest.json", b"")
    if hashlib.sha256(text).hexdigest() != release:
        raise Refused("the archive's manifest is not the one of this release; run again")
    manifest = json.loads(text)
    for file in manifest["files"]:
        content = contents.get(f"files{file['path']}")
        if content is None or hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise Refused(f"{file['path']} was damaged on the way; run again")
    return manifest


def _apply(
    world: World,
    release: str,
    manifest: dict[str, Any],
    contents: dict[str, bytes],
    secrets: dict[str, Any],
    say: Say,
) -> Outcome:
    current = _stored(world, CURRENT)
    _preflight(world, manifest)
    files = wanted_files(manifest, {name[5:]: data for name, data in contents.items()}, secrets)
    # What unfinished applies brought is the previous release's too
    unfinished = _stored(world, PENDING)
    begun: list[dict[str, Any]] = unfinished.get("manifests", [])
    previous = [*([current["manifest"]] if current else []), *begun]
    change = difference(world, files, manifest["links"], previous)
    had: dict[str, str] = current.get("images", {})

    wanted_images = sorted({image for unit in manifest["units"] for image in unit["images"]})
    if wanted_images:
        say(f"pulling {len(wanted_images)} images")
    # What must be on disk before an image can be pulled is part of no service
    _registry_login(world, change)
    ids = images.pull(world, wanted_images, had)
    roots = [contents[f"files{path}"] for path in manifest["trusted_roots"]]
    for name in certificates.obtain(world, manifest["certificates"], roots):
        say(f"obtained the certificate of {name}")
    if change.paths:
        say(f"validating {len(change.paths)} changed files")
        validate(world, files, change)

    touched = {*unfinished.get("paths", []), *change.paths, *(i for i, id in ids.items() if had.get(i) != id)}
    if touched:
        manifests = begun if manifest in begun else [*begun, manifest]
        _store(world, PENDING, {"paths": sorted(touched), "manifests": manifests})
    if change.paths:
        _stop(world, manifest, previous, change)
        _switch(world, manifest, change, say)
    _react(world, manifest, touched)
    restarted = _restart(world, manifest, touched, say)
    say(f"waiting for {len(manifest['probes'])} services to be well")
    services = health.wait(world, manifest["probes"])
    _store(world, CURRENT, {"release": release, "manifest": manifest, "images": ids})
    world.remove(PENDING)
    return _finished(release, manifest, change, restarted, services)


def _finished(
    release: str, manifest: dict[str, Any], change: Difference, restarted: list[str], services: dict[str, int]
) -> Outcome:
    outcome = "applied" if change.paths or restarted else "unchanged"
    line = (
        f"{outcome} on {manifest['host']}: release {release[:12]}, {len(change.paths)} files changed, "
        f"{len(restarted)} units (re)started, {len(services)} services well"
    )
    return Outcome(outcome, release, line, change.paths, restarted, services)


def _preflight(world: World, manifest: dict[str, Any]) -> None:
    missing = [name for name in manifest["commands"] if not world.has_command(name)]
    if missing:
        raise Refused(f"not installed: {', '.join(missing)}. Install them on the host and run again")
    if "docker" in manifest["commands"]:
        ran = world.run("docker", "info", "--format", "{{.ServerVersion}}", timeout=30)
        if ran.code != 0:
            raise Refused(
                f"Docker does not answer: {ran.last_lines(1)}. Start it (systemctl start docker) and run again"
            )


def _registry_login(world: World, change: Difference) -> None:
    for file in change.write:
        if file.path == "/root/.docker/config.json":
            world.write(file.path, file.content, file.mode, file.owner, file.group)


def _stop(world: World, manifest: dict[str, Any], previous: list[dict[str, Any]], change: Difference) -> None:
    """Stops what changes or goes while the files that it was started from are still there to stop it by."""
    names = {unit["name"] for unit in manifest["units"]}
    before = {unit["name"]: unit for stored in previous for unit in stored["units"]}
    changing = [name for name, unit in before.items() if name in names and {*unit["files"]} & {*change.paths}]
    if changing:
        world.run("systemctl", "stop", *changing)
    for name in before:
        if name not in names:
            world.run("systemctl", "disable", "--now", name)


def _switch(world: World, manifest: dict[str, Any], change: Difference, say: Say) -> None:
    say(f"switching {len(change.paths)} files")
    for directory in manifest["directories"]:
        world.directory(directory["path"], directory["mode"], directory["owner"], directory["group"])
    for file in change.write:
        world.write(file.path, file.content, file.mode, file.owner, file.group)
    for path, target in change.link.items():
        world.link(path, target)
    for path in change.remove:
        world.remove(path)


def _react(world: World, manifest: dict[str, Any], touched: set[str]) -> None:
    if any(path.startswith("/etc/systemd/") for path in touched):
        _must(world, "systemctl", "daemon-reload")
    for reaction in manifest["reactions"]:
        prefixes = tuple(reaction["paths"])
        if any(path.startswith(prefixes) for path in touched):
            _must(world, *reaction["run"])


def _restart(world: World, manifest: dict[str, Any], touched: set[str], say: Say) -> list[str]:
    """(Re)starts, in the manifest's order, what changed or does not run; enables what is not enabled."""
    names = [unit["name"] for unit in manifest["units"]]
    if not names:
        return []
    active = _states(world, "is-active", names)
    enabled = _states(world, "is-enabled", names)
    to_enable = [name for name in names if enabled[name] != "enabled"]
    if to_enable:
        _must(world, "systemctl", "enable", *to_enable)
    changed = [
        unit["name"]
        for unit in manifest["units"]
        if active[unit["name"]] != "active" or touched & {*unit["files"], *unit["images"]}
    ]
    if changed:
        say(f"(re)starting {len(changed)} units")
        _must(world, "systemctl", "restart", *changed)
    return changed


def _states(world: World, question: str, names: list[str]) -> dict[str, str]:
    lines = world.run("systemctl", question, *names).output.split()
    return dict(zip(names, lines, strict=False)) if len(lines) == len(names) else dict.fromkeys(names, "unknown")


def _must(world: World, *argv: str) -> None:
    ran = world.run(*argv)
    if ran.code != 0:
        raise Failed(f"{' '.join(argv)}: {ran.last_lines()}")


def _stored(world: World, path: str) -> dict[str, Any]:
    content = world.read(path)
    return json.loads(content) if content else {}


def _store(world: World, path: str, value: dict[str, Any]) -> None:
    world.write(path, json.dumps(value, sort_keys=True).encode(), 0o600, "root", "root")
