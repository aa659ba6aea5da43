"""What no release brings, back from another disk: what comes, what stays, and in whose name."""

import os
import tempfile
from pathlib import Path

import pytest

from agent import restore
from agent.outcome import Refused
from agent.world import CommandResult, World
from tests.agent.fake import FakeWorld

SAME = lambda user, group: (user, group)  # noqa: E731


@pytest.fixture
def tmp_path():
    """Not pytest's own: it cannot remove what is a thousand directories deep, where a killed test left that."""
    path = Path(tempfile.mkdtemp(prefix="infra-restore-"))
    yield path
    World().remove_tree(str(path))


@pytest.fixture
def disk(tmp_path):
    source = tmp_path / "disk/opt/whisper"
    (source / "models").mkdir(parents=True)
    (source / "models/large.bin").write_bytes(b"model")
    (source / "models/large.bin").chmod(0o640)
    os.utime(source / "models/large.bin", (1_600_000_000, 1_600_000_000))
    (source / "server").write_bytes(b"program")
    (source / "server").chmod(0o755)
    (source / "latest").symlink_to("models/large.bin")
    (source / "models").chmod(0o750)
    os.mkfifo(source / "pipe")
    return source


def test_everything_that_is_absent_comes_with_mode_and_times(disk, tmp_path):
    here = tmp_path / "opt/whisper"
    result = restore.bring(str(disk), str(here), SAME)
    assert (result.files, result.size, result.present) == (2, 12, 0)
    model = here / "models/large.bin"
    assert model.read_bytes() == b"model" and model.stat().st_mode & 0o7777 == 0o640
    assert model.stat().st_mtime == 1_600_000_000 and (here / "models").stat().st_mode & 0o7777 == 0o750
    assert os.readlink(here / "latest") == "models/large.bin" and not (here / "pipe").exists()


def test_the_bits_that_lend_an_owners_rights_do_not_come(disk, tmp_path):
    (disk / "server").chmod(0o6755)
    (disk / "models").chmod(0o3775)
    restore.bring(str(disk), str(tmp_path / "opt/whisper"), SAME)
    assert (tmp_path / "opt/whisper/server").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "opt/whisper/models").stat().st_mode & 0o7777 == 0o775


def test_existing_files_are_not_overwritten(disk, tmp_path):
    here = tmp_path / "opt/whisper"
    here.mkdir(parents=True)
    (here / "server").write_bytes(b"newer")
    result = restore.bring(str(disk), str(here), SAME)
    assert (here / "server").read_bytes() == b"newer" and (result.files, result.present) == (1, 1)
    again = restore.bring(str(disk), str(here), SAME)
    assert (again.files, again.present) == (0, 2)


def test_file_gets_its_name_once_complete(disk, tmp_path, monkeypatch):
    def torn(source, target, came):
        target.write(b"mod")
        raise OSError("cut off")

    with monkeypatch.context() as broken:
        broken.setattr(restore, "_copy", torn)
        with pytest.raises(OSError, match="cut off"):
            restore.bring(str(disk), str(tmp_path / "opt/whisper"), SAME)
    names = {name for _, _, names in os.walk(tmp_path / "opt") for name in names}
    assert not names & {"large.bin", "server"}
    restore.bring(str(disk), str(tmp_path / "opt/whisper"), SAME)
    assert (tmp_path / "opt/whisper/models/large.bin").read_bytes() == b"model"
    assert not [name for _, _, names in os.walk(tmp_path / "opt") for name in names if name.endswith(".infra")]


def test_a_link_that_a_user_laid_leads_nowhere(disk, tmp_path):
    """In a directory of a user's own, which the agent must not be led out of."""
    outside, here = tmp_path / "outside", tmp_path / "opt/whisper"
    outside.mkdir()
    here.mkdir(parents=True)
    (here / "models").symlink_to(outside)
    os.lchown(here / "models", 4711, 4711)
    brought = restore.bring(str(disk), str(here), SAME)
    assert list(outside.iterdir()) == []
    assert brought.failed and all("symbolic link" in line and str(here / "models") in line for line in brought.failed)
    assert (here / "server").exists(), "the rest comes all the same"


def test_progress_is_reported_while_a_large_file_is_copied(disk, tmp_path, monkeypatch):
    """Its connection is given up after 30 silent seconds."""
    (disk / "models/large.bin").write_bytes(b"m" * 10 * restore.CHUNK)
    clock = iter(range(0, 1000, 2))
    monkeypatch.setattr(restore.time, "monotonic", lambda: next(clock))
    said: list[str] = []
    restore.bring(str(disk), str(tmp_path / "opt/whisper"), SAME, restore.Signs(said.append).came)
    assert len(said) >= 3 and all(line.endswith("MiB so far") for line in said)


def test_pipe_at_the_temporary_name_is_not_written_to(disk, tmp_path):
    """A service's own directory: a pipe would hold root up, and with it every release."""
    here = tmp_path / "opt/whisper"
    here.mkdir(parents=True)
    os.mkfifo(here / ".server.infra")
    (here / ".models.infra").mkdir()
    restore.bring(str(disk), str(here), SAME)
    assert (here / "server").read_bytes() == b"program" and (here / "models/large.bin").exists()


def test_directory_gets_its_name_once_owned(disk, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError("cut off")

    with monkeypatch.context() as broken:
        broken.setattr(restore.os, "fchown", refused)
        with pytest.raises(OSError, match="cut off"):
            restore.bring(str(disk), str(tmp_path / "opt/whisper"), SAME)
    assert not (tmp_path / "opt/whisper").exists()
    restore.bring(str(disk), str(tmp_path / "opt/whisper"), SAME)
    assert (tmp_path / "opt/whisper/models").stat().st_mode & 0o7777 == 0o750


def test_a_link_on_the_way_leads_out_of_no_disk(tmp_path):
    (tmp_path / "live/data").mkdir(parents=True)
    (tmp_path / "disk/home").mkdir(parents=True)
    (tmp_path / "disk/home/whisper").symlink_to(tmp_path / "live")
    (tmp_path / "disk/opt/data").mkdir(parents=True)
    assert not restore._is_directory(str(tmp_path / "disk"), "/home/whisper/data")
    assert restore._is_directory(str(tmp_path / "disk"), "/opt/data")


def nested(top, depth, length=1):
    """Nested directories, which only descriptors reach once their path is too long."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("n" * length, dir_fd=here)
        deeper = os.open("n" * length, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


@pytest.mark.parametrize(("depth", "length"), [(30, 190), pytest.param(1100, 1, marks=pytest.mark.nightly)])
def test_deep_or_long_paths_do_not_stop_the_restore(disk, tmp_path, depth, length):
    nested(disk / "models", depth, length)
    assert sum(1 for _ in restore.absent(str(disk), str(tmp_path / "here"), [])) > 20
    brought = restore.bring(str(disk), str(tmp_path / "here"), SAME)
    assert (tmp_path / "here/server").read_bytes() == b"program" and (tmp_path / "here/models/large.bin").exists()
    assert any("name too long" in line for line in brought.failed) is (length > 1), brought.failed
    World().remove_tree(str(tmp_path / "here"))
    World().remove_tree(str(disk))
    assert not (tmp_path / "here").exists() and not disk.exists()


def test_a_directory_that_cannot_be_read_is_named_and_the_rest_comes(disk, tmp_path, monkeypatch):
    listed = os.scandir

    def broken(path):
        if str(path).endswith("/models"):
            raise OSError(5, "Input/output error", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", broken)
    brought = restore.bring(str(disk), str(tmp_path / "here"), SAME)
    assert brought.failed == [f"{tmp_path / 'here/models'}: Input/output error"] and brought.files == 1


def test_a_name_of_the_other_disk_that_is_no_utf_8_stops_nothing(tmp_path):
    (tmp_path / "passwd").write_bytes("whisper:x:997:996:Jos\u00e9\n".encode("latin-1") + b"\xff:x:1:1\n")
    (tmp_path / "own").write_text("whisper:x:5:5\n")
    own, other = str(tmp_path / "own"), str(tmp_path / "passwd")
    assert restore.owners({"whisper"}, other, other, own, own)(997, 997) == (5, 5)


def test_accounts_are_known_by_their_names(tmp_path):
    for name, text in {
        "a": "root:x:0:0\nwhisper:x:997:996\nold:x:1005:1005\nchrony:x:999:999\n",
        "b": "root:x:0:0\nwhisper:x:998:998\nchrony:x:107:107\n",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "ga").write_text("whisper:x:996:\n")
    (tmp_path / "gb").write_text("whisper:x:998:\n")
    ids = restore.owners({"root", "whisper"}, *(str(tmp_path / name) for name in ("a", "ga", "b", "gb")))
    assert ids(997, 996) == (998, 998) and ids(0, 0) == (0, 0)
    assert ids(1005, 1005) == (1005, 1005), "one that is not here keeps its number"
    assert ids(999, 999) == (999, 999), "a container's own number may be an account's of the system"


VOLUME = "vol-0123456789abcdef0"
DISK = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"


class Disks(FakeWorld):
    """`kinds` are disks and what is on them; the one that is `mounted` has `has`."""

    kinds: dict[str, str]
    has: dict[str, set[str]]
    mounted = ""

    def listing(self, path):
        return sorted(self.kinds) if path == restore.DEVICES else super().listing(path)

    def exists(self, path):
        inside = path.removeprefix(restore.PLACE)
        return inside in self.has.get(self.mounted, set()) if inside != path else super().exists(path)

    def run(self, *argv, **options):
        match argv:
            case ("blkid", *_, device):
                return CommandResult(0, self.kinds[device.rsplit("/", 1)[1]])
            case ("mount", "-o", _, device, _):
                self.mounted = device.rsplit("/", 1)[1]
            case ("umount", _):
                self.mounted = ""
        return super().run(*argv, **options)


def disks(kinds: dict[str, str], has: dict[str, set[str]]) -> Disks:
    world = Disks()
    world.kinds, world.has = kinds, has
    return world


def test_partition_with_the_data_is_found():
    kinds = {
        "nvme-Amazon_Elastic_Block_Store_vol0other": "ext4",
        DISK: "",
        f"{DISK}-part1": "ext4",
        f"{DISK}-part15": "vfat",
        f"{DISK}-part16": "xfs",
    }
    world = disks(
        kinds, {f"{DISK}-part16": {"/opt/whisper"}, "nvme-Amazon_Elastic_Block_Store_vol0other": {"/opt/whisper"}}
    )
    with restore._mount_disk(world, VOLUME, ["/opt/whisper"], print) as place:
        assert world.mounted == f"{DISK}-part16" and place == restore.PLACE
    assert world.mounted == ""
    assert (
        world.commands("mount")[-1]
        == f"mount -o ro,nosuid,nodev,noexec,nouuid {restore.DEVICES}/{DISK}-part16 {restore.PLACE}"
    )


def test_disk_without_the_data_is_refused_and_released():
    world = disks({f"{DISK}-part1": "ext4"}, {})
    with (
        pytest.raises(Refused, match="the disk of vol-0123456789abcdef0 does not have /opt/whisper or /srv/recall"),
        restore._mount_disk(world, VOLUME, ["/opt/whisper", "/srv/recall"], print),
    ):
        pass
    assert world.mounted == ""


def test_a_disk_that_does_not_come_is_not_waited_for_forever():
    world = disks({}, {})
    with (
        pytest.raises(Refused, match="did not appear on this host within 60 s"),
        restore._mount_disk(world, VOLUME, ["/opt"], print),
    ):
        pass
