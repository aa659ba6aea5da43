"""Can this release be brought to this host at all: asked before anything is fetched or touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from agent import (
    accounts,
    artefacts,
    capabilities,
    compose,
    environments,
    existing,
    forwarding,
    images,
    mounts,
    networks,
    overrides,
    own_certificates,
    owners,
    programs,
    proxies,
    prune,
    quoting,
    store,
    units,
)
from agent.documents.manifest import Artefact, Environment, Listener, Manifest
from agent.images import MissingImages
from agent.job import Job
from agent.outcome import Refused
from agent.proxy import Proxy
from agent.store import Release
from agent.transaction import obstacle_line
from agent.world import World

MiB = 1024**2


def check(world: World, job: Job, base: Release | None, target: Release) -> None:
    """Raises Refused with the first reason why not, and what to do about it."""
    _demand_planned_base(world, job, base, target)
    mounts.demand(world, target.manifest)
    _commands(world, target)
    accounts.agree(world, target.manifest["accounts"])
    owners.agree(world, target.manifest)
    accounts.answer(world, target.manifest["accounts"])
    check_programs(world, target)
    check_families(world, target)
    check_http3(world, target)
    check_former_artefacts(base, target)
    _ways(world, target)
    _places(world, target)
    _memory(world, target)
    _ports(world, base, target)
    if target.manifest["networks"]:
        networks.check(world, base, target)
        forwarding.check(world, [*([base.manifest] if base else []), target.manifest])
    existing.conflicts(world, target.manifest, target.unit_names)
    overrides.check(world, base, target)
    if job.kind not in ("rollback", "restart"):
        # The way back stays open, whatever has ended meanwhile
        own_certificates.check(world, job, base, target)


def _demand_planned_base(world: World, job: Job, base: Release | None, target: Release) -> None:
    """An update that was planned from another release than the one here would undo another update."""
    if job.kind != "apply" or job.base is None or base is None or target.id == base.id:
        return
    if job.base not in (base.id, store.last_update(world)):
        by = next(
            (entry["who"] for entry in reversed(store.history(world)) if entry["release"] == base.id), "an unknown user"
        )
        raise Refused(
            f"this update was planned from release {job.base[:12]}, but release {base.id[:12]} by {by} serves here. "
            "Merge its changes and preview again; to deploy this one anyway: "
            "pulumi up --replace <URN of this command>"
        )


def _commands(world: World, target: Release) -> None:
    commands = target.manifest["commands"]
    packages = _programs(target)
    absent = [name for name in [*commands, *packages] if name != "docker-compose" and not world.has_command(name)]
    if absent:
        names = [f"{name} (package {packages[name]})" if name in packages else name for name in dict.fromkeys(absent)]
        raise Refused(f"packages not installed: {', '.join(names)}. Install them on the host and run again")
    if "docker-compose" in commands:
        compose.demand(world.can.compose)
    if "docker" in commands:
        ran = world.run("docker", "info", "--format", "{{.DockerRootDir}}", timeout=30)
        if ran.code != 0:
            reason = f"Docker does not answer: {ran.last_lines(1)}"
            raise Refused(f"{reason}. Start it (systemctl start docker) and run again")


def _programs(target: Release) -> dict[str, str]:
    """The programs that the agent itself uses for a release → their packages. One that is missing would be taken for
    an answer: a port that is taken, a certificate that is not there."""
    accounts_of_release = target.manifest["accounts"]
    has_proxy = any(proxies.has_file(file.path) for file in target.files)
    needs = (
        (capabilities.ALWAYS, True),
        (capabilities.FOR_ACCOUNTS, bool(accounts_of_release or environments.entries(target.manifest))),
        (capabilities.FOR_MANAGERS, any(account["lingering"] for account in accounts_of_release)),
        (capabilities.FOR_CERTIFICATES, bool(target.manifest["certificates"] or own_certificates.entries(target))),
        (capabilities.FOR_PROXIES, has_proxy),
    )
    return {name: package for programs, is_needed in needs if is_needed for name, package in programs.items()}


def check_programs(world: World, target: Release) -> None:
    """Everything that the release does not bring and cannot do without is named at once."""
    release_paths = {file.path for file in target.files}
    requirements = [item for item in target.manifest["requirements"] if item["path"] not in release_paths]
    # What an artefact brings is looked at once it is here
    requirements = [item for item in requirements if artefacts.locate(target.manifest, item["path"]) == item["path"]]
    missing = [item for item in requirements if not _is_here(world, item["path"])]
    if missing:
        places = "; ".join(dict.fromkeys(f"{item['path']} ({item['reason']})" for item in missing))
        raise Refused(f"missing on this host: {places}. Create it or correct the path, and run again")

    started, paths = programs.started_programs(target.files), [item["path"] for item in requirements]
    complaint_of = {path: programs.complaint(world, path, is_started=path in started) for path in paths}
    complaint_of |= {path: programs.mount_fault(world, path) for path in sorted(started & release_paths)}
    wrong = [f"{path} {complaint}" for path, complaint in complaint_of.items() if complaint]
    if wrong:
        raise Refused(f"cannot be started on this host: {'; '.join(wrong)}. Replace it and run again")
    own = [
        f"{file.path} {complaint}"
        for file in target.files
        if file.mode & 0o111 and (complaint := programs.architecture_complaint(world, file.content))
    ]
    if own:
        raise Refused(f"cannot be started on this host: {'; '.join(own)}. Provide a program built for this host")


def check_programs_behind_links(world: World, target: Release) -> None:
    """The same, of what artefacts and environments of Python bring: asked once they are here. Raises Refused."""
    manifest = target.manifest
    _check_behind(
        world,
        target,
        manifest["artefacts"],
        ("the release's artefact does not fit its service", "Push another one"),
    )
    words = ("the Python environment does not fit its service", "Add what it lacks to its project (uv add)")
    _check_behind(world, target, environments.entries(manifest), words)


def _check_behind(
    world: World, target: Release, entries: Sequence[Artefact | Environment], words: tuple[str, str]
) -> None:
    what, remedy = words
    links = {entry["into"] for entry in entries}
    release_paths = {file.path for file in target.files}
    paths = {
        item["path"]: item["reason"] for item in target.manifest["requirements"] if item["path"] not in release_paths
    }
    place = partial(artefacts.locate, target.manifest)
    place_of = {path: place(path) for path in paths}
    place_of = {path: at for path, at in place_of.items() if any(f"{path}/".startswith(f"{into}/") for into in links)}
    # Releases of an earlier version say nothing of what units start
    programs_of, scripts_of = (
        {path: place(path) for entry in entries for path in entry.get(kind, [])} for kind in ("programs", "scripts")
    )
    paths_by_program = programs_of | scripts_of
    wrong = [
        f"{path} is not in it ({paths[path]})"
        for path, inside in place_of.items()
        if path not in paths_by_program and not world.exists(inside)
    ]
    wrong += [
        f"{path} is not in it, but a unit starts it"
        for path in paths_by_program
        if not world.exists(paths_by_program[path])
    ]
    wrong += [
        f"{path} is not executable, but a unit starts it (chmod +x)"
        for path, inside in programs_of.items()
        if world.exists(inside) and not world.is_executable(inside)
    ]
    place_of = {path: inside for path, inside in place_of.items() if path not in scripts_of} | programs_of
    wrong += [
        f"{path} {why}"
        for path, inside in place_of.items()
        if (why := programs.complaint(world, inside, place, is_started=path in programs_of))
    ]
    if wrong:
        raise Refused(f"{what}: {'; '.join(wrong)}. {remedy}")


def check_former_artefacts(base: Release | None, target: Release) -> None:
    """Where the link to an artefact, or to an environment of Python, was there is nothing else at once: root would
    write, or give rights, through it."""
    now, before = _links(target), _links(base) if base else {}
    former = [into for into in before if into not in now]
    files = [item["path"] for kind in ("files", "environment_files", "links") for item in target.manifest[kind]]
    folders = [item["path"] for item in target.manifest["directories"]]
    for into in former:
        inside = [path for path in [*files, *folders] if path.startswith(f"{into}/")] + [
            p for p in folders if p == into
        ]
        if inside:
            raise Refused(
                f"{inside[0]} lies where the running release has the link to {before[into]} ({into}): deploy once "
                "without both, then with it, or choose another path"
            )


def _links(release: Release) -> dict[str, str]:
    """Each link to what a release brings → what that is."""
    links = {entry["into"]: "an artefact" for entry in release.manifest["artefacts"]}
    return {**links, **{entry["into"]: "an environment of Python" for entry in environments.entries(release.manifest)}}


def check_families(world: World, target: Release) -> None:
    """A proxy does not start that is to listen in a family of addresses that the kernel does not have."""
    sites = [path for proxy, path, text in _proxy_files(target) if proxy.listens_on_ipv6(text)]
    if sites and not world.exists("/proc/net/if_inet6"):
        host = target.manifest["host"]
        raise Refused(
            f"this host has no IPv6, but {sites[0]} listens on it: ipv6: false in infra:hosts, {host}, and run again"
        )


def check_http3(world: World, target: Release) -> None:
    for proxy, path, text in _proxy_files(target):
        http3 = proxy.http3
        if not http3 or not http3.asks(text):
            continue
        if not http3.serves(world):
            raise Refused(
                f"the {proxy.title} of this host has no HTTP/3, but {path} asks for it: install {http3.remedy}, or "
                "take http3 from the site, and run again"
            )
        # The others are of the same proxy
        return


def _proxy_files(target: Release) -> Iterator[tuple[Proxy, str, str]]:
    """The files of its proxy's configuration: whose, where, and their text."""
    for file in target.files:
        if proxy := proxies.by_file(file.path):
            yield proxy, file.path, file.content.decode(errors="replace")


def _is_here(world: World, program: str) -> bool:
    """A path, or the name of a program."""
    return world.exists(program) if program.startswith("/") else world.has_command(program)


def _ways(world: World, target: Release) -> None:
    """Root follows no link that a user laid: where one is in the way it is said before anything is touched."""
    paths = [file.path for file in target.files] + [f"{item['path']}/." for item in target.manifest["directories"]]
    barred = [reason for path in paths if (reason := world.why_barred(path))]
    if barred:
        raise Refused(f"{barred[0]}. Put a directory in its place and run again")


def _places(world: World, target: Release) -> None:
    """Where the release has a file or a link, the host has one too, or nothing: opening a pipe would block, a directory
    cannot be replaced, and a huge file cannot be kept aside."""
    kinds = ("files", "environment_files", "links")
    for path in [item["path"] for kind in kinds for item in target.manifest[kind]]:
        entry = world.entry(path)
        if entry.kind == "other":
            raise Refused(obstacle_line(path, entry.what))


def _memory(world: World, target: Release) -> None:
    limits, has = target.manifest["memory"], world.memory()["MemTotal"]
    if limits > has:
        raise Refused(
            f"the services' memory limits add up to {limits // MiB} MiB, but this machine has {has // MiB} MiB: "
            "lower them, or move a service"
        )


def _ports(world: World, base: Release | None, target: Release) -> None:
    """A port that the present release does not have must be free, or be the service's own already."""
    had = {(entry["port"], entry["protocol"]) for entry in (_listeners(base.manifest) if base else [])}
    private = {way for release in (base, target) if release for way in release.manifest.get("private", [])}
    for entry in _listeners(target.manifest):
        port, protocol = entry["port"], entry["protocol"]
        if (port, protocol) in had:
            continue
        options = "-Hlunp" if protocol == "udp" else "-Hltnp"
        listening = world.run("ss", options, f"sport = :{port}").output.strip().splitlines()
        if protocol == "tcp":
            # Of a service that other hosts call, at the host's private address: it takes no port of 127.0.0.1
            listening = [line for line in listening if not {*line.split()[3:4]} & private]
        if listening and not units.states(world, [entry["unit"]])[entry["unit"]]["active"] and not _own(world, entry):
            program = quoting.quote(listening[-1].split()[-1])
            raise Refused(
                f"port {port}{'/udp' if protocol == 'udp' else ''} of {entry['service']} is taken on the host "
                f"({program}): stop that program, or give the service another port"
            )


def _listeners(manifest: Manifest) -> list[Listener]:
    """Each port of the host that a release listens on, once."""
    listeners: dict[tuple[int, str], Listener] = {
        (entry["port"], "tcp"): {**entry, "protocol": "tcp"} for entry in manifest["ports"]
    }
    for entry in manifest["published"]:
        service, unit, container = entry["service"], entry["unit"], entry["container"]
        for port in range(entry["first"], entry["last"] + 1):
            protocol = entry["protocol"]
            listener = Listener(port=port, service=service, unit=unit, container=container, protocol=protocol)
            listeners.setdefault((port, protocol), listener)
    return list(listeners.values())


def _own(world: World, entry: Listener) -> bool:
    """Is the port the service's own container's, which another unit or a person has started."""
    if not entry.get("container"):
        return False
    published = f"publish={entry['port']}/{entry['protocol']}"
    ran = world.run("docker", "ps", "--filter", published, "--format", "{{.Names}}")
    return ran.output.split() == [entry["container"]]


def disk(world: World, target: Release, absent: MissingImages, unpacked: int = 0) -> None:
    """Is there room for the release, the images that it brings, and the bytes that its artefacts take. Raises Refused,
    saying how much could be freed."""
    needed_bytes = {store.STATE: sum(len(file.content) for file in target.files) * 4 + 16 * MiB}
    if unpacked:
        needed_bytes[artefacts.PLACE] = unpacked + 64 * MiB
    if any("@" in image for image in absent.images):
        root = world.run("docker", "info", "--format", "{{.DockerRootDir}}", timeout=30).output.strip()
        needed_bytes[root] = images.bytes_needed(world, absent)
    disks: dict[int, list[str]] = {}
    for path in needed_bytes:
        usage = world.usage(path) or world.usage("/")
        disks.setdefault(usage.device if usage else 0, []).append(path)
    for paths in disks.values():
        # What lies on one disk is added up; the largest part names it
        path, need = max(paths, key=lambda path: needed_bytes[path]), sum(needed_bytes[path] for path in paths)
        free = world.free(path)
        if free < need:
            gain = prune.reclaimable(world) if "docker" in target.manifest["commands"] else 0
            raise Refused(
                f"no space left on device: {free // MiB} MiB are free under {path}, this release needs about "
                f"{need // MiB} MiB. `infra prune` frees up to {gain // MiB} MiB of unused images; else enlarge the "
                "volume"
            )
