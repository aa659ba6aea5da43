"""What an account does with a path of the release hides nothing else of a drift, a preview or a measure."""

import fcntl
import os
import signal
import sys

import pytest

from agent import managers, moving, quoting
from agent.contents import contents
from agent.drift import drift
from agent.measures import machine
from agent.monitor.look import HostFacts
from agent.places import look_at, read_file
from agent.store import current
from agent.world import CommandResult, Usage
from tests.agent.conditions import watchme
from tests.agent.releases import AVATAR, SITE, release, serving
from tests.support import ROOT, execute


def barred(world, *paths):
    """Looking at these raises what the kernel says."""

    def failing(method):
        def asked(path, *more):
            if path in paths:
                raise OSError(40, "Too many levels of symbolic links", path)
            return method(path, *more)

        return asked

    for name in ("entry", "read", "link_target"):
        setattr(world, name, failing(getattr(world, name)))
    return world


def test_drift_reports_an_odd_path_and_the_rest():
    world = serving(release())
    content, *owned = world.files[SITE]
    world.files[SITE] = (content + b"# by hand\n", *owned)
    link = release().manifest["links"][0]["path"]
    found = {entry["path"]: entry["found"] for entry in drift(barred(world, AVATAR, link))}
    assert "Too many levels of symbolic links" in found[AVATAR] and "Too many levels" in found[link]
    assert found[SITE] == "was edited"


def test_a_preview_gets_the_rest():
    world = serving(release())
    content, *owned = world.files[SITE]
    world.files[SITE] = (content + b"x" * (2 << 20), *owned)
    files = contents(barred(world, AVATAR))["files"]
    assert files[AVATAR].startswith("(cannot be read: OSError") and "too large to compare" in files[SITE]
    assert len(files) == len(contents(serving(release()))["files"])


def test_a_file_with_a_lease_is_named(tmp_path):
    path = tmp_path / "leased"
    path.write_text("x")
    held = os.open(path, os.O_WRONLY)
    # The kernel asks the holder by this to give it up, which would end it, and does not wait for that here
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    try:
        script = (
            "from agent.places import look_at, read_file\n"
            f"print(look_at({str(path)!r}).what)\n"
            f"try:\n  read_file({str(path)!r})\nexcept OSError as error:\n  print(error)\n"
        )
        ran = execute(sys.executable, "-c", script, cwd=ROOT).stdout
        assert "a file on which another program has a lease" in ran
        assert f"another program has a lease on it: '{path}'" in ran
    finally:
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        os.close(held)
        signal.signal(signal.SIGIO, before)
    assert look_at(str(path)).content == read_file(str(path)) == b"x"


def test_a_mount_whose_name_is_no_utf_8_hides_no_disk():
    world = watchme()
    world.files["/proc/mounts"] = (b"/dev/a / ext4 rw 0 0\nx /home/a/\xff fuse rw 0 0\n/dev/b /data ext4 rw 0 0\n", 0o444, "", "")  # fmt: skip
    world.usage = lambda path: Usage(hash(path), 100, 50, 10, 5)
    assert {one.subject for one in machine.inodes(HostFacts(world, current(world)), {})} == {"/", "/data"}


def test_journal_of_an_account_does_not_displace_the_hosts():
    """The end of what journalctl says is kept; each is asked for by itself."""
    world = watchme()
    world.answers["journalctl MESSAGE_ID=abc _PID=1"] = CommandResult(
        0, 'broken off"}\n{"UNIT":"a.service","_PID":"1","_UID":"0"}\n'
    )
    world.answers["journalctl MESSAGE_ID=abc --since"] = CommandResult(
        0, '{"USER_UNIT":"b.service","_UID":"1001"}\n' * 2
    )
    assert managers.announcements(world, "abc", 60, 10) == [("", "a.service"), *[("1001", "b.service")] * 2]


SAID = "du: cannot access '/data/z 888 n': No such file\ndu: cannot read directory '/data/x'$'\\n''999'$'\\t''/data'\n4096\t/data\n"


@pytest.mark.parametrize(("said", "size"), [("4096\t/data\n", 4096), (SAID, 4096), ("du: nothing\n", 0), ("", 0)])
def test_no_name_of_a_file_is_the_size_of_data(monkeypatch, said, size):
    monkeypatch.setattr(moving, "run", lambda *words, timeout: (0, said))
    assert moving.size("/data") == size


def test_only_the_shown_part_of_an_endless_line_is_processed(monkeypatch):
    seen = []
    visible = quoting.visible
    monkeypatch.setattr(quoting, "visible", lambda text: (seen.append(len(text)), visible(text))[1])
    shown = quoting.last_lines("first\n" + "x😀" * (8 << 20) + "\nlast", 3, 1024)
    assert shown.endswith("last") and len(shown) < 2048
    assert len(quoting.quote("y" * (8 << 20), 1024)) < 2048 and max(seen) <= 1 << 20
