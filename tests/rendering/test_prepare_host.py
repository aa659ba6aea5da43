"""prepare-host.sh on a machine of stand-in programs: locks, interrupted installations, kills, absent packages."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rendering.user_data import PREPARE
from tests.rows import changes

PLACES = (
    "/usr/sbin/policy-rc.d", "/var/lib/prepare-host.begun", "/var/lib/dpkg/updates", "/usr/bin/docker-compose",
    "/run/systemd/system", "/etc/fstab", "/sys/kernel/security/apparmor",
)  # fmt: skip
# `state/` has what is installed and available; each program notes what it was asked to do
TOOLS = {
    "dpkg-query": """case "$*" in
        *db:Status-Status*) echo installed; [ ! -e state/half ] || echo half-configured ;;
        *) for last; do :; done; [ ! -e state/installed/$last ] || echo "install ok installed" ;;
    esac""",
    "dpkg": """case "$*" in
        --audit) echo "The following packages are missing the md5sums control file: vendor-tool" ;;
        *--configure*) [ ! -e state/stuck ] || { echo "dpkg: error: cannot configure" >&2; exit 1; }
            forbidden; rm -f state/half; rm -rf var/lib/dpkg/updates; echo configured >> state/said ;;
    esac""",
    "apt-cache": "[ -e state/available/$2 ]",
    "apt-get": """case "$*" in
        *update*) locked /var/lib/apt/lists/lock
            [ ! -e state/offline ] || { echo "W: Failed to fetch http://deb.debian.org/  Could not resolve"; exit 0; }
            [ ! -e state/lists-say ] || { cat state/lists-say; exit 100; }
            [ ! -e state/unlisted ] || mv state/unlisted/* state/available/ ;;
        *fix-broken*) rm -f state/half state/stuck ;;
        *install*) locked /var/lib/dpkg/lock-frontend; forbidden
            [ ! -e state/half ] || { echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'"; exit 100; }
            [ ! -e state/install-says ] || { cat state/install-says; exit 100; }
            for package in $(echo "$*" | sed 's/.*--no-install-recommends//'); do
                [ -e state/available/$package ] || { echo "E: Unable to locate package $package"; exit 100; }
            done
            for package in $(echo "$*" | sed 's/.*--no-install-recommends//'); do
                touch state/installed/$package
                case $package in
                    docker.io) printf '#!/bin/sh\\n' > bin/dockerd; chmod 755 bin/dockerd ;;
                    nginx) printf '#!/bin/sh\\n' > bin/nginx; chmod 755 bin/nginx ;;
                    docker-compose) printf '#!/bin/sh\\n' > usr/bin/docker-compose; chmod 755 usr/bin/docker-compose ;;
                esac
            done ;;
    esac""",
    "systemctl": 'case "$*" in is-active*) exit 3 ;; *) echo "$*" >> state/started ;; esac',
    "systemd-detect-virt": "exit 1",
    "swapon": 'case "$1" in --noheadings) cat state/swap 2>/dev/null || true ;; *) echo swapfile > state/swap ;; esac',
    "fallocate": "echo $2 > $3",
    "mkswap": "echo made >> $1",
    "sleep": "[ ! -e state/lock ] || { n=$(($(cat state/lock) - 1)); echo $n > state/lock; [ $n -gt 0 ] || rm state/lock; }",
}
COMMON = """
locked() {
    [ -e state/lock ] || return 0
    echo "E: Could not get lock $1. It is held by process 4711 (unattended-upgr)" >&2
    exit 100
}
forbidden() { [ -e usr/sbin/policy-rc.d ] || echo "an installation may start services" >> state/wrong; }
"""
# Of this machine's programs no others are there: one with Docker would need none
OWN = (
    "bash",
    "cat",
    "chmod",
    "grep",
    "kill",
    "ln",
    "ls",
    "mktemp",
    "mv",
    "ps",
    "rm",
    "sed",
    "sh",
    "tail",
    "tee",
    "touch",
)
PACKAGES = ("ca-certificates", "curl", "iproute2", "python3", "docker.io", "docker-compose", "nginx")


class Machine:
    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (
            "bin",
            "state/installed",
            "state/available",
            "usr/sbin",
            "usr/bin",
            "var/lib",
            "etc",
            "run/systemd/system",
        ):
            (root / folder).mkdir(parents=True)
        (root / "etc/fstab").touch()
        for name, text in TOOLS.items():
            tool = root / "bin" / name
            tool.write_text(f"#!/bin/sh\n{COMMON}\n{text}\n")
            tool.chmod(0o755)
        for name in OWN:
            (root / "bin" / name).symlink_to(shutil.which(name) or "/nowhere")
        for package in PACKAGES:
            (root / "state/available" / package).touch()
        script = PREPARE.read_text()
        for place in (*PLACES, "/usr/local/bin"):
            script = script.replace(place, str(root) + place)
        # Anything else of this machine's is not looked at
        script = script.replace("swap=/swapfile", "swap=swapfile")
        (root / "prepare.sh").write_text(script)

    def run(self, *needs: str, kill_at: int | None = None) -> subprocess.CompletedProcess[str]:
        """Killed before the so-many-th command of the script; that needs bash, a host runs its `sh`."""
        # What runs beside it has a counter of its own
        step = f"[ $BASHPID != $$ ] || {{ n=$((n + 1)); [ $n -lt {kill_at} ] || kill -9 $$; }}"
        counting = f"n=0; trap '{step}' DEBUG; set -T; . ./prepare.sh \"$@\""
        command = ["sh", "./prepare.sh"] if kill_at is None else ["bash", "-c", counting, "prepare.sh"]
        return subprocess.run(
            [*command, "64", *(needs or ("docker", "nginx"))], cwd=self.root, capture_output=True, text=True,
            env={"PATH": f"{self.root}/bin", "TMPDIR": str(self.root)}, timeout=60,
        )  # fmt: skip

    def said(self, name: str) -> list[str]:
        place = self.root / "state" / name
        return place.read_text().splitlines() if place.exists() else []

    def set(self, name: str, text: str = "") -> None:
        (self.root / "state" / name).write_text(text)

    def faults(self) -> list[str]:
        """What is not as a prepared host has it."""
        left = [
            name
            for name in ("usr/sbin/policy-rc.d", "usr/sbin/policy-rc.d.new", "var/lib/prepare-host.begun")
            if (self.root / name).exists()
        ]
        missing = sorted({*PACKAGES} - {path.name for path in (self.root / "state/installed").iterdir()})
        started = [
            f"not started: {what}"
            for what in ("enable --now docker", "start nginx")
            if what not in self.said("started")
        ]
        swap = (
            []
            if (self.root / "etc/fstab").read_text() == "swapfile none swap sw 0 0\n" and self.said("swap")
            else ["swap"]
        )
        return [*left, *missing, *started, *swap, *self.said("wrong")]


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_a_fresh_machine_is_prepared_and_a_second_run_changes_nothing(machine):
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == [], ran
    before = machine.said("started")
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == [] and machine.said("started") == before


@pytest.mark.parametrize("waits", [1, 5])
def test_every_lock_is_waited_for(machine, waits):
    machine.set("lock", str(waits))
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == []
    assert ran.stdout.count("prepare-host: waiting for another installation on this host") == 1


def test_a_lock_that_is_never_given_free_is_the_reason(machine):
    machine.set("lock", "10000")
    ran = machine.run()
    assert ran.returncode == 1
    assert "prepare-host: cannot install: ca-certificates" in ran.stderr
    assert "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (unattended-upgr)" in ran.stderr
    assert not (machine.root / "usr/sbin/policy-rc.d").exists()


def test_an_interrupted_dpkg_is_finished_first(machine):
    machine.set("half", "The following packages are only half configured: nginx")
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == [] and machine.said("said") == ["configured"]


def test_interrupted_dpkg_update_is_finished(machine):
    assert machine.run().returncode == 0
    (machine.root / "var/lib/dpkg/updates").mkdir(parents=True)
    (machine.root / "var/lib/dpkg/updates/0001").touch()
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == [] and machine.said("said") == ["configured"]


def test_half_installed_package_is_repaired_by_apt(machine):
    machine.set("half", "nginx")
    machine.set("stuck")
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == []


def test_unavailable_package_is_reported_at_once(machine):
    ran = machine.run("docker", "nginx", "ffmpeg-of-tomorrow")
    assert (
        ran.returncode == 1
        and ran.stderr.strip() == "prepare-host: no package source of this host has: ffmpeg-of-tomorrow"
    )
    assert not (machine.root / "usr/sbin/policy-rc.d").exists()
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == []


def test_package_sources_are_not_blamed_without_a_network(machine):
    machine.set("offline")
    (machine.root / "state/available").rename(machine.root / "state/unlisted")
    (machine.root / "state/available").mkdir()
    ran = machine.run()
    assert ran.returncode == 1 and "prepare-host: cannot install: ca-certificates" in ran.stderr
    assert "no package source" not in ran.stderr and ran.stderr.count("\n") == 1


VENDORS = "Err:3 https://vendor.example stable Release\n  404  Not Found\nE: The repository 'https://vendor.example stable Release' does not have a Release file.\n"
FETCH = "E: Failed to fetch http://deb.debian.org/n/nginx.deb  404  Not Found"
DPKG = "dpkg: error processing package nginx (--configure):"
REASONS = {
    "dpkg's": ("", f"{DPKG}\n installed script returned 1\nErrors were encountered\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n", DPKG),
    "a file": ("", f"Err:1 http://deb.debian.org nginx\n{FETCH}\n{FETCH}2\nE: Unable to fetch some archives, maybe run apt-get update\n", FETCH),
    "another one's source besides": (VENDORS, "E: You don't have enough free space in /var/cache/apt/archives/.\n", "E: You don't have enough free space in /var/cache/apt/archives/."),
    "its warning besides": ("", "E: Unable to correct problems, you have held broken packages.\nW: Some index files failed\n", "E: Unable to correct problems, you have held broken packages."),
    "lists": ("W: Failed to fetch http://deb.debian.org/  Could not resolve\nE: Some index files failed\n", "E: Unable to locate package nginx\n", "W: Failed to fetch http://deb.debian.org/  Could not resolve"),
    "no other one": ("", "E: Unable to locate package nginx\n", "E: Unable to locate package nginx"),
}  # fmt: skip


@pytest.mark.parametrize(("lists", "install", "reason"), REASONS.values(), ids=REASONS)
def test_reported_reason_is_the_first_cause(machine, lists, install, reason):
    if lists:
        machine.set("lists-say", lists)
    machine.set("install-says", install)
    ran = machine.run()
    assert ran.returncode == 1 and ran.stderr.startswith("prepare-host: cannot install: ")
    assert ran.stderr.endswith(f": {reason}\n")


def test_a_broken_source_of_another_product_keeps_nothing_from_being_installed(machine):
    machine.set("lists-say", VENDORS)
    ran = machine.run()
    assert ran.returncode == 0 and machine.faults() == [], ran


def test_foreign_policy_file_is_kept(machine):
    policy = machine.root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    assert machine.run().returncode == 0
    assert policy.read_text() == "#!/bin/sh\nexit 101\n"
    policy.unlink()
    assert machine.faults() == []


@pytest.mark.parametrize("signal", ["TERM", "INT", "HUP"])
def test_signal_leaves_no_policy_file(machine, signal):
    tool = machine.root / "bin/apt-get"
    tool.write_text(tool.read_text().replace("*update*)", f"*update*) kill -{signal} $(ps -o ppid= -p $PPID);"))
    machine.run()
    assert not (machine.root / "usr/sbin/policy-rc.d").exists()


def commands(machine: Machine) -> int:
    """How many there are until all is done."""
    low, high = 1, 2000
    while low < high:
        middle = (low + high) // 2
        there = Machine(machine.root / f"count-{middle}")
        low, high = (low, middle) if there.run(kill_at=middle).returncode == 0 else (middle + 1, high)
    return low - 1


@pytest.mark.nightly
def test_killed_preparation_completes_when_repeated(machine):
    last = commands(machine)
    assert last > 50
    for number in changes(last):
        there = Machine(machine.root / f"killed-{number}")
        if number % 2:
            there.set("half", "nginx")
        there.run(kill_at=number)
        ran = there.run()
        assert ran.returncode == 0 and there.faults() == [], (number, ran.stderr, there.faults())


@pytest.fixture
def fedora(tmp_path):
    """A machine of another distribution: no apt, no dpkg, and an rpm that knows a package."""
    made = Machine(tmp_path)
    for name in ("apt-get", "apt-cache", "dpkg", "dpkg-query"):
        (made.root / "bin" / name).unlink()
    rpm = made.root / "bin/rpm"
    rpm.write_text("#!/bin/sh\n[ $2 = ca-certificates ]\n")
    rpm.chmod(0o755)
    return made


def there(machine: Machine, *programs: str) -> None:
    for name in programs:
        tool = machine.root / name
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)


def test_host_without_apt_is_refused_with_its_missing_programs(fedora):
    there(fedora, "bin/curl", "bin/python3", "bin/dockerd")
    ran = fedora.run()
    assert ran.returncode == 1, ran.stdout
    assert ran.stderr.splitlines()[-1] == (
        "prepare-host: this host has no apt-get, and lacks: iproute2 docker-compose nginx; install what brings them, and run it again"
    )
    assert not (fedora.root / "usr/sbin/policy-rc.d").exists() and not fedora.said("started")


def test_a_host_without_apt_that_has_everything_is_prepared(fedora):
    there(fedora, "bin/curl", "bin/python3", "bin/dockerd", "bin/ip", "bin/nginx", "usr/bin/docker-compose")
    ran = fedora.run()
    assert ran.returncode == 0, ran.stderr
    assert "enable --now docker" in fedora.said("started")
