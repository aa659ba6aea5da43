"""Root's own links, whose way leads through a directory of an account's: the account must not be able to turn it."""

import os
import subprocess

import pytest

from agent.world import World

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs accounts' directories")
ACCOUNT = 12345


@pytest.fixture
def host(tmp_path):
    """`srv` is root's and has a link to the account's own directory; `etc` is what the account is after. Below a
    directory that is root's alone, as they are on a host."""
    for name in ("home/app", "srv", "etc"):
        (tmp_path / name).mkdir(parents=True)
    os.chown(tmp_path / "home", ACCOUNT, ACCOUNT)
    (tmp_path / "etc/shadow").write_text("root's")
    (tmp_path / "srv/app").symlink_to(tmp_path / "home/app")
    (tmp_path / "srv/file").symlink_to(tmp_path / "home/file")
    (tmp_path / "home/file").write_text("the account's own")
    return tmp_path


def turned(host) -> None:
    """What the account does with its own directory."""
    (host / "home/app").rmdir()
    (host / "home/app").symlink_to(host / "etc")
    (host / "home/file").unlink()
    (host / "home/file").symlink_to(host / "etc/shadow")
    for name in ("app", "file"):
        os.lchown(host / "home" / name, ACCOUNT, ACCOUNT)


def test_link_of_root_is_followed(host):
    world = World()
    world.write(f"{host}/srv/app/x", b"text", 0o644, "root", "root")
    assert (host / "home/app/x").read_text() == "text" and world.read(f"{host}/srv/app/x") == b"text"
    assert world.read(f"{host}/srv/file") == b"the account's own"


@pytest.mark.parametrize(
    "act",
    [
        lambda world, host: world.directory(f"{host}/srv/app", 0o755, "nobody", "nogroup"),
        lambda world, host: world.directory(f"{host}/srv/app/ssl", 0o755, "nobody", "nogroup"),
        lambda world, host: world.write(f"{host}/srv/app/shadow", b"mine", 0o644, "root", "root"),
        lambda world, host: world.link(f"{host}/srv/app/shadow", "/tmp"),
        lambda world, host: world.remove(f"{host}/srv/app/shadow"),
    ],
    ids=["whose it is", "a directory in it", "a file", "a link", "a removal"],
)
def test_link_in_a_directory_of_an_account_is_not_followed(host, act):
    turned(host)
    before = os.stat(host / "etc")
    with pytest.raises(OSError, match="not followed"):
        act(World(), host)
    assert sorted(os.listdir(host / "etc")) == ["shadow"] and (host / "etc/shadow").read_text() == "root's"
    assert os.stat(host / "etc").st_uid == before.st_uid


def test_files_behind_links_of_accounts_are_not_read(host):
    turned(host)
    world = World()
    assert world.read(f"{host}/srv/file") is None and world.read(f"{host}/srv/app/shadow") is None
    assert world.why_barred(f"{host}/srv/app/x") and world.directory_entry(f"{host}/srv/app") is None


def test_chained_root_links_are_followed_and_circular_ones_refused(host):
    (host / "srv/one").symlink_to("two")
    (host / "srv/two").symlink_to("../etc/../etc/shadow")
    (host / "srv/round").symlink_to("round")
    (host / "srv/up").symlink_to("..")
    world = World()
    assert world.read(f"{host}/srv/one") == b"root's" and world.read(f"{host}/srv/up/etc/shadow") == b"root's"
    assert world.read(f"{host}/srv/round") is None and world.read(f"{host}/srv/up") is None


@pytest.mark.parametrize("path", ["/proc/self/mounts", "/proc/mounts", "/etc/os-release", "/bin/sh"])
def test_system_files_behind_root_links_are_read(path):
    expected = subprocess.run(["cat", path], capture_output=True, check=False, timeout=10).stdout
    assert len(World().read(path) or b"") > 0 and bool(expected)
