"""The real world's few operations that files depend on."""

import getpass
import grp
import os

from agent.world import World

USER, GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


def test_write_replaces_as_a_whole_with_its_mode(tmp_path):
    path = str(tmp_path / "a" / "file")
    World().write(path, b"old", 0o644, USER, GROUP)
    World().write(path, b"new", 0o600, USER, GROUP)
    assert World().read(path) == b"new"
    assert World().owner_and_mode(path) == (USER, GROUP, 0o600)
    assert os.listdir(tmp_path / "a") == ["file"]


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
