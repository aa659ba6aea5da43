"""What a host does whose data moves away: agent/moving.py on files of its own, with a systemd in memory."""

import json
import subprocess

import pytest

from agent import moving
from tests.agent.giving import UNITS, Systemd, giving_host

ASKED = {
    "system": "shop",
    "id": "move1",
    "units": UNITS,
    "to": "box",
    "region": "ap-northeast-1",
    "what": "shop",
    "program": "",
}


@pytest.fixture
def systemd(tmp_path, monkeypatch) -> Systemd:
    made = giving_host(tmp_path, monkeypatch)
    ASKED["paths"] = [f"{tmp_path}/data"]
    moving.share(ASKED)
    return made


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(moving.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(moving.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def boots(systemd: Systemd) -> None:
    """What is in memory is gone, and systemd starts what it may."""
    moving.shutil.rmtree(moving.HELD, ignore_errors=True)
    moving.shutil.rmtree(moving.RUN, ignore_errors=True)
    systemd.on = set()
    systemd("systemctl", "start", *UNITS, "other.service")


def test_only_the_data_is_shared_and_only_to_read(systemd, tmp_path):
    config = (tmp_path / "run/moving/shop/rsyncd.conf").read_text()
    assert f"[p0]\npath = {tmp_path}/data\nread only = yes" in config and config.count("path =") == 1
    assert (tmp_path / "run/moving/shop/rsyncd.conf").stat().st_mode & 0o777 == 0o600
    with pytest.raises(moving.Failed, match="cannot be named"):
        moving.share({**ASKED, "paths": ["/srv/a\n[all]\npath = /"]})


def test_held_units_are_stopped_and_cannot_be_started(systemd):
    assert moving.hold(ASKED) == {"running": UNITS}
    systemd("systemctl", "start", *UNITS)
    assert systemd.on == {"other.service"}


def test_the_lease_ends_by_itself_and_all_run_again(systemd, clock):
    moving.hold(ASKED)
    clock[0] += moving.LEASE - 1
    assert moving.renew(ASKED) == {"held": True}
    moving.by_systemd("watch", "shop")
    assert clock[0] >= 1000 + 2 * moving.LEASE - 2 and systemd.on == {*UNITS, "other.service"}
    assert moving.commit(ASKED) == {"gone": False}, "what has started again gives nothing away"
    assert moving.renew(ASKED) == {"held": False}


def test_a_watch_that_is_killed_ends_the_lease(systemd, clock):
    moving.hold(ASKED)
    moving.by_systemd("lift", "shop")
    assert systemd.on == {*UNITS, "other.service"} and moving.commit(ASKED) == {"gone": False}


def test_data_given_away_stays_down_after_a_reboot(systemd, clock):
    moving.hold(ASKED)
    assert moving.commit(ASKED) == moving.commit(ASKED) == {"gone": True}
    moving.by_systemd("watch", "shop")
    moving.by_systemd("lift", "shop")
    assert systemd.on == {"other.service"}
    boots(systemd)
    assert systemd.on == {"other.service"}
    record = moving.describe({**ASKED, "owners": ["root"]})["away"]
    assert (record["id"], record["to"], record["region"]) == ("move1", "box", "ap-northeast-1")


def test_reboot_during_a_hold_restarts_the_units_and_ends_the_hold(systemd, clock):
    moving.hold(ASKED)
    boots(systemd)
    assert systemd.on == {*UNITS, "other.service"} and moving.commit(ASKED) == {"gone": False}


def test_commit_is_refused_when_a_held_unit_has_started(systemd, clock):
    moving.hold(ASKED)
    systemd.on.add("web.service")
    assert moving.commit(ASKED) == {"gone": False}


def test_only_the_same_move_can_lift_its_hold(systemd):
    moving.hold(ASKED)
    moving.commit(ASKED)
    assert moving.lift({**ASKED, "id": "move2"}) == {"started": []} and systemd.on == {"other.service"}
    assert moving.lift(ASKED) == {"started": UNITS} and systemd.on == {*UNITS, "other.service"}
    boots(systemd)
    assert systemd.on == {*UNITS, "other.service"}


def test_only_units_that_ran_are_started_again(systemd):
    systemd.on.discard("web.service")
    moving.hold(ASKED)
    moving.lift(ASKED)
    assert systemd.on == {"db.service", "other.service"}


def test_hold_is_refused_while_another_move_has_the_data(systemd):
    moving.hold(ASKED)
    with pytest.raises(moving.Failed, match="another run"):
        moving.hold({**ASKED, "id": "move2"})
    assert moving.commit({**ASKED, "id": "move2"}) == {"gone": False}
    moving.commit(ASKED)
    with pytest.raises(moving.Failed, match="no longer on this host"):
        moving.hold({**ASKED, "id": "move2"})
    assert moving.commit({**ASKED, "id": "move2"}) == {"gone": False}


@pytest.mark.parametrize("trouble", ["stuck", "open", "systemd-run"])
def test_hold_is_undone_when_a_writer_cannot_be_stopped(systemd, trouble, tmp_path):
    if trouble == "stuck":
        systemd.stuck = {"web.service"}
    if trouble == "systemd-run":
        systemd.refuses = "systemd-run"
    with open(tmp_path / "data/file", "w"):
        if trouble == "open":
            # Of this test's own process, as it would be of a stranger's
            moving.os.getpid, own = (lambda: -1), moving.os.getpid
        try:
            with pytest.raises(
                moving.Failed, match=r"still running after the stop|is in use by process|systemd-run: it cannot be done"
            ):
                moving.hold(ASKED)
        finally:
            if trouble == "open":
                moving.os.getpid = own
    assert systemd.on == {*UNITS, "other.service"} and not moving.os.path.exists(f"{moving.HELD}/shop.json")
    assert not systemd.barred("db.service")


def test_a_container_that_has_the_data_is_named(systemd, monkeypatch):
    monkeypatch.setattr(moving.shutil, "which", lambda name: "/usr/bin/docker")
    path = ASKED["paths"][0]

    def docker(*argv, timeout=60.0):
        if argv[1] == "ps":
            return 0, "c1 c2 c3"
        return 0, f"/shop-db\n  {path}/inner\n/other\n  /srv/else\n/all\n  {path.rsplit('/', 1)[0]}\n"

    monkeypatch.setattr(moving, "run", docker)
    assert [entry for entry in moving.writers([path]) if "container" in entry] == [
        "the container shop-db", "the container all",
    ]  # fmt: skip


def test_a_path_of_a_containers_own_is_not_the_hosts(tmp_path, monkeypatch):
    """A process in another mount namespace has a file open whose path there is that of the data here."""
    monkeypatch.setattr(moving.shutil, "which", lambda name: None)
    data, other = tmp_path / "data", tmp_path / "other"
    for folder in (data, other):
        folder.mkdir()
        (folder / "file").write_text("x")
    there = f"mount --bind {other} {data} && exec 5<{data}/file && echo ready && exec sleep 60"
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", there], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout and process.stdout.readline() == "ready\n"
        assert moving.writers([str(data)]) == []
        with open(data / "file") as opened:
            moved = subprocess.Popen(["sleep", "60"], stdin=opened)
            assert moving.writers([str(data)]) == [f"process {moved.pid} (sleep)"]
            moved.kill()
            moved.wait()
    finally:
        process.kill()
        process.wait()


def test_failure_is_answered_once_with_its_reason(systemd, capsys):
    moving.main({"do": "renew", **ASKED})
    moving.main({"do": "share", **ASKED, "paths": ["/srv/100%"]})
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said == [{"done": {"held": False}}, {"failed": "'/srv/100%' cannot be named to rsync"}]


def test_without_dockers_answer_nothing_is_called_unused(tmp_path, monkeypatch):
    """Containers run on where their daemon is stopped with live-restore."""
    monkeypatch.setattr(moving.shutil, "which", lambda name: "/usr/bin/docker")
    monkeypatch.setattr(moving, "run", lambda *argv, timeout=60.0: (1, "Cannot connect to the Docker daemon"))
    with pytest.raises(moving.Failed, match="docker ps: Cannot connect to the Docker daemon"):
        moving.writers([str(tmp_path)])


def test_a_damaged_record_starts_nothing(systemd):
    moving.hold(ASKED)
    moving.commit(ASKED)
    with open(f"{moving.GONE}/shop.json", "w") as file:
        file.write("{torn")
    with pytest.raises(moving.Failed, match="cannot be read"):
        moving.lift(ASKED)
    systemd("systemctl", "start", *UNITS)
    assert systemd.on == {"other.service"}
