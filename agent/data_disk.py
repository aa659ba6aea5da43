"""Mounts the disk that a host's data is on. Goes there by itself, before any release: it imports nothing of the agent,
and speaks JSON lines.

It makes a file system on a disk that has nothing at all on it, and on no other. It hides no file: where a mount would
cover some, it says what to do. Run again, it goes on; a disk that became larger gets its file system enlarged in use.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypedDict

DEVICES = "/dev/disk/by-id"
NAME = "nvme-Amazon_Elastic_Block_Store_"
PATIENCE = 120.0  # seconds until a disk that was attached is there
BLANK = 64 * 1024**2  # bytes at the beginning of a disk that must all be zero
KIND = "ext4"
GROW = {"ext2": "resize2fs", "ext3": "resize2fs", "ext4": "resize2fs", "xfs": "xfs_growfs"}
FSTAB = "/etc/fstab"
# Of a line of ours in there: mount(8) passes over options that begin so
MARK = "x-infra.data-disk"
DOCKER = "/var/lib/docker/volumes"
VOLUMES = ".docker-volumes"
# What Docker itself has there before any volume
DOCKERS_OWN = frozenset({"backingFsBlockDev", "metadata.db"})
DROP_IN = "/etc/systemd/system/docker.service.d/infra-data-disk.conf"
HELD = f"""# No named volume begins on the root disk (infra:hosts.NAME.dataDisk)
[Unit]
RequiresMountsFor={DOCKER}
AssertPathIsMountPoint={DOCKER}
"""
SHOWN = 5
_out = threading.Lock()
Say = Callable[[str], None]


class Payload(TypedDict):
    """`volume` is the disk's id (vol-…), `size` its GiB, `device` the name that it was attached by, and the first of
    `mounts` where it is mounted."""

    volume: str
    size: float
    device: str
    mounts: list[str]


class Refused(Exception):
    """Nothing was changed that serves; the text says why, and what to do."""


class Machine:
    """What is asked of the host and done to it."""

    def run(self, *argv: str) -> tuple[int, str]:
        """Exit code and output. Raises Refused where there is no such program."""
        try:
            ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=900, check=False)
        except FileNotFoundError:
            raise Refused(f"{argv[0]} is not installed on this host: install it, and run again") from None
        text = ran.stdout if ran.returncode == 0 else ran.stdout + ran.stderr
        return ran.returncode, text.decode(errors="replace")

    def resolve(self, path: str) -> str:
        """The device that a link leads to; "" where nothing is there."""
        return os.path.realpath(path) if os.path.exists(path) else ""

    def listing(self, path: str) -> list[str]:
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def is_blank(self, device: str) -> bool:
        """Are its first bytes all zero, as those of a new disk are."""
        with open(device, "rb") as disk:
            remaining = BLANK
            while remaining > 0 and (chunk := disk.read(min(remaining, 1024**2))):
                if chunk.count(0) != len(chunk):
                    return False
                remaining -= len(chunk)
        return True

    def read(self, path: str) -> str:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def write(self, path: str, text: str) -> None:
        """Aside and renamed, so that no loss of power leaves half of it."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.infra", "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(f"{path}.infra", 0o644)
        os.replace(f"{path}.infra", path)

    def directory(self, path: str, mode: int) -> None:
        os.makedirs(path, mode, exist_ok=True)

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def say(**event: object) -> None:
    with _out:
        print(json.dumps(event), flush=True)


def must(machine: Machine, *argv: str) -> str:
    """Its output. Raises Refused."""
    code, output = machine.run(*argv)
    if code:
        lines = [line for line in output.splitlines() if line.strip()] or ["no reason given"]
        raise Refused(f"{' '.join(argv)}: {lines[-1].strip()}")
    return output


def find(machine: Machine, payload: Payload, say: Say) -> str:
    """The device of a volume, by its id: on a machine with NVMe that is the disk's serial number. Raises Refused."""
    volume, end = payload["volume"], machine.now() + PATIENCE
    waited = False
    while True:
        device = _device(machine, volume.replace("-", ""), payload["device"])
        if device:
            return device
        if machine.now() > end:
            raise Refused(f"the disk {volume} did not appear on this host within {PATIENCE:.0f} s: is it attached?")
        if not waited:
            say(f"waiting for the disk {volume}")
            waited = True
        machine.sleep(1)


def _device(machine: Machine, serial: str, name: str) -> str:
    if device := machine.resolve(f"{DEVICES}/{NAME}{serial}"):
        return device
    _, output = machine.run("lsblk", "-dno", "NAME,SERIAL")
    disks = [line.split() for line in output.splitlines() if line.strip()]
    for disk in disks:
        if len(disk) > 1 and disk[1].replace("-", "") == serial:
            return f"/dev/{disk[0]}"
    if any(len(disk) > 1 and re.fullmatch(r"vol[0-9a-f]+", disk[1]) for disk in disks):
        # Here disks say which volume they are, and none is this one
        return ""
    # Xen: a disk has no number, and the name that it was attached by, or the kernel's for that
    return machine.resolve(f"/dev/xvd{name[-1]}") or machine.resolve(name)


def identify(machine: Machine, device: str, say: Say) -> tuple[str, str]:
    """Kind and UUID of its file system, which is made where the disk has nothing at all on it. Raises Refused."""
    file_system = _probe(machine, device)
    if not file_system:
        _demand_nothing(machine, device)
        say(f"making a file system ({KIND}) on the new disk {device}")
        must(machine, f"mkfs.{KIND}", "-q", "-m", "1", device)
        file_system = _probe(machine, device)
    if not file_system.get("TYPE") or not file_system.get("UUID"):
        what = "a partition table" if file_system.get("PTTYPE") else file_system.get("TYPE", "something unknown")
        raise Refused(f"{device} has {what}, and no file system of its own: nothing on it was touched")
    if file_system["TYPE"] not in GROW:
        raise Refused(
            f"{device} has {file_system['TYPE']}, which is no file system for data: nothing on it was touched"
        )
    return file_system["TYPE"], file_system["UUID"]


def _probe(machine: Machine, device: str) -> dict[str, str]:
    """What the disk says that it has, by its own bytes; nothing where it says nothing. Raises Refused."""
    code, output = machine.run("blkid", "-p", "-o", "export", device)
    # 2: nothing was recognised
    if code not in (0, 2):
        raise Refused(f"what {device} has on it is not clear (blkid ended with {code}): nothing on it was touched")
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line) if code == 0 else {}


def _demand_nothing(machine: Machine, device: str) -> None:
    """Raises Refused where there is anything: a damaged file system says nothing, and has everything."""
    signatures = must(machine, "wipefs", "--no-act", "--noheadings", device).strip()
    parts = [line for line in must(machine, "lsblk", "-no", "NAME", device).splitlines() if line.strip()][1:]
    if signatures or parts or not machine.is_blank(device):
        raise Refused(
            f"{device} is not empty, and has no file system that is known: nothing on it was touched. Repair it by "
            "hand (fsck), whose snapshots are in AWS (docs/data-disk.md)"
        )


def mounts_of(machine: Machine) -> dict[str, str]:
    """Mount point → what is mounted there, the last one last."""
    lines = [line.split(" ") for line in machine.read("/proc/self/mounts").splitlines()]
    return {fields[1]: fields[0] for fields in lines if len(fields) > 3}


def demand_empty(machine: Machine, place: str, uuid: str, own: frozenset[str] = frozenset()) -> None:
    """Raises Refused where a mount would hide files."""
    there = [name for name in machine.listing(place) if name not in own and name != "lost+found"]
    if there:
        more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
        raise Refused(
            f"{place} has files on the root disk ({', '.join(there[:SHOWN])}{more}), which the data disk would hide: "
            f"nothing was moved. Copy them to the disk (UUID={uuid}), as docs/data-disk.md says, and run again"
        )


def line_of(source: str, place: str, kind: str, options: str, check: int) -> str:
    return f"{source} {place} {kind} {options},{MARK} 0 {check}"


def remember(machine: Machine, place: str, line: str) -> None:
    """Puts a mount point's line into fstab. Raises Refused where that has another one for it."""
    text = machine.read(FSTAB)
    lines = text.splitlines()
    there = [number for number, entry in enumerate(lines) if not entry.startswith("#") and place in entry.split()[1:2]]
    if any(MARK not in lines[number] for number in there):
        raise Refused(f"{FSTAB} has a line of its own for {place}: take it out, and run again")
    remaining_lines = [entry for number, entry in enumerate(lines) if number not in there[1:]]
    if there:
        remaining_lines[there[0]] = line
    new_text = "".join(f"{entry}\n" for entry in (remaining_lines if there else [*remaining_lines, line]))
    if new_text != text:
        machine.write(FSTAB, new_text)
        must(machine, "systemctl", "daemon-reload")


def mount(machine: Machine, device: str, place: str, file_system: tuple[str, str], say: Say) -> None:
    """Mounts the disk, now and at each boot. A boot does not wait for it: what needs it does. Raises Refused."""
    kind, uuid = file_system
    there = mounts_of(machine).get(place)
    if there and machine.resolve(there) != device:
        raise Refused(f"{there} is mounted at {place}, and not {device}: unmount it, and run again")
    if not there:
        demand_empty(machine, place, uuid)
        machine.directory(place, 0o755)
    options = "defaults,nofail,x-systemd.device-timeout=60s"
    remember(machine, place, line_of(f"UUID={uuid}", place, kind, options, 2))
    if not there:
        say(f"mounting {device} at {place}")
        # By systemd, so that what waits for the mount sees it
        must(machine, "systemctl", "start", _unit(machine, place))
        if machine.resolve(mounts_of(machine).get(place, "")) != device:
            raise Refused(f"{device} is not mounted at {place}: systemctl status {_unit(machine, place)} says why")


def _unit(machine: Machine, place: str) -> str:
    return must(machine, "systemd-escape", "--path", "--suffix=mount", place).strip()


def hold_docker(machine: Machine, root: str, uuid: str, say: Say) -> None:
    """Named volumes lie on the disk: Docker's directory of them is, and Docker does not start without it. It is
    restarted once for that. Raises Refused."""
    source = f"{root}/{VOLUMES}"
    is_there = DOCKER in mounts_of(machine)
    if not is_there:
        demand_empty(machine, DOCKER, uuid, DOCKERS_OWN)
    machine.directory(source, 0o701)
    options = f"bind,nofail,x-systemd.requires-mounts-for={root}"
    remember(machine, DOCKER, line_of(source, DOCKER, "none", options, 0))
    try:
        if not is_there:
            say("named volumes are to lie on the data disk: Docker restarts once")
            machine.run("systemctl", "stop", "docker.socket", "docker.service")
            machine.directory(DOCKER, 0o701)
            must(machine, "systemctl", "start", _unit(machine, DOCKER))
            if DOCKER not in mounts_of(machine):
                raise Refused(
                    f"{source} is not mounted at {DOCKER}: systemctl status {_unit(machine, DOCKER)} says why"
                )
        # Only now: Docker goes on without it where that failed
        if machine.read(DROP_IN) != HELD:
            machine.write(DROP_IN, HELD)
            must(machine, "systemctl", "daemon-reload")
    finally:
        machine.run("systemctl", "start", "docker.service")


def grow(machine: Machine, device: str, place: str, kind_and_size: tuple[str, int], say: Say) -> None:
    """The file system takes all of its disk, in use, once the disk has its size. `kind_and_size` is its kind
    and the size in GiB. Raises Refused."""
    kind, size = kind_and_size
    end = machine.now() + PATIENCE
    while (has := int(must(machine, "blockdev", "--getsize64", device).strip())) < size * 1024**3:
        if machine.now() > end:
            raise Refused(
                f"{device} is still being enlarged (now {has // 1024**3} GiB, target {size} GiB); "
                "run again in a few minutes"
            )
        machine.sleep(1)
    _, before = machine.run("findmnt", "-nbo", "SIZE", place)
    must(machine, GROW[kind], device if kind != "xfs" else place)
    _, after = machine.run("findmnt", "-nbo", "SIZE", place)
    if before.strip() != after.strip():
        say(f"{place} has grown with its disk to {has // 1024**3} GiB")


def carry_out(machine: Machine, payload: Payload, say: Say) -> dict[str, str]:
    """The whole of it: which device it is. Raises Refused."""
    device = find(machine, payload, say)
    file_system = identify(machine, device, say)
    root, *others = payload["mounts"]
    mount(machine, device, root, file_system, say)
    grow(machine, device, root, (file_system[0], int(payload["size"])), say)
    if DOCKER in others:
        hold_docker(machine, root, file_system[1], say)
    return {"device": device}


def main(payload: Payload) -> None:
    over = threading.Event()

    def breathe() -> None:
        # A listener gives up on what says nothing
        while not over.wait(5):
            say()

    threading.Thread(target=breathe, daemon=True).start()
    try:
        say(done=carry_out(Machine(), payload, lambda line: say(say=line)))
    except (Refused, OSError, subprocess.SubprocessError) as error:
        say(refused=str(error))
    finally:
        over.set()
