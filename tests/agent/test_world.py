"""The real world's few operations that files depend on."""

import getpass
import grp
import os

import pytest

from agent.world import World

USER, GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


def test_write_replaces_a_file_atomically_with_its_mode(tmp_path):
    path = str(tmp_path / "a" / "file")
    World().write(path, b"old", 0o644, USER, GROUP)
    World().write(path, b"new", 0o600, USER, GROUP)
    assert World().read(path) == b"new"
    assert World().owner_and_mode(path) == (USER, GROUP, 0o600)
    assert os.listdir(tmp_path / "a") == ["file"]


def test_a_settled_tree_is_on_the_disk_with_its_directories(tmp_path, monkeypatch):
    (tmp_path / "agent" / "__pycache__").mkdir(parents=True)
    (tmp_path / "agent" / "__pycache__" / "main.pyc").write_bytes(b"x")
    on_disk: set[str] = set()
    monkeypatch.setattr(os, "fsync", lambda descriptor: on_disk.add(os.readlink(f"/proc/self/fd/{descriptor}")))
    World().settle(str(tmp_path))
    below = ("", "/agent", "/agent/__pycache__", "/agent/__pycache__/main.pyc")
    assert on_disk == {f"{tmp_path}{path}" for path in below}


def test_link_replaces_a_link(tmp_path):
    path = str(tmp_path / "link")
    World().link(path, "one")
    World().link(path, "two")
    assert World().link_target(path) == "two"


def test_missing_program_and_timeout_have_their_codes():
    assert World().run("no-such-program").code == 127
    assert World().run("sleep", "5", timeout=0.1).code == 124


def test_nothing_listening_is_status_zero():
    assert World().status_of("http://127.0.0.1:9/") == 0


@pytest.fixture
def laid(tmp_path):
    """A directory of a service's account, with a link in it to somewhere that is none of its business."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "unit").write_text("root's")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config").symlink_to(tmp_path / "elsewhere")
    if os.geteuid() == 0:
        os.chown(tmp_path / "home", 12345, 12345)
        os.lchown(tmp_path / "home" / "config", 12345, 12345)
    return tmp_path


@pytest.mark.parametrize(
    "act",
    [
        lambda path: World().write(f"{path}/unit", b"x", 0o644, USER, GROUP),
        lambda path: World().write(f"{path}/new/unit", b"x", 0o644, USER, GROUP),
        lambda path: World().directory(path, 0o755, USER, GROUP),
        lambda path: World().directory(f"{path}/new", 0o755, USER, GROUP),
        lambda path: World().link(f"{path}/unit", "/x"),
        lambda path: World().remove(f"{path}/unit"),
    ],
)
def test_a_link_that_a_user_laid_leads_root_nowhere(laid, act):
    before = os.stat(laid / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        act(str(laid / "home" / "config"))
    after = os.stat(laid / "elsewhere")
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert {p.name: p.read_text() for p in (laid / "elsewhere").iterdir()} == {"unit": "root's"}


def test_a_file_takes_the_place_of_a_link(laid):
    World().write(f"{laid}/home/config", b"x", 0o644, USER, GROUP)
    assert (laid / "home" / "config").read_bytes() == b"x" and not (laid / "home" / "config").is_symlink()


def test_temporary_link_has_a_hidden_name(tmp_path, monkeypatch):
    """Nginx reads whatever `include sites-enabled/*` finds, also what a loss of power left there."""
    seen = []
    replace_as_ever = os.replace

    def noting(source, target, **named):
        seen.append(source)
        replace_as_ever(source, target, **named)

    monkeypatch.setattr(os, "replace", noting)
    World().link(f"{tmp_path}/site", "/somewhere")
    World().write(f"{tmp_path}/file", b"", 0o644, USER, "")
    assert [name[0] for name in seen] == [".", "."]


@pytest.mark.parametrize("put", [os.mkdir, lambda path: os.makedirs(f"{path}/x")], ids=["a directory", "a full one"])
def test_occupied_temporary_name_does_not_block_a_release(tmp_path, put):
    """The name under which a file is prepared is known: an account may have taken it."""
    put(f"{tmp_path}/.app.conf.infra")
    put(f"{tmp_path}/.link.infra")
    World().write(f"{tmp_path}/app.conf", b"new", 0o644, "root", "root")
    World().link(f"{tmp_path}/link", "/etc/hostname")
    assert (tmp_path / "app.conf").read_bytes() == b"new" and os.readlink(tmp_path / "link") == "/etc/hostname"
    assert sorted(os.listdir(tmp_path)) == [".app.conf.infra", ".link.infra", "app.conf", "link"]
