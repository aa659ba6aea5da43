"""Docker of a host in memory: its networks, and the containers in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from agent.engine import Declined
from agent.world import CommandResult


@dataclass
class Docker:
    """`networks` are name → (subnet, gateway, project); `containers` name → network → address. `right` is how a manifest
    wants it: what a network's unit makes."""

    networks: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    # Started by hand or by another compose project: id → what Docker says of it
    foreign: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    killed: list[str] = field(default_factory=list)
    silence: str = ""
    # Image → the places for data that it declares, as Docker has them
    declared: dict[str, dict[str, Any]] = field(default_factory=dict)
    # What all images say beside that
    image_config: dict[str, Any] = field(default_factory=dict)
    # Container → its state beyond Running and Pid
    states: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Docker:
        own = {"bridge": ("172.17.0.0/16", "172.17.0.1", ""), "host": ("", "", "")}
        made = cls(networks=own, right=manifest)
        made.make()
        return made

    def make(self) -> None:
        self.networks |= {n["name"]: (n["subnet"], n["gateway"], "") for n in self.right["networks"]}
        self.containers |= {c["name"]: {c["network"] or "host": c["address"]} for c in self.right["containers"]}

    def pid(self, name: str) -> int:
        return 100 + list(self.containers).index(name)

    def resolve(self, pid: int, name: str) -> str:
        """The address of a name in the networks of a process's container."""
        asking = next(own for own in self.containers if self.pid(own) == pid)
        shared = self.containers[asking].keys() & self.containers.get(name, {}).keys()
        return self.containers[name][min(shared)] if shared else ""

    def has(self, path: str) -> bytes:
        """What its socket answers to a GET."""
        if self.silence:
            raise OSError(self.silence)
        way = path.partition("?")[0].strip("/").split("/")
        if way == ["containers", "json"]:
            # One that ends between the list and its turn
            ours = [{"Id": name} for name in [*self.containers, "gone"]]
            theirs = [
                {
                    "Id": id,
                    "Names": [entry["Name"]],
                    "State": "running" if entry["State"]["Running"] else "exited",
                    "Labels": entry["Config"]["Labels"],
                    "NetworkSettings": entry["NetworkSettings"],
                }
                for id, entry in self.foreign.items()
            ]
            return json.dumps([*ours, *theirs]).encode()
        if way[0] == "containers" and way[2:] == ["json"] and way[1] in self.foreign:
            return json.dumps(self.foreign[way[1]]).encode()
        if way[0] == "containers" and way[2:] == ["json"] and way[1] in self.containers:
            return json.dumps(self._container(way[1])).encode()
        if way[0] == "images" and way[-1] == "json":
            name = "/".join(way[1:-1])
            return json.dumps(
                {"Id": f"id of {name}", "Config": {**self.image_config, "Volumes": self.declared.get(name)}}
            ).encode()
        if way == ["volumes"]:
            return json.dumps({"Volumes": [{"Name": name} for name in sorted(self.volumes)]}).encode()
        if way == ["networks"]:
            return json.dumps([self._network(name) for name in self.networks]).encode()
        if way == ["events"]:
            events = ({"Actor": {"Attributes": {"name": name}}} for name in self.killed)
            return b"".join(json.dumps(event).encode() + b"\n" for event in events)
        raise Declined(f"Docker answered 404 to {path}")

    def answer(self, argv: tuple[str, ...]) -> CommandResult | None:
        """What the docker command says, or None for what this does not play."""
        if argv[:3] == ("docker", "network", "disconnect"):
            del self.containers[argv[4]][argv[3]]
        elif argv[:4] == ("docker", "network", "connect", "--ip"):
            self.containers[argv[-1]][argv[-2]] = argv[4]
        elif argv[:3] == ("systemctl", "restart", "--no-block") and argv[3] in {
            n["unit"] for n in self.right.get("networks", [])
        }:
            self.make()
        elif argv[:2] in {("docker", verb) for verb in ("update", "stop", "rename", "start", "rm")}:
            return self._changed(argv[1], argv[2:])
        else:
            return None
        return CommandResult(0, "")

    def run_by_hand(self, id: str, name: str, labels: dict[str, str] | None = None, **host: Any) -> None:
        """`docker run`, or another one's compose file: a container that runs and has an anonymous volume."""
        self.foreign[id] = {
            "Name": f"/{name}", "State": {"Running": True, "StartedAt": f"2026-01-01T00:00:0{len(self.foreign)}Z"},
            "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, **host},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.9"}}}, "Config": {"Labels": labels or {}},
            "Mounts": [{"Type": "volume", "Name": f"volume-of-{name}"}],
        }  # fmt: skip

    def _changed(self, verb: str, words: tuple[str, ...]) -> CommandResult:
        ids = [word for word in words if word in self.foreign]
        if not ids:
            return CommandResult(1, f"Error: No such container: {words[0]}")
        for entry in (self.foreign[id] for id in ids):
            if verb == "update":
                name, _sign, count = words[0].removeprefix("--restart=").partition(":")
                entry["HostConfig"]["RestartPolicy"] = {"Name": name, "MaximumRetryCount": int(count or 0)}
            elif verb == "rename":
                if f"/{words[1]}" in [other["Name"] for other in self.foreign.values()]:
                    return CommandResult(1, f'Error: Conflict. The container name "/{words[1]}" is already in use')
                entry["Name"] = f"/{words[1]}"
            elif verb in ("stop", "start"):
                entry["State"]["Running"] = verb == "start"
        if verb == "rm":
            for id in ids:
                del self.foreign[id]
        return CommandResult(0, "")

    def _container(self, name: str) -> dict[str, Any]:
        networks = {network: {"IPAddress": address} for network, address in self.containers[name].items()}
        state = {"Running": name not in self.stopped, "Pid": self.pid(name), **self.states.get(name, {})}
        return {"Name": f"/{name}", "State": state, "NetworkSettings": {"Networks": networks}}

    def _network(self, name: str) -> dict[str, Any]:
        subnet, gateway, project = self.networks[name]
        labels = {"com.docker.compose.project": project} if project else None
        return {
            "Id": f"id of {name}",
            "Name": name,
            "IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway}]},
            "Labels": labels,
        }
