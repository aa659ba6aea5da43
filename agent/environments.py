"""Virtual environments of services in Python: each is made as a lock says, while the present release serves, by uv and
an account that owns nothing else; a link of the release puts one in place, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from agent import artefacts, store, uv
from agent.documents.manifest import Environment, Manifest
from agent.outcome import Refused
from agent.store import Release
from agent.world import TIMED_OUT, World

# As in rendering/environments.py. Every account may read there
PLACE = "/opt/infra/environments"
STAGED = f"{PLACE}/.project"
FILES = ("pyproject.toml", "uv.lock")
ACCOUNT, CACHE = "infra-python", "/var/cache/infra-python"
UNITS = "infra-environment-"  # what the names of units begin with in which uv runs
REQUIREMENTS = f"{CACHE}/requirements.txt"
# The interpreter itself, whatever leads to it
ASKING = "import os, sys; print(os.path.realpath(sys.executable))"
LINES = 6  # of what uv says at last
Say = Callable[[str], None]


@dataclass(frozen=True)
class Making:
    """One that is being made in `place`, by the programs uv and Python, until `end` of the host's clock."""

    entry: Environment
    place: str
    uv: str
    python: str
    end: float


def entries(manifest: Manifest) -> list[Environment]:
    """Those of a release; releases of an earlier version have none."""
    return manifest.get("environments", [])


def absent(world: World, target: Release) -> list[Environment]:
    """Those that are to be made."""
    return [entry for entry in entries(target.manifest) if not _is_whole(world, _end(world, entry["folder"]))]


def _end(world: World, folder: str) -> str:
    """Where an environment lies; one whose lock came in an artefact is a link, since another artefact may have the same
    lock."""
    return world.link_target(folder) or folder


def _is_whole(world: World, place: str) -> bool:
    """Is all of it there that was made, and the Python that it was made with."""
    if artefacts.edited_paths(world, place) is None:
        return False
    python = json.loads(world.read(artefacts.record_of(place)) or b"{}").get("bin/python", "")
    return world.exists(python[len("-> ") :]) if python.startswith("-> /") else True


def clear(world: World, target: Release) -> None:
    """What releases that were refused have left."""
    _keep_only(world, {entry["folder"] for entry in entries(target.manifest)})


def bytes_needed(world: World, target: Release) -> int:
    """Bytes of disk that those which are to be made take at least."""
    return sum(entry["needs"] for entry in absent(world, target))


def make(world: World, target: Release, say: Say) -> None:
    """Makes what is not here; what is stays as it is. Raises Refused, after which the host has what it had."""
    coming = absent(world, target)
    if not coming:
        return
    if world.account(ACCOUNT) is None:
        options = ["--system", "--user-group", "--no-create-home", "--home-dir", CACHE, "--shell", "/usr/sbin/nologin"]
        ran = world.run("useradd", *options, ACCOUNT)
        if ran.code:
            raise Refused(f"the account {ACCOUNT}, which makes environments, cannot be made: {ran.last_lines()}")
    world.directory(PLACE, 0o755, "root", "root")
    world.directory(CACHE, 0o700, ACCOUNT, "")
    # Of an agent that was killed one may still be running
    world.run("systemctl", "stop", f"{UNITS}*")
    for entry in coming:
        _bring(world, target, entry, say)


def _bring(world: World, target: Release, entry: Environment, say: Say) -> None:
    project = _project(world, target, entry)
    place = entry["folder"]
    if _is_in_artefact(target, entry):
        place = f"{PLACE}/{entry['service']}-{_key(entry, project)}"
        if _is_whole(world, place):
            say(f"the environment of {entry['service']} is there: the artefact has the lock that it was made by")
            world.link(entry["folder"], place)
            return
    say(f"making the environment of {entry['service']}")
    index = artefacts.locate(target.manifest, entry["index"])
    making = Making(entry, place, uv.bring(world, index), _python(world, entry), world.now() + entry["limit"])
    record = artefacts.record_of(place)
    former, aside = world.read(record), _aside(place)
    # One without a record is what a killed agent has left
    world.remove(record)
    if former is None:
        world.remove_tree(place)
    else:
        say(f"{place} was modified and is rebuilt; the modified copy is in {aside}")
        world.remove_tree(aside)
        if world.exists(place):
            world.rename_tree(place, aside)
    try:
        _stage(world, project)
        world.directory(place, 0o755, ACCOUNT, "")
        for number, command in enumerate(_commands(making, index), 1):
            _run(world, making, number, command)
        _take_over(world, making)
    except (Refused, OSError):
        world.remove_tree(place)
        if former is not None and world.exists(aside):
            world.rename_tree(aside, place)
            world.write(record, former, 0o600, "root", "root")
        raise
    finally:
        world.remove_tree(STAGED)
    if place != entry["folder"]:
        world.link(entry["folder"], place)
    took = entry["limit"] - (making.end - world.now())
    say(f"the environment of {entry['service']} is made ({took:.0f} s)")


def _is_in_artefact(target: Release, entry: Environment) -> bool:
    return artefacts.locate(target.manifest, entry["lock"]) != entry["lock"]


def _project(world: World, target: Release, entry: Environment) -> dict[str, bytes]:
    """The two files that it is made by: the release's, or an artefact's. Raises Refused."""
    own = {file.path: file.content for file in target.files}
    files: dict[str, bytes] = {}
    for name in FILES:
        path = f"{entry['lock']}/{name}"
        content = own.get(path)
        if content is None:
            content = world.read(artefacts.locate(target.manifest, path))
        if content is None:
            raise Refused(f"{path} is not in the artefact, and the environment of {entry['service']} is made by it")
        files[name] = content
    return files


def _key(entry: Environment, project: dict[str, bytes]) -> str:
    """What makes it another environment. Of two artefacts with one lock it is the same."""
    contents = [hashlib.sha256(project[name]).hexdigest() for name in FILES]
    whole = [contents, entry["version"], sorted(entry["groups"]), sorted(entry["extras"])]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()[:16]


def _python(world: World, entry: Environment) -> str:
    """The path of the Python that it is made with. Raises Refused."""
    name = f"python{entry['version']}" if entry["version"] else "python3"
    lines = world.run(name, "-I", "-c", ASKING, timeout=60).output.strip().splitlines()
    if not lines or not lines[-1].startswith("/"):
        raise Refused(
            f"this host has no {name}, which the environment of {entry['service']} is made with: install it, or name "
            "another version, and run again"
        )
    return lines[-1]


def _stage(world: World, project: dict[str, bytes]) -> None:
    world.remove_tree(STAGED)
    world.directory(STAGED, 0o755, "root", "root")
    for name, content in project.items():
        world.write(f"{STAGED}/{name}", content, 0o644, "root", "root")


def _commands(making: Making, index: str) -> list[list[str]]:
    """By the addresses that are in the lock; or by what the lock says, out of another index: uv takes no other
    addresses than the lock's itself."""
    entry, program = making.entry, making.uv
    options = ["--no-default-groups", "--project", STAGED, "--python", making.python]
    for option, names in (("--group", entry["groups"]), ("--extra", entry["extras"])):
        options += [word for name in names for word in (option, name)]
    if not index:
        return [[program, "sync", "--frozen", "--no-install-project", "--no-install-workspace", *options]]
    source = ["--no-index", "--find-links", index] if index.startswith("/") else ["--default-index", index]
    output = ["--output-file", REQUIREMENTS]
    return [
        [program, "venv", "--python", making.python, making.place],
        [program, "export", "--frozen", "--quiet", "--no-emit-project", "--no-emit-workspace", *options, *output],
        [
            program, "pip", "install", "--require-hashes", "--python", f"{making.place}/bin/python", *source,
            "--requirement", REQUIREMENTS,
        ],
    ]  # fmt: skip


def _run(world: World, making: Making, number: int, command: list[str]) -> None:
    """Runs uv in a unit of its own, which ends with all that it started: what it builds is code of others. Raises
    Refused."""
    # systemd does not take a name again at once
    unit = f"{UNITS}{making.place.rsplit('/', 1)[1]}-{number}.service"
    service, limit = making.entry["service"], making.entry["limit"]
    properties = {
        "User": ACCOUNT, "Group": ACCOUNT, "UMask": "0022", "RuntimeMaxSec": f"{limit + 60:.0f}",
        "NoNewPrivileges": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "ProtectSystem": "strict",
        "ProtectHome": "read-only", "ReadWritePaths": f"{making.place} {CACHE}",
        # uv looks there, and above, for a project and settings: not where it writes, and not in its cache
        "WorkingDirectory": "/",
        "Nice": "10", "OOMScoreAdjust": "500",
    }  # fmt: skip
    surroundings = {
        "HOME": CACHE, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "UV_CACHE_DIR": CACHE, "UV_COMPILE_BYTECODE": "1",
        # Linked to the cache, it could be changed by what a later one builds
        "UV_LINK_MODE": "copy", "UV_NO_PROGRESS": "1", "UV_PROJECT_ENVIRONMENT": making.place,
        "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "true",
    }  # fmt: skip
    ran = world.run(
        "systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--unit={unit}",
        *(f"--property={name}={value}" for name, value in properties.items()),
        *(f"--setenv={name}={value}" for name, value in surroundings.items()),
        "--", *command, timeout=max(1.0, making.end - world.now()),
    )  # fmt: skip
    if ran.code == TIMED_OUT:
        world.run("systemctl", "stop", unit)
        raise Refused(
            f"the environment of {service} was not made within {limit:.0f} s: {ran.last_lines(LINES)}. Run again to go "
            "on with what was fetched, or give it more time (limit of its python)"
        )
    if ran.code:
        output = ran.last_lines(LINES) or f"uv ended with {ran.code}"
        raise Refused(
            f"the environment of {service} cannot be made: {output}. Correct its lock or its index, and run again"
        )


def _take_over(world: World, making: Making) -> None:
    """From here on it is root's, and on the disk; its record comes last, so that half of one is none. Raises
    Refused."""
    for command in (
        ["chown", "-R", "-h", "root:root", "--", making.place],
        ["chmod", "-R", "u+rwX,go+rX,go-w,ug-s", "--", making.place],
    ):
        ran = world.run(*command, timeout=3600)
        if ran.code:
            raise Refused(f"the environment of {making.entry['service']} cannot be root's: {ran.last_lines()}")
    world.settle(making.place)
    record = json.dumps(world.tree(making.place), sort_keys=True).encode()
    world.write(artefacts.record_of(making.place), record, 0o600, "root", "root")


def prune(world: World) -> None:
    """Removes what no kept release needs."""
    _keep_only(world, set())


def empty_cache(world: World) -> int:
    """Removes what was downloaded for environments, which is fetched again when another one needs it; the bytes that it
    had."""
    files = [facts.split() for facts in world.tree(CACHE).values() if not facts.startswith("-> ")]
    world.remove_tree(CACHE)
    return sum(int(facts[2]) for facts in files if facts[2].isdigit())


def differing(world: World, manifest: Manifest) -> list[tuple[str, list[str] | None]]:
    """Each environment of a release that is not as it was made: its folder, and the paths in it; None where something
    of it is gone, or its Python."""
    changed: list[tuple[str, list[str] | None]] = []
    for entry in entries(manifest):
        place = _end(world, entry["folder"])
        paths = artefacts.edited_paths(world, place) if _is_whole(world, place) else None
        if paths != []:
            changed.append((place, paths))
    return changed


def _keep_only(world: World, folders: set[str]) -> None:
    """Removes all but what kept releases need, and these; nothing where a release cannot be read, and may need any."""
    if store.unreadable(world):
        return
    kept_folders = {
        entry["folder"] for id in store.kept_ids(world) for entry in entries(store.manifest(world, id))
    } | folders
    kept_folders |= {_end(world, folder) for folder in kept_folders}
    kept_folders |= {_aside(folder) for folder in kept_folders}
    for name in world.listing(PLACE):
        if f"{PLACE}/{name}" not in kept_folders:
            world.remove_tree(f"{PLACE}/{name}")
    records = artefacts.record_of(f"{PLACE}/x").rsplit("/", 1)[0]
    for name in world.listing(records):
        if f"{PLACE}/{name[: -len('.json')]}" not in kept_folders:
            world.remove(f"{records}/{name}")


def _aside(place: str) -> str:
    """Where what is left of one is kept that was not whole."""
    return f"{PLACE}/.edited-{place.rsplit('/', 1)[1]}"
