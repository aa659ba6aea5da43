"""The machines behind the instances: a container per instance, and its public addresses forwarded to it."""

import base64
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from catalogue.sizes import INSTANCE_TYPES, MiB
from lab.cloud import meminfo
from lab.cloud.forward import Forwarder
from lab.settings import DELAYS, HOST_LABEL, LABEL, REGION_LABEL, Lab

PORTS = (22, 80, 443)
RUN = [
    "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined", "--security-opt",
    "apparmor=unconfined", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "-v",
    "/sys/fs/cgroup:/sys/fs/cgroup:rw", "-v", "/var/lib/docker", "-e", "container=docker",
    "--stop-signal", "SIGRTMIN+3", "--device-cgroup-rule", "b 7:* rwm",
]  # fmt: skip

BARE = [word for place in ("/opt/whisper", "/srv/recall") for word in ("--tmpfs", f"{place}:exec,size=512m")]


@dataclass
class Machines:
    """Follows the emulator: a running instance has a running container, a gone one has none."""

    lab: Lab
    forwarder: Forwarder
    public_address: Callable[[Any], str | None]
    states: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def container(self, instance: str) -> str:
        return f"wml-{self.lab.name}-{instance}"

    def follow(self, instances: list[Any]) -> None:
        """Called after every EC2 request with all instances of all regions."""
        with self.lock:
            for instance in instances:
                state = instance.state
                if self.states.get(instance.id) != state:
                    self._change(instance, self.states.get(instance.id), state)
                    self.states[instance.id] = state
            self._forward(instances)

    def _change(self, instance: Any, before: str | None, state: str) -> None:
        name = self.container(instance.id)
        if before is None and state in ("pending", "running"):
            self._boot(instance, name)
        elif state == "running":
            _docker("start", name)
            meminfo.keep(self._meminfo(instance), name)
        elif state in ("stopping", "stopped"):
            _docker("stop", "-t", "20", name)
        elif state in ("shutting-down", "terminated"):
            _docker("rm", "-f", "-v", name)

    def _boot(self, instance: Any, name: str) -> None:
        seed = self.lab.path("hosts", instance.id)
        seed.mkdir(parents=True, exist_ok=True)
        seed.chmod(0o700)
        _seed(seed, instance)
        names = [f"--add-host={host}:{address}" for host, address in self.lab.host_names.items()]
        known = INSTANCE_TYPES.get(instance.instance_type)
        file, size = self._meminfo(instance), known.memory if known else 8192
        meminfo.write(file, size * MiB, 0, 0)
        address = f"{self.lab.gateway.rsplit('.', 1)[0]}.{10 + len(self.addresses)}"
        self.addresses[instance.id] = address
        # As a machine image has none of the owners' programs, where a test wants one like that
        bare = BARE if self.lab.path("run", "bare").exists() else []
        _docker(
            "run", "-d", "--name", name, "--hostname", instance.id, "--label", f"{LABEL}={self.lab.name}",
            "--label", f"{HOST_LABEL}={tag(instance, 'Name')}", "--label", f"{REGION_LABEL}={instance.region_name}",
            "--network", self.lab.bridge, "--ip", address, *names, *RUN, *bare,
            "--memory", f"{size}m", "--memory-swap", f"{size}m", "-v", f"{file}:/proc/meminfo:ro",
            "-v", f"{seed}:/var/lib/cloud/seed/nocloud:ro", self.lab.image(), "/sbin/init",
        )  # fmt: skip
        meminfo.keep(file, name)

    def _meminfo(self, instance: Any) -> Path:
        return self.lab.path("meminfo", instance.id)

    def _forward(self, instances: list[Any]) -> None:
        wanted = {}
        for instance in instances:
            public = self.public_address(instance) if self.states.get(instance.id) == "running" else None
            if public:
                wanted |= {(public, port): (self.addresses[instance.id], port) for port in PORTS}
                self.forwarder.delays[self.addresses[instance.id]] = DELAYS.get(instance.region_name, 0.0)
        self.forwarder.set_routes(wanted)

    def instance_at(self, address: str) -> str | None:
        """Which instance asks from this address."""
        return next((id for id, inner in self.addresses.items() if inner == address), None)


def tag(instance: Any, name: str) -> str:
    """The value of one of an instance's tags."""
    return {item["key"]: item["value"] for item in instance.get_tags()}.get(name, "")


def _seed(seed: Path, instance: Any) -> None:
    data = base64.b64decode(instance.user_data.as_bytes()) if instance.user_data else b"#cloud-config\n{}\n"
    user_data = seed / "user-data"
    user_data.touch(0o600)
    user_data.write_bytes(data)
    (seed / "meta-data").write_text(json.dumps({"instance-id": instance.id, "local-hostname": instance.id}))


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"docker {arguments[0]} {arguments[-1]}: {done.stderr.strip()}", flush=True)
    return done.stdout.strip()
