"""What is asked of Docker to form a Swarm, drain a host and take a group apart."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from agent import swarm
from agent.swarm import Refused


def node(id, availability="active", role="manager", host=""):
    spec = {"Role": role, "Availability": availability, "Labels": {"infra.host": host} if host else None}
    return {"ID": id, "Version": {"Index": 7}, "Spec": spec, "Status": {"State": "ready"}}


def service(name, replicas=1, group=""):
    labels = {"infra.group": group} if group else None
    mode: dict[str, Any] = {"Replicated": {"Replicas": replicas}}
    spec: dict[str, Any] = {"Name": name, "Labels": labels, "Mode": mode, "TaskTemplate": {}}
    return {"ID": name, "Version": {"Index": 3}, "Spec": spec}


def task(name, at, state="running", desired="running"):
    return {"ServiceID": name, "NodeID": at, "Status": {"State": state}, "DesiredState": desired}


@dataclass
class Docker:
    """Docker in memory; `later` are the tasks after some seconds."""

    nodes: list[Any] = field(default_factory=list)
    services: list[Any] = field(default_factory=list)
    tasks: list[Any] = field(default_factory=list)
    later: list[Any] | None = None
    networks: list[Any] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=lambda: {"Swarm": {"LocalNodeState": "inactive"}})
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    clock: float = 0.0

    def ask(self, method, path, body=None):
        self.asked.append((method, path, copy.deepcopy(body)))
        parts = path.partition("?")[0].split("/")[1:]
        if method == "GET" and parts[0] == "nodes" and len(parts) > 1:
            return copy.deepcopy(next(one for one in self.nodes if one["ID"] == parts[1]))
        if method == "GET" and parts[0] == "services" and len(parts) > 1:
            return copy.deepcopy(next(one for one in self.services if one["ID"] == parts[1]))
        if method == "GET":
            by_path = {
                "info": self.info, "nodes": self.nodes, "services": self.services, "tasks": self.tasks,
                "networks": self.networks, "swarm": {"JoinTokens": {"Manager": "M", "Worker": "W"}},
            }  # fmt: skip
            return by_path[parts[0]]
        if method == "POST" and parts[0] == "nodes":
            self.nodes = [{**one, "Spec": body} if one["ID"] == parts[1] else one for one in self.nodes]
        if method == "DELETE" and parts[0] == "services":
            self.services = [one for one in self.services if one["ID"] != parts[1]]
            self.tasks = [one for one in self.tasks if one["ServiceID"] != parts[1]]
        return None

    def sleep(self, seconds):
        self.clock += seconds
        if self.later is not None and self.clock > 5:
            self.tasks = self.later

    def now(self):
        return self.clock

    def changes(self):
        return [(method, path.partition("?")[0]) for method, path, _ in self.asked if method != "GET"]


def do(docker, action, **payload):
    lines: list[str] = []
    return swarm.ACTIONS[action](docker, {"action": action, **payload}, lines.append), lines


def test_drained_host_is_empty_and_keeps_its_role():
    docker = Docker([node("a"), node("b")], [service("api", 2)], [task("api", "a"), task("api", "b")])
    docker.later = [task("api", "a"), task("api", "a"), task("api", "b", desired="shutdown")]
    _, lines = do(docker, "drain", node="b")
    assert docker.nodes[1]["Spec"] == {"Role": "manager", "Availability": "drain", "Labels": None}
    assert lines[0] == "waiting for api on the other hosts"
    do(docker, "activate", node="b")
    assert docker.nodes[1]["Spec"]["Availability"] == "active"


def test_dismissed_host_gives_up_its_voice_before_it_is_removed():
    docker = Docker([node("a"), {**node("b", availability="drain"), "ManagerStatus": {"Reachability": "reachable"}}])
    sleep = docker.sleep

    def agree(seconds):
        sleep(seconds)
        docker.nodes[1].pop("ManagerStatus", None)

    docker.sleep = agree
    do(docker, "dismiss", node="b")
    assert docker.changes() == [("POST", "/nodes/b/update"), ("DELETE", "/nodes/b")]
    assert docker.nodes[1]["Spec"]["Role"] == "worker"


def test_manager_without_whose_voice_the_swarm_goes_on_is_removed_as_it_is():
    # Docker refuses to demote one that is no member of the Swarm's managers
    docker = Docker([node("a"), node("b")])
    do(docker, "dismiss", node="b")
    assert docker.changes() == [("DELETE", "/nodes/b")]


def test_manager_without_a_majority_says_so_and_knows_no_nodes(monkeypatch):
    docker = Docker(info={"Swarm": {"LocalNodeState": "active", "NodeID": "a", "ControlAvailable": True}})
    ask = docker.ask

    def refuse(method, path, body=None):
        if path == "/nodes":
            raise Refused("The swarm does not have a leader.")
        return ask(method, path, body)

    monkeypatch.setattr(docker, "ask", refuse)
    facts, _ = do(docker, "facts")
    assert (facts["manages"], facts["nodes"], facts["error"]) == (True, [], "The swarm does not have a leader.")
    do(docker, "force", address="10.0.0.1")
    assert docker.asked[-1] == (
        "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "10.0.0.1", "ForceNewCluster": True}
    )  # fmt: skip


def test_host_whose_containers_fit_nowhere_else_stays_a_manager_and_takes_them():
    docker = Docker([node("a"), node("b")], [service("api", 2)], [task("api", "a"), task("api", "b")])
    with pytest.raises(Refused, match="api does not run on the other hosts after 300 s"):
        do(docker, "drain", node="b")
    assert docker.nodes[1]["Spec"] == {"Role": "manager", "Availability": "active", "Labels": None}


def availabilities(docker):
    return [body["Availability"] for method, path, body in docker.asked if method == "POST" and "/nodes/" in path]


def test_what_runs_on_one_host_alone_starts_elsewhere_before_it_stops():
    docker = Docker([node("a"), node("b")], [service("api"), service("web", 2)])
    docker.tasks = [task("api", "b"), task("web", "a"), task("web", "b")]
    docker.later = [task("api", "a"), task("web", "a"), task("web", "a")]
    do(docker, "drain", node="b")
    changes = [(path.partition("?")[0], body) for method, path, body in docker.asked if method == "POST"]
    assert [path for path, _ in changes] == ["/nodes/b/update", "/services/api/update", "/nodes/b/update"]
    assert changes[1][1]["TaskTemplate"] == {"ForceUpdate": 1} and availabilities(docker) == ["pause", "drain"]


def test_copies_that_all_run_on_one_host_are_spread_again():
    docker = Docker([node("a"), node("b")], [service("api", 2), service("web", 2), service("one")])
    docker.tasks = [task("api", "a"), task("api", "a"), task("web", "a"), task("web", "b"), task("one", "a")]
    docker.later = [task("api", "a"), task("api", "b"), task("web", "a"), task("web", "b"), task("one", "a")]
    answer, lines = do(docker, "spread")
    assert answer == {"crowded": []} and docker.changes() == [("POST", "/services/api/update")]
    assert lines == ["api runs on one host alone: its copies are replaced, one after the other"]
    docker.tasks, docker.later = [task("api", "a")] * 2, None
    assert do(docker, "spread")[0] == {"crowded": ["api"]}


def test_what_is_short_already_is_not_waited_for():
    docker = Docker([node("a"), node("b")], [service("api", 9), service("other", 3)], [task("api", "a")])
    docker.tasks += [task("api", "b"), task("other", "a")]
    docker.later = [task("api", "a"), task("api", "a")]
    do(docker, "drain", node="b")
    assert docker.nodes[1]["Spec"]["Availability"] == "drain"


def test_host_that_was_being_drained_when_it_was_interrupted_is_waited_for_again():
    docker = Docker([node("a"), node("b", availability="drain")], [service("api", 2)], [task("api", "a")])
    with pytest.raises(Refused, match="api does not run on the other hosts"):
        do(docker, "drain", node="b")
    docker = Docker([node("a"), node("b", availability="drain")], [service("api", 2)], [task("api", "a")] * 2)
    do(docker, "drain", node="b")
    assert docker.nodes[1]["Spec"]["Availability"] == "drain"


def test_described_node_is_changed_once():
    docker = Docker([node("a", availability="drain", role="worker")])
    for _ in range(2):
        do(docker, "describe", node="a", host="web", role="manager")
    assert docker.changes() == [("POST", "/nodes/a/update")]
    assert docker.nodes[0]["Spec"] == {"Role": "manager", "Availability": "active", "Labels": {"infra.host": "web"}}


def test_group_is_taken_apart_without_what_others_run():
    docker = Docker(services=[service("api", group="web"), service("theirs"), service("shop", group="shop")])
    answer, _ = do(docker, "clear", host="web")
    assert answer == {"others": ["shop", "theirs"]} and docker.changes() == [("DELETE", "/services/api")]


@pytest.mark.parametrize(("state", "changes"), [("inactive", []), ("active", [("POST", "/swarm/leave")])])
def test_swarm_is_left_once(state, changes):
    docker = Docker(info={"Swarm": {"LocalNodeState": state}})
    do(docker, "leave")
    assert docker.changes() == changes


@pytest.mark.parametrize(
    ("networks", "changes"),
    [
        ([], [("POST", "/networks/create")]),
        ([{"Name": "shop-group-2", "Scope": "local"}], [("POST", "/networks/create")]),
        ([{"Name": "shop-group", "Scope": "swarm"}], []),
    ],
)
def test_network_is_made_where_it_is_missing(networks, changes):
    docker = Docker(networks=networks)
    do(docker, "network", name="shop-group", subnet="10.1.0.0/24", gateway="10.1.0.1")
    assert docker.changes() == changes


def test_hosts_own_network_of_that_name_is_not_taken():
    docker = Docker(networks=[{"Name": "shop-group", "Scope": "local"}])
    with pytest.raises(Refused, match="docker network rm it"):
        do(docker, "network", name="shop-group", subnet="10.1.0.0/24", gateway="10.1.0.1")


def test_host_joins_with_its_token_in_no_list_of_processes():
    docker = Docker()
    token = do(docker, "token", role="worker")[0]["token"]
    do(docker, "join", token=token, manager="10.0.0.1", address="10.0.0.2")
    (body,) = [body for method, _, body in docker.asked if method == "POST"]
    assert (body["JoinToken"], body["RemoteAddrs"], body["AdvertiseAddr"]) == ("W", ["10.0.0.1:2377"], "10.0.0.2")


def test_program_says_what_docker_refused_in_one_line(capsys, monkeypatch):
    def refuse(*_):
        raise Refused("no leader")

    monkeypatch.setitem(swarm.ACTIONS, "facts", refuse)
    swarm.main({"action": "facts"})
    assert json.loads(capsys.readouterr().out) == {"refused": "no leader"}


def test_docker_is_asked_again_while_its_managers_choose_a_leader(monkeypatch):
    answers = [Refused("The swarm does not have a leader."), Refused("context deadline exceeded"), {"ok": True}]
    docker, clock = swarm.Docker(), iter(range(100))
    monkeypatch.setattr(docker, "now", lambda: next(clock), raising=False)
    monkeypatch.setattr(docker, "sleep", lambda _: None, raising=False)

    def answer(*_):
        one = answers.pop(0)
        if isinstance(one, Refused):
            raise one
        return one

    monkeypatch.setattr(docker, "_ask", answer, raising=False)
    assert docker.ask("GET", "/nodes") == {"ok": True}
    answers[:] = [Refused("The swarm does not have a leader.")] * 90
    with pytest.raises(Refused, match="leader"):
        docker.ask("GET", "/nodes")


def test_host_that_still_manages_is_not_removed(monkeypatch):
    docker = Docker([node("a"), {**node("b"), "ManagerStatus": {"Reachability": "reachable"}}])
    with pytest.raises(Refused, match="node b still manages the Swarm 60 s after it was demoted"):
        do(docker, "dismiss", node="b")
