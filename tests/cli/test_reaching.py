"""What is carried between a terminal here and a command on a host."""

import json
import queue
import subprocess
import sys
from dataclasses import replace

import pytest

from infra import reaching, remote
from infra.errors import InfraError
from tests.support import ROOT, catalogue


def command(**said):
    return [sys.executable, "-m", "tests.cli.carrying", json.dumps(said)]


def test_all_that_is_printed_comes_also_after_the_status():
    ran = subprocess.run(
        command(sizes=[1000, 60000, 60000], error="in error\n"), capture_output=True, cwd=ROOT, timeout=60
    )
    assert len(ran.stdout) == 121_000 and ran.stderr.startswith(b"in error\n")


def test_unread_input_does_not_block_output():
    """The command reads nothing before it has printed much."""
    asked = command(sizes=[30000] * 400, before=390)
    ran = subprocess.run(asked, input=b"y" * 1_000_000, capture_output=True, cwd=ROOT, timeout=60)
    assert len(ran.stdout) == 12_000_000


def test_closed_output_is_not_an_error():
    first = subprocess.Popen(command(sizes=[30000] * 200), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert first.stdout and first.stderr
    first.stdout.read(10)
    first.stdout.close()
    said = first.stderr.read()
    assert first.wait(timeout=30) == 0 and said.startswith(b"True None") and b"Traceback" not in said, said


def test_a_full_disk_here_is_not_the_hosts():
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(command(sizes=[300000]), stdout=full, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    assert b"what it prints cannot be written here: No space left on device" in ran.stderr


def test_closed_streams_are_no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert not reaching._is_terminal(sys.stdin)


@pytest.mark.parametrize(("how", "answer"), [("exec", {"host": True}), ("shell", {"address": "127.0.0.1", "port": 1})])
def test_an_answer_without_anything_to_run_opens_no_shell(monkeypatch, how, answer):
    monkeypatch.setattr(remote, "ask", lambda *_: answer)
    with pytest.raises(InfraError, match="its answer has nothing to run"):
        reaching.run("box", how, "web", ["ls"])  # type: ignore[arg-type]  # never connected to


def test_an_answer_without_a_port_is_a_line(monkeypatch):
    monkeypatch.setattr(remote, "ask", lambda *_: {"host": True})
    with pytest.raises(InfraError, match="its answer has no port"):
        reaching.forward("box", "web", None, None, print)  # type: ignore[arg-type]


def test_both_directions_of_a_forwarded_connection_are_independent():
    """Neither end reads before it has written all: each way has its own thread."""
    came: queue.Queue[bytes] = queue.Queue()
    pieces = iter([b"a" * 1000] * 50)

    class End:
        def shutdown(self, how):
            came.put(b"")

    reaching._pour(lambda size: next(pieces, b""), came.put, End())
    assert came.qsize() == 51


def test_addresses_of_sites_and_services():
    made = catalogue()
    assert reaching.url_of(made, "") == reaching.url_of(made, "api.hey-watch.me") == "https://api.hey-watch.me/"
    assert reaching.url_of(made, "ast-api") == "https://api.hey-watch.me/behavior-features/"
    named = replace(made, stack=made.stack.model_copy(update={"names": {"api.hey-watch.me": "dev.hey-watch.me"}}))
    assert reaching.url_of(named, "api.hey-watch.me") == "https://dev.hey-watch.me/"
    with pytest.raises(InfraError, match="stack prod serves no vault: did you mean 'vault-api'"):
        reaching.url_of(made, "vault")
