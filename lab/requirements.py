"""What a lab needs of a machine: one pure decision over its facts (lab/facts.py), and how a person reads it."""

from dataclasses import dataclass, field

from lab.facts import MachineFacts

# Program or file → the Debian or Ubuntu package that brings it
PACKAGES = {
    "apparmor_parser": "apparmor",
    "curl": "curl",
    "debootstrap": "debootstrap",
    "dockerd": "docker.io",
    "iptables": "iptables",
    "iptables-restore": "iptables",
    "ip": "iproute2",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "skopeo": "skopeo",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
MEMORY = 4.0  # GiB available: three hosts with 24 services, registries, the emulated cloud, Pulumi
# GiB of disk that a lab fills: what is built once, and what runs
DISK = {"pulumi": 2.0, "images": 2.0, "lab": 1.5}
# What is built once → minutes, on two processors
MINUTES = {"pulumi": 3, "images": 2}
DOCKER_OLDEST = (20, 10)
ARCHITECTURES = ("x86_64", "aarch64")


@dataclass(frozen=True)
class Needs:
    """`run` are the options of `docker run` that boot a host with systemd, `command` is what it runs; `problems` are
    why no lab can start here, each with its remedy; `warnings` are worth reading; `minutes` is what will be built."""

    packages: list[str] = field(default_factory=list)
    starts_docker: bool = False
    run: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    minutes: int = 0


def decide(facts: MachineFacts) -> Needs:
    """Everything that follows from a machine's facts. Pure: tests/lab_parts/test_machines.py is a table of machines."""
    missing = set(facts.missing)
    if facts.docker:
        # An engine that answers needs no second one, whatever it was installed from
        missing.discard("dockerd")
    if not facts.apparmor:
        missing.discard("apparmor_parser")
    packages = sorted({PACKAGES[name] for name in missing})
    run, command = _boot(facts)
    return Needs(
        packages=packages,
        starts_docker=facts.docker is None,
        run=run,
        command=command,
        problems=list(_problems(facts, packages)),
        warnings=list(_warnings(facts)),
        minutes=sum(minutes for name, minutes in MINUTES.items() if name not in facts.built),
    )


def _boot(facts: MachineFacts) -> tuple[list[str], list[str]]:
    """systemd needs its own control groups writable. Version 1 has no namespace that could be mounted again: the host
    shares the machine's, where it may only write below its own groups. Version 2 gives it a namespace of its own."""
    label = ["--security-opt", "label=disable"] if facts.selinux == "enforcing" else []
    if facts.cgroup == 1:
        return ["--cgroupns", "host", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", *label], ["/sbin/init"]
    remount = "mount -o remount,rw /sys/fs/cgroup && exec /sbin/init"
    return ["--cgroupns", "private", *label], ["/bin/sh", "-c", remount]


def _problems(facts: MachineFacts, packages: list[str]):
    if facts.architecture not in ARCHITECTURES:
        yield f"the processor is {facts.architecture}; the lab's programs run on {' and '.join(ARCHITECTURES)}"
    if not facts.is_root:
        yield "root is needed for containers and addresses: allow this user sudo without a password, or run as root"
    if packages and not facts.package_manager:
        yield f"{', '.join(packages)} missing, and there is no apt-get: install them, or use Debian 12 or Ubuntu"
    elif not facts.package_manager and "registry" not in facts.built:
        yield "there is no apt-get to fetch Debian's docker-registry with: use Debian 12 or Ubuntu"
    if facts.cgroup == 0:
        yield "no control groups with memory limits are mounted: mount cgroup2 at /sys/fs/cgroup (systemd does so)"
    if facts.shift is None:
        yield "a port is in use in each range that the lab tries (from 10022, 11022 … 17022): free one range"
    yield from _engine_problems(facts)
    if facts.memory < MEMORY and "lab" not in facts.built:
        yield f"{facts.memory:.1f} GiB of memory are available; the lab needs {MEMORY:.0f} GiB: stop other programs"
    need = needed_disk(facts)
    for place, free in facts.disk:
        if free < need:
            yield f"{free:.1f} GiB of disk are free at {place}; the lab needs {need:.1f} GiB there: free some"


def needed_disk(facts: MachineFacts) -> float:
    """GiB of disk that the lab still has to fill."""
    return sum(size for name, size in DISK.items() if name not in facts.built)


def _engine_problems(facts: MachineFacts):
    engine = facts.docker
    remote = facts.docker_host and not facts.docker_host.startswith("unix:///var/run/docker.sock")
    if engine is None:
        if remote:
            yield f"DOCKER_HOST is {facts.docker_host}, where no engine answers: unset it to use this machine's engine"
        return
    if engine.is_podman:
        yield "`docker` is Podman, which cannot run the lab's hosts: install Docker (docker.io) beside it"
        return
    if engine.rootless:
        yield "this Docker is rootless and cannot give hosts addresses: unset DOCKER_HOST, and run an engine as root"
    elif not engine.is_local:
        yield "this Docker is on another machine: unset DOCKER_HOST, or `docker context use default`"
    if facts.docker_rules and facts.iptables and facts.docker_rules != facts.iptables:
        yield (
            f"Docker's firewall rules are in iptables-{facts.docker_rules}, and `iptables` writes to "
            f"iptables-{facts.iptables}, which the kernel would ignore: update-alternatives --set iptables "
            f"/usr/sbin/iptables-{facts.docker_rules}"
        )
    numbers = tuple(int(part) for part in engine.version.split("+")[0].split("~")[0].split(".")[:2] if part.isdigit())
    if len(numbers) == 2 and numbers < DOCKER_OLDEST:
        yield f"Docker is {engine.version}; the lab needs 20.10 or later: upgrade it"


def _warnings(facts: MachineFacts):
    if facts.docker and facts.docker.running:
        yield f"Docker runs {facts.docker.running} containers of other projects; the lab leaves them alone"
    if facts.shift not in (None, 10000):
        yield f"ports from 10000 are in use; the lab listens on ports from {facts.shift}"
    if facts.docker and facts.docker.firewall:
        yield f"Docker uses the firewall backend {facts.docker.firewall}, with which the lab was not tested"
    for name in facts.firewalls:
        yield f"{name} is active; the lab adds rules for its own bridge and addresses, and removes them at the end"
    if not facts.bridge_filter:
        yield (
            "this kernel has no br_netfilter: security groups between the lab's hosts are not enforced (all others "
            "are); Debian's and Ubuntu's standard kernels have the module"
        )
    if facts.processors < 2:
        yield "there is only one processor: the lab takes about twice as long as documented"


def describe(facts: MachineFacts, needs: Needs) -> list[str]:
    """The first lines of `make lab`: the machine, and what will be installed or built."""
    docker = f"Docker {facts.docker.version}" if facts.docker else "no Docker engine is running"
    disk = ", ".join(f"{free:.0f} GiB free at {place}" for place, free in facts.disk)
    size = f"{facts.processors} processors, {facts.memory:.1f} GiB of memory available"
    lines = [
        f"{facts.system}, {facts.architecture}, {size}",
        f"{disk}; {needed_disk(facts):.1f} GiB needed",
        f"{docker}, control groups version {facts.cgroup}",
    ]
    if needs.packages:
        lines.append(f"will install: {', '.join(needs.packages)}")
    if needs.starts_docker and not needs.problems:
        lines.append("will start a Docker engine, and stop it with `make lab-down`")
    if needs.minutes:
        lines.append(f"will build once, about {needs.minutes} minutes on two processors: Pulumi and the machine images")
    return [*lines, *(f"note: {text}" for text in needs.warnings)]
