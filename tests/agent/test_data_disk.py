"""The disk that a host's data is on: found by its volume, formatted only where it is new, mounted, and enlarged in use."""

import json

import pytest

from agent import arriving, data_disk
from agent.backups import making
from agent.outcome import Refused
from tests.agent.releases import applied, release, world_for
from tests.catalogue.changes import hosted, setting

GIB = 1024**3
VOLUME = "vol-0abc"
LINK = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0abc"
BOTH = ["/srv", data_disk.DOCKER]
NEW = {"blkid": (2, ""), "wipefs": (0, ""), "lsblk": (0, "nvme1n1\n")}
OURS = "TYPE=ext4\nUUID=u-1\n"


class Host(data_disk.Machine):
    """A host in memory. `disk` is what programs say of its disk, `files` are its own, `listed` what directories have."""

    def __init__(self, disk=None, listed=None, size=50):
        self.disk, self.listed, self.size = {**NEW, **(disk or {})}, listed or {}, size
        self.links, self.blank, self.clock, self.ran = {LINK: "/dev/nvme1n1"}, True, 0.0, []
        self.files = {"/etc/fstab": "UUID=root / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n"}
        self.mounts, self.used, self.fails = {"/": "/dev/nvme0n1p1"}, size, set()

    def run(self, *argv):
        self.ran.append(" ".join(argv))
        if argv[:3] in self.fails:
            return 1, f"{argv[0]} failed\n"
        if argv[0] == "mkfs.ext4":
            self.disk["blkid"] = (0, OURS)
        if argv[0] == "systemd-escape":
            return 0, argv[-1].strip("/").replace("/", "-") + ".mount\n"
        if argv[:2] == ("systemctl", "start") and argv[2].endswith(".mount"):
            line = next(e for e in self.files["/etc/fstab"].splitlines() if self.unit(e) == argv[2]).split()
            self.mounts[line[1]] = "/dev/nvme1n1"
        if argv[0] == "blockdev":
            return 0, f"{self.size * GIB}\n"
        if argv[0] == "findmnt":
            return 0, f"{self.used}\n"
        if argv[0] in ("resize2fs", "xfs_growfs"):
            self.used = self.size
        return self.disk.get(argv[0], (0, ""))

    def unit(self, line):
        fields = line.split()
        return f"{fields[1].strip('/').replace('/', '-')}.mount" if len(fields) > 1 else ""

    def resolve(self, path):
        return self.links.get(path, path if path.startswith("/dev/nvme") else "")

    def listing(self, path):
        return self.listed.get(path, [])

    def is_blank(self, device):
        return self.blank

    def read(self, path):
        if path == "/proc/self/mounts":
            return "".join(f"{device} {place} ext4 rw 0 0\n" for place, device in self.mounts.items())
        return self.files.get(path, "")

    def write(self, path, text):
        self.files[path] = text

    def directory(self, path, mode):
        pass

    def now(self):
        return self.clock

    def sleep(self, seconds):
        self.clock += seconds

    def carry_out(self, mounts=("/srv",), size=50):
        said = []
        payload = {"volume": VOLUME, "size": size, "device": "/dev/sdf", "mounts": list(mounts)}
        return data_disk.carry_out(self, payload, said.append), said

    def has_run(self, beginning):
        return [line for line in self.ran if line.startswith(beginning)]


def refusal(host, **values) -> str:
    with pytest.raises(data_disk.Refused) as refused:
        host.carry_out(**values)
    return str(refused.value)


def test_a_new_disk_gets_a_file_system_and_is_mounted_at_each_boot():
    host = Host()
    _, said = host.carry_out()
    assert host.has_run("mkfs") == ["mkfs.ext4 -q -m 1 /dev/nvme1n1"] and host.mounts["/srv"] == "/dev/nvme1n1"
    *others, line = host.files["/etc/fstab"].splitlines()
    # What is there stays, and a boot goes on without the disk
    assert others == ["UUID=root / ext4 defaults 0 1", "/swapfile none swap sw 0 0"]
    assert line.startswith("UUID=u-1 /srv ext4 defaults,nofail,") and line.endswith(" 0 2")
    assert said == ["making a file system (ext4) on the new disk /dev/nvme1n1", "mounting /dev/nvme1n1 at /srv"]


def test_existing_file_system_is_mounted_unchanged():
    host = Host({"blkid": (0, OURS)})
    host.carry_out()
    assert not host.has_run("mkfs") and host.mounts["/srv"] == "/dev/nvme1n1"


def test_second_run_changes_nothing():
    host = Host()
    host.carry_out(BOTH)
    before = (dict(host.files), dict(host.mounts), len(host.has_run("mkfs")), len(host.has_run("systemctl stop")))
    host.carry_out(BOTH)
    assert (host.files, host.mounts, len(host.has_run("mkfs")), len(host.has_run("systemctl stop"))) == before


NOT_EMPTY = {
    "a signature that is no file system": ({"wipefs": (0, "0x1fe dos\n")}, True, "is not empty"),
    "parts": ({"lsblk": (0, "nvme1n1\nnvme1n1p1\n")}, True, "is not empty"),
    "bytes, and nothing that is known": ({}, False, "is not empty"),
    "what is not clear": ({"blkid": (8, "")}, True, "is not clear (blkid ended with 8)"),
    "a partition table": ({"blkid": (0, "PTTYPE=gpt\nPTUUID=x\n")}, True, "has a partition table"),
    "encryption": ({"blkid": (0, "TYPE=crypto_LUKS\nUUID=x\n")}, True, "has crypto_LUKS"),
    "a program that is missing": ({"wipefs": (1, "wipefs: cannot open\n")}, True, "wipefs: cannot open"),
}


@pytest.mark.parametrize(("disk", "blank", "said"), NOT_EMPTY.values(), ids=NOT_EMPTY)
def test_file_system_is_not_created_on_a_disk_with_content(disk, blank, said):
    host = Host(disk)
    host.blank = blank
    assert said in refusal(host)
    assert not host.has_run("mkfs") and "/srv" not in host.mounts


def test_only_a_disk_of_zeros_is_blank(tmp_path):
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(3 * 1024**2))
    assert data_disk.Machine().is_blank(disk)
    disk.write_bytes(bytes(2 * 1024**2) + b"\1")
    assert not data_disk.Machine().is_blank(disk)


def test_disk_is_found_by_its_volume_id():
    host = Host({"lsblk": (0, "nvme0n1 vol0fff\nnvme2n1 vol0abc\n")})
    host.links = {}
    assert data_disk.find(host, {"volume": VOLUME, "device": "/dev/sdf"}, print) == "/dev/nvme2n1"
    # Xen says no serial number
    host = Host({"lsblk": (0, "xvda\nxvdf\n")})
    host.links = {"/dev/xvdf": "/dev/xvdf"}
    assert data_disk.find(host, {"volume": VOLUME, "device": "/dev/sdf"}, print) == "/dev/xvdf"


def test_disk_of_another_volume_is_not_used():
    host = Host({"lsblk": (0, "nvme0n1 vol0fff\nnvme2n1 vol0eee\n")})
    host.links = {"/dev/sdf": "/dev/nvme2n1", "/dev/xvdf": "/dev/nvme2n1"}
    assert "vol-0abc did not appear on this host within 120 s" in refusal(host)


def test_mount_is_refused_when_it_would_hide_files():
    host = Host(listed={"/srv": ["shop", "lost+found"]})
    said = refusal(host)
    assert said.startswith("/srv has files on the root disk (shop), which the data disk would hide: nothing was moved")
    assert "UUID=u-1" in said and "/srv" not in host.mounts and "/srv" not in host.files["/etc/fstab"]


def test_foreign_fstab_line_stays():
    host = Host()
    host.files["/etc/fstab"] += "nas:/data /srv nfs defaults 0 0\n"
    assert "has a line of its own for /srv" in refusal(host)
    assert host.files["/etc/fstab"].endswith("nas:/data /srv nfs defaults 0 0\n")


def test_mount_is_refused_when_another_disk_is_mounted_there():
    host = Host()
    host.mounts["/srv"] = "/dev/nvme5n1"
    assert "/dev/nvme5n1 is mounted at /srv, and not /dev/nvme1n1" in refusal(host)


def test_file_system_is_enlarged_while_mounted():
    host = Host({"blkid": (0, OURS)})
    host.carry_out()
    host.size = 80
    _, said = host.carry_out(size=80)
    assert host.has_run("resize2fs")[-1] == "resize2fs /dev/nvme1n1"
    assert said == ["/srv has grown with its disk to 80 GiB"]
    assert not host.has_run("systemctl stop") and not host.has_run("umount")


def test_xfs_is_enlarged_by_its_mount():
    host = Host({"blkid": (0, "TYPE=xfs\nUUID=u-2\n")})
    host.carry_out()
    assert host.has_run("xfs_growfs") == ["xfs_growfs /srv"]


def test_a_disk_that_has_not_grown_yet_is_waited_for():
    host = Host({"blkid": (0, OURS)})
    assert "/dev/nvme1n1 is still being enlarged (now 50 GiB, target 80 GiB); run again" in refusal(host, size=80)
    assert not host.has_run("resize2fs")


def test_named_volumes_are_on_the_disk_and_docker_waits_for_the_mount():
    host = Host(listed={data_disk.DOCKER: ["backingFsBlockDev", "metadata.db"]})
    host.carry_out(BOTH)
    assert "/srv/.docker-volumes /var/lib/docker/volumes none bind,nofail," in host.files["/etc/fstab"]
    assert "AssertPathIsMountPoint=/var/lib/docker/volumes" in host.files[data_disk.DROP_IN]
    stop, start = (
        host.ran.index(f"systemctl {what}") for what in ("stop docker.socket docker.service", "start docker.service")
    )
    assert stop < host.ran.index("systemctl start var-lib-docker-volumes.mount") < start


def test_named_volumes_on_the_root_disk_are_not_hidden():
    host = Host(listed={data_disk.DOCKER: ["metadata.db", "shop-data"]})
    assert "/var/lib/docker/volumes has files on the root disk (shop-data)" in refusal(host, mounts=BOTH)
    assert not host.has_run("systemctl stop") and data_disk.DROP_IN not in host.files


def test_docker_runs_on_where_the_mount_fails():
    host = Host()
    host.fails.add(("systemctl", "start", "var-lib-docker-volumes.mount"))
    refusal(host, mounts=BOTH)
    assert host.ran[-1] == "systemctl start docker.service" and data_disk.DROP_IN not in host.files


def test_data_disk_program_reports_in_json_lines(monkeypatch, capsys):
    monkeypatch.setattr(data_disk, "Machine", lambda: Host(listed={"/srv": ["a"]}))
    payload = {"volume": VOLUME, "size": 50, "device": "/dev/sdf", "mounts": ["/srv"]}
    data_disk.main(payload)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1].keys() == {"refused"}
    monkeypatch.setattr(data_disk, "Machine", Host)
    data_disk.main(payload)
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"done": {"device": "/dev/nvme1n1"}}


BIND, DISK = setting("web", volumes=["/srv/web/media:/media"]), hosted(dataDisk={"size": 50})


def test_without_the_disk_a_release_is_refused_before_its_directories_are_made():
    made = release(BIND, DISK)
    world = world_for(made)
    before = world.seen_by_programs()
    outcome = applied(world, made)
    assert outcome.outcome == "refused" and "/srv of the data disk is not mounted" in outcome.line
    assert world.seen_by_programs() == before
    world.files["/proc/mounts"] = (b"/dev/nvme1n1 /srv ext4 rw,relatime 0 0\n", 0o444, "root", "root")
    assert applied(world, made).outcome == "applied"


def test_no_backup_is_made_or_put_back_without_the_disk():
    made = release(BIND, DISK)
    world = world_for(made)
    world.files["/proc/mounts"] = (b"/dev/nvme1n1 /srv ext4 rw,relatime 0 0\n", 0o444, "root", "root")
    assert applied(world, made).outcome == "applied"
    making.demand_disk(world)
    del world.files["/proc/mounts"]
    with pytest.raises(Refused, match="/srv of the data disk is not mounted"):
        making.demand_disk(world)
    with pytest.raises(Refused, match="/srv of the data disk is not mounted"):
        arriving.prepare(world, {"volumes": ["a"], "bytes": {}}, print)
    assert not world.commands("docker volume create a")
