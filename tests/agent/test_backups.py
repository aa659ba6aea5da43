"""Backups on a host in memory: whole or none; listed, verified, and missed when they are old."""

import pytest

from agent.backups import asking, making, restic
from agent.measures import backups as measured
from agent.outcome import Refused
from agent.world import CommandResult
from tests.agent.releases import release
from tests.agent.restic import OUTBOX, now, say, served_world
from tests.catalogue.backups import CONFIG, PASSWORD, with_backups


@pytest.fixture
def served():
    return served_world()


def test_first_backup_creates_the_repository(served):
    served.is_there = False
    made = now(served)
    assert served.commands("restic --quiet init") and made["bytes"] == 7 and not made["warning"]
    assert [what for _, tag, what in served.kept.values() if tag == "service=db"] == ["one two"]
    assert served.commands(
        "restic --quiet forget --prune --group-by host,tags --keep-within 2d --keep-daily 7 --keep-monthly 6 --keep-weekly 4"
    )
    kept = making.record(served, "db")
    assert kept["good"]["snapshot"] == made["snapshot"] and kept["failed"] is None
    assert not any(PASSWORD in command for command in served.ran)


def test_files_are_backed_up_when_there_is_no_dump(served):
    assert now(served, "worker")["snapshot"]
    assert served.commands(f"restic --quiet backup --json --host watchme --tag service=worker {OUTBOX}")


FAULTS = {
    "a dump that fails": ("docker exec db", CommandResult(1, "pg_dump: error: connection refused"), "its dump ended with 1: pg_dump: error: connection refused"),
    "a dump that takes too long": ("docker exec db", CommandResult(124, ""), "its dump did not finish"),
    "restic": ("restic --quiet backup", CommandResult(1, "Fatal: server says no"), "restic: Fatal: server says no"),
    "a wrong password": ("restic --quiet cat config", CommandResult(1, "Fatal: wrong password or no key found"), "cannot be read: Fatal: wrong password"),
    "a region that does not answer": (
        "restic --quiet cat config", CommandResult(1, "Fatal: unable to open config file: dial tcp: i/o timeout\nIs there a repository at"),
        "the repository of backups cannot be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("command", "answer", "line"), FAULTS.values(), ids=FAULTS)
def test_failed_backup_is_recorded_as_failed(served, command, answer, line):
    before = now(served)
    served.fails[command] = answer
    with pytest.raises(Refused, match="no backup of db: ") as raised:
        now(served)
    assert line in str(raised.value)
    kept = making.record(served, "db")
    assert line in kept["failed"]["why"] and kept["good"]["snapshot"] == before["snapshot"]
    assert not served.commands("restic --quiet init")
    assert len(served.kept) == 1


def test_empty_dump_is_refused(served):
    served.write_rows("")
    with pytest.raises(Refused, match="its dump is empty"):
        now(served)
    assert not served.kept


def test_files_that_cannot_be_read_make_no_good_backup(served):
    served.fails["restic --quiet backup"] = CommandResult(3, "error: open /srv/web/outbox/x: permission denied")
    with pytest.raises(Refused, match="some files could not be read"):
        now(served, "worker")
    served.remove_tree(OUTBOX)
    served.directories.pop(OUTBOX, None)
    with pytest.raises(Refused, match="/srv/web/outbox does not exist"):
        now(served, "worker")


def test_backup_succeeds_with_a_warning_when_old_ones_cannot_be_removed(served):
    served.fails["restic --quiet forget"] = CommandResult(1, "unable to create lock: repository is already locked")
    assert "already locked" in now(served)["warning"] and "good" in making.record(served, "db")


def test_a_service_without_a_backup_is_named(served):
    with pytest.raises(
        Refused, match=r"'?web'? has no backup defined on this host; services with a backup: db, worker"
    ):
        now(served, "web")


def test_backups_are_listed_newest_first(served):
    first, second = now(served), now(served)
    entry = asking.handle(served, "list", {}, say)["services"][0]
    assert entry["service"] == "db" and [b["id"] for b in entry["backups"]] == [second["snapshot"], first["snapshot"]]
    assert entry["good"]["snapshot"] == second["snapshot"]


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"id": 1}]', '{"x": 2}', "[" * 5000])
def test_odd_answers_of_restic_are_refused_in_words(served, text):
    served.fails["restic --quiet snapshots"] = CommandResult(0, text)
    try:
        assert restic.snapshots(served, "db") == []
    except Refused as refusal:
        assert "the answer of restic about db cannot be read" in str(refusal)


class Look:
    def __init__(self, world):
        self.world, self.manifest = world, release(with_backups, CONFIG).manifest


def test_monitor_alerts_when_the_last_backup_is_old(served):
    def hours():
        return {m.subject: (m.value, m.detail) for m in measured.age(Look(served), {})}

    assert hours()["db"] == (-30, "it has no backup")
    served.time += 31 * 3600
    assert hours()["db"][0] == 1
    now(served)
    assert hours()["db"][0] == -30 and hours()["worker"][0] == 1
    served.fails["docker exec db"] = CommandResult(1, "connection refused")
    with pytest.raises(Refused):
        now(served)
    served.time += 40 * 3600
    value, text = hours()["db"]
    assert value == 10 and text.startswith(
        "its last successful backup is 40 hours old; the last attempt failed: its dump"
    )


def test_each_verification_reads_another_tenth_of_the_repository(served):
    parts = set()
    for _ in range(10):
        assert asking.handle(served, "verify", {"everything": False}, say) == {"line": "no errors found"}
        served.time += 86400
        parts.add(served.commands("restic --quiet check")[-1])
    assert len(parts) == 10
    absent = CommandResult(1, "Fatal: unable to open config file: Stat: The specified key does not exist.")
    served.fails["restic --quiet check"] = absent
    assert making.verify(served, True, say) == "there is no backup to verify yet"
    now(served)
    served.fails["restic --quiet check"] = absent
    with pytest.raises(Refused, match="damaged or cannot be read"):
        making.verify(served, True, say)
    served.fails["restic --quiet check"] = CommandResult(1, "pack 12ab: contains 1 errors")
    with pytest.raises(Refused, match="damaged or cannot be read: pack 12ab"):
        making.verify(served, True, say)
