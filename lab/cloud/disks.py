"""Disks made of snapshots: a real block device in the machine, with what its host held on it. Test equipment.

A snapshot here holds no more than PARTS of the host's files, on a disk without partitions.
"""

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.run import run, succeeds
from lab.settings import Lab

PARTS = ("opt", "srv", "home", "etc/passwd", "etc/group")
BY_ID = "/dev/disk/by-id"
SPARE = 64  # MiB for the file system itself


@dataclass
class Disks:
    """Follows the emulator's snapshots and volumes. `shown` is volume → (loop device, container, node in it)."""

    lab: Lab
    container: Callable[[str], str]
    taken: set[str] = field(default_factory=set)
    shown: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def follow(self, volumes: list[Any], snapshots: list[Any]) -> None:
        for snapshot in snapshots:
            if snapshot.id not in self.taken:
                self.taken.add(snapshot.id)
                attachment = next((v.attachment for v in volumes if v.id == snapshot.volume.id), None)
                if attachment:
                    self._take(snapshot.id, self.container(attachment.instance.id))
        attached = {volume.id: volume for volume in volumes if volume.attachment}
        for id, volume in attached.items():
            if id not in self.shown and self._image(volume.snapshot_id).exists():
                self._show(volume, self.container(volume.attachment.instance.id))
        for id in [id for id in self.shown if id not in attached]:
            self._hide(*self.shown.pop(id))

    def _image(self, id: str | None) -> Path:
        return self.lab.path("disks", f"{id}.img")

    def _take(self, id: str, container: str) -> None:
        image = self._image(id)
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

    def _show(self, volume: Any, container: str) -> None:
        copy = self.lab.path("disks", f"{volume.id}.img")
        run("cp", "--sparse=always", str(self._image(volume.snapshot_id)), str(copy))
        loop = run("losetup", "--find", "--show", str(copy)).strip()
        node = f"{BY_ID}/nvme-Amazon_Elastic_Block_Store_{volume.id.replace('-', '')}"
        number = loop.removeprefix("/dev/loop")
        run("docker", "exec", container, "sh", "-ec", f"mkdir -p {BY_ID}; mknod {node} b 7 {number}")
        self.shown[volume.id] = (loop, container, node)

    def _hide(self, loop: str, container: str, node: str) -> None:
        # The machine may have gone before its disk
        succeeds("docker", "exec", container, "rm", "-f", node)
        run("losetup", "--detach", loop)


def release(lab: Lab) -> None:
    """What a lab that ended left of loop devices."""
    for line in run("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines():
        name, file = line.split(maxsplit=1)
        if file.startswith(f"{lab.directory}/"):
            succeeds("losetup", "--detach", name)
