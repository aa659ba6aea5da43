"""What starts the agent on a host: the sources that came along, or the same ones that the host has compiled."""

import base64
import io
import json
import subprocess
import sys
import tarfile

import pytest

from agent import install, receive_source
from tests.agent.fake import FakeWorld
from tests.support import ROOT

SOURCES = {
    "agent/__init__.py": b"",
    "agent/main.py": b"def receive(payload):\n    print(__spec__.origin or 'memory')\n    return 7\n",
}


def packed(sources):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {**sources, "manifest.json": b"{}"}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def received(tmp_path):
    """Where the agent's module came from, on a host that has what is below `tmp_path`."""

    def run(sources):
        text = receive_source().replace("/var/lib/infra", str(tmp_path))
        payload = json.dumps({"archive": packed(sources)})
        program = f"import json, sys; payload = json.loads(sys.stdin.read()); exec({text!r})"
        ran = subprocess.run(
            [sys.executable, "-I", "-B", "-c", program],
            input=payload, capture_output=True, text=True, timeout=60, cwd=ROOT,
        )  # fmt: skip
        assert ran.returncode == 7, ran.stderr
        return ran.stdout.strip()

    return run


def kept(tmp_path, sources, edited=None):
    """As an installation leaves them."""
    world = FakeWorld()
    place = install.install(world, sources).replace("/var/lib/infra", str(tmp_path))
    for name, text in {**sources, **(edited or {})}.items():
        (tmp_path / place / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place / name).write_bytes(text)
    (tmp_path / "bin").symlink_to(place)
    return place


def test_host_without_an_agent_runs_what_came_along(received):
    assert received(SOURCES) == "memory"


def test_host_with_the_same_agent_runs_its_own(received, tmp_path):
    place = kept(tmp_path, SOURCES)
    assert received(SOURCES) == f"{place}/agent/main.py"
    assert received({**SOURCES, "agent/more.py": b""}) == "memory", "another one"


def test_agent_that_was_edited_on_the_host_is_not_run(received, tmp_path):
    kept(tmp_path, SOURCES, {"agent/main.py": b"raise SystemExit(1)"})
    assert received(SOURCES) == "memory"
