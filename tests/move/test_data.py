"""Data between two hosts in memory, by the real steps and both hosts' own parts: whatever is killed or fails, never do
two write, one does once a lease is over, and the same again comes to its end with all that was written."""

import contextlib
import copy
import time

import pytest

from agent import arriving, away, moving
from agent.outcome import Refused
from agent.world import CommandResult
from infra.errors import InfraError
from infra.move.copies import id_map_options
from infra.move.steps import data
from infra.ssh import ConnectionLost
from rendering.host import render
from rendering.moving import moving as what_moves
from tests.agent.giving import giving_host
from tests.agent.locks import use_own_locks
from tests.agent.restic import DATABASE, OUTBOX, say, served_world
from tests.catalogue.backups import CONFIG, with_backups
from tests.support import catalogue

SYDNEY, TOKYO = "ap-southeast-2", "ap-northeast-1"
MADE = catalogue(with_backups, CONFIG)
ENTRY = what_moves(MADE, "watchme", render(MADE, "watchme"))
assert ENTRY
UNITS = [unit for unit in ENTRY["units"] if not unit.startswith(("infra-backup", "infra-drill"))]
TARGET = {"host": "watchme", "address": "192.0.2.9", "port": 22, "user": "u", "host_key": "k", "private_key": "p"}


class Killed(BaseException):
    """The end of the machine that does the move."""


class Hosts:
    """Sydney (agent/moving.py) and Tokyo (agent/arriving.py). Each call can be the last: `kill_at` ends all right before
    a call, `lose_at` loses its answer. `written` is what Sydney's database holds."""

    def __init__(self, root, monkeypatch) -> None:
        self.systemd = giving_host(root, monkeypatch, UNITS)
        self.new = served_world()
        self.new.write_rows("empty")
        self.written = ["one"]
        self.calls, self.kill_at, self.lose_at = 0, 0, 0
        self.clock = 1000.0
        self.log: list[str] = []
        for module in (moving, data):
            monkeypatch.setattr(module.time, "monotonic", lambda: self.clock)
            monkeypatch.setattr(module.time, "sleep", self.sleep)
        monkeypatch.setattr(data.Host, "do", lambda host, verb, system, **more: self.asked(host, verb, system, more))
        monkeypatch.setattr(
            data.Moving, "_ask_at", lambda move, host, what, payload: self.answered(move, what, payload)
        )
        monkeypatch.setattr(data.Copy, "run", lambda copy, *words: self.copied(copy))
        monkeypatch.setattr(data.Moving, "_keep_renewing", lambda *_: contextlib.nullcontext())

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def old_writes(self) -> bool:
        return "db.service" in self.systemd.on

    def new_writes(self) -> bool:
        return "db.service" in self.new.active and self.new.rows() != "empty"

    def call(self, what, do):
        self.calls += 1
        if self.calls == self.kill_at:
            raise Killed
        if self.old_writes():
            self.written.append(f"before {self.calls}")
        assert not (self.old_writes() and self.new_writes()), what
        answer = do()
        assert not (self.old_writes() and self.new_writes()), what
        if self.calls == self.lose_at:
            raise ConnectionLost(f"{what}: the connection was closed")
        self.log.append(what)
        return answer

    def asked(self, host, what, system, more):
        def do():
            if host.region == TOKYO:
                return self.described_here(system)
            if what == "describe":
                found = moving.describe({"system": system, **more})
                return found | {"bytes": dict.fromkeys((DATABASE, OUTBOX), 1000), "rsync": "3.2.7"}
            try:
                return moving.DO[what]({"system": system, **more})
            except moving.Failed as failure:
                raise InfraError(f"{host}: {failure}") from None

        return self.call(what, do)

    def described_here(self, system):
        record = self.new.files.get(arriving.RECORD)
        taken = self.new.files.get(f"{arriving.TAKEN}/{system}.json")
        return {
            "bytes": {}, "rsync": "3.2.7", "held": "", "away": away.record_of(self.new, system), "users": {},
            "groups": {}, "steps": [], "arriving": record and data_of(record), "taken": taken and data_of(taken),
        }  # fmt: skip

    def answered(self, move, what, payload):
        def do():
            try:
                return arriving.handle(self.new, what, {"system": move.name, **payload}, say)
            except Refused as refusal:
                raise InfraError(f"watchme: {refusal}") from None

        return self.call(what, do)

    def copied(self, copy):
        def do():
            for place in copy.places.values():
                self.new.directories[place] = ("70", "70", 0o700)
            self.new.write_rows(" ".join(self.written), copy.places[DATABASE])

        self.call("copy", do)

    def move(self, source=SYDNEY, traffic="", say=lambda line: None):
        request = {
            "target": TARGET, "region": TOKYO, "source": source, "others": {SYDNEY: TARGET}, "entry": ENTRY,
            "program": "", "traffic": traffic,
        }  # fmt: skip
        return data.run(request, say)

    def lease_over(self) -> None:
        """What the watch on the old host does by itself."""
        if moving.os.path.exists(f"{moving.HELD}/watchme.json"):
            moving.by_systemd("watch", "watchme")


def data_of(file):
    return moving.json.loads(file[0])


@pytest.fixture
def hosts(tmp_path, monkeypatch):
    use_own_locks(monkeypatch, tmp_path)
    return Hosts(tmp_path, monkeypatch)


def test_moved_data_is_complete_and_the_old_host_rests(hosts):
    moved = hosts.move()
    assert moved["bytes"] == 2000 and hosts.new.rows() == " ".join(hosts.written)
    assert hosts.new_writes() and not hosts.old_writes()
    assert hosts.log == [
        "describe", "describe", "describe", "share", "prepare", "copy", "hold", "copy", "ready", "commit", "start",
    ]  # fmt: skip
    assert hosts.move()["bytes"] == 0, "again, nothing to do"
    assert hosts.move("")["bytes"] == 0


@pytest.mark.parametrize(("failed", "line"), [(12, "12 requests"), (None, "an unknown number of requests")])
def test_failed_requests_are_reported_beside_the_gap(hosts, monkeypatch, failed, line):
    said, asked = [], []
    answer = None if failed is None else {"failed": failed}
    monkeypatch.setattr(data, "ask_traffic", lambda target, *words: (asked.append(words), answer)[1])
    assert hosts.move(traffic="program", say=said.append)["failed"] == failed
    assert said[-1] == f"watchme: 0 MiB moved and in use; stopped for 0.0 s, in which {line} got an error"
    # Of the old host, since nothing ran any more
    ((program, within, began),) = asked
    assert (program, within) == ("program", 0.0) and began <= time.monotonic()


CALLS = 11


@pytest.mark.parametrize("number", range(1, CALLS + 2))
@pytest.mark.parametrize("how", ["kill_at", "lose_at"])
def test_interrupted_transfer_completes_when_repeated(hosts, how, number):
    setattr(hosts, how, number)
    with contextlib.suppress(Killed, InfraError):
        hosts.move()
    setattr(hosts, how, 0)
    at_once = hosts.old_writes() + hosts.new_writes()
    hosts.lease_over()
    in_between = len(hosts.log) and hosts.log[-1] == "commit" and how == "kill_at"
    # Between two messages neither writes: only who sends them knows of both
    assert in_between or hosts.old_writes() + hosts.new_writes() == 1, (hosts.log, at_once)
    hosts.move()
    assert hosts.new_writes() and not hosts.old_writes() and hosts.new.rows() == " ".join(hosts.written)


@pytest.mark.parametrize("trouble", ["stuck", "ready", "start"])
def test_failed_transfer_leaves_the_old_host_serving_with_the_reason(hosts, trouble):
    if trouble == "stuck":
        hosts.systemd.stuck = {"db.service"}
    if trouble == "ready":
        hosts.new.fails["systemctl daemon-reload"] = _failed()
    if trouble == "start":
        hosts.new.fails["systemctl restart"] = _failed()
    with pytest.raises(InfraError, match="watchme in ap-southeast-2 still serves watchme"):
        hosts.move()
    assert hosts.old_writes() and not hosts.new_writes() and hosts.new.rows() == "empty"
    hosts.systemd.stuck = set()
    hosts.move()
    assert hosts.new_writes() and not hosts.old_writes() and hosts.new.rows() == " ".join(hosts.written)


def _failed():
    return CommandResult(1, "it cannot be done")


def test_old_host_stays_off_while_the_new_one_may_run(hosts):
    hosts.new.web = lambda url: 500
    stop = hosts.new.answers
    original = arriving.start

    def stuck(world, payload, say):
        stop["systemctl stop"] = _failed()
        return original(world, payload, say)

    arriving.ANSWERS["start"], kept = stuck, arriving.ANSWERS["start"]
    try:
        with pytest.raises(InfraError, match="does not start it again while it may be running here: run again"):
            hosts.move()
    finally:
        arriving.ANSWERS["start"] = kept
    assert not hosts.old_writes()
    stop.clear()
    hosts.new.web = lambda url: 200
    # What had begun to be undone is undone first: the old host serves again, and then it moves
    with pytest.raises(InfraError, match="still serves watchme"):
        hosts.move()
    assert hosts.old_writes() and not hosts.new_writes()
    hosts.move()
    assert hosts.new_writes() and not hosts.old_writes() and hosts.new.rows() == " ".join(hosts.written)


def test_lost_answer_of_a_failed_start_continues_with_the_old_data(hosts):
    hosts.new.fails["systemctl restart"] = _failed()
    hosts.lose_at = CALLS
    with pytest.raises(InfraError, match="whether it runs here is unknown"):
        hosts.move()
    hosts.lose_at = 0
    hosts.move()
    assert hosts.new_writes() and not hosts.old_writes() and hosts.new.rows() == " ".join(hosts.written)


def test_unexpected_paths_of_a_host_are_not_written(hosts, monkeypatch):
    named = moving.describe
    monkeypatch.setattr(moving, "describe", lambda payload: named(payload))
    seen = []
    kept = hosts.answered
    monkeypatch.setattr(
        hosts, "answered", lambda move, what, payload: (seen.append(payload), kept(move, what, payload))[1]
    )
    asked = hosts.asked

    def hostile(host, verb, system, more):
        found = asked(host, verb, system, more)
        return found | {"bytes": found["bytes"] | {"/etc": 1}} if verb == "describe" and found["bytes"] else found

    monkeypatch.setattr(hosts, "asked", hostile)
    hosts.move()
    assert all("/etc" not in payload.get("bytes", {}) and "/etc" not in payload.get("places", {}) for payload in seen)


def test_lost_new_host_leaves_the_old_data_untouched(hosts):
    hosts.move()
    hosts.new = served_world()
    hosts.new.write_rows("empty")
    with pytest.raises(InfraError, match="but the present host there does not have it"):
        hosts.move()
    assert hosts.new.rows() == "empty"


def test_without_rsync_nothing_is_touched(hosts, monkeypatch):
    monkeypatch.setattr(hosts, "described_here", lambda system: Hosts.described_here(hosts, system) | {"rsync": ""})
    with pytest.raises(InfraError, match="watchme in ap-northeast-1 has no rsync"):
        hosts.move()
    assert hosts.old_writes() and "hold" not in hosts.log


def test_files_are_mapped_to_accounts_of_the_same_name():
    there, here = {"users": {"ice": 1001, "root": 0}, "groups": {"ice": 1001}}, {"users": {"ice": 1004}, "groups": {}}
    assert id_map_options(there, copy.deepcopy(here)) == ["--usermap=1001:1004"]


def test_data_given_to_a_deleted_host_comes_from_the_serving_one(hosts):
    """Tokyo had given its data to a machine that gave it to Sydney's, and is gone."""
    record = {"id": "then", "to": "watchme", "region": "ap-northeast-1-g2", "what": "watchme", "units": UNITS}
    away.fence(hosts.new, "watchme", record)
    hosts.move()
    assert hosts.new_writes() and not hosts.old_writes() and hosts.new.rows() == " ".join(hosts.written)
    assert away.record_of(hosts.new, "watchme") is None


def test_older_copy_is_not_used_as_the_data(hosts):
    """Sydney gave it away in a move of another name: its own copy is the earlier one."""
    record = {
        "id": "then",
        "to": "box",
        "region": "box@ap-southeast-2",
        "what": "watchme",
        "units": UNITS,
        "at": "noon",
    }
    moving.write(f"{moving.GONE}/system:watchme.json", moving.json.dumps(record))
    with pytest.raises(
        InfraError, match=r"handed data of .* over to box in box@ap-southeast-2 at noon in another move"
    ):
        hosts.move()
    assert hosts.old_writes() and not hosts.new_writes()


def test_transfer_cancelled_before_the_handover_leaves_the_data_in_place(hosts):
    """The data is here, as no record says otherwise: the other host's is what its first start made."""
    before = hosts.new.rows()
    assert hosts.move(source="") == {"bytes": 0, "seconds": 0.0}
    assert hosts.new.rows() == before and hosts.old_writes()
