"""Spread services: what a host of a group has the Docker Swarm run, and the way there from its own ports."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from agent.documents.answers import GroupState, SpreadState
from agent.documents.manifest import Manifest
from agent.documents.stacks import EntryFile, GroupFile, StackFile
from agent.outcome import Refused
from agent.world import World

BOOT = 120.0  # seconds until a host that has just started knows its Swarm
IMAGE = "infra-entry:1"
UNPRIVILEGED = 65534  # the number of an account that owns nothing
NGINX = "/usr/sbin/nginx"
CONFIGURATION = "/etc/infra/entry.conf"
GROUP_FILE = "/etc/infra/group.json"
# What a program of this host needs where nothing else is
PROGRAMS = ("/usr", "/lib", "/lib64")
FAILED = ("paused", "rollback_completed", "rollback_paused")
ELECTION = 30.0  # seconds that managers may take to elect another leader
MISSING = ("no such service", "not found")
DESCRIPTION = "infra.description"
# A file in it, by a unit's name: its service is to be started again though nothing of it changed
RESTARTS = "/run/infra-restarts"
Say = Callable[[str], None]


def request_restart(world: World, manifest: Manifest, units: Collection[str]) -> None:
    """Has the next start of these units replace the containers of their spread services, one after the other."""
    for unit in sorted({entry["unit"] for entry in manifest.get("spread", [])} & {*units}):
        world.write(f"{RESTARTS}/{unit}", b"", 0o600, "root", "root")


def apply(world: World, path: str, say: Say) -> int:
    """Has the Swarm run what a stack's file says, and waits until it does. Raises Refused, after which it runs what it
    ran before."""
    document: dict[str, Any] = json.loads(world.read(path) or b"{}")
    stack: StackFile = document["x-infra"]
    _demand_swarm(world, manages=True)
    ensure_network(world, stack["network"], stack["subnet"], stack["gateway"])
    name, before = stack["service"], _service(world, stack["service"])
    for entry in document["services"].values():
        _take_environment_in(world, entry)
    _mark(document)
    # On standard input: no file but the environment's own has its secrets
    words = ["docker", "stack", "deploy", "--prune", "--resolve-image", "never", "-c", "-", stack["stack"]]
    ran = world.run(*words, stdin=json.dumps(document, ensure_ascii=False))
    if ran.code:
        raise Refused(f"{name}: {ran.last_lines(2)}")
    request = f"{RESTARTS}/{stack['stack']}.service"
    if world.exists(request):
        world.remove(request)
        # All of a new one are new
        ran = world.run("docker", "service", "update", "--detach", "--force", name) if before else None
        if ran and ran.code:
            raise Refused(f"{name}: {ran.last_lines(2)}")
    try:
        _wait(world, stack, before, say)
    except Refused:
        if before is None:
            # There is nothing that it could go back to
            world.run("docker", "stack", "rm", stack["stack"])
        raise
    return 0


def _mark(document: dict[str, Any]) -> None:
    """Has each container carry of which description it is. Docker says of a container's and of a service's
    description different things: only the second one has what it means where it says nothing."""
    for entry in document["services"].values():
        # How many run, and where, is nothing of a container's own
        own = {
            part: value for part, value in entry.get("deploy", {}).items() if part in ("resources", "restart_policy")
        }
        text = json.dumps({**entry, "deploy": own}, sort_keys=True)
        mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        entry["labels"] = {**entry.get("labels", {}), DESCRIPTION: mark}


def _take_environment_in(world: World, entry: dict[str, Any]) -> None:
    """The variables of a service's environment files beside its own. Docker would read these files itself, but with
    the quotes that Compose takes off. Raises Refused where one is missing."""
    values: dict[str, str] = {}
    for path in entry.pop("env_file", []):
        content = world.read(path)
        if content is None:
            raise Refused(f"{path} is missing: pulumi up restores it")
        for line in content.decode().splitlines():
            name, _, value = line.partition("=")
            is_quoted = len(value) > 1 and value.startswith("'") and value.endswith("'")
            # What begins with a $ would be a variable of the stack's file
            values[name] = (value[1:-1] if is_quoted else value).replace("$", "$$")
    if values:
        entry["environment"] = {**values, **entry.get("environment", {})}


def _service(world: World, name: str) -> dict[str, Any] | None:
    """What the Swarm has under a name; None where it has nothing. While the managers elect a leader it is asked again.
    Raises Refused."""
    until = world.now() + ELECTION
    while True:
        ran = world.run("docker", "service", "inspect", "-f", "{{json .}}", name)
        if ran.code == 0:
            return json.loads(ran.output)
        if any(sign in ran.output.lower() for sign in MISSING):
            return None
        if world.now() > until:
            raise Refused(f"{name}: {ran.last_lines(1)}")
        world.sleep(1)


def _wait(world: World, stack: StackFile, before: dict[str, Any] | None, say: Say) -> None:
    """Until all copies of a service run as it is described now, and are healthy: Docker counts one as running only
    then. A deployment takes away what Docker said of the one before. Raises Refused."""
    name, until = stack["service"], world.now() + stack["limit"]
    while True:
        service = _service(world, name) or {}
        update: dict[str, str] = service.get("UpdateStatus") or {}
        state = update.get("State", "")
        if state in FAILED:
            raise Refused(f"{name} is unhealthy in the Swarm: {_reason(world, name)}")
        running = _running_as(world, name, service)
        # What is as it was is not this start's affair: a host that boots serves while another one is away
        is_unchanged = before is not None and service.get("Spec") == before.get("Spec")
        if state in ("", "completed") and len(running) >= (1 if is_unchanged else stack["replicas"]):
            say(f"{name}: {len(running)} running on {', '.join(sorted(set(running)))}")
            return
        if world.now() > until:
            raise Refused(
                f"{name}: {len(running)} of {stack['replicas']} are healthy in the Swarm after "
                f"{stack['limit']} s: {_reason(world, name)}"
            )
        world.sleep(1)


def _tasks(world: World, name: str) -> list[dict[str, str]]:
    ran = world.run("docker", "service", "ps", "--no-trunc", "--format", "{{json .}}", name)
    return [json.loads(line) for line in ran.output.splitlines() if line.startswith("{")] if ran.code == 0 else []


def _healthy(world: World, name: str) -> list[dict[str, str]]:
    return [
        task
        for task in _tasks(world, name)
        if task["DesiredState"] == "Running" and task["CurrentState"].startswith("Running")
    ]


def _running(world: World, name: str) -> list[str]:
    """The hosts on which one of it is healthy, by Docker's names."""
    return [task["Node"] for task in _healthy(world, name)]


def _running_as(world: World, name: str, service: dict[str, Any]) -> list[str]:
    """Those on which one is healthy that was started from what the service is now."""
    host_of = {task["ID"]: task["Node"] for task in _healthy(world, name)}
    if not host_of or not service:
        return []
    ran = world.run("docker", "inspect", "--type", "task", "-f", "{{json .}}", *host_of)
    # One may be removed in between: the others are shown all the same
    tasks: list[dict[str, Any]] = [json.loads(line) for line in ran.output.splitlines() if line.startswith("{")]
    described = _mark_of(service["Spec"]["TaskTemplate"])
    return [host_of[task["ID"]] for task in tasks if _mark_of(task["Spec"]) == described]


def _mark_of(spec: dict[str, Any]) -> tuple[str | None, int]:
    """The description that a container is started from, and how often it was replaced though nothing had changed."""
    labels: dict[str, str] = spec.get("ContainerSpec", {}).get("Labels") or {}
    return labels.get(DESCRIPTION), spec.get("ForceUpdate", 0)


def remove_left(world: World, before: Manifest | None, after: Manifest | None) -> list[str]:
    """Has the Swarm end the spread services of a release that is left, of which the other one has none: a container of
    their own runs in their place. What of it did not happen. Safe to repeat."""
    own_units = {unit["name"] for unit in (before or {}).get("units", [])}
    staying_names = {entry["name"] for entry in (after or {}).get("spread", [])}
    complaints: list[str] = []
    for entry in (before or {}).get("spread", []):
        name = entry["name"]
        if entry["unit"] not in own_units or name in staying_names:
            continue
        ran = world.run("docker", "service", "rm", name)
        # A Swarm that is left has none either
        if ran.code and not any(sign in ran.output.lower() for sign in (*MISSING, "not a swarm manager")):
            complaints.append(f"the Swarm still runs {name}: {ran.last_lines(1)}")
    return complaints


def _reason(world: World, name: str) -> str:
    """What went wrong with one of it last, and what that one said."""
    failed = [task for task in _tasks(world, name) if task.get("Error")]
    if not failed:
        return f"no new one passed its health check (docker service ps {name})"
    task = failed[0]
    ran = world.run("docker", "service", "logs", "--raw", "--tail", "3", task["ID"])
    last_line = ran.last_lines(1) if ran.code == 0 and ran.output.strip() else ""
    return f"{task['Error']} on {task['Node']}{f': {last_line}' if last_line else ''}"


def ensure_network(world: World, name: str, subnet: str, gateway: str) -> None:
    """The network of a group's containers. Raises Refused."""
    if world.run("docker", "network", "inspect", name).code == 0:
        return
    ran = world.run(
        "docker", "network", "create", "--driver", "overlay", "--attachable", "--subnet", subnet, "--gateway", gateway,
        name,
    )  # fmt: skip
    if ran.code and world.run("docker", "network", "inspect", name).code:
        raise Refused(f"network {name}: {ran.last_lines(1)}")


def _demand_swarm(world: World, manages: bool) -> None:
    """Raises Refused where this host is in no Swarm, or `manages` none, or too few managers see each other; one that
    has just started gets some time."""
    until = world.now() + BOOT
    while True:
        ran = world.run("docker", "info", "-f", "{{json .Swarm}}")
        swarm: dict[str, Any] = json.loads(ran.output) if ran.code == 0 else {}
        is_in = swarm.get("LocalNodeState") == "active"
        is_manager = bool(swarm.get("ControlAvailable"))
        # While the managers elect a leader, or cannot, nothing can be changed
        if is_in and (not manages or (is_manager and not swarm.get("Error"))):
            return
        if swarm.get("LocalNodeState") == "inactive" or world.now() > until:
            reason = swarm.get("Error") or f"its state is {swarm.get('LocalNodeState') or 'unknown'}"
            if is_in and is_manager:
                raise Refused(
                    f"too few of the hosts that manage the Swarm see each other ({reason}): start those that are away; "
                    "if they do not come back, infra recover-quorum"
                )
            what = "manages no Docker Swarm" if is_in else "is in no Docker Swarm"
            raise Refused(
                f"this host {what} ({reason}): a new machine joins with pulumi up, one that left with infra "
                "recover-quorum (docs/groups.md)"
            )
        world.sleep(2)


def check_group(world: World, path: str, say: Say) -> int:
    """Looks whether this host is in its group's Swarm. On the group's first host it removes what is not to run any
    more. Raises Refused."""
    group: GroupFile = json.loads(world.read(path) or b"{}")
    stacks = group["stacks"]
    _demand_swarm(world, manages=stacks is not None)
    if stacks is None:
        return 0
    for id in _services_of(world, group["leader"]):
        label = '{{index .Spec.Labels "com.docker.stack.namespace"}}'
        stack = world.run("docker", "service", "inspect", "-f", label, id).output.strip()
        if stack and stack not in stacks:
            say(f"removing {stack}")
            world.run("docker", "stack", "rm", stack)
    return 0


def group_state(world: World) -> GroupState | None:
    """How the group is that this host leads; None where it leads none."""
    content = world.read(GROUP_FILE)
    group: GroupFile | None = json.loads(content) if content else None
    if group is None or group["stacks"] is None:
        return None
    ids = world.run("docker", "node", "ls", "-q")
    if ids.code:
        return {"hosts": {}, "services": {}, "error": ids.last_lines(1)}
    form = '{{.Description.Hostname}} {{.Status.State}} {{.Spec.Availability}} {{index .Spec.Labels "infra.host"}}'
    nodes = [
        line.split()
        for line in world.run("docker", "node", "inspect", "-f", form, *ids.output.split()).output.splitlines()
    ]
    host_of = {name: (host or [name])[0] for name, _, _, *host in nodes}
    # A host that is drained for a reboot takes nothing until that is over
    states = {
        host_of[name]: "drained" if (state, takes) == ("ready", "drain") else state for name, state, takes, *_ in nodes
    }
    services: dict[str, SpreadState] = {}
    form = '{{.Spec.Name}} {{.Spec.Mode.Replicated.Replicas}} {{index .Spec.Labels "infra.service"}}'
    for id in _services_of(world, group["leader"]):
        name, replicas, *service = world.run("docker", "service", "inspect", "-f", form, id).output.split()
        places = [host_of.get(node, node) for node in _running(world, name)]
        services[(service or [name])[0]] = {"replicas": int(replicas), "hosts": sorted(places)}
    return {"hosts": states, "services": services, "error": ""}


def _services_of(world: World, leader: str) -> list[str]:
    """The ids of a group's spread services in the Swarm."""
    return world.run("docker", "service", "ls", "-q", "--filter", f"label=infra.group={leader}").output.split()


def enter(world: World, path: str) -> NoReturn:
    """Becomes the container that leads into a group's network: the host's own proxy program, with nothing else of the
    host in it. Raises Refused."""
    entry: EntryFile = json.loads(world.read(path) or b"{}")
    _demand_swarm(world, manages=False)
    ensure_network(world, entry["network"], entry["subnet"], entry["gateway"])
    if world.run("docker", "image", "inspect", IMAGE).code:
        ran = world.run("sh", "-c", f"tar -c --files-from /dev/null | docker import - {IMAGE}")
        if ran.code:
            raise Refused(f"image {IMAGE}: {ran.last_lines(1)}")
    world.run("docker", "rm", "--force", entry["name"])
    configuration = f"{entry['sockets']}.conf"
    world.write(configuration, entry["configuration"].encode(), 0o644, "root", "root")
    # It runs as no one, and listens here
    os.chown(entry["sockets"], UNPRIVILEGED, UNPRIVILEGED)
    places = [(path, path, ",readonly") for path in PROGRAMS if os.path.isdir(path)]
    places += [(configuration, CONFIGURATION, ",readonly"), (entry["sockets"], entry["sockets"], "")]
    mounts = [f"type=bind,source={source},target={target}{mode}" for source, target, mode in places]
    words = [
        "docker", "run", "--rm", "--name", entry["name"], "--network", entry["network"],
        "--user", f"{UNPRIVILEGED}:{UNPRIVILEGED}", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--memory", "128m", "--stop-signal", "SIGQUIT",
        "--label", "object_systemd_unit=infra-entry", "--log-driver", "journald",
        *(word for mount in mounts for word in ("--mount", mount)),
        IMAGE, NGINX, "-c", CONFIGURATION, "-g", "daemon off;",
    ]  # fmt: skip
    os.execvp("docker", words)
