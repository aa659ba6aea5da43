"""Accounts that lay links, pipes and huge files in the agent's way, and damaged state: root stays root, and a rollback
puts back all that it can."""

import copy
import json
import os
import pwd
import socket
import stat
import sys
from dataclasses import replace

import pytest

from agent import jobs, places, prune, store, transaction
from agent.outcome import Refused
from agent.places import LARGEST, Entry, look_at, read_file
from agent.recover import recover
from agent.world import World
from tests.agent.fake import FakeWorld, Killed
from tests.agent.releases import AVATAR, JOB, SITE, applied, bigger, gone_back, longer, release, serving, world_for
from tests.rows import changes
from tests.support import ROOT, execute, service, unchanged

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Where a transaction keeps the earlier files."""
    monkeypatch.setattr(transaction, "BEFORE", f"{tmp_path}/state/before")
    return tmp_path


def remembered(path) -> list[dict]:
    return transaction._remember_paths(World(), [str(path)], set())


# One look: content, owner and mode of the same file


def test_file_replaced_by_a_link_during_reading_counts_as_a_link(tmp_path, monkeypatch):
    """Its content is never that of one file, and its owner and mode another's."""
    path, secret = tmp_path / "app.service", tmp_path / "su"
    path.write_text("ours")
    secret.write_text("a program that root owns")
    open_as_ever = os.open

    def swapped(name, flags, *arguments, **named):
        if name == "app.service" and not path.is_symlink():
            path.unlink()
            path.symlink_to(secret)
        return open_as_ever(name, flags, *arguments, **named)

    monkeypatch.setattr(places.os, "open", swapped)
    assert look_at(str(path)) == Entry("link", target=str(secret))


@pytest.mark.parametrize("bits", [0o4755, 0o2755, 0o1755, 0o7777], ids=oct)
def test_setuid_bits_are_not_restored_by_a_rollback(kept, bits):
    path = kept / "program"
    path.write_text("before")
    path.chmod(bits)
    entries = remembered(path)
    path.unlink()
    path.write_text("of the release")
    assert transaction.put_back(World(), entries) == []
    assert path.read_text() == "before"
    assert stat.S_IMODE(path.stat().st_mode) == bits & 0o777
    assert all(stat.S_IMODE(file.stat().st_mode) <= 0o777 for file in (kept / "state/before").iterdir())


def test_files_are_installed_without_setuid_bits(tmp_path):
    World().write(f"{tmp_path}/program", b"x", 0o6755, ME, "")
    assert stat.S_IMODE((tmp_path / "program").stat().st_mode) == 0o755


# What is no file


def make_directory(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def make_sparse(path):
    with open(path, "wb") as file:
        file.truncate(LARGEST + 1)


OTHERS = {
    "a device": (lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)), "a character device"),
    "a directory": (make_directory, "a directory"),
    "a pipe": (make_pipe, "a pipe"),
    "a socket": (make_socket, "a socket"),
    "a huge file": (make_sparse, f"a file of {LARGEST + 1} bytes"),
}


@pytest.mark.parametrize(("make", "what"), OTHERS.values(), ids=OTHERS)
def test_special_file_is_neither_read_nor_counted_as_absent(kept, make, what):
    make(kept / "there")
    assert look_at(f"{kept}/there") == Entry("other", what=what)
    with pytest.raises(Refused, match=f"/there is {what}, but the release has a file or a link there"):
        remembered(kept / "there")


def test_a_file_of_terabytes_fills_no_memory(tmp_path):
    path = tmp_path / "sparse"
    with open(path, "wb") as file:
        file.truncate(8 << 40)
    script = (
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)); from agent.places import look_at;"
        f"print(look_at({str(path)!r}).what)"
    )
    assert execute(sys.executable, "-c", script, cwd=ROOT).stdout.strip() == f"a file of {8 << 40} bytes"
    with pytest.raises(OSError, match="is larger than 64 MiB"):
        read_file(str(path))


@pytest.mark.parametrize("path", [AVATAR, SITE, "/etc/nginx/sites-enabled/api.hey-watch.me"])
def test_a_release_is_refused_where_something_else_is_in_the_way(path):
    served = release()
    world = serving(served)
    world.files.pop(path, None), world.links.pop(path, None)
    world.others[path] = Entry("other", what="a directory")
    outcome = applied(world, release(longer))
    assert (outcome.outcome, store.current_id(world)) == ("refused", served.id)
    assert f"{path} is a directory, but the release has a file or a link there: move it away" in outcome.line


# A rollback that cannot put back everything


def test_each_entry_is_tried_by_itself(kept):
    first, second, third = (kept / name for name in ("first", "second", "third"))
    for path in (first, third):
        path.write_text("before")
    entries = [entry for path in (first, second, third) for entry in remembered_at(path, kept)]
    for path in (first, third):
        path.write_text("of the release")
    # Where nothing was there is a directory now, with something in it
    second.mkdir()
    (second / "inside").touch()
    failures = transaction.put_back(World(), entries)
    assert len(failures) == 1 and failures[0].startswith(f"{second} could not be put back: ")
    assert (first.read_text(), third.read_text()) == ("before", "before")


def remembered_at(path, kept) -> list[dict]:
    """An entry whose copy stays when the next one is made."""
    (entry,) = remembered(path)
    if "copy" in entry:
        copy = f"{kept}/{path.name}.copy"
        os.rename(entry["copy"], copy)
        entry["copy"] = copy
    return [entry]


def test_an_account_without_a_name_any_more_keeps_nothing_else_from_going_back():
    served = release()
    world = serving(served)
    place = {
        "path": "/srv/gone",
        "kind": "directory",
        "slot": False,
        "owner": "removed",
        "group": "",
        "mode": 0o755,
    }
    link = {"path": "/etc/nginx/sites-enabled/x", "kind": "link", "target": "/nowhere", "slot": False}

    def directory(path, mode, owner, group):
        raise KeyError(f"getpwnam(): name not found: {owner!r}")

    world.directory = directory
    failures = transaction.put_back(world, [place, link])
    assert failures == ["/srv/gone could not be put back: KeyError: getpwnam(): name not found: 'removed'"] or (
        len(failures) == 1 and "/srv/gone could not be put back" in failures[0]
    )
    assert world.links[link["path"]] == "/nowhere"


def test_unchanged_paths_are_not_rewritten_by_a_rollback():
    world = FakeWorld(links={"/a": "/b"})
    before = world.changes
    assert transaction.put_back(world, [{"path": "/a", "kind": "link", "target": "/b", "slot": False}]) == []
    assert transaction.put_back(world, [{"path": "/c", "kind": "absent", "slot": False}]) == []
    assert world.changes == before


def test_units_are_put_back_although_a_path_is_not():
    served = release()
    world = serving(served)
    put = transaction._put_back

    def failing(on, entry):
        if entry["path"] == AVATAR:
            raise OSError(5, "Input/output error", AVATAR)
        put(on, entry)

    transaction._put_back = failing
    world.web = lambda url: 503 if ":8014" in url else 200
    before = world.files[AVATAR]
    try:
        outcome = applied(world, release(bigger))
    finally:
        transaction._put_back = put
    assert outcome.outcome == "rollback failed" and f"{AVATAR} could not be put back: " in outcome.line
    assert "watchme-avatar-uploader.service" in world.active
    # What was there is kept, and the next job puts back the rest
    assert world.files[AVATAR] != before
    world.web = lambda url: 200
    recover(world, JOB, "another job came")
    assert world.files[AVATAR] == before and transaction.load_unfinished(world) is None


# Damaged state


DAMAGE = {"half-written": b'{"job": ', "empty": b"", "another shape": b"[]", "no text": b"\xff\xfe"}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_of_the_history_stops_no_job(content):
    world = serving(release(), release(bigger))
    name = world.listing(store.HISTORY)[0] if world.listing(store.HISTORY) else "00000001-j0.json"
    world.files[f"{store.HISTORY}/{name}"] = (content, 0o600, "root", "root")
    made = release(longer)
    assert applied(world, made, job=replace(JOB, id="j9", base=store.current_id(world))).outcome == "applied"
    assert store.current_id(world) == made.id


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_damaged_kept_release_stops_no_job_and_is_no_rollback_target(content):
    first, second = release(), release(bigger)
    world = serving(first, second)
    world.files[f"{store.RELEASES}/{first.id}/manifest.json"] = (content, 0o600, "root", "root")
    assert applied(world, release(longer)).outcome == "applied"
    assert gone_back(world, first.id).outcome == "refused"
    assert jobs.secret_values(world, None) is not None


# Readable, and not what the release came with
EDITED = json.dumps({**release(bigger).manifest, "keep": 6}).encode()
SHAPES = {
    **DAMAGE,
    "edited": EDITED,
    "parts missing": b'{"format": 3}',
    "a list": b"[1]",
    "a wrong format": b'{"format": "3"}',
}


@pytest.mark.parametrize("content", SHAPES.values(), ids=SHAPES)
def test_damaged_copy_of_the_current_release_does_not_block_others(content):
    first, second = release(), release(bigger)
    world = serving(first, second)
    world.files[f"{store.RELEASES}/{second.id}/manifest.json"] = (content, 0o600, "root", "root")
    assert applied(copy.deepcopy(world), second).outcome == "applied"
    assert applied(copy.deepcopy(world), release(longer)).outcome == "applied"
    assert gone_back(world, first.id).outcome == "applied"


# Kills that still count once the copy is whole; the later ones are those of any release, in test_rollback.py
AFTER_THE_COPY = 4


@pytest.mark.parametrize(
    "content", [pytest.param(None, marks=pytest.mark.nightly), b"damaged"], ids=["a file", "a file and the manifest"]
)
def test_killed_while_a_damaged_copy_is_written_again_the_next_job_works(content):
    first, second = release(), release(bigger)
    world = serving(first, second)
    kept = f"{store.RELEASES}/{second.id}"
    world.files[next(path for path in world.files if path.startswith(f"{kept}/files"))] = (b"x", 0o600, "root", "root")
    if content:
        world.files[f"{kept}/manifest.json"] = (content, 0o600, "root", "root")
    world.files[AVATAR] = (b"edited", 0o644, "root", "root")
    whole = copy.deepcopy(world)
    assert applied(whole, second).outcome == "applied"
    copies = 0
    for number in changes(whole.changes - world.changes):
        killed = copy.deepcopy(world)
        killed.kill_at = killed.changes + number
        with pytest.raises(Killed):
            applied(killed, second)
        killed.kill_at = None
        copies += all(killed.files.get(path) == whole.files[path] for path in whole.files if path.startswith(kept))
        recover(killed, JOB, "the host restarted midway")
        assert applied(copy.deepcopy(killed), second).outcome in ("applied", "unchanged"), number
        assert applied(copy.deepcopy(killed), release(longer)).outcome == "applied", number
        assert gone_back(killed, first.id).outcome == "applied", number
        if copies > AFTER_THE_COPY:
            break
    assert copies > AFTER_THE_COPY


def test_a_damaged_secret_of_a_kept_release_stops_no_job():
    def with_secret(data):
        service(data, "avatar-uploader")["secrets"] = ["TOKEN"]

    def set_secret(config):
        config["infra:secrets"] = {"avatar-uploader": {"TOKEN": "hunter2-planted"}}

    world = world_for(release(with_secret, set_secret))
    made = release(with_secret, set_secret)
    assert applied(world, made, {"avatar-uploader": {"TOKEN": "hunter2-planted"}}).outcome == "applied"
    path = made.manifest["environment_files"][0]["path"]
    place = f"{store.RELEASES}/{made.id}/files{path}"
    assert jobs.secret_values(world, None) == {"hunter2-planted"}
    world.files[place] = (b"TOKEN='\xffhunter'\nTOKEN\n\xff", 0o600, "root", "root")
    assert len(jobs.secret_values(world, None)) == 1


@pytest.mark.parametrize("name", ["README", ".x", "1-x.json", "0000000x-j.json", "99999999", "a-b"])
def test_foreign_files_in_the_history_are_ignored(name):
    world = serving(release())
    entry = {"job": "j1", "kind": "apply", "release": "r", "code": 0, "who": "a"}
    store.record(world, entry)
    world.files[f"{store.HISTORY}/{name}"] = (b"{}", 0o600, "root", "root")
    store.record(world, {**entry, "job": "j2"})
    assert [job["job"] for job in store.history(world)][-2:] == ["j1", "j2"]
    assert world.files[f"{store.HISTORY}/{name}"]


def test_release_of_a_newer_agent_keeps_its_images_and_stops_no_job():
    made = [release(change, version=number) for number, change in enumerate((unchanged, bigger, longer), 1)]
    world = serving(*made)
    newer = json.dumps({**made[1].manifest, "format": 99}).encode()
    world.files[f"{store.RELEASES}/{made[1].id}/manifest.json"] = (newer, 0o600, "root", "root")
    before, warnings = set(world.images), []
    assert prune.needed_images(world) is None
    assert jobs.secret_values(world, None) is not None
    # The first release goes; whether the second one needs its images cannot be known
    prune.prune(world, 2, warnings.append)
    assert world.images == before and f"kept release {made[1].id[:12]} cannot be read" in warnings[0]
    assert applied(world, release(bigger, version=4)).outcome == "applied"
