"""Further disks of machines: a real block device each, blank or with what a snapshot has. Test equipment.

A snapshot of a machine's root disk holds no more than PARTS of the host's files, on a disk without partitions; one of a
further disk is that disk, byte for byte.
"""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.writing import put
from lab.run import run, succeeds
from lab.settings import Lab

PARTS = ("opt", "srv", "home", "etc/passwd", "etc/group")
SPARE = 64  # MiB for the file system itself
# How EC2 calls a machine's first disk, which is its container's own file system
ROOTS = ("/dev/sda1", "/dev/xvda")
GiB = 1024**3
# In a machine's seed: the loop device's number and the volume of each disk (lab/image/disks)
LIST = "disks"
SHOW = ("sh", "/usr/local/lib/lab/disks.sh")


@dataclass
class Disks:
    """Follows the emulator's snapshots and volumes. `devices` is volume → (loop device, instance)."""

    lab: Lab
    container: Callable[[str], str]
    copied: set[str] = field(default_factory=set)
    devices: dict[str, tuple[str, str]] = field(default_factory=dict)

    def follow(self, volumes: list[Any], snapshots: list[Any]) -> None:
        for snapshot in snapshots:
            if snapshot.id not in self.copied:
                self.copied.add(snapshot.id)
                self._copy(snapshot, next((v for v in volumes if v.id == snapshot.volume.id), None))
        attached = {
            volume.id: volume for volume in volumes if volume.attachment and volume.attachment.device not in ROOTS
        }
        for id, (loop, instance) in list(self.devices.items()):
            if id not in attached or attached[id].attachment.instance.id != instance:
                del self.devices[id]
                self._list(instance)
                succeeds("losetup", "--detach", loop)
        for id, volume in attached.items():
            if id not in self.devices:
                self._attach(volume)
            self._grow(volume)
        existing = {volume.id for volume in volumes}
        for image in self.lab.path("disks").glob("vol-*.img"):
            if image.stem not in existing:
                image.unlink()

    def _image(self, id: str | None) -> Path:
        return self.lab.path("disks", f"{id}.img")

    def _copy(self, snapshot: Any, volume: Any) -> None:
        """What a volume holds now, as the image of its snapshot."""
        if volume is None or not volume.attachment:
            return
        container = self.container(volume.attachment.instance.id)
        if volume.id in self.devices:
            succeeds("docker", "exec", container, "sync")
            run("cp", "--sparse=always", str(self._image(volume.id)), str(self._image(snapshot.id)))
        else:
            self._pack(self._image(snapshot.id), container)

    def _pack(self, image: Path, container: str) -> None:
        image.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=image.parent) as place:
            tree = Path(place) / "tree"
            tree.mkdir()
            command = ["docker", "exec", container, "tar", "--ignore-failed-read", "-C", "/", "-c", *PARTS]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as packed:
                unpack = ["tar", "--numeric-owner", "-p", "-x", "-C", str(tree)]
                subprocess.run(unpack, stdin=packed.stdout, check=True, timeout=600)
            size = int(run("du", "-sm", str(tree)).split()[0]) + SPARE
            part = Path(place) / "image"
            run("mkfs.ext4", "-q", "-d", str(tree), str(part), f"{size}M")
            part.rename(image)

    def _attach(self, volume: Any) -> None:
        image, instance = self._image(volume.id), volume.attachment.instance.id
        if not image.exists():
            image.parent.mkdir(parents=True, exist_ok=True)
            if self._image(volume.snapshot_id).exists():
                run("cp", "--sparse=always", str(self._image(volume.snapshot_id)), str(image))
        _enlarge(image, volume.size)
        loop = run("losetup", "--find", "--show", str(image)).strip()
        self.devices[volume.id] = (loop, instance)
        self._list(instance)

    def _grow(self, volume: Any) -> None:
        if _enlarge(self._image(volume.id), volume.size):
            run("losetup", "--set-capacity", self.devices[volume.id][0])

    def _list(self, instance: str) -> None:
        """Writes down which disks a machine has, and lets it show them; one that is off does so when it boots."""
        own = [(loop, id) for id, (loop, machine) in self.devices.items() if machine == instance]
        lines = [f"{loop.removeprefix('/dev/loop')} {id.replace('-', '')}\n" for loop, id in own]
        seed = self.lab.path("hosts", instance)
        if seed.exists():
            put(seed / LIST, "".join(lines), 0o600)
        succeeds("docker", "exec", self.container(instance), *SHOW)


def _enlarge(image: Path, size: int) -> bool:
    """Whether the image was smaller than `size` GiB, which it has then; what was not written takes no space."""
    if image.exists() and image.stat().st_size >= size * GiB:
        return False
    run("truncate", "--size", f"{size}G", str(image))
    return True


def release(lab: Lab) -> None:
    """Detaches the loop devices that a lab left behind."""
    for line in run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        name, file = line.split(maxsplit=1)
        if file.startswith(f"{lab.directory}/"):
            succeeds("losetup", "--detach", name)
