"""A verb that takes long shows signs of life, and a job for which there is no room is refused before it begins."""

import base64
import io
import json
import sys
import threading

import pytest

from agent import alive, jobs, main
from agent.archive import members, unpacked_size
from agent.outcome import Refused
from tests.agent.releases import release, serving


def test_signs_of_life_come_only_while_work_runs():
    beats, enough = [], threading.Event()

    def say(event):
        beats.append(event)
        if len(beats) == 3:
            enough.set()

    with alive.signs_of_life(say, every=0.01):
        assert enough.wait(30)
    count = len(beats)
    threading.Event().wait(0.05)
    assert beats == [{}] * count


def test_signs_of_life_end_when_the_work_fails():
    with pytest.raises(ValueError), alive.signs_of_life(lambda event: None, every=0.01):
        raise ValueError
    assert not [thread for thread in threading.enumerate() if "beat" in thread.name]


@pytest.mark.parametrize("verb", ["status", "prune", "drift", "contents", "restore", "boot-times", "releases"])
def test_every_verb_shows_signs_of_life_before_its_answer(monkeypatch, capsys, verb):
    beaten = threading.Event()
    monkeypatch.setattr(alive.signs_of_life.__wrapped__, "__defaults__", (0.01,))
    monkeypatch.setattr(main, "_print", lambda event: (print(json.dumps(event)), event or beaten.set()))

    def slow(payload):
        assert beaten.wait(30)
        main._print({"answer": payload})
        return 0

    monkeypatch.setitem(main.VERBS, verb, slow)
    monkeypatch.setattr(sys, "argv", ["bin", verb])
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"a": 1}'))
    with pytest.raises(SystemExit) as ended:
        main.command()
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and lines[0] == "{}" and '{"answer": {"a": 1}}' in lines


def start(world, monkeypatch):
    made = release()
    jobs.start(
        world, {"id": "j1", "kind": "apply", "release": made.id}, {"archive": "x" * 1000, "secrets": {}}, "agent"
    )


def test_space_is_checked_for_the_uncompressed_release(monkeypatch):
    made = release()
    contents = members(made.archive)
    size = sum(len(content) for content in contents.values())
    text = base64.b64encode(made.archive).decode()
    assert size < unpacked_size(text) < 2 * size + 10240 * len(contents)
    assert unpacked_size("") == unpacked_size("x") == 0
    world = serving(made)
    world.space = 2 * len(text) + 1024**2
    with pytest.raises(Refused, match="no space left in /run"):
        jobs.start(world, {"id": "j1", "kind": "apply", "release": made.id}, {"archive": text, "secrets": {}}, "agent")


def test_job_is_refused_without_space_in_run(monkeypatch):
    world = serving(release())
    world.space = 1000
    monkeypatch.setattr(jobs, "_write", lambda *_: pytest.fail("nothing is written"))
    with pytest.raises(
        Refused, match=r"no space left in /run: 0 MiB are free, and this release needs about 1 MiB there"
    ):
        start(world, monkeypatch)
    assert not world.commands("systemd-run")


def test_job_that_cannot_be_written_is_refused_without_leftovers(monkeypatch):
    world, removed = serving(release()), []

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs, "_write", full)
    monkeypatch.setattr(world, "remove_tree", removed.append)
    with pytest.raises(Refused, match=r"the job cannot be written to /run: .*No space left on device"):
        start(world, monkeypatch)
    assert removed == ["/run/infra/jobs/j1"] and not world.commands("systemd-run")
