"""The machine: memory, swap, disks, clock."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from email.utils import parsedate_to_datetime

from agent import aws, prune
from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.wording import phrase
from agent.world import Usage, World

UNKNOWN = 3600.0
ON_DEVICES = {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat"}
FILE_SYSTEMS = {*ON_DEVICES, "overlay", "tmpfs"}
NOT_OURS = ("/var/lib/docker/", "/var/lib/containerd/", "/run/docker/", "/run/containerd/", "/dev/", "/proc/", "/sys/")
MEMORY = ("memory", "MemTotal", "MemAvailable")  # the subject, and the kernel's names of all and of what is left
TIME_DAEMONS = ("systemd-timesyncd.service", "chrony.service", "ntpsec.service", "ntp.service")


def memory(look: HostFacts, _: Alert) -> Measures:
    """Percent of the memory that is not available."""
    yield from _usage(look, *MEMORY)


def memory_used(look: HostFacts) -> float | None:
    """The same as a number; None where the kernel does not say."""
    return next((entry.value for entry in _usage(look, *MEMORY)), None)


def swap(look: HostFacts, _: Alert) -> Measures:
    """Percent of the swap that is in use."""
    yield from _usage(look, "swap", "SwapTotal", "SwapFree")


def _usage(look: HostFacts, subject: str, whole: str, free: str) -> Measures:
    size, available = look.memory.get(whole, 0), look.memory.get(free, 0)
    if size:
        yield Measured(
            subject, round(100 * (size - available) / size, 1), phrase(" ({left} MiB left)", left=available // 1024**2)
        )


def disk(look: HostFacts, condition: Alert) -> Measures:
    """Percent of each disk's space that is in use. Only that of the images can be freed."""
    images = look.world.usage("/var/lib/docker")
    for path, usage in _disks(look):
        holds = bool(images and images.device == usage.device and look.manifest["containers"])
        used = percent_used(usage)
        # Docker is asked for long: only where a notice can be sent
        unneeded = prune.reclaimable(look.world) // 1024**2 if holds and used > condition["above"] else 0
        freed = phrase(", {size} MiB of them unused images", size=unneeded) if unneeded else ""
        yield Measured(path, used, phrase(" ({left} MiB left{freed})", left=usage.free // 1024**2, freed=freed), holds)


def inodes(look: HostFacts, _: Alert) -> Measures:
    """Percent of each disk's inodes that are in use; some file systems have no such number."""
    for path, usage in _disks(look):
        if usage.inodes:
            yield Measured(path, round(100 * (1 - usage.free_inodes / usage.inodes), 1))


def disks(look: HostFacts) -> list[tuple[str, Usage]]:
    """The host's disks by where they are mounted, each once: `/`, and what is on a device. What is in memory, such as
    /run, can be full too, and is no disk."""
    return list(_file_systems(look, ON_DEVICES))


def percent_used(usage: Usage) -> float:
    return round(100 * (1 - usage.free / usage.size), 1)


def _disks(look: HostFacts) -> Iterable[tuple[str, Usage]]:
    """What can be full, each once: every file system that is mounted to be written to, but for containers' own."""
    return _file_systems(look, FILE_SYSTEMS)


def _file_systems(look: HostFacts, kinds: set[str]) -> Iterable[tuple[str, Usage]]:
    """Those of `kinds`, and the root's whatever it is, that are mounted to be written to. In a container single files
    are mounted too (/etc/hostname), and /dev is in memory."""
    usage_of_device: dict[int, tuple[str, Usage]] = {}
    lines = os.fsdecode(look.world.read("/proc/mounts") or b"").split("\n")
    mounts = [fields for line in lines if len(fields := line.split(" ")) > 3]
    places = [place for _, place, kind, options, *_ in mounts if kind in kinds and "ro" not in options.split(",")]
    for path in ["/", *sorted(place for place in places if place != "/dev" and not place.startswith(NOT_OURS))]:
        usage = look.world.usage(path)
        if usage and usage.size and usage.device not in usage_of_device and not _is_file(look.world, path):
            usage_of_device[usage.device] = (path, usage)
    return usage_of_device.values()


def _is_file(world: World, path: str) -> bool:
    with suppress(OSError):
        return path != "/" and world.head(path, 1) is not None
    return False


def clock(look: HostFacts, _: Alert) -> Measures:
    """Seconds between this host's clock and AWS's, by the instance's metadata; elsewhere UNKNOWN where a daemon that
    keeps the time says that it does not."""
    # Any answer has a date, a refusal too
    if look.manifest["kind"] == "ec2" and (date := look.world.date_at(aws.METADATA)):
        off = abs(look.world.wall() - parsedate_to_datetime(date).timestamp())
        # The answer has whole seconds
        yield Measured(phrase("the clock"), max(0.0, round(off - 1, 1)))
        return
    daemons = look.world.run("systemctl", "is-active", *TIME_DAEMONS).output.split()
    if "active" in daemons:
        answer = look.world.run("timedatectl", "show", "-p", "NTPSynchronized", "--value").output.strip()
        wrong = phrase(" or more: the time daemon reports that it is not synchronised")
        yield Measured(phrase("the clock"), 0.0 if answer == "yes" else UNKNOWN, wrong)
