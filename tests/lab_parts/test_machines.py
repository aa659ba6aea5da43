"""What a lab needs of a machine: a table of machines, each with the decision that follows."""

from dataclasses import dataclass, replace

import pytest

from lab.facts import DockerEngine, MachineFacts, cgroup_version, engine_of, iptables_backend, is_ufw_enabled
from lab.requirements import PACKAGES, decide, describe, needed_disk

EVERYTHING = frozenset({"pulumi", "images", "registry"})
DEBIAN_12 = MachineFacts("Debian GNU/Linux 12 (bookworm)", disk=(("/var/lib/docker", 40.0),))
ALL_MISSING = frozenset(PACKAGES)
NO_REMOUNT, REMOUNT = ["/sbin/init"], "mount -o remount,rw /sys/fs/cgroup && exec /sbin/init"


@dataclass(frozen=True)
class Expected:
    """`packages` are installed, `problem` is a part of the one line that refuses the machine ("" for none)."""

    packages: tuple[str, ...] = ()
    starts_docker: bool = False
    cgroupns: str = "private"
    problem: str = ""
    warning: str = ""


def docker(version: str, **values) -> DockerEngine:
    return DockerEngine(version, **values)


MACHINES = {
    "Debian 12, nothing installed": (
        replace(DEBIAN_12, missing=ALL_MISSING, apparmor=True),
        Expected(tuple(sorted(set(PACKAGES.values()))), starts_docker=True),
    ),
    "a kernel without AppArmor, nothing installed": (
        replace(DEBIAN_12, missing=ALL_MISSING),
        Expected(tuple(sorted(set(PACKAGES.values()) - {"apparmor"})), starts_docker=True),
    ),
    "AppArmor in the kernel, and nothing that loads profiles": (
        replace(DEBIAN_12, missing=frozenset({"apparmor_parser"}), apparmor=True, docker=docker("28.2.2")),
        Expected(("apparmor",)),
    ),
    "Debian 12, Debian's Docker": (replace(DEBIAN_12, docker=docker("20.10.24+dfsg1")), Expected()),
    "a container's machine with cgroup v1": (
        replace(DEBIAN_12, cgroup=1, docker=docker("20.10.24+dfsg1")),
        Expected(cgroupns="host"),
    ),
    "Ubuntu 24.04, docker.io 27": (
        replace(
            DEBIAN_12, system="Ubuntu 24.04.3 LTS", docker=docker("27.5.1"),
            missing=frozenset({"debootstrap", "/usr/share/keyrings/debian-archive-keyring.gpg"}),
        ),
        Expected(("debian-archive-keyring", "debootstrap")),
    ),
    "Ubuntu 26.04, Docker's own packages": (
        replace(DEBIAN_12, system="Ubuntu 26.04 LTS", docker=docker("29.1.2"), missing=frozenset({"dockerd"})),
        Expected(),
    ),
    "Docker 29, and a kernel without a filter for bridges": (
        replace(DEBIAN_12, docker=docker("29.1.2"), bridge_filter=False),
        Expected(warning="no br_netfilter"),
    ),
    "an old Docker": (replace(DEBIAN_12, docker=docker("19.03.15")), Expected(problem="needs 20.10 or later")),
    "other people's containers": (
        replace(DEBIAN_12, docker=docker("28.2.2", running=7)),
        Expected(warning="7 containers of other projects; the lab leaves them alone"),
    ),
    "rootless Docker": (replace(DEBIAN_12, docker=docker("28.2.2", rootless=True)), Expected(problem="is rootless")),
    "Docker of another machine": (
        replace(DEBIAN_12, docker=docker("28.2.2", is_local=False), docker_host="ssh://build"),
        Expected(problem="on another machine"),
    ),
    "DOCKER_HOST without an answer": (
        replace(DEBIAN_12, docker_host="tcp://10.0.0.9:2375"),
        Expected(starts_docker=True, problem="DOCKER_HOST is tcp://10.0.0.9:2375"),
    ),
    "Podman's docker command": (
        replace(DEBIAN_12, docker=docker("", is_podman=True)),
        Expected(problem="`docker` is Podman"),
    ),
    "Docker removed": (
        replace(DEBIAN_12, missing=frozenset({"dockerd"})),
        Expected(("docker.io",), starts_docker=True),
    ),
    "iptables-nft, and Docker's rules there": (
        replace(DEBIAN_12, docker=docker("28.2.2"), iptables="nft", docker_rules="nft"),
        Expected(),
    ),
    "iptables-legacy, and Docker's rules there": (
        replace(DEBIAN_12, docker=docker("20.10.24"), iptables="legacy", docker_rules="legacy"),
        Expected(),
    ),
    "iptables-nft, and Docker's rules in iptables-legacy": (
        replace(DEBIAN_12, docker=docker("20.10.24"), iptables="nft", docker_rules="legacy"),
        Expected(problem="update-alternatives --set iptables /usr/sbin/iptables-legacy"),
    ),
    "Docker 29 with rules of its own in nftables": (
        replace(DEBIAN_12, docker=docker("29.1.2", firewall="nftables"), iptables="nft"),
        Expected(warning="Docker uses the firewall backend nftables"),
    ),
    "ufw and control groups of version 1": (
        replace(DEBIAN_12, cgroup=1, docker=docker("20.10.24"), firewalls=("ufw",)),
        Expected(cgroupns="host", warning="ufw is active"),
    ),
    "ufw": (replace(DEBIAN_12, docker=docker("20.10.24"), firewalls=("ufw",)), Expected(warning="ufw is active")),
    "firewalld and SELinux": (
        replace(DEBIAN_12, docker=docker("28.2.2"), firewalls=("firewalld",), selinux="enforcing"),
        Expected(warning="firewalld is active"),
    ),
    "Fedora": (
        replace(DEBIAN_12, system="Fedora 43", package_manager="", missing=frozenset({"debootstrap"})),
        Expected(("debootstrap",), starts_docker=True, problem="debootstrap missing, and there is no apt-get"),
    ),
    "Fedora with all programs": (
        replace(DEBIAN_12, system="Fedora 43", package_manager="", docker=docker("28.2.2")),
        Expected(problem="no apt-get to fetch Debian's docker-registry"),
    ),
    "no control groups": (replace(DEBIAN_12, cgroup=0, docker=docker("28.2.2")), Expected(problem="mount cgroup2")),
    "a port in use in each range": (
        replace(DEBIAN_12, shift=None, docker=docker("28.2.2")),
        Expected(problem="in use in each range"),
    ),
    "a port taken at the first shift": (
        replace(DEBIAN_12, shift=11000, docker=docker("28.2.2")),
        Expected(warning="the lab listens on ports from 11000"),
    ),
    "2 GiB of memory": (
        replace(DEBIAN_12, memory=1.6, docker=docker("28.2.2")),
        Expected(problem="1.6 GiB of memory are available; the lab needs 4 GiB"),
    ),
    "a full disk": (
        replace(DEBIAN_12, disk=(("/home", 40.0), ("/var/lib/docker", 1.0)), docker=docker("28.2.2")),
        Expected(problem="1.0 GiB of disk are free at /var/lib/docker"),
    ),
    "arm64": (replace(DEBIAN_12, architecture="aarch64", docker=docker("28.2.2")), Expected()),
    "a processor nothing is built for": (
        replace(DEBIAN_12, architecture="riscv64", docker=docker("28.2.2")),
        Expected(problem="the processor is riscv64"),
    ),
    "no root": (replace(DEBIAN_12, is_root=False, docker=docker("28.2.2")), Expected(problem="root is needed")),
}  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), MACHINES.values(), ids=MACHINES)
def test_decision(facts, expected):
    needs = decide(facts)
    assert needs.packages == list(expected.packages)
    assert needs.starts_docker is expected.starts_docker
    assert needs.run[needs.run.index("--cgroupns") + 1] == expected.cgroupns
    if expected.problem:
        assert len(needs.problems) == 1 and expected.problem in needs.problems[0]
    else:
        assert needs.problems == []
    assert expected.warning in "\n".join(needs.warnings) if expected.warning else not needs.warnings


def test_hosts_own_their_cgroups_only_under_version_2():
    first, second = decide(replace(DEBIAN_12, cgroup=1)), decide(DEBIAN_12)
    assert (first.command, second.command[-1]) == (NO_REMOUNT, REMOUNT)
    assert "/sys/fs/cgroup:/sys/fs/cgroup:rw" in first.run and "/sys/fs/cgroup:/sys/fs/cgroup:rw" not in second.run


def test_a_machine_with_selinux_lets_hosts_write_their_own_files():
    assert "label=disable" in decide(replace(DEBIAN_12, selinux="enforcing")).run
    assert "label=disable" not in decide(replace(DEBIAN_12, selinux="permissive")).run


def test_all_problems_are_reported_at_once():
    facts = replace(DEBIAN_12, memory=1.0, cgroup=0, is_root=False, disk=(("/var/lib/docker", 0.1),))
    assert len(decide(facts).problems) == 4


def test_built_images_need_neither_disk_nor_time():
    full = replace(DEBIAN_12, built=EVERYTHING)
    assert needed_disk(full) < needed_disk(DEBIAN_12)
    assert (decide(full).minutes, decide(DEBIAN_12).minutes > 0) == (0, True)


def test_a_running_lab_needs_nothing_more():
    facts = replace(DEBIAN_12, built=EVERYTHING | {"lab"}, memory=0.5, disk=(("/", 0.2),), docker=docker("28.2.2"))
    assert decide(facts).problems == []


def test_description():
    facts = replace(DEBIAN_12, missing=frozenset({"skopeo"}), docker=docker("20.10.24", running=1))
    lines = describe(facts, decide(facts))
    assert lines[0] == "Debian GNU/Linux 12 (bookworm), x86_64, 2 processors, 16.0 GiB of memory available"
    assert "will install: skopeo" in lines
    assert "Docker 20.10.24, control groups version 2" in lines


MOUNTS = {
    "version 1": ("cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n", 1),
    "version 2": ("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev 0 0\n", 2),
    "hybrid": (
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n",
        1,
    ),
    "neither": ("proc /proc proc rw 0 0\n", 0),
}


@pytest.mark.parametrize(("mounts", "version"), MOUNTS.values(), ids=MOUNTS)
def test_cgroup_version(mounts, version):
    assert cgroup_version(mounts) == version


INFO = {"ServerVersion": "28.2.2", "DockerRootDir": "/srv/docker", "SecurityOptions": ["name=seccomp,profile=builtin"]}
ENGINES = {
    "here": (INFO, "unix:///var/run/docker.sock", docker("28.2.2", root="/srv/docker")),
    "here, and nothing says where": (INFO, "", docker("28.2.2", root="/srv/docker")),
    "by SSH, with a directory that is here too": (
        INFO | {"DockerRootDir": "/var/lib/docker"}, "ssh://me@elsewhere", docker("28.2.2", is_local=False),
    ),
    "by TCP": (INFO, "tcp://192.0.2.1:2376", docker("28.2.2", is_local=False, root="/srv/docker")),
    "rootless": (
        INFO | {"SecurityOptions": ["name=rootless"]}, "unix:///run/user/1000/docker.sock",
        docker("28.2.2", rootless=True, root="/srv/docker"),
    ),
    "with nftables": (
        INFO | {"FirewallBackend": {"Driver": "nftables"}}, "", docker("28.2.2", root="/srv/docker", firewall="nftables"),
    ),
    "with firewalld": (
        INFO | {"FirewallBackend": {"Driver": "iptables+firewalld"}}, "", docker("28.2.2", root="/srv/docker"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("info", "endpoint", "engine"), ENGINES.values(), ids=ENGINES)
def test_container_engine_is_recognised(info, endpoint, engine):
    assert engine_of(info, endpoint, 0) == engine


@pytest.mark.parametrize(
    ("version", "backend"),
    [
        ("iptables v1.8.9 (nf_tables)\n", "nft"),
        ("iptables v1.8.7 (legacy)\n", "legacy"),
        ("iptables v1.6.1\n", "legacy"),
        ("", ""),
    ],
)
def test_iptables_says_where_its_rules_are(version, backend):
    assert iptables_backend(version) == backend


@pytest.mark.parametrize(
    ("text", "is_enabled"),
    [("# x\nENABLED=yes\nLOGLEVEL=low\n", True), ("ENABLED=no\n", False), ("#ENABLED=yes\n", False), ("", False)],
)
def test_a_ufw_that_is_switched_off_is_not_active(text, is_enabled):
    """Its service is `active (exited)` either way."""
    assert is_ufw_enabled(text) is is_enabled
