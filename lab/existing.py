"""A machine that no program made: it has a user of its own and made its own host key, like a desktop or a Jetson."""

from dataclasses import dataclass

import yaml

from infra.writing import put
from lab import ports
from lab.cloud import confinement
from lab.cloud.hosts import RUN, boot_options
from lab.run import run, succeeds, wait_until
from lab.settings import HOST_LABEL, LABEL, Lab

USER = "admin"


@dataclass(frozen=True)
class Machine:
    """`host_key` is the public key that its owner would read off its console."""

    container: str
    address: str
    host_key: str


def start(lab: Lab, name: str, number: int, public_key: str, kind: str = "host") -> Machine:
    """Boots it from an image of a kind; `public_key` may log in. Its address is 127.x.254.NUMBER (1–40)."""
    container, address = f"wml-{lab.name}-{name}", f"127.{lab.number}.254.{number}"
    seed = lab.path("hosts", name)
    if succeeds("docker", "inspect", container):
        # Of a start that was interrupted
        run("docker", "rm", "-f", "-v", container)
    seed.mkdir(parents=True, exist_ok=True)
    user = {"name": USER, "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "ssh_authorized_keys": [public_key]}
    put(seed / "user-data", "#cloud-config\n" + yaml.safe_dump({"hostname": name, "users": [user]}))
    put(seed / "meta-data", yaml.safe_dump({"instance-id": name, "local-hostname": name}))
    names = [f"--add-host={host}:{place}" for host, place in lab.host_names.items()]
    published = [option for port in ports.PUBLIC for option in ("-p", f"{address}:{port + lab.shift}:{port}")]
    options, command = boot_options(lab)
    run(
        "docker", "run", "-d", "--name", container, "--hostname", name, "--label", f"{LABEL}={lab.name}",
        "--label", f"{HOST_LABEL}=lab-{name}",
        "--network", lab.bridge, "--ip", f"{lab.gateway.rsplit('.', 1)[0]}.{200 + number}", *names, *published,
        *confinement.options(lab), *RUN, *options, "-v", f"{seed}:/var/lib/cloud/seed/nocloud:ro", lab.image(kind),
        *command,
    )  # fmt: skip
    key = "/etc/ssh/ssh_host_ed25519_key.pub"
    wait_until(f"{name}'s key", lambda: succeeds("docker", "exec", container, "test", "-s", key))
    wait_until(f"{name}'s user", lambda: succeeds("docker", "exec", container, "test", "-e", f"/home/{USER}/.ssh"))
    wait_until(f"{name}'s SSH", lambda: succeeds("docker", "exec", container, "systemctl", "is-active", "ssh"))
    return Machine(container, address, run("docker", "exec", container, "cat", key).strip())


def configuration(machine: Machine, memory: str, *systems: str) -> dict[str, str]:
    """What its owner would write under `infra:hosts.NAME`."""
    return {
        "kind": "ssh", "address": machine.address, "user": USER, "hostKey": machine.host_key, "memory": memory,
        **{f"systems[{number}]": system for number, system in enumerate(systems)},
    }  # fmt: skip


def remove(machine: Machine) -> None:
    run("docker", "rm", "-f", "-v", machine.container)
