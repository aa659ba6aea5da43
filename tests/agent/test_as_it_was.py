"""What a rollback, a kill or damage leaves: nothing that is passed over in silence."""

import json
import os
import socket
import threading
import time

import pytest

from agent import images, jobs, prune, slots, store, transaction, validate, web
from agent.job import Job
from agent.world import CommandResult, World
from tests.agent.fake import Killed
from tests.agent.releases import (
    AVATAR,
    applied,
    bigger,
    blue_green,
    blue_green_changed,
    gone_back,
    release,
    serving,
    world_for,
)
from tests.rows import changes

NEW = "watchme-admin.service"


def deaf_to(world, *words):
    """systemd ends or disables this unit no more."""
    asked = world.run

    def run(*argv, **options):
        if argv[: len(words) - 1] == words[:-1] and words[-1] in argv:
            asked(*(word for word in argv if word != words[-1]), **options)
            return CommandResult(124, "no end after 300 s")
        return asked(*argv, **options)

    world.run = run


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("systemctl", "stop", NEW), f"{NEW} did not run before, but does not stop"),
        (("systemctl", "disable", NEW), f"{NEW} was not enabled before, but is no longer"),
    ],
    ids=["a unit that does not stop", "a unit that stays enabled"],
)
def test_a_rollback_that_systemd_does_not_follow_claims_no_success(words, complaint):
    made = release()
    world = world_for(made)
    world.web = lambda url: 503 if ":9000" in url else 200
    deaf_to(world, *words)
    outcome = applied(world, made)
    assert outcome.outcome == "rollback failed" and complaint in outcome.line, outcome.line
    assert "verything is as it was" not in outcome.line


@pytest.mark.parametrize(
    ("shown", "outcome"),
    [
        ("watchme-avatar-uploader 127.0.0.1:8014->8014/tcp", "applied"),
        ("another 0.0.0.0:8014->80/tcp, :::8014->80/tcp", "rolled back"),
        ("another 127.0.0.1:8010-8020->8010-8020/tcp", "rolled back"),
        ("another 8014/tcp", "applied"),
        ("another 0.0.0.0:8014->8014/udp", "applied"),
        ("another 10.0.0.5:8014->80/tcp", "applied"),
        ("another [::]:8014->80/tcp", "rolled back"),
        ("", "applied"),
    ],
)
def test_port_of_another_container_is_not_the_services(shown, outcome):
    """Docker publishes a port once; a container of another network, or of host's, may have taken it before."""
    world = serving(release())
    world.answers["docker ps --format {{.Names}} {{.Ports}}"] = CommandResult(0, f"{shown}\n")
    ended = applied(world, release(bigger))
    assert ended.outcome == outcome, ended.line
    complaint = "avatar-uploader: the container another has its port instead of watchme-avatar-uploader"
    assert (complaint in ended.line) is (outcome != "applied"), ended.line


def test_release_is_rolled_back_when_the_ports_of_containers_are_unknown():
    world = serving(release())
    world.answers["docker ps --format {{.Names}} {{.Ports}}"] = CommandResult(124, "\nno end after 30 s")
    ended = applied(world, release(bigger))
    assert ended.outcome == "rolled back" and "the ports of the containers are unknown: docker ps" in ended.line


def test_the_other_slot_that_serves_is_no_edit_by_hand():
    world = serving(release(blue_green))
    for made in (release(blue_green_changed), release(blue_green), release()):
        ended = applied(world, made)
        assert ended.outcome == "applied" and "existed before" not in ended.line and "by hand" not in ended.line, (
            ended.line
        )


def test_an_earlier_slot_that_does_not_stop_is_named_and_fails_no_release():
    world = serving(release(blue_green))
    deaf_to(world, "systemctl", "stop", "watchme-vault-api-blue.service")
    outcome = applied(world, release(blue_green_changed))
    assert outcome.outcome == "applied"
    assert "watchme-vault-api-blue.service, which no longer serves, does not stop: no end after 300 s" in outcome.line
    assert slots.settle(world, release(blue_green_changed).manifest) != []


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 99}'], ids=["empty", "another shape", "of a newer agent"])
def test_unreadable_kept_release_is_reported_and_does_not_block_pruning(content):
    first, second = release(), release(bigger)
    world = serving(first, second)
    world.files[f"{store.RELEASES}/{first.id}/manifest.json"] = (content, 0o600, "root", "root")
    assert store.unreadable(world) == [first.id]
    assert prune.images(world) == 0 and prune.reclaimable(world) == 0 and not world.commands("docker image rm")
    # A disk that is full is what is wrong with it, and not the damage
    world.space = 100
    assert "no space left on device" in applied(world, release(version=3)).line


def test_damaged_entries_of_the_history_are_named():
    world = serving(release())
    world.files[f"{store.HISTORY}/00000009-j9.json"] = (b'{"job": ', 0o600, "root", "root")
    assert store.damaged_jobs(world) == ["00000009-j9.json"] and store.history(world) == []


def test_secrets_of_a_killed_preparation_are_removed_before_the_next_job():
    made = release()
    finished = world_for(made)
    applied(finished, made)
    kinds = set()
    for number in changes(finished.changes):
        world = world_for(made)
        world.kill_at = number
        with pytest.raises(Killed):
            applied(world, made)
        world.kill_at = None
        left = {place for place in (images.LOGIN, validate.STAGE) if world.listing(place)}
        kinds |= left
        for place in left:
            world.there.add(place)
        jobs.forget_leftovers(world)
        assert not world.listing(images.LOGIN) and not world.listing(validate.STAGE)
    assert kinds == {images.LOGIN, validate.STAGE}


def test_job_removes_prepared_secrets_at_its_start(monkeypatch):
    world = serving(release())
    called = []
    monkeypatch.setattr(jobs, "forget_leftovers", lambda world: called.append(world))
    spec = {"kind": "rollback", "release": store.current_id(world)}
    jobs.execute(world, Job("j2", "rollback", "a", "watchme"), spec, {"secrets": {}})
    assert called == [world]


# Directories of a real host


def test_a_directorys_bits_that_lend_rights_are_never_installed(tmp_path):
    place = tmp_path / "shared"
    place.mkdir()
    place.chmod(0o2775)
    found = World().directory_entry(str(place))
    assert found is not None and found.mode == 0o2775
    World().directory(str(place), found.mode, found.owner, found.group)
    assert place.stat().st_mode & 0o7777 == 0o775


def test_link_to_a_directory_is_not_accepted_as_a_directory(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("x")
    if os.getuid() == 0:
        # Root's own link in a directory that is not root's own
        os.chown(tmp_path, 65534, 65534)
        with pytest.raises(OSError, match="symbolic link"):
            World().directory(str(tmp_path / "here"), 0o755, "root", "root")
    assert World().directory_entry(str(tmp_path / "here")) is None
    assert World().directory_entry(str(tmp_path / "file")) is None
    assert World().directory_entry(str(tmp_path / "nothing")) is None


def test_rollback_of_a_first_release_keeps_directories_with_files():
    world = world_for(release())
    kept = "/home/ubuntu/api_ast"
    assert not world.directories

    def web(url):
        world.files[f"{kept}/written.by.the.service"] = (b"x", 0o644, "ubuntu", "ubuntu")
        return 503 if ":8020" in url or ":8017" in url else 200

    world.web = web
    assert applied(world, release()).outcome == "rolled back"
    assert [path for path in world.directories if path.startswith("/home/")] == [kept]


def test_rollback_reports_the_files_that_stay():
    world = world_for(release())
    world.web = lambda url: 503
    world.files["/home/ubuntu/api_ast/written.by.the.service"] = (b"x", 0o644, "ubuntu", "ubuntu")
    outcome = applied(world, release())
    assert outcome.outcome == "rolled back"
    assert "directories of this release stay, since they are not empty: /home/ubuntu/api_ast" in outcome.line, (
        outcome.line
    )


def test_rollback_reports_a_link_that_was_present_for_a_moment():
    """An account lays it while files are put back, and takes it away again."""
    world = serving(release())
    world.web = lambda url: 503 if ":8014" in url and b"300m" in world.files[AVATAR][0] else 200
    barred, asked = world.why_barred, []

    def for_a_moment(path):
        if path == AVATAR and (begun := transaction.load_unfinished(world)) and begun.reason:
            asked.append(path)
            return "a symbolic link that root does not own" if len(asked) < 3 else None
        return barred(path)

    world.why_barred = for_a_moment
    outcome = applied(world, release(bigger))
    assert f"{AVATAR} was not changed: a symbolic link" in outcome.line, outcome.line


def test_only_empty_directories_are_removed(tmp_path):
    (tmp_path / "full/deep").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "full/deep")
    for name in ("full", "linked", "nothing", "full/deep/not/there"):
        World().remove_empty(str(tmp_path / name))
    assert (tmp_path / "full/deep").is_dir() and (tmp_path / "linked").is_symlink()
    World().remove_empty(str(tmp_path / "full/deep"))
    World().remove_empty(str(tmp_path / "full"))
    assert not (tmp_path / "full").exists()


def test_endless_tls_handshake_times_out(monkeypatch):
    monkeypatch.setattr(web, "WHOLE", 0.5)
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        client = server.accept()[0]
        try:
            # A record of a handshake, of which a byte comes now and then
            client.sendall(b"\x16\x03\x03\x40\x00")
            while True:
                client.sendall(b"\x00")
                time.sleep(0.05)
        except OSError:
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        assert World().status_of(f"https://127.0.0.1:{server.getsockname()[1]}/") == 0
    finally:
        server.close()


def test_release_of_an_earlier_agent_is_recognised_by_its_content():
    """It was spelled in one line then, and its hash is another."""
    first, second = release(), release(bigger)
    world = serving(first, second)
    path = f"{store.RELEASES}/{first.id}/manifest.json"
    world.files[path] = (json.dumps(first.manifest, sort_keys=True).encode(), 0o600, "root", "root")
    assert gone_back(world, first.id).outcome == "applied" and store.current_id(world) == first.id
