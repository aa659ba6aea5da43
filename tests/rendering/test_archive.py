"""The archive: deterministic, complete, and named by what it holds."""

import gzip
import io
import json
import os
import tarfile
import time

from hypothesis import given
from hypothesis import strategies as st

from rendering import archive
from rendering.archive import agent_sources, build
from rendering.files import File, HostFiles
from rendering.host import render
from tests.support import catalogue

PATHS = st.lists(st.from_regex(r"/[a-z]{1,8}(/[a-z]{1,8}){0,3}", fullmatch=True), unique=True, max_size=6)


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {entry.name: entry for entry in tar}


def test_same_catalogue_same_bytes(monkeypatch):
    first = build(render(catalogue(), "watchme"))
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000)
    old = os.umask(0o077)
    try:
        second = build(render(catalogue(), "watchme"))
    finally:
        os.umask(old)
    assert first == second


@given(PATHS, st.randoms())
def test_order_of_files_does_not_matter(paths, random):
    files = [File(path, path.encode()) for path in paths]
    shuffled = list(files)
    random.shuffle(shuffled)
    first, second = build(HostFiles("h", files=files)), build(HostFiles("h", files=shuffled))
    assert (first.id, first.archive) == (second.id, second.archive)


@given(PATHS, st.binary(max_size=64))
def test_every_file_travels_byte_for_byte(paths, content):
    release = build(HostFiles("h", files=[File(path, content) for path in paths]))
    with tarfile.open(fileobj=io.BytesIO(release.archive), mode="r:gz") as tar:
        for path in paths:
            entry = tar.extractfile(f"files{path}")
            assert entry is not None and entry.read() == content


def test_a_changed_byte_or_mode_is_another_release():
    one = build(HostFiles("h", files=[File("/a", b"x")]))
    assert len({one.id, build(HostFiles("h", files=[File("/a", b"y")])).id, build(HostFiles("h", files=[File("/a", b"x", mode=0o600)])).id}) == 3  # fmt: skip


def by_tarfile(contents: dict[str, bytes]) -> bytes:
    """The same archive as Python's own modules write it, in one piece."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(contents):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(contents[name]), 0o600
            tar.addfile(entry, io.BytesIO(contents[name]))
    return buffer.getvalue()


@given(PATHS, st.binary(max_size=40_000))
def test_archive_that_shares_its_beginning_is_the_one_of_tarfile(paths, content):
    release = build(HostFiles("h", files=[File(path, content) for path in paths]))
    agent = {f"agent/{name}": text for name, text in agent_sources().items()}
    manifest = json.dumps(release.manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    whole = by_tarfile({"manifest.json": manifest, **agent, **{f"files{path}": content for path in paths}})
    assert gzip.decompress(release.archive) == whole


def test_agent_is_compressed_once_for_many_hosts(monkeypatch):
    made = []
    compressor = archive.zlib.compressobj
    monkeypatch.setattr(archive.zlib, "compressobj", lambda *args: made.append(args) or compressor(*args))
    archive._packed_agent.cache_clear()
    for number in range(20):
        build(HostFiles(f"host{number}"))
    assert len(made) == 1


def test_archive_has_no_author_and_time():
    for entry in members(build(render(catalogue(), "watchme")).archive).values():
        assert (entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime, entry.mode) == (0, 0, "", "", 0, 0o600)


def test_the_agent_travels_along():
    names = members(build(HostFiles("h")).archive)
    assert {"manifest.json", "agent/main.py", "agent/apply.py"} <= set(names)


def test_hashes_name_every_file_and_unusual_modes():
    hashes = build(HostFiles("h", files=[File("/b", b"x", mode=0o600), File("/a", b"x")])).hashes
    assert hashes == {"/a": "2d711642b726b044", "/b": "2d711642b726b044 0600 root"}


def test_no_secret_is_in_the_archive():
    secret = "correct-horse-battery"

    def config(values):
        values["infra:secrets"] = {"web": {"TOKEN": secret}}

    def system(data):
        next(entry for entry in data["services"] if entry["name"] == "web")["secrets"] = ["TOKEN"]

    release = build(render(catalogue(system, config), "watchme"))
    texts = [json.dumps(release.manifest), json.dumps(release.hashes)]
    with tarfile.open(fileobj=io.BytesIO(release.archive), mode="r:gz") as tar:
        texts += [tar.extractfile(entry).read().decode() for entry in tar]
    assert not any(secret in text for text in texts)
    assert any("web/TOKEN" in text for text in texts)
