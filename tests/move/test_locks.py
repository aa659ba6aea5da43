"""A lock that a killed update left: removed where that is certain, asked about where it is not."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from infra import locks, notes
from tests.move.programs import pulumi_that
from tests.support import execute

HERE = socket.gethostname()


def complaint(*holders: tuple[int, str]) -> str:
    lines = [
        f"  file:///x.json: created by root@{machine} (pid {pid}) at 2026-11-29T10:00:00Z" for pid, machine in holders
    ]
    return "\n".join([f"error: the stack is currently locked by {len(lines)} lock(s). Either wait", *lines])


def test_an_engine_that_was_killed_here_is_dead(ended):
    assert locks.is_dead(complaint((ended.pid, HERE)), ended)


def test_reused_process_id_counts_as_dead(ended):
    now = locks.identify(os.getpid())
    assert locks.is_dead(complaint((now.pid, HERE)), replace(now, started="1"))


def test_zombie_engine_counts_as_dead():
    """As in a container whose first process is no init."""
    process = subprocess.Popen(["sleep", "60"])
    engine = locks.identify(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert locks.is_dead(complaint((engine.pid, HERE)), engine)
    process.wait(timeout=10)


UNCERTAIN = {
    "it runs": lambda engine: (complaint((os.getpid(), HERE)), locks.identify(os.getpid())),
    "nothing is known of it": lambda engine: (complaint((engine.pid, HERE)), None),
    "a colleague's container of this name": lambda engine: (complaint((engine.pid + 1, HERE)), engine),
    "another machine": lambda engine: (complaint((engine.pid, "elsewhere")), engine),
    "two locks, one of another person": lambda engine: (complaint((engine.pid, HERE), (engine.pid, "ci")), engine),
    "started in another container": lambda engine: (
        complaint((engine.pid, HERE)), replace(engine, namespace="pid:[1]"),
    ),
    "a checkout that another machine has too": lambda engine: (
        complaint((engine.pid, HERE)), replace(engine, machine="0" * 32),
    ),
    "a system that does not say": lambda engine: (
        complaint((engine.pid, HERE)), locks.Engine(engine.pid, "", "", "", ""),
    ),
    "an account with a space beside it": lambda engine: (
        complaint((engine.pid, HERE), (77, "laptop")).replace("root@laptop", "CORP\\John Smith@laptop"), engine,
    ),
    "one that cannot be read beside it": lambda engine: (
        complaint((engine.pid, HERE)).replace("1 lock(s)", "2 lock(s)"), engine,
    ),
    "machines without an id": lambda engine: (
        complaint((engine.pid, HERE)), replace(engine, machine="", boot="another"),
    ),
    "no lock": lambda engine: (f"created by a@{HERE} (pid {engine.pid})", engine),
    "nothing said": lambda engine: ("", engine),
}  # fmt: skip


@pytest.mark.parametrize("case", UNCERTAIN.values(), ids=UNCERTAIN)
def test_other_engines_are_not_certainly_dead(case, ended):
    assert not locks.is_dead(*case(ended))


UP = (
    "from infra.move import run; ask = lambda question: print('asked:', question) or {answer};"
    " print('reasons:', run.up('lab', [], lambda line: print(line, flush=True), ask).reasons)"
)
# Where the state is, it does not say
NO_STATE = "[ $1 = whoami ] && exit 1\n"
SCRIPT = "echo $1 >> $LOG\n[ $1 = cancel ] && exit 0\ngrep -q cancel $LOG && exit 0\necho '{message}' >&2; exit 255"


def move(folder, engine, pid: int, answer: bool, script: str = SCRIPT):
    env = pulumi_that(folder, NO_STATE + script.replace("{message}", complaint((pid, HERE))))
    (folder / ".infra/engines").mkdir(parents=True)
    if engine:
        (folder / ".infra/engines/lab.json").write_text(json.dumps(vars(engine)))
    ran = execute(sys.executable, "-c", UP.format(answer=answer), cwd=folder, env=env, code=None)
    return ran.stdout + ran.stderr, (folder / "log").read_text().split()


def test_a_dead_lock_holds_up_nothing(tmp_path, ended):
    said, ran = move(tmp_path, ended, ended.pid, False)
    assert "removed the lock of an update that was killed" in said and "reasons: []" in said and "asked" not in said, (
        said
    )
    assert ran == ["up", "cancel", "up"]


def test_uncertain_lock_is_asked_about(tmp_path, ended):
    said, ran = move(tmp_path, None, ended.pid, True)
    assert (
        f"asked: stack lab is locked by root@{HERE}, process {ended.pid}, since 2026-11-29 10:00:00 UTC, which may"
        in said
    )
    assert "reasons: []" in said and ran == ["up", "up", "cancel", "up"]


def test_a_lock_that_came_while_a_person_was_asked_stays(tmp_path, ended):
    other = complaint((ended.pid + 1, "colleague"))
    script = (
        f"echo $1 >> $LOG\n[ $(wc -l < $LOG) -gt 1 ] && {{ echo '{other}' >&2; exit 255; }}\n" + SCRIPT.split("\n")[-1]
    )
    said, ran = move(tmp_path, None, ended.pid, True, script)
    assert "is locked by root@colleague" in said and "wait until it ends" in said and ran == ["up", "up"]


def test_lock_that_vanished_meanwhile_does_not_block(tmp_path, ended):
    script = "echo $1 >> $LOG\n[ $(wc -l < $LOG) -gt 1 ] && exit 0\n" + SCRIPT.split("\n")[-1]
    said, ran = move(tmp_path, None, ended.pid, True, script)
    assert "reasons: []" in said and ran == ["up", "up"]


def test_lock_stays_without_a_confirmation(tmp_path, ended):
    said, ran = move(tmp_path, None, ended.pid, False)
    assert "once it no longer runs: pulumi cancel --stack lab, then the same command again" in said and ran == ["up"]


def test_the_engine_of_a_move_is_remembered(tmp_path):
    env = pulumi_that(tmp_path, "echo $$ > pid; exit 1")
    execute(sys.executable, "-c", UP.format(answer=False), cwd=tmp_path, env=env)
    kept = json.loads((tmp_path / ".infra/engines/lab.json").read_text())
    assert kept["pid"] == int((tmp_path / "pid").read_text()) and kept["boot"] and kept["started"]


def test_an_engine_of_another_boot_may_be_a_copied_machines(ended):
    """Two clones have one machine id and one host name, and can have one checkout."""
    assert not locks.is_dead(complaint((ended.pid, HERE)), replace(ended, boot="another"))


@pytest.mark.parametrize("kept", ["[]", "{}", '{"pid": 1}', "[" * 3000, "x"])
def test_unreadable_note_of_an_engine_is_ignored(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    (tmp_path / locks.FOLDER).mkdir(parents=True)
    (tmp_path / locks.FOLDER / "lab.json").write_text(kept)
    assert locks.read_engine("lab") is None


def test_a_note_of_an_earlier_version_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    locks.remember("lab", os.getpid())
    place = tmp_path / locks.FOLDER / "lab.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"noted": 1.0}))
    assert locks.read_engine("lab") == locks.identify(os.getpid())
