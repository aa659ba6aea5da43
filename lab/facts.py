"""What this machine is, as a value: looked up in a second, before anything is installed or started."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.run import environment, find_program

GiB = 1 << 30
TIMEOUT = 20  # seconds that one question to a program may take


@dataclass(frozen=True)
class DockerEngine:
    """The engine that answers `docker info`. `is_local`: it is asked by a socket of this machine; `running` counts the
    containers that are not a lab's; `root` is its directory; `firewall` is who keeps its rules where that is not
    iptables."""

    version: str
    rootless: bool = False
    is_local: bool = True
    is_podman: bool = False
    running: int = 0
    root: str = "/var/lib/docker"
    firewall: str = ""


@dataclass(frozen=True)
class MachineFacts:
    """`cgroup` is the version of the hierarchy (0: none is mounted), `missing` are files and programs that the lab uses
    and this machine lacks, `disk` is free GiB by directory, `memory` the GiB that are available, `firewalls` the
    managers that are active, `iptables` where its program keeps rules ("nft" or "legacy"; "" without it) and
    `docker_rules` where Docker's are, `apparmor` whether the kernel asks for profiles, `bridge_filter` whether the
    firewall sees what passes a bridge (or can, with a module that is here), `shift` the ports' (None: every candidate
    is taken), `built` what exists already."""

    system: str
    architecture: str = "x86_64"
    processors: int = 2
    memory: float = 16.0
    disk: tuple[tuple[str, float], ...] = ()
    is_root: bool = True
    package_manager: str = "apt-get"
    missing: frozenset[str] = frozenset()
    cgroup: int = 2
    docker: DockerEngine | None = None
    docker_host: str = ""
    firewalls: tuple[str, ...] = ()
    iptables: str = ""
    docker_rules: str = ""
    selinux: str = ""
    apparmor: bool = False
    bridge_filter: bool = True
    shift: int | None = 10000
    built: frozenset[str] = frozenset()


def collect(programs: Iterable[str], disks: Iterable[Path], built: dict[str, bool], shift: int | None) -> MachineFacts:
    """The facts of this machine. `programs` are names and absolute paths, `disks` directories that will be filled, the
    engine's own besides."""
    engine = _engine()
    return MachineFacts(
        system=_system(),
        architecture=platform.machine(),
        processors=os.cpu_count() or 1,
        memory=_available_memory(Path("/proc/meminfo").read_text()),
        disk=tuple((str(place), free_space(place)) for place in [*disks, Path((engine or DockerEngine("")).root)]),
        is_root=os.geteuid() == 0,
        package_manager="apt-get" if find_program("apt-get") else "",
        missing=frozenset(name for name in programs if not _exists(name)),
        cgroup=cgroup_version(Path("/proc/self/mounts").read_text()),
        docker=engine,
        docker_host=os.environ.get("DOCKER_HOST", ""),
        firewalls=tuple(name for name, is_active in FIREWALLS.items() if is_active()),
        iptables=iptables_backend(_output("iptables", "--version")),
        docker_rules=_docker_rules() if engine else "",
        selinux=_output("getenforce").strip().lower(),
        apparmor=APPARMOR.exists() and "container" not in os.environ,
        bridge_filter=BRIDGE_FILTER.exists() or bool(_output("modprobe", "--show-depends", "br_netfilter")),
        shift=shift,
        built=frozenset(name for name, there in built.items() if there),
    )


# As Docker looks: it starts no container with its own profile where this exists and nothing loads profiles
APPARMOR = Path("/sys/kernel/security/apparmor")
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
FIREWALLS = {
    # Its service counts as active while it is switched off
    "ufw": lambda: is_ufw_enabled(_text("/etc/ufw/ufw.conf")),
    "firewalld": lambda: "active" in _output("systemctl", "is-active", "firewalld").split(),
}


def is_ufw_enabled(configuration: str) -> bool:
    """By the text of /etc/ufw/ufw.conf."""
    return any(line.replace(" ", "").lower() == "enabled=yes" for line in configuration.splitlines())


def iptables_backend(version: str) -> str:
    """By what `iptables --version` says; before 1.8 there was one alone."""
    if not version:
        return ""
    return "nft" if "nf_tables" in version else "legacy"


def _docker_rules() -> str:
    """Where Docker's chain for addresses is; "" where no program of the two finds it."""
    for backend in ("nft", "legacy"):
        if "-N DOCKER" in _output(f"iptables-{backend}", "-w", "-t", "nat", "-S"):
            return backend
    return ""


def free_space(place: Path) -> float:
    """GiB that are free where a directory is, or will be."""
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free / GiB


def cgroup_version(mounts: str) -> int:
    """Which hierarchy limits memory, from the text of /proc/mounts: 1, 2, or 0 where there is none."""
    entries = [line.split() for line in mounts.splitlines()]
    if any(kind == "cgroup" and "memory" in options.split(",") for _, _, kind, options, *_ in entries):
        return 1
    # A hybrid machine has the second version beside the first one, and its controllers are in the first
    return 2 if any(kind == "cgroup2" for _, _, kind, *_ in entries) else 0


def _exists(name: str) -> bool:
    return os.path.exists(name) if name.startswith("/") else find_program(name) is not None


def _system() -> str:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system()
    return release.get("PRETTY_NAME", release.get("ID", "Linux"))


def _available_memory(meminfo: str) -> float:
    values = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    return int(values.get("MemAvailable", "0 kB").split()[0]) / (1 << 20)


def _engine() -> DockerEngine | None:
    if "podman" in _output("docker", "--version").lower():
        return DockerEngine("", is_podman=True)
    try:
        info: dict[str, Any] = json.loads(_output("docker", "info", "--format", "{{json .}}"))
    except ValueError:
        return None
    if not info.get("ServerVersion"):
        return None
    others = _output("docker", "ps", "-q").split()
    ours = _output("docker", "ps", "-q", "--filter", "label=watchme-infra.lab").split()
    endpoint = os.environ.get("DOCKER_HOST") or _output(
        "docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"
    )
    return engine_of(info, endpoint.strip(), len(set(others) - set(ours)))


def engine_of(info: dict[str, Any], endpoint: str, running: int) -> DockerEngine:
    """By the JSON of `docker info` and where it was asked: an engine that is on another machine can have a directory
    that is here too. Pure."""
    driver = (info.get("FirewallBackend") or {}).get("Driver", "")
    return DockerEngine(
        version=info["ServerVersion"],
        rootless=any("rootless" in option for option in info.get("SecurityOptions") or []),
        is_local=not endpoint or endpoint.startswith("unix://"),
        running=running,
        root=info.get("DockerRootDir") or "/var/lib/docker",
        firewall="" if driver.startswith("iptables") else driver,
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _output(*argv: str) -> str:
    """A program's output; "" where there is no such program, or it does not answer."""
    try:
        result = subprocess.run(
            argv, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout
