"""`make test-machine`: the README's first command on a stock server, in an emulated machine.

Needs root and `apt-get install qemu-system-x86 mmdebstrap`. The machine is Debian's own packages with systemd, cgroup v2
and sshd on port 22; what takes an hour to build there is brought along from this machine (`make lab` once before). Without
KVM it is ten times slower than this machine: about half an hour. `ACCEL=kvm` where there is one; `SUITE=trixie` is Debian 13.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from lab import machine
from lab.root import KEPT_PREFIXES
from lab.run import find_program, run
from lab.say import LabError, step
from lab.settings import CACHE, KINDS, ROOT

SUITE = os.environ.get("SUITE", "bookworm")
WORK = CACHE / f"stock-machine-{SUITE}"
PACKAGES = [
    "ca-certificates", "curl", "dbus", "git", "iproute2", "iptables", "libpam-systemd", "linux-image-cloud-amd64", "make",
    "openssh-server", "procps", "python3", "python3-venv", "sudo", "systemd-resolved", "systemd-sysv",
]  # fmt: skip
LIMIT = 2 * 3600  # seconds, for a machine without KVM
UNIT = """[Unit]
After=network-online.target ssh.service
Wants=network-online.target
[Service]
Type=oneshot
ExecStartPre=/bin/mount -o ro /dev/vdb /seed
ExecStart=/bin/sh /seed/stock_machine.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
"""
# What the cache has beside programs: the emulated machines themselves, and what belongs to a running lab
NOT_BROUGHT = ("stock-machine", "run", "rootfs", "built", "image-context", "pythons", "policy-pack")
# A login prompt would hang up the terminal that the test speaks on
APPEND = "root=/dev/vda rw console=ttyS0 no_timer_check systemd.mask=serial-getty@ttyS0.service"
NETWORK = "[Match]\nName=e*\n[Network]\nDHCP=yes\n"


def main() -> int:
    missing = [name for name in ("qemu-system-x86_64", "mmdebstrap", "mkfs.ext4") if not find_program(name)]
    if missing:
        raise LabError(f"{', '.join(missing)} missing: apt-get install qemu-system-x86 mmdebstrap e2fsprogs")
    machine.ensure_docker()
    if not machine.has_base_images():
        raise LabError("the machine images are not built: make lab && make lab-down, then run this again")
    WORK.mkdir(parents=True, exist_ok=True)
    root, kernel, initial = stock_system()
    with step("packing what the machine brings along"):
        seed = pack()
    with step("copying the stock system"):
        disk = WORK / "disk.img"
        run("cp", "--sparse=always", str(root), str(disk))
    with step("running the machine"):
        return boot(disk, seed, kernel, initial)


def stock_system() -> tuple[Path, Path, Path]:
    """A disk of a freshly installed server, its kernel and initial file system; built once."""
    disk, kernel, initial = WORK / "stock.img", WORK / "vmlinuz", WORK / "initrd.img"
    if disk.exists():
        return disk, kernel, initial
    with step(f"installing a stock {SUITE} (mmdebstrap)"):
        tree, part = WORK / "tree", WORK / "stock.part"
        shutil.rmtree(tree, ignore_errors=True)
        run("mmdebstrap", "--variant=important", f"--include={','.join(PACKAGES)}", SUITE, str(tree), quiet=False)
        for name, target in (("vmlinuz", kernel), ("initrd.img", initial)):
            shutil.copyfile(next((tree / "boot").glob(f"{name}-*")), target)
        (tree / "seed").mkdir()
        (tree / "etc/systemd/system/machine-test.service").write_text(UNIT)
        (tree / "etc/systemd/network/10-machine.network").write_text(NETWORK)
        wants = tree / "etc/systemd/system/multi-user.target.wants"
        for unit in ("systemd-networkd.service", "systemd-resolved.service"):
            (wants / unit).unlink(missing_ok=True)
            (wants / unit).symlink_to(f"/lib/systemd/system/{unit}")
        (wants / "machine-test.service").symlink_to("/etc/systemd/system/machine-test.service")
        (tree / "etc/resolv.conf").unlink(missing_ok=True)
        (tree / "etc/resolv.conf").symlink_to("/run/systemd/resolve/resolv.conf")
        (tree / "etc/hostname").write_text("stock\n")
        run("mkfs.ext4", "-q", "-d", str(tree), str(part), "20G")
        shutil.rmtree(tree)
        part.rename(disk)
    return disk, kernel, initial


def pack() -> Path:
    """A disk with a clone of this checkout's HEAD, what this machine has built, and how it reaches the registries."""
    tree, disk = WORK / "seed", WORK / "seed.img"
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "images").mkdir(parents=True)
    run("git", "clone", "-q", "--bare", str(ROOT), str(tree / "project.git"))
    shutil.copy(ROOT / "tests" / "stock_machine.sh", tree)
    cache = tree / "cache" / "watchme-infra"
    cache.mkdir(parents=True)
    for place in CACHE.iterdir():
        if not place.name.startswith(NOT_BROUGHT):
            run("cp", "-a", str(place), str(cache))
    packages = CACHE.parent / "uv"
    if packages.exists():
        run("cp", "-a", str(packages), str(tree / "cache"))
    for kind in KINDS:
        run("docker", "save", "-o", str(tree / "images" / f"{kind}.tar"), machine.base_image(kind))
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copy(bundle, tree / "certificates.crt")
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT_PREFIXES) and name != "UV"}
    kept.pop("PIP_FIND_LINKS", None)
    lines = [f"export {name}='{value}'" for name, value in kept.items() if "'" not in value]
    (tree / "environment").write_text("\n".join([*lines, "export CI=", ""]))
    disk.unlink(missing_ok=True)
    size = int(run("du", "-sm", str(tree)).split()[0]) * 11 // 10 + 256
    run("mkfs.ext4", "-q", "-d", str(tree), str(disk), f"{size}M")
    shutil.rmtree(tree)
    return disk


def boot(disk: Path, seed: Path, kernel: Path, initial: Path) -> int:
    """Runs it to its end and shows its console; 0 when it says that all passed."""
    accel = os.environ.get("ACCEL", "tcg")
    cpu = "host" if accel == "kvm" else "max"
    command = [
        "qemu-system-x86_64", "-accel", f"{accel},thread=multi" if accel == "tcg" else accel, "-cpu", cpu, "-smp", "2",
        "-m", "6144", "-nographic", "-no-reboot", "-kernel", str(kernel), "-initrd", str(initial),
        "-append", APPEND, "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
        "-drive", f"file={seed},if=virtio,format=raw,readonly=on", "-netdev", "user,id=net",
        "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci",
    ]  # fmt: skip
    begun, passed = time.monotonic(), False
    with (
        open(WORK / "console.log", "w") as log,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as guest,
    ):
        assert guest.stdout
        # A guest that says nothing ends too
        limit = threading.Timer(LIMIT, guest.kill)
        limit.start()
        try:
            for line in guest.stdout:
                log.write(line)
                log.flush()
                if "machine-test:" in line or line.startswith("["):
                    print(f"  {line.rstrip()}", flush=True)
                passed = passed or "machine-test: PASSED" in line
            if time.monotonic() - begun > LIMIT:
                print(f"  not at its end after {LIMIT} s; console: {WORK / 'console.log'}")
        finally:
            limit.cancel()
            guest.kill()
    print(
        f"· {'passed' if passed else 'FAILED'} after {time.monotonic() - begun:.0f} s; console: {WORK / 'console.log'}"
    )
    disk.unlink()
    return 0 if passed else 1


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("the emulated machine is built as root: sudo make test-machine")
    try:
        sys.exit(main())
    except LabError as error:
        sys.exit(f"test-machine: {error}")
