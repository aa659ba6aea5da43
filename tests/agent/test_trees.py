"""Archives that are unpacked as root: nothing of one leads out of its folder, or stays as another account's."""

import io
import os
import tarfile

import pytest

from agent.trees import Unfit, digest_of, look, unpack
from agent.world import World

MOST = 1 << 20


def archive(path, *members, mode="w:gz"):
    """Each member is a name and its text, or a TarInfo."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, text = member
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.mtime = len(text), 0o4700, 1000, 1_000_000
            tar.addfile(entry, io.BytesIO(text.encode()))
    return str(path)


def special(name, kind, target="", mode=0o777):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, target, mode
    return entry


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_directories_and_links_are_roots_own_and_readable(folder, tmp_path, mode):
    made = archive(
        tmp_path / "a", special("bin", tarfile.DIRTYPE, mode=0o700), ("bin/run", "program"),
        special("bin/python3", tarfile.SYMTYPE, "/usr/bin/python3"), special("bin/again", tarfile.LNKTYPE, "bin/run"),
        ("./deep/er/text", "t"), mode=mode,
    )  # fmt: skip
    unpack(made, str(folder), MOST)
    assert (folder / "bin/run").read_text() == (folder / "bin/again").read_text() == "program"
    assert os.readlink(folder / "bin/python3") == "/usr/bin/python3"
    facts = {str(path.relative_to(folder)): path.lstat() for path in folder.rglob("*") if not path.is_symlink()}
    # setuid goes, and what its builder alone could read is for every account
    assert {name: oct(found.st_mode & 0o7777) for name, found in facts.items()} == {
        "bin": "0o755", "bin/run": "0o755", "bin/again": "0o755", "deep": "0o755", "deep/er": "0o755",
        "deep/er/text": "0o755",
    }  # fmt: skip
    assert {found.st_uid for found in facts.values()} == {os.getuid()}
    World().settle(str(folder))


def test_a_text_is_no_program(folder, tmp_path):
    entry = special("text", tarfile.REGTYPE, mode=0o600)
    unpack(archive(tmp_path / "a", entry), str(folder), MOST)
    assert (folder / "text").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("../evil", "x")], "leads out"),
        ([("/etc/evil", "x")], "leads out"),
        ([("a/../../evil", "x")], "leads out"),
        ([special("a", tarfile.SYMTYPE, "/tmp"), ("a/evil", "x")], "leads through a link"),
        (
            [special("a", tarfile.SYMTYPE, ".."), special("a/b", tarfile.DIRTYPE), ("a/b/c", "x")],
            "leads through a link",
        ),
        ([("a", "x"), ("a/b", "x")], "leads through a link or a file"),
        ([special("a", tarfile.LNKTYPE, "../../etc/passwd")], "leads out"),
        ([special("l", tarfile.SYMTYPE, "/etc"), special("a", tarfile.LNKTYPE, "l/passwd")], "leads through a link"),
        ([special("a", tarfile.CHRTYPE)], "is a device or a pipe"),
        ([special("a", tarfile.FIFOTYPE)], "is a device or a pipe"),
        ([("a/.wh.b", "")], "removes a file of another layer"),
        ([("big", "x" * (MOST + 1))], "there is no space"),
    ],
)
def test_archive_with_escaping_or_special_entries_is_refused(folder, tmp_path, members, expected):
    with pytest.raises(Unfit, match=expected):
        unpack(archive(tmp_path / "a", *members), str(folder), MOST)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_oversized_header_is_refused_unread(folder, tmp_path, kind):
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = kind, 1 << 30
    (tmp_path / "a").write_bytes(entry.tobuf() + b"x" * 10240)
    with pytest.raises(Unfit, match="a header of 1073741824 bytes"):
        unpack(str(tmp_path / "a"), str(folder), MOST)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_names(folder, tmp_path, form):
    name = "/".join(["directory" * 5] * 20) + "/file"
    entry = tarfile.TarInfo(name)
    (tmp_path / "a").write_bytes(entry.tobuf(form) + bytes(10240))
    unpack(str(tmp_path / "a"), str(folder), MOST)
    assert (folder / name).exists()


def test_later_layer_replaces_a_link_without_writing_through_it(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("safe")
    unpack(archive(tmp_path / "a", special("x", tarfile.SYMTYPE, str(outside))), str(folder), MOST)
    unpack(archive(tmp_path / "b", ("x", "new")), str(folder), MOST)
    assert outside.read_text() == "safe" and (folder / "x").read_text() == "new" and not (folder / "x").is_symlink()


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + b"x" * 99])
def test_invalid_archive_is_reported(folder, tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Unfit, match="it cannot be read"):
        unpack(str(tmp_path / "a"), str(folder), MOST)


def test_truncated_archive_is_reported(folder, tmp_path):
    whole = archive(tmp_path / "a", ("x", "y" * 100_000), ("z", "z"), mode="w")
    with open(whole, "r+b") as file:
        file.truncate(50_000)
    with pytest.raises(Unfit, match="it cannot be read"):
        unpack(whole, str(folder), MOST)


def test_a_look_sees_every_way_to_change_a_tree(folder):
    (folder / "a").mkdir()
    (folder / "a/file").write_text("text")
    (folder / "link").symlink_to("a")
    before = look(str(folder))
    assert set(before) == {".", "a", "a/file", "link"} and before["link"] == "-> a"
    changes = [
        lambda: (folder / "a/file").write_text("other text"), lambda: os.utime(folder / "a/file", (1, 1)),
        lambda: (folder / "a/file").chmod(0o700), lambda: (folder / "a").chmod(0o700), lambda: (folder / "new").write_text(""),
        lambda: ((folder / "link").unlink(), (folder / "link").symlink_to("b")), lambda: (folder / "a/file").unlink(),
    ]  # fmt: skip
    for change in changes:
        change()
        after = look(str(folder))
        assert after != before
        before = after
    assert look(str(folder / "nothing")) == {}


def test_too_deeply_nested_archive_is_refused(folder, tmp_path):
    with pytest.raises(Unfit, match="more than 100 nested directories"):
        unpack(archive(tmp_path / "a", ("a/" * 1500 + "x", "y")), str(folder), MOST)


def test_empty_files_count_as_disk_space(folder, tmp_path):
    """Each takes a place in its directory, and a disk that is full takes down what serves."""
    with pytest.raises(Unfit, match="there is no space"):
        unpack(archive(tmp_path / "a", *((str(number), "") for number in range(300))), str(folder), MOST)


def test_odd_entries_are_the_archives_fault(folder, tmp_path):
    for entry in (special("a", tarfile.LNKTYPE, "missing"), special("b" * 300, tarfile.DIRTYPE)):
        with pytest.raises(Unfit, match="it cannot be"):
            unpack(archive(tmp_path / "a", entry), str(folder), MOST)


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    assert digest_of(str(tmp_path / "a")) == "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
