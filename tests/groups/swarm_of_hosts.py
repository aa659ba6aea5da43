"""A Docker Swarm in memory, as far as agent/stacks.py asks it; a stack's outcome is decided beforehand."""

import json
from dataclasses import dataclass, field
from typing import Any

from agent.world import CommandResult

STACK = {
    "stack": "web-swarm", "service": "web-swarm_web", "network": "shop-group", "subnet": "10.1.0.0/24",
    "gateway": "10.1.0.1", "replicas": 2, "limit": 60,
}  # fmt: skip

EARLIER = {"ContainerSpec": {"Labels": {"infra.description": "earlier"}}, "ForceUpdate": 0}


@dataclass
class Swarm:
    """`ends` is how an update ends (completed, rollback_completed, paused, or never), after three looks."""

    state: str = "active"
    manages: bool = True
    ends: str = "completed"
    existing: dict[str, Any] | None = None
    file: dict[str, Any] = field(default_factory=lambda: {"x-infra": STACK, "services": {"web": {}}})
    environment: bytes | None = None
    deployed: dict[str, Any] = field(default_factory=dict)
    said: list[tuple[str, ...]] = field(default_factory=list)
    clock: float = 0.0
    leaderless: float = 0.0
    looks: int = 0
    networks: list[str] = field(default_factory=list)
    labelled: dict[str, str] = field(default_factory=dict)
    was_updated: bool = False
    requests: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def read(self, path: str) -> bytes | None:
        return self.environment if path.endswith(".env") else json.dumps(self.file).encode()

    def exists(self, path: str) -> bool:
        return path in self.requests

    def remove(self, path: str) -> None:
        self.requests.remove(path)

    def write(self, path: str, *_: Any) -> None:
        self.requests.append(path)

    def now(self) -> float:
        return self.clock

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def run(self, *argv: str, stdin: str = "", **_: Any) -> CommandResult:
        self.said.append(argv)
        words = argv[1:]
        if words[0] == "info":
            # Hosts that boot together see each other after a while
            error = "The swarm does not have a leader." if self.clock < self.leaderless else ""
            swarm = {"LocalNodeState": self.state, "ControlAvailable": self.manages, "Error": error}
            return CommandResult(0, json.dumps(swarm))
        if words[0] == "node" and not self.manages:
            return CommandResult(1, "Error response from daemon: The swarm does not have a leader.")
        if words[:2] == ("node", "ls"):
            return CommandResult(0, "n1\nn2\nn3")
        if words[:2] == ("node", "inspect"):
            # One that joined without us has no host of ours
            return CommandResult(0, "web-1 ready active web\nweb-2 ready drain web-2\nweb-3 down active \n")
        if words[:2] == ("network", "inspect"):
            return CommandResult(0 if words[2] in self.networks else 1, "")
        if words[:2] == ("network", "create"):
            self.networks.append(words[-1])
        if words[:2] == ("stack", "deploy"):
            self.deployed = json.loads(stdin)
            before = (self.existing or {}).get("Spec", {})
            # Docker keeps the number of restarts that were asked for
            template = before.get("TaskTemplate", {})
            kept = {n: template[n] for n in ("ForceUpdate",) if n in template}
            labels = self.deployed["services"]["web"]["labels"]
            spec = {"TaskTemplate": {"ContainerSpec": {"Labels": labels, "DNSConfig": {}}, **kept}}
            self.was_updated = self.existing is not None and before != spec
            # Nothing is said of the update before it
            self.existing = {"Spec": spec}
            self.looks = 0
        if words[:2] == ("service", "update"):
            self.was_updated = True
            template = (self.existing or {})["Spec"]["TaskTemplate"]
            self.existing = {"Spec": {"TaskTemplate": {**template, "ForceUpdate": 1}}}
        if words[:2] == ("stack", "rm"):
            self.labelled = {id: stack for id, stack in self.labelled.items() if stack != words[2]}
        if words[:2] == ("service", "ls"):
            return CommandResult(0, "\n".join(self.labelled))
        if words[:2] == ("service", "inspect") and "Replicas" in words[3]:
            return CommandResult(0, "web-swarm_web 3 web")
        if words[:2] == ("service", "inspect") and words[-1] in self.labelled:
            return CommandResult(0, self.labelled[words[-1]])
        if words[:2] == ("service", "inspect"):
            return self._inspected()
        if words[:2] == ("service", "ps"):
            return CommandResult(0, "\n".join(map(json.dumps, self._tasks())))
        if words[:3] == ("inspect", "--type", "task"):
            # The earlier ones run until the update is over
            template = (self.existing or {})["Spec"]["TaskTemplate"]
            container: dict[str, Any] = {"Labels": template["ContainerSpec"]["Labels"]}
            # Docker shows what was not written of a service alone
            own = EARLIER if self.was_updated and not self._is_over else {**template, "ContainerSpec": container}
            specs = [{"ID": id, "Spec": own} for id in words[5:]]
            return CommandResult(0, "\n".join(map(json.dumps, specs)))
        if words[:2] == ("service", "logs"):
            return CommandResult(0, "no such table: users")
        return CommandResult(0, "")

    def _inspected(self) -> CommandResult:
        if self.refusals:
            return CommandResult(1, self.refusals.pop(0))
        if self.existing is None:
            return CommandResult(1, "Error: no such service: web-swarm_web")
        self.looks += 1
        # Docker begins an update a moment after it took the description
        if self.was_updated and self.looks > 1:
            self.existing["UpdateStatus"] = {"State": self.ends if self._is_over else "updating"}
        return CommandResult(0, json.dumps(self.existing))

    @property
    def _is_over(self) -> bool:
        return self.looks > 4

    def _tasks(self) -> list[dict[str, str]]:
        is_healthy = self.ends == "completed"
        running = {"DesiredState": "Running", "CurrentState": "Running 3 seconds ago" if is_healthy else "Starting"}
        failed = {"DesiredState": "Shutdown", "CurrentState": "Failed", "Error": "task: non-zero exit (1)"}
        tasks = [{"ID": f"t{number}", "Node": f"web-{number}", "Error": "", **running} for number in (1, 2)]
        return tasks if is_healthy else [*tasks, {"ID": "t3", "Node": "web-3", **failed}]
