"""The machines behind the instances: a container per instance, and its public addresses forwarded to it."""

import base64
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from catalogue.sizes import INSTANCE_TYPES, MiB
from infra.writing import put
from lab import ports
from lab.cloud import confinement, firewall, meminfo, reboots
from lab.cloud.forward import Forwarder
from lab.settings import DELAYS, HOST_LABEL, LABEL, REGION_LABEL, Lab

RUN = [
    "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "-v", "/var/lib/docker",
    "-e", "container=docker", "--stop-signal", "SIGRTMIN+3", "--device-cgroup-rule", "b 7:* rwm",
]  # fmt: skip

# EC2's state → its code, and the state that an instance is in until its machine has followed
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
ON_THE_WAY = {"running": "pending", "stopped": "stopping", "terminated": "shutting-down"}


@dataclass
class Machines:
    """Follows the emulator: a running instance has a running container, a terminated one has none.

    As in EC2 a request answers at once. The instance is pending (stopping, shutting down) until its machine has
    followed, in a thread of its own; `changed()` is called then.
    """

    lab: Lab
    forwarder: Forwarder
    public_address: Callable[[Any], str | None]
    changed: Callable[[], None] = lambda: None
    states: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    workers: dict[str, ThreadPoolExecutor] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def container(self, instance: str) -> str:
        return f"wml-{self.lab.name}-{instance}"

    def follow(self, instances: list[Any]) -> None:
        """Called after every EC2 request with all instances of all regions."""
        with self.lock:
            for instance in instances:
                state = instance.state
                if state in ON_THE_WAY and self.states.get(instance.id) != state:
                    before = self.states.get(instance.id)
                    self._enter(instance, ON_THE_WAY[state])
                    worker = self.workers.setdefault(instance.id, ThreadPoolExecutor(1, f"machine-{instance.id}"))
                    if before is None:
                        self.addresses[instance.id] = f"{self.lab.gateway.rsplit('.', 1)[0]}.{10 + len(self.addresses)}"
                    self.waiting[instance.id] += 1
                    worker.submit(self._change, instance, before, state)
            self._forward(instances)

    def is_running(self, instance: Any) -> bool:
        return self.states.get(instance.id) == "running"

    def _enter(self, instance: Any, state: str) -> None:
        instance._state.name, instance._state.code = state, CODES[state]
        self.states[instance.id] = state

    def _change(self, instance: Any, before: str | None, state: str) -> None:
        """In the instance's own thread: the machine follows, and only then the state does."""
        name = self.container(instance.id)
        try:
            if before is None and state == "running":
                self._boot(instance, name)
            elif state == "running":
                self._start(instance, name)
            elif state == "stopped":
                _docker("stop", "-t", "20", name)
            else:
                _docker("rm", "-f", "-v", name)
        except DockerFailed as failed:
            print(failed, flush=True)
            if state == "running":
                code = "Server.InternalError"
                instance.state_reason = SimpleNamespace(code=code, message=f"{code}: {failed}")
                state = "terminated"
        with self.lock:
            self.waiting[instance.id] -= 1
            # A later request may want something else by now: its turn comes next
            if instance.state in ON_THE_WAY.values() and not self.waiting[instance.id]:
                self._enter(instance, state)
        self.changed()

    def _boot(self, instance: Any, name: str) -> None:
        seed = self.lab.path("hosts", instance.id)
        seed.mkdir(parents=True, exist_ok=True)
        seed.chmod(0o700)
        _seed(seed, instance)
        names = [f"--add-host={host}:{address}" for host, address in self.lab.host_names.items()]
        kind = INSTANCE_TYPES.get(instance.instance_type)
        file, size = self._meminfo(instance), kind.memory if kind else 8192
        meminfo.write(file, size * MiB, 0, 0)
        options, command = boot_options(self.lab)
        _docker(
            "run", "-d", "--name", name, "--hostname", instance.id, "--label", f"{LABEL}={self.lab.name}",
            "--label", f"{HOST_LABEL}={tag(instance, 'Name')}", "--label", f"{REGION_LABEL}={instance.region_name}",
            "--network", self.lab.bridge, "--ip", self.addresses[instance.id], *names, *RUN, *options,
            *confinement.options(self.lab),
            "--memory", f"{size}m", "--memory-swap", f"{size}m", "-v", f"{file}:/proc/meminfo:ro",
            "-v", f"{seed}:/var/lib/cloud/seed/nocloud:ro", self.lab.image(), *command,
        )  # fmt: skip
        meminfo.keep(file, name)
        reboots.follow(name, partial(self._reboot, instance, name))

    def _start(self, instance: Any, name: str) -> None:
        """A machine that was made before boots again."""
        _docker("start", name)
        meminfo.keep(self._meminfo(instance), name)

    def _reboot(self, instance: Any, name: str) -> None:
        try:
            self._start(instance, name)
        except DockerFailed as failed:
            print(failed, flush=True)

    def _meminfo(self, instance: Any) -> Path:
        return self.lab.path("meminfo", instance.id)

    def _forward(self, instances: list[Any]) -> None:
        routes = {}
        for instance in instances:
            public = self.public_address(instance) if self.is_running(instance) else None
            if public:
                inner = self.addresses[instance.id]
                opened = firewall.published_ports(firewall.openings(instance.security_groups, lambda _: []))
                leads = {port: port + self.lab.shift for port in ports.PUBLIC}
                leads |= {port: ports.shift_port(port, self.lab.shift) for port in opened}
                routes |= {(public, listened): (inner, port) for port, listened in leads.items()}
                self.forwarder.delays[inner] = DELAYS.get(instance.region_name, 0.0)
        self.forwarder.set_routes(routes)

    def instance_at(self, address: str) -> str | None:
        """Which instance asks from this address."""
        return next((id for id, inner in self.addresses.items() if inner == address), None)


def boot_options(lab: Lab) -> tuple[list[str], list[str]]:
    """Options and command of `docker run` that boot a host on this machine: see lab/requirements.py."""
    options = json.loads(lab.path("run", "boot.json").read_text())
    return options["run"], options["command"]


def tag(instance: Any, name: str) -> str:
    """The value of one of an instance's tags."""
    return {item["key"]: item["value"] for item in instance.get_tags()}.get(name, "")


def _seed(seed: Path, instance: Any) -> None:
    data = base64.b64decode(instance.user_data.as_bytes()) if instance.user_data else b"#cloud-config\n{}\n"
    put(seed / "user-data", data, 0o600)
    # Machines of two regions may have the same one here, as in AWS, but are on one bridge: only one is reached by it
    network = instance.ec2_backend.get_vpc(instance.vpc_id).cidr_block
    put(seed / "address", f"{instance.private_ip} {network}\n".encode(), 0o644)
    put(seed / "meta-data", json.dumps({"instance-id": instance.id, "local-hostname": instance.id}))


class DockerFailed(Exception):
    """The command that Docker refused, and its reason, in one line."""


def _docker(*arguments: str) -> str:
    result = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=120)
    if result.returncode:
        raise DockerFailed(f"docker {arguments[0]}: {' '.join(result.stderr.split())}")
    return result.stdout.strip()
