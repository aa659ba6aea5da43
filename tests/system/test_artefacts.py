"""What Whisper's owner built, pushed from a directory and released: another build, a broken one, one for another
processor, and the way back."""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import registry
from lab.images import ARCHITECTURES, build_go
from lab.products import PROGRAMS
from rendering import images
from tests.system.conftest import System
from tests.system.on import REGION, main_pid, until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
HOST, UNIT, NAME = "services", "whisper-backend.service", "whisper.hey-watch.me"
REPOSITORY, TAG, INTO = "whisper-backend", "latest", "/opt/whisper/WhisperBackendAPI"
OURS = ARCHITECTURES[0]


def build(folder: Path, note: bytes = b"", content: bytes | None = None) -> str:
    """A directory with the program; what follows an ELF file's end changes nothing about it."""
    folder.mkdir()
    program = folder / "WhisperBackendAPI"
    shutil.copy(build_go(PROGRAMS / "whisper", OURS), program)
    program.write_bytes((program.read_bytes() + note) if content is None else content)
    program.chmod(0o755)
    return str(folder)


def push(system: System, source: str) -> str:
    ran = system.command("infra", "push", f"{REPOSITORY}:{TAG}", "--from", source, "--stack", "lab")
    assert ran.code == 0, ran.output
    return ran.output


def link(system: System) -> str:
    return system.on_host("readlink", INTO, host=HOST).output


def is_healthy(system: System) -> bool:
    return system.ask("GET", "/health", name=NAME)[0] == 200


@pytest.fixture(autouse=True, scope="module")
def own_program(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Afterwards the lab serves what it began with."""
    yield
    push(system, build(tmp_path_factory.mktemp("own") / "dist"))
    system.must_up()


def test_new_build_is_previewed_and_restarts_only_its_service(system: System, tmp_path):
    before, others = link(system), main_pid(system, HOST, "recall-api.service")
    assert "1 file, " in push(system, build(tmp_path / "dist", b"another"))
    preview = system.command("infra", "preview", "--stack", "lab")
    assert INTO in preview.output and "whisper-backend" in preview.output, preview.output
    output = system.must_up()
    assert "applied on services" in output and "1 unit (re)started" in output, output
    assert link(system) != before and link(system).startswith("/opt/infra/artefacts/whisper-backend-")
    pid = main_pid(system, HOST, UNIT)
    assert system.on_host("readlink", f"/proc/{pid}/exe", host=HOST).output == link(system)
    assert system.on_host("stat", "-c", "%U %a", link(system), host=HOST).output == "root 755"
    assert is_healthy(system) and main_pid(system, HOST, "recall-api.service") == others
    kept = system.on_host("ls", "/opt/infra/artefacts", host=HOST).output
    assert before.split("/")[4] in kept, "the one before is kept to go back to"
    owner = images.owner("lab", HOST)
    assert any(images.is_of(owner, tag) for tag in registry.tags(system.lab, REGION, REPOSITORY)), (
        "it has the host's tag"
    )


def test_a_build_that_does_not_run_is_rolled_back(system: System, tmp_path):
    before = link(system)
    push(system, build(tmp_path / "dist", content=b"#!/bin/sh\necho broken >&2\nexit 3\n"))
    ran = system.up()
    assert ran.code != 0 and "broken" in ran.output, ran.output
    # Long before the time that a slow one has: it was waited for alone
    assert "whisper-backend did not answer at http://127.0.0.1:8080/health, and ended " in ran.output, ran.output
    assert link(system) == before and is_healthy(system)


def test_a_build_for_another_processor_is_refused(system: System, tmp_path):
    before, pid = link(system), main_pid(system, HOST, UNIT)
    elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 183) + bytes(44)
    assert "for arm64" in push(system, build(tmp_path / "dist", content=elf))
    ran = system.up()
    assert (
        ran.code != 0 and "refused on services, nothing touched: this host is amd64, but whisper-backend@" in ran.output
    )
    assert "is for arm64" in ran.output and (link(system), main_pid(system, HOST, UNIT)) == (before, pid)


def test_going_back_needs_no_registry(system: System):
    """The tag still leads to a build that does not run here."""
    before = link(system)
    ran = system.command("infra", "rollback", "--stack", "lab", "--host", HOST)
    assert ran.code == 0, ran.output
    assert link(system) != before
    until("its health", lambda: is_healthy(system))
