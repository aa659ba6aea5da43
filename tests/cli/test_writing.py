"""What `infra` writes goes where it was meant to go, or nowhere."""

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from infra import scan
from infra.errors import InfraError
from infra.writing import MARKER, fill_directory, open_for_append, put
from tests.support import ROOT, execute

OLD, NEW = "ap-southeast-2", "ap-northeast-1"
INFRA = Path(sys.executable).with_name("infra")


def test_file_is_replaced_atomically_and_keeps_its_permissions(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o640)
    put(path, "after")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("after", 0o640)
    assert os.listdir(tmp_path) == ["file"]


def test_a_new_file_has_the_permissions_that_it_was_given(tmp_path):
    put(tmp_path / "file", b"\x00", 0o600)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def lay_link(path, victim):
    path.symlink_to(victim)


def lay_pipe(path, victim):
    os.mkfifo(path)


def lay_directory(path, victim):
    path.mkdir()


@pytest.mark.parametrize(("lay", "what"), [(lay_link, "a link"), (lay_pipe, "a pipe"), (lay_directory, "a directory")])
def test_link_or_special_file_is_not_written_to(tmp_path, lay, what):
    victim = tmp_path / "authorized_keys"
    victim.write_text("as it was")
    lay(tmp_path / "report.md", victim)
    with pytest.raises(InfraError, match=f"report.md is {what}, and a file is to be written there"):
        put(tmp_path / "report.md", "after")
    assert victim.read_text() == "as it was"


@pytest.mark.parametrize("what", ["a link", "a pipe", "a directory"])
def test_link_or_special_file_is_not_appended_to(tmp_path, what):
    path, victim = tmp_path / "server.log", tmp_path / "victim"
    victim.write_text("kept")
    {"a link": lambda: path.symlink_to(victim), "a pipe": lambda: os.mkfifo(path), "a directory": path.mkdir}[what]()
    with pytest.raises(InfraError, match=r"server\.log"), open_for_append(path) as file:
        file.write(b"more")
    assert victim.read_text() == "kept"


def test_lines_are_appended_and_a_new_log_is_the_accounts_alone(tmp_path):
    path = tmp_path / "server.log"
    for line in (b"one\n", b"two\n"):
        with open_for_append(path) as file:
            file.write(line)
    assert path.read_bytes() == b"one\ntwo\n" and stat.S_IMODE(path.stat().st_mode) == 0o600


# What is no file of a disk's, is written by root there, streams, or needs a name of its own
BY_THEMSELVES = {
    "lab/network.py", "infra/adopt/keys.py", "infra/layout.py", "infra/artefact.py",
    "infra/project/upgrade.py",
}  # fmt: skip
WRITES = re.compile(r"\.write_(?:text|bytes)\(|\bopen\([^()]*(?:\([^()]*\)[^()]*)*,\s*\"[rwax]b?\+?b?\"")


def test_no_other_code_writes_files():
    """All that `infra` and the lab write goes through `infra.writing`."""
    reads = re.compile(r",\s*\"rb?\"")
    found = {
        str(path.relative_to(ROOT))
        for folder in ("infra", "lab", "components", "policy")
        for path in (ROOT / folder).rglob("*.py")
        for match in WRITES.finditer(path.read_text())
        if not reads.search(match[0])
    }
    assert found - {"infra/writing.py"} == BY_THEMSELVES


def test_failed_write_leaves_the_file_without_leftovers(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfraError, match="cannot be written: No space left on device"):
        put(path, "after")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]


def test_a_link_at_any_name_beside_a_scanned_file_is_left_alone(tmp_path):
    """A repository of another author plants links at the names that it expects."""
    victim = tmp_path / "authorized_keys"
    victim.write_text("as it was")
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "app.conf").write_text(f"region: {OLD}\n")
    for name in (".app.conf.infra", "app.conf.part", ".app.conf.tmp", "app.conf~"):
        (repository / name).symlink_to(victim)
    ran = execute(INFRA, "scan-regions", repository, "--from", OLD, "--to", NEW, "--write", code=None)
    assert victim.read_text() == "as it was"
    assert (repository / "app.conf").read_text() == f"region: {NEW}\n"
    assert (
        "not looked at (a link, a pipe, a device, over 4 MiB, too deep, in UTF-16, or not readable): " in ran.stdout
        and "and 3 more" in ran.stdout
    )


def test_a_pipe_holds_up_no_scan(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "app.conf").write_text(f"region: {OLD}\n")
    passed_over = scan.PassedOver()
    assert [file.name for file in scan.scan([tmp_path], OLD, NEW, passed_over)] == ["app.conf"]
    assert passed_over.unread == [tmp_path / "pipe"]


FILES = {"etc/a.conf": (b"a", 0o600), "etc/b/c": (b"c", 0o755)}


def test_unscanned_files_are_counted(tmp_path):
    (tmp_path / "utf16.txt").write_text(f"region: {OLD}", encoding="utf-16")
    (tmp_path / "large.txt").write_text("x" * (scan.LARGEST + 1))
    (tmp_path / "latin.txt").write_bytes(f"r\xe9gion: {OLD}".encode("latin-1"))
    (tmp_path / "link").symlink_to("latin.txt")
    passed_over = scan.PassedOver()
    assert [file.name for file in scan.scan([tmp_path], OLD, NEW, passed_over)] == ["latin.txt"]
    assert {path.name for path in passed_over.unread} == {"utf16.txt", "large.txt", "link"}


def made(path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_a_directory_that_infra_made_is_made_again(tmp_path):
    own = tmp_path / "out/own"
    fill_directory(own, FILES | {"old": (b"old", 0o644)})
    fill_directory(own, FILES)
    assert made(own) == {*FILES, MARKER} and (own / "etc/a.conf").stat().st_mode & 0o777 == 0o600
    # Interrupted on its way
    (own / "etc/b/c").unlink()
    fill_directory(own, FILES)
    assert made(own) == {*FILES, MARKER}


def planted(own) -> None:
    """A directory of another account, with a marker that is none of this account's."""
    shutil.rmtree(own)
    own.mkdir()
    (own / "keys").write_bytes(b"k")
    (own / MARKER).write_text(json.dumps({"keys": hashlib.sha256(b"k").hexdigest()}))
    os.chown(own / MARKER, 65534, 65534)


STRANGE = {
    "a note beside": lambda own: (own / "note").touch(),
    "an edited file": lambda own: (own / "etc/a.conf").write_text("b"),
    "a link in a file's place": lambda own: ((own / "etc/a.conf").unlink(), (own / "etc/a.conf").symlink_to("/etc/hostname")),
    "a link to a directory": lambda own: (own / "x").symlink_to("/etc"),
    "another directory in its place": lambda own: (shutil.rmtree(own), own.mkdir(), (own / "notes").touch()),
    "an odd marker": lambda own: (own / MARKER).write_bytes(b"\xff"),
    "a marker of another kind": lambda own: (own / MARKER).write_text("[]"),
    "another account's marker": planted,
}  # fmt: skip


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_foreign_directories_are_not_deleted(tmp_path, change):
    own = tmp_path / "own"
    fill_directory(own, FILES)
    change(own)
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    with pytest.raises(InfraError, match="has files that `infra` did not make, or that were changed since, such as "):
        fill_directory(own, FILES)
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "path", ["/", "/host", "/etc", "/etc/x", "/usr/local/x", "/root", "/tmp", "/proc/self/x", "/etc/../etc"]
)
def test_a_directory_of_the_system_takes_no_output(path):
    with pytest.raises(InfraError, match="is a directory of the system: name one of your own"):
        fill_directory(Path(path), FILES)


def test_a_link_is_no_directory_for_output(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(InfraError, match="link is a link; a directory is to be made there"):
        fill_directory(tmp_path / "link", FILES)
