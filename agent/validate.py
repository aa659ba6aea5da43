"""The release is judged by the programs that will read it, on staged copies, before anything is touched."""

from __future__ import annotations

import re
import shlex
from concurrent.futures import ThreadPoolExecutor

from agent import artefacts, compose, journald, proxies, quoting
from agent.desired_state import Difference
from agent.documents.manifest import Manifest
from agent.outcome import Refused
from agent.proxy import Proxy
from agent.store import Release
from agent.units import OF_ACCOUNT
from agent.world import CommandResult, World

STAGE = "/run/infra/stage"
UNITS = "/etc/systemd/system/"
JOURNALD = "/etc/systemd/journald.conf.d/"
# What a line of systemd-analyze is about: a file, or a unit by its name
ABOUT = re.compile(r"(?P<file>/\S+):\d+: |(?P<name>[^\s/]+\.[a-z]+): |Unit (?P<unit>\S+\.[a-z]+) (?:has|failed)")
MISSING = re.compile(r"Failed to create \S+/start: Unit \S+ not found")


def validate(world: World, target: Release, change: Difference) -> None:
    """Raises Refused with the first complaint of each program. Only what changes is judged."""
    world.run("rm", "-rf", STAGE)
    world.directory(STAGE, 0o700, "root", "root")
    program_paths = {file.path for file in target.files if file.mode & 0o111}
    try:
        own = {file.path for file in target.files}
        # What the switch writes beside the release, such as the drop-in of an adopted container
        for file in [*target.files, *(file for file in change.write if file.path not in own)]:
            content = _runnable(file.content, program_paths, target.manifest) if _is_unit(file.path) else file.content
            world.write(STAGE + file.path, content, file.mode, "root", "root")
        complaints = [
            *_units(world, change, UNITS),
            *(text for home in _homes(target) for text in _units(world, change, f"{home}/{OF_ACCOUNT}/", "--user")),
            *_compose(world, change),
            *(text for proxy in proxies.PROXIES.values() for text in _proxy(world, target, change, proxy)),
            *_journald(change),
        ]
    finally:
        world.run("rm", "-rf", STAGE)
    if complaints:
        raise Refused("; ".join(complaints))


def _homes(target: Release) -> list[str]:
    return [account["home"] for account in target.manifest["accounts"] if account["lingering"]]


def _is_unit(path: str) -> bool:
    return path.startswith(UNITS) or f"/{OF_ACCOUNT}/" in path


def _runnable(unit: bytes, program_paths: set[str], manifest: Manifest) -> bytes:
    """A unit whose programs come with the release, as it would be with them in place."""

    def substitute(match: re.Match[str]) -> str:
        return match[1] + ("/bin/true" if match[2] in program_paths else artefacts.locate(manifest, match[2]))

    return re.sub(r"^(Exec\w+=[-@:+!|]*)(\S+)", substitute, unit.decode(), flags=re.MULTILINE).encode()


def _units(world: World, change: Difference, place: str, *options: str) -> list[str]:
    changed = [file.path for file in change.write if file.path.startswith(place)]
    # A drop-in is judged with its unit
    paths = dict.fromkeys(path.rsplit(".d/", 1)[0] if path.endswith(".conf") else path for path in changed)
    if not paths:
        return []
    alone = ["--recursive-errors=no"] if world.can.judges_units_alone else []
    ran = world.run(
        "systemd-analyze", *options, "verify", "--man=no", *alone, *(STAGE + path for path in paths),
        # A user's manager would have a runtime directory
        environment={"SYSTEMD_UNIT_PATH": f"{STAGE}{place.rstrip('/')}:", "XDG_RUNTIME_DIR": STAGE},
    )  # fmt: skip
    if not alone:
        ran = units_verdict(ran, [path.rsplit("/", 1)[1] for path in paths])
    return [f"systemd-analyze verify: {ran.last_lines().replace(STAGE, '')}"] if ran.code else []


def units_verdict(ran: CommandResult, names: list[str]) -> CommandResult:
    """What systemd before 250 found, as later ones would say it of these units alone: it ends well for a warning, and
    fails for a unit that is required and not among them."""
    about: list[str] = []
    others = False
    for line in ran.output.splitlines():
        line = quoting.visible(line)
        subject = ABOUT.match(line)
        name = (_unit_of(subject["file"]) if subject["file"] else subject["name"] or subject["unit"]) if subject else ""
        if name in names and not MISSING.search(line):
            about.append(line)
        others = others or bool(name)
    if about or (ran.code and not others):
        return CommandResult(ran.code or 1, "\n".join(about) or ran.output)
    return CommandResult(0, ran.output)


def _unit_of(path: str) -> str:
    """The name of the unit that a file or a drop-in is of."""
    folder, _, name = path.rpartition("/")
    return folder.rsplit("/", 1)[-1][: -len(".d")] if folder.endswith(".d") else name


def _compose(world: World, change: Difference) -> list[str]:
    changed = [file.path for file in change.write if is_compose(file.path)]
    if not changed:
        return []
    program = compose.demand(world.can.compose)

    def fault(path: str) -> CommandResult | None:
        return program.fault(world, STAGE + path)

    with ThreadPoolExecutor(2) as pool:
        faults = pool.map(fault, changed)
    pairs = zip(changed, faults)
    return [f"docker-compose config {path}: {ran.last_lines().replace(STAGE, '')}" for path, ran in pairs if ran]


def _journald(change: Difference) -> list[str]:
    changed = [file for file in change.write if file.path.startswith(JOURNALD)]
    return [text for file in changed for text in journald.complaints(file.path, file.content.decode())]


def is_compose(path: str) -> bool:
    name = path.rsplit("/", 1)[1]
    return name.startswith("docker-compose") and name.endswith((".yml", ".yaml"))


def _proxy(world: World, target: Release, change: Difference, proxy: Proxy) -> list[str]:
    """What the proxy says of its whole directory as it is going to be."""
    place = proxy.place
    if not any(path.startswith(place) for path in [*(file.path for file in change.write), *change.link]):
        return []
    staged = f"{STAGE}/proxy"
    world.run("cp", "-a", place.rstrip("/"), staged)
    for path in change.remove:
        if path.startswith(place):
            world.remove(f"{staged}/{path[len(place) :]}")
    for file in change.write:
        if file.path.startswith(place):
            world.write(f"{staged}/{file.path[len(place) :]}", file.content, file.mode, "root", "root")
    for path, leads_to in change.link.items():
        if path.startswith(place):
            world.link(f"{staged}/{path[len(place) :]}", leads_to)
    # In a mount namespace of its own the staged tree stands where the proxy will look, and nowhere else
    script = f"mount --bind {shlex.quote(staged)} {place.rstrip('/')} && exec {proxy.test}"
    ran = world.run("unshare", "--mount", "sh", "-c", script, environment={"XDG_DATA_HOME": f"{STAGE}/data"})
    if ran.code:
        return [f"{proxy.test_name}: {ran.last_lines(2)}"]
    return proxy.unread(world, target, ran.output)
