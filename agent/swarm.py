"""What forms a Docker Swarm of a group of hosts. Goes to a host by itself, before any release: it imports nothing of
the agent, and speaks JSON lines. Docker is asked through its socket, so that no list of processes shows a token.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, cast

SOCKET = "/run/docker.sock"
PATIENCE = 60.0  # seconds that one answer of Docker may take
MOVING = 300.0  # seconds that the containers of a drained host may take to run elsewhere
ELECTION = 30.0  # seconds that managers may take to choose another leader
PASSING = ("does not have a leader", "context deadline exceeded")
STALE = "out of sequence"

Say = Callable[[str], None]
# What is to be done (`action`, one of ACTIONS), with its own arguments: the host's `address` in the private network,
# the `manager` that is joined by its address with a `token`, the `role` of a host in the Swarm, the `node` that is
# changed and the `host` that it is, what the Swarm takes networks of its own from (`pool`), and a network by `name`,
# `subnet` and `gateway`
Payload = Mapping[str, str]


class Refused(Exception):
    """What Docker said, in one line."""


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


class Docker:
    """Docker's own interface on this host."""

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, out of JSON; None for none. Asked again while managers elect a leader. Raises Refused."""
        until = self.now() + ELECTION
        while True:
            try:
                return self._ask(method, path, body)
            except Refused as refusal:
                if not any(sign in str(refusal) for sign in PASSING) or self.now() > until:
                    raise
                self.sleep(1)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        connection = _Connection("localhost", timeout=PATIENCE)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise Refused(f"Docker does not answer: {error}") from None
        finally:
            connection.close()
        try:
            value = json.loads(content) if content.strip() else None
        except ValueError:
            value = None
        if answer.status >= 400:
            reason = cast("dict[str, Any]", value).get("message", "") if isinstance(value, dict) else content
            raise Refused(" ".join(str(reason).split())[:500] or f"Docker answered {answer.status}")
        return value

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def now(self) -> float:
        return time.monotonic()


def facts(docker: Docker, _payload: Payload, _say: Say) -> dict[str, Any]:
    """What the host knows of the Swarm that it is in; of a manager also the nodes. Where more than half of those that
    manage it are away there are none, and `error` says so."""
    swarm: dict[str, Any] = docker.ask("GET", "/info").get("Swarm") or {}
    cluster: dict[str, Any] = swarm.get("Cluster") or {}
    state: dict[str, Any] = {
        "state": swarm.get("LocalNodeState") or "inactive", "node": swarm.get("NodeID") or "",
        "address": swarm.get("NodeAddr") or "", "manages": bool(swarm.get("ControlAvailable")),
        "error": swarm.get("Error") or "", "cluster": cluster.get("ID", ""), "nodes": [],
    }  # fmt: skip
    if state["manages"]:
        try:
            state["nodes"] = [_node(node) for node in docker.ask("GET", "/nodes")]
        except Refused as refusal:
            state["error"] = str(refusal)
    return state


def _node(node: dict[str, Any]) -> dict[str, Any]:
    manager: dict[str, Any] = node.get("ManagerStatus") or {}
    labels: dict[str, str] = node["Spec"].get("Labels") or {}
    return {
        "id": node["ID"],
        "host": labels.get("infra.host", ""),
        "role": node["Spec"]["Role"],
        "availability": node["Spec"]["Availability"],
        "state": node["Status"]["State"],
        "votes": bool(manager),
        "reachable": manager.get("Reachability") == "reachable",
        "leads": bool(manager.get("Leader")),
    }


def begin(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """A new Swarm with this host as its manager."""
    body = {
        "ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": payload["address"], "DataPathAddr": payload["address"],
        "DefaultAddrPool": [payload["pool"]], "SubnetSize": 24,
    }  # fmt: skip
    docker.ask("POST", "/swarm/init", body)
    return {}


def force(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """The Swarm that this host manages, with all that it runs, managed by this host alone from now on."""
    body = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": payload["address"], "ForceNewCluster": True}
    docker.ask("POST", "/swarm/init", body)
    return {}


def token(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """What a host joins with, in a role."""
    return {"token": docker.ask("GET", "/swarm")["JoinTokens"]["Manager" if payload["role"] == "manager" else "Worker"]}


def rotate(docker: Docker, _payload: Payload, _say: Say) -> dict[str, Any]:
    """Other tokens: who knew one cannot join with it any more."""
    swarm = docker.ask("GET", "/swarm")
    query = f"version={swarm['Version']['Index']}&rotateWorkerToken=true&rotateManagerToken=true"
    docker.ask("POST", f"/swarm/update?{query}", swarm["Spec"])
    return {}


def join(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    body = {
        "ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": payload["address"], "DataPathAddr": payload["address"],
        "RemoteAddrs": [f"{payload['manager']}:2377"], "JoinToken": payload["token"],
    }  # fmt: skip
    docker.ask("POST", "/swarm/join", body)
    return {}


def leave(docker: Docker, _payload: Payload, _say: Say) -> dict[str, Any]:
    if docker.ask("GET", "/info")["Swarm"]["LocalNodeState"] != "inactive":
        docker.ask("POST", "/swarm/leave?force=true")
    return {}


def clear(docker: Docker, payload: Payload, say: Say) -> dict[str, Any]:
    """A Swarm without the services of a group, which is the `host` that leads it; `others` are services that it never
    had, whose Swarm this is too."""
    services = docker.ask("GET", "/services")
    label = ("infra.group", payload["host"])
    own = [one for one in services if label in cast("dict[str, str]", one["Spec"].get("Labels") or {}).items()]
    for service in own:
        say(f"removing {service['Spec']['Name']}")
        docker.ask("DELETE", f"/services/{service['ID']}")
    ids, until = {service["ID"] for service in own}, docker.now() + PATIENCE
    while any(task["ServiceID"] in ids for task in docker.ask("GET", "/tasks")) and docker.now() < until:
        docker.sleep(1)
    return {"others": sorted(one["Spec"]["Name"] for one in services if one not in own)}


def _update(docker: Docker, id: str, change: Callable[[dict[str, Any]], None], tries: int = 5) -> None:
    """Raises Refused. The Swarm itself may change a node in between."""
    node = docker.ask("GET", f"/nodes/{id}")
    spec = node["Spec"]
    before = json.dumps(spec, sort_keys=True)
    change(spec)
    if json.dumps(spec, sort_keys=True) == before:
        return
    try:
        docker.ask("POST", f"/nodes/{id}/update?version={node['Version']['Index']}", spec)
    except Refused as refusal:
        if STALE not in str(refusal) or tries == 1:
            raise
        _update(docker, id, change, tries - 1)


def describe(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """The name and the role of a node, which takes containers."""
    own, role = {"infra.host": payload["host"]}, payload["role"]
    _update(
        docker,
        payload["node"],
        lambda spec: spec.update(Labels={**(spec.get("Labels") or {}), **own}, Role=role, Availability="active"),
    )
    return {}


def drain(docker: Docker, payload: Payload, say: Say) -> dict[str, Any]:
    """A node whose containers run elsewhere after it. Raises Refused when they do not, and it takes containers then."""
    id = payload["node"]
    copies = _copies_needed(docker, id)
    try:
        # Docker would stop what runs here alone before it starts it elsewhere
        alone = [name for name, nodes in _running(docker).items() if {*nodes} == {id}]
        _make_available(docker, id, "pause")
        for name in alone:
            _replace_containers(docker, name)
        _await_elsewhere(docker, {name: copies[name] for name in alone if name in copies}, say)
        _make_available(docker, id, "drain")
        _await_elsewhere(docker, copies, say)
    except Refused:
        _make_available(docker, id, "active")
        raise
    return {}


def _copies_needed(docker: Docker, node: str) -> dict[str, int]:
    """How many of each service must run elsewhere, where one of it runs on a node: as many as run now, since what is
    short already is not this node's affair. Where it was being drained already: as many as are described."""
    running = _running(docker)
    if docker.ask("GET", f"/nodes/{node}")["Spec"]["Availability"] == "active":
        return {name: len(nodes) for name, nodes in running.items() if node in nodes}
    replicated = {one["Spec"]["Name"]: one["Spec"]["Mode"].get("Replicated") for one in docker.ask("GET", "/services")}
    return {name: mode["Replicas"] for name, mode in replicated.items() if mode}


def _replace_containers(docker: Docker, name: str) -> None:
    """Has the Swarm replace the containers of a service, each new one before the old one ends (its own order)."""
    service = docker.ask("GET", f"/services/{name}")
    template = service["Spec"]["TaskTemplate"]
    template["ForceUpdate"] = template.get("ForceUpdate", 0) + 1
    docker.ask("POST", f"/services/{service['ID']}/update?version={service['Version']['Index']}", service["Spec"])


def _await_elsewhere(docker: Docker, copies: Mapping[str, int], say: Say) -> None:
    """Until so many of each service run on nodes that take containers. Raises Refused."""
    until = docker.now() + MOVING
    while True:
        running = _running(docker, active=True)
        names = [name for name, count in copies.items() if len(running.get(name, [])) < count]
        if not names:
            return
        if docker.now() > until:
            raise Refused(f"{', '.join(names)} does not run on the other hosts after {MOVING:.0f} s")
        say(f"waiting for {', '.join(names)} on the other hosts")
        docker.sleep(2)


def activate(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """A node that takes containers again."""
    _make_available(docker, payload["node"], "active")
    return {}


def spread(docker: Docker, _payload: Payload, say: Say) -> dict[str, Any]:
    """What has several copies, and all on one node, runs on others too: Docker moves nothing by itself. Those that
    still run on one (`crowded`) may fit nowhere else."""
    names = [name for name, nodes in _running(docker).items() if len(nodes) > 1 == len({*nodes})]
    for name in names:
        say(f"{name} runs on one host alone: its copies are replaced, one after the other")
        _replace_containers(docker, name)
    until = docker.now() + MOVING
    while names and docker.now() < until:
        docker.sleep(2)
        running = _running(docker)
        names = [name for name in names if len({*running.get(name, [])}) < 2]
    return {"crowded": names}


def _make_available(docker: Docker, node: str, availability: str) -> None:
    _update(docker, node, lambda spec: spec.update(Availability=availability))


def dismiss(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """A node that manages nothing and is in the Swarm no more. It is drained, or gone."""
    path, until = f"/nodes/{payload['node']}", docker.now() + PATIENCE
    # One whose voice does not count any more cannot be demoted, and need not be
    if docker.ask("GET", path).get("ManagerStatus"):
        _update(docker, payload["node"], lambda spec: spec.update(Role="worker"))
    # It counts until the others have agreed to that: removed before, it would be missed for ever
    while docker.ask("GET", path).get("ManagerStatus"):
        if docker.now() > until:
            raise Refused(f"node {payload['node']} still manages the Swarm {PATIENCE:.0f} s after it was demoted")
        docker.sleep(1)
    docker.ask("DELETE", f"{path}?force=true")
    return {}


def _running(docker: Docker, active: bool = False) -> dict[str, list[str]]:
    """Service → the node of each of its containers that runs and is to run; with `active` on nodes that take some."""
    nodes = [node for node in docker.ask("GET", "/nodes") if node["Spec"]["Availability"] == "active" or not active]
    ids = {node["ID"] for node in nodes}
    names = {service["ID"]: service["Spec"]["Name"] for service in docker.ask("GET", "/services")}
    places: dict[str, list[str]] = {}
    for task in docker.ask("GET", "/tasks"):
        runs = task["Status"]["State"] == "running" and task["DesiredState"] == "running"
        if runs and task.get("NodeID") in ids and task["ServiceID"] in names:
            places.setdefault(names[task["ServiceID"]], []).append(task["NodeID"])
    return places


def network(docker: Docker, payload: Payload, _say: Say) -> dict[str, Any]:
    """A network of the Swarm that any of its containers can join, unless it is there."""
    names = json.dumps({"name": [payload["name"]]})
    existing = docker.ask("GET", f"/networks?filters={urllib.parse.quote(names)}")
    own = [one for one in existing if one["Name"] == payload["name"]]
    if any(one["Scope"] == "swarm" for one in own):
        return {}
    if own:
        raise Refused(f"Docker has a network {payload['name']} that is not the Swarm's: docker network rm it")
    body = {
        "Name": payload["name"], "Driver": "overlay", "Attachable": True, "CheckDuplicate": True,
        "IPAM": {"Config": [{"Subnet": payload["subnet"], "Gateway": payload["gateway"]}]},
    }  # fmt: skip
    docker.ask("POST", "/networks/create", body)
    return {}


ACTIONS: dict[str, Callable[[Docker, Payload, Say], dict[str, Any]]] = {
    action.__name__: action
    for action in (
        facts, begin, force, token, rotate, join, leave, clear, describe, drain, activate, spread, dismiss, network,
    )
}  # fmt: skip


def main(payload: Payload) -> None:
    over, printing = threading.Event(), threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with printing:
            print(json.dumps(event), flush=True)

    def breathe() -> None:
        # A listener gives up on what says nothing
        while not over.wait(5):
            say({})

    threading.Thread(target=breathe, daemon=True).start()
    try:
        say({"done": ACTIONS[payload["action"]](Docker(), payload, lambda line: say({"say": line}))})
    except Refused as refusal:
        say({"refused": str(refusal)})
    finally:
        over.set()
