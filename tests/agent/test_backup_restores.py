"""Backups come back on a host in memory in one piece, whatever ends a restore; and drills, which touch nothing."""

import copy
import json

import pytest

from agent import install, steps, transaction
from agent.backups import asking, drills, making, restic, restoring
from agent.documents.backups import RestoreRecord
from agent.outcome import Refused
from agent.world import CommandResult, World
from tests.agent.fake import Killed
from tests.agent.restic import DATABASE, OUTBOX, now, say, served_world
from tests.document_types import misfits
from tests.rows import changes

DEPENDENTS = {"watchme-web-app.service", "worker.service"}


@pytest.fixture
def served():
    return served_world()


def restored(world, service="db", snapshot=None, to=None):
    return asking.handle(world, "restore", {"service": service, "snapshot": snapshot, "to": to}, say)


def position(world, beginning):
    return next(number for number, command in enumerate(world.ran) if command.startswith(beginning))


def test_dump_is_restored_before_dependent_services_start(served):
    now(served)
    served.write_rows("one two three and a mistake")
    before = set(served.active)
    answer = restored(served)
    assert served.rows() == "one two" and served.active == before
    (aside,) = answer["aside"]
    assert aside.startswith(f"{DATABASE}.before-") and served.rows(aside) == "one two three and a mistake"
    assert served.directories[DATABASE] == served.directories[aside] == ("70", "70", 0o700)
    stopped = served.ran[position(served, "systemctl stop")]
    assert DEPENDENTS | {"db.service"} <= {*stopped.split()} and "vault" not in stopped
    loaded = position(served, "restic --quiet dump")
    starts = [number for number, command in enumerate(served.ran) if command.startswith("systemctl restart")]
    assert "db.service" in served.ran[starts[0]] and starts[0] < loaded < starts[1]
    assert restoring.RECORD not in served.files


def test_migrations_of_dependent_services_run_again_after_a_restore(served):
    now(served)
    restored(served)
    step, start = (
        position(served, text)
        for text in ("/usr/bin/docker-compose -p infra-step-", "systemctl restart watchme-web-app")
    )
    assert position(served, "restic --quiet dump") < step < start
    assert len(json.loads(served.files[steps.DONE][0])["done"]) == 1


def test_files_are_restored_in_their_place(served):
    now(served, "worker")
    served.files[f"{OUTBOX}/mail"] = (b"changed", 0o644, "root", "root")
    served.files[f"{OUTBOX}/new"] = (b"new", 0o644, "root", "root")
    answer = restored(served, "worker")
    assert served.files[f"{OUTBOX}/mail"][0] == b"letter" and f"{OUTBOX}/new" not in served.files
    assert served.files[f"{answer['aside'][0]}/new"][0] == b"new"
    assert "db.service" not in " ".join(served.commands("systemctl stop"))
    assert not [path for path in served.files if ".restored" in path]


def test_earlier_backup_is_chosen_by_an_id_prefix(served):
    first = now(served)
    served.write_rows("later")
    now(served)
    restored(served, snapshot=first["snapshot"][:8])
    assert served.rows() == "one two"
    for wanted, line in (("0", "2 backups of db begin with"), ("ffff", "0 backups of db begin with")):
        with pytest.raises(Refused, match=line):
            restored(served, snapshot=wanted)


def test_into_a_directory_nothing_else_is_touched(served):
    now(served, "worker")
    served.ran.clear()
    answer = restored(served, "worker", to="/srv/look")
    assert answer["into"] == "/srv/look" and served.files[f"/srv/look{OUTBOX}/mail"][0] == b"letter"
    assert not served.commands("systemctl")
    with pytest.raises(Refused, match="already exists"):
        restored(served, "worker", to="/srv/look")
    for wrong in ("", "look", "/srv/../etc/x", "/srv/a\nb", "/"):
        with pytest.raises(Refused, match="is not an absolute directory"):
            restored(served, "worker", to=wrong)


REFUSED = {
    "no backup": (lambda world: world.kept.clear(), "there is no backup of db"),
    "no room": (lambda world: setattr(world, "space", 1024**3), "the backup takes 0 MiB, and 1024 MiB are free at"),
}


@pytest.mark.parametrize(("change", "line"), REFUSED.values(), ids=REFUSED)
def test_impossible_restore_is_refused_before_anything_is_touched(served, change, line):
    now(served)
    change(served)
    served.ran.clear()
    with pytest.raises(Refused, match=line):
        restored(served)
    assert not served.commands("systemctl stop") and served.rows() == "one two"


def test_restore_is_refused_when_another_account_owns_a_parent_directory(served):
    now(served, "worker")
    served.ran.clear()
    for place in ("/srv/web", "/srv"):
        served.directories[place] = ("ice", "ice", 0o755)
        for to in (None, "/srv/web/look"):
            with pytest.raises(
                Refused,
                match=f"{place} belongs to ice or is writable by others, who could redirect the data: restore with --to",
            ):
                restored(served, "worker", to=to)
    assert not served.commands("systemctl stop") and not served.commands("restic --quiet restore")


def test_owners_of_parent_directories_are_checked_on_a_real_host(tmp_path):
    restoring._demand_own_parent(World(), "/usr/share/nothing-of-ours/data")
    restoring._demand_own_parent(World(), "/data-of-ours")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Refused, match="could redirect the data"):
        restoring._demand_own_parent(World(), f"{tmp_path}/open/data")


def test_services_that_were_down_start_on_the_restored_data(served):
    now(served)
    served.active -= {"watchme-web-app.service", "db.service"}
    restored(served)
    assert {"watchme-web-app.service", "db.service"} <= served.active and served.rows() == "one two"


def test_service_unhealthy_before_does_not_undo_the_restore(served):
    now(served)
    served.write_rows("newer")
    served.web = lambda url: 500 if ":3001" in url else 200
    said = []
    asking.handle(served, "restore", {"service": "db", "snapshot": None, "to": None}, said.append)
    assert served.rows() == "one two" and any("was unhealthy before and still is: web" in line for line in said)


def test_service_unhealthy_after_the_restore_undoes_it(served):
    now(served)
    served.write_rows("newer")
    served.web = lambda url: 500 if ":3001" in url and served.rows() == "one two" else 200
    with pytest.raises(Refused, match="and its earlier data is back in place: web"):
        restored(served)
    assert served.rows() == "newer"


FAILED = {
    "the load": ("docker exec -i db", CommandResult(3, "ERROR: role reader does not exist"), "the load command ended with 3"),
    "the repository in the middle": ("restic --quiet dump", CommandResult(1, "Fatal: blob not found"), "restic: Fatal: blob not found"),
    "the start": ("systemctl restart db.service", CommandResult(1, "Job failed"), "could not be restored from backup"),
    "a migration": ("/usr/bin/docker-compose -p infra-step-", CommandResult(1, "no such table"), "ended with 1"),
    "the start of what depends on it": ("systemctl restart watchme-web-app", CommandResult(1, "Job failed"), "could not be restored"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "answer", "line"), FAILED.values(), ids=FAILED)
def test_failed_restore_puts_the_earlier_data_back(served, command, answer, line):
    now(served)
    served.write_rows("newer")
    before = set(served.active)
    served.fails[command] = answer
    with pytest.raises(Refused) as raised:
        restored(served)
    assert line in str(raised.value) and "and its earlier data is back in place" in str(raised.value)
    assert served.rows() == "newer" and served.active == before
    assert not [path for path in served.files if ".before-" in path] and restoring.RECORD not in served.files


def test_killed_restore_ends_with_earlier_or_restored_data(served):
    now(served)
    served.write_rows("newer")
    finished = copy.deepcopy(served)
    restored(finished)
    assert finished.rows() == "one two"
    for number in changes(finished.changes - served.changes):
        world = copy.deepcopy(served)
        world.kill_at = world.changes + number
        with pytest.raises((Killed, Refused)):
            restored(world)
        world.kill_at = None
        restoring.undo_interrupted(world, say)
        assert world.rows() == "newer", number
        assert world.active == served.active, number
        assert restoring.RECORD not in world.files


def test_unreadable_record_is_reported_with_the_remedy(served):
    served.files[restoring.RECORD] = (b"{", 0o600, "root", "root")
    with pytest.raises(Refused, match="is beside its place as"):
        restoring.undo_interrupted(served, say)


def test_a_connection_that_is_cut_ends_no_restore(served):
    now(served)
    served.write_rows("newer")

    def cut(line):
        raise SystemExit(0)

    asking.handle(served, "restore", {"service": "db", "snapshot": None, "to": None}, cut)
    assert served.rows() == "one two" and restoring.RECORD not in served.files


def test_data_written_after_an_interrupted_restore_is_kept(served):
    now(served)
    served.write_rows("newer")
    finished = copy.deepcopy(served)
    restored(finished)
    # Right before it is committed
    served.kill_at = finished.changes
    with pytest.raises((Killed, Refused)):
        restored(served)
    served.kill_at = None
    assert list(misfits(json.loads(served.files[restoring.RECORD][0]), RestoreRecord)) == []
    with pytest.raises(Refused, match="a restore was interrupted"):
        now(served)
    served.write_rows("written since")
    restoring.undo_interrupted(served, say)
    assert served.rows() == "newer"
    (kept,) = [path for path in served.files if ".interrupted-" in path]
    assert served.files[kept][0] == b"written since"


def test_restore_that_cannot_restart_a_service_does_not_block_releases(served):
    now(served)
    served.write_rows("newer")
    served.answers["systemctl restart watchme-web-app"] = CommandResult(1, "Job failed")
    with pytest.raises(Refused, match="and its earlier data is back in place"):
        restored(served)
    assert served.rows() == "newer" and restoring.RECORD not in served.files


def test_the_host_recovers_from_each_record_at_boot():
    for record in (transaction.TRANSACTION, restoring.RECORD):
        assert f"ConditionPathExists=|{record}\n" in install.RECOVER


def test_partial_dump_of_a_killed_agent_is_not_a_backup(served):
    good = now(served)
    at, _, _ = served.kept[good["snapshot"]]
    served.kept["ffff"] = (at.replace("00Z", "59Z"), "unfinished=db", "half")
    assert [backup["id"] for backup in asking.handle(served, "list", {}, say)["services"][0]["backups"]] == [
        good["snapshot"]
    ]
    now(served)
    assert "ffff" not in served.kept


def test_times_of_restic_are_compared_and_shown_in_utc(served):
    served.kept = {
        "a": ("2026-11-29T02:00:00.123456789+09:00", "service=db", "x"), "b": ("2026-11-28T17:30:00Z", "service=db", "y"),
    }  # fmt: skip
    found = restic.snapshots(served, "db")
    assert [str(snapshot) for snapshot in found] == ["b of 2026-11-28 17:30 UTC", "a of 2026-11-28 17:00 UTC"]
    served.files[restic.ENVIRONMENT] = (b"A='it's'\nB='a\xc2\x85b'\nC=x=y\n", 0o600, "root", "root")
    assert restic.environment(served) == {"A": "it's", "B": "a\x85b", "C": "x=y", "TZ": "UTC"}


def test_stopped_docker_is_reported(served):
    now(served)
    served.fails["docker volume create"] = CommandResult(1, "Cannot connect to the Docker daemon")
    with pytest.raises(Refused, match="Cannot connect to the Docker daemon"):
        restored(served)


def test_a_dump_whose_container_depends_on_others_is_read_whole(served):
    now(served)
    entry = {**making.entry_of(served, "db"), "health": ""}
    served.pipe = lambda source, sink, timeout, environment: (
        CommandResult(0, ""),
        CommandResult(0, ""),
        7 if source[0] == "restic" else 0,
    )
    assert drills._try_restore(served, entry, restic.choose_snapshot(served, "db", None), say) == 7


def test_a_drill_touches_nothing_that_serves_and_leaves_nothing(served):
    now(served)
    served.docker.containers["infra-drill-db"] = {}
    served.docker.states["infra-drill-db"] = {"Health": {"Status": "healthy"}}
    before = (served.rows(), set(served.active))
    answer = asking.handle(served, "drill", {"service": "db", "snapshot": None}, say)
    assert answer["started"] and answer["bytes"] == 7 and making.record(served, "db")["drill"]["snapshot"]
    assert (served.rows(), set(served.active)) == before and not served.commands("systemctl")
    assert served.commands("restic --quiet dump 00000001 /db.dump | docker exec -i infra-drill-db /bin/sh -c psql")
    assert served.ran[-1].startswith("docker volume rm --force infra-drill-db-0")


def test_failed_drill_is_recorded_with_its_reason_and_leaves_nothing(served):
    now(served)
    served.docker.containers["infra-drill-db"] = {}
    served.docker.states["infra-drill-db"] = {"Health": {"Status": "unhealthy", "Log": []}}
    with pytest.raises(Refused, match=r"drill of db, backup 00000001 .*: it is not healthy on the restored data"):
        drills.drill(served, "db", None, say)
    assert "not healthy" in making.record(served, "db")["drill"]["why"]
    assert served.ran[-1].startswith("docker volume rm --force infra-drill-db-0")


def test_a_scheduled_drill_is_remembered_and_its_exit_code_says_how_it_ended(served):
    lines: list[str] = []
    assert asking.run_scheduled_drill(served, "worker", lines.append) == 1
    assert lines[-1] == "there is no backup of worker"
    now(served, "worker")
    assert asking.run_scheduled_drill(served, "worker", lines.append) == 0
    assert lines[-1].startswith("drill of worker: backup 00000001 is good: read in full, ")
    assert making.record(served, "worker")["drill"]["snapshot"]


def test_drill_of_a_dependent_service_reads_the_dump_without_starting_it(served):
    now(served, "worker")
    answer = drills.drill(served, "worker", None, say)
    assert answer["started"] is False and not served.commands("/usr/bin/docker-compose -p infra-drill")
    assert not [path for path in served.files if path.startswith(drills.SCRATCH)]
