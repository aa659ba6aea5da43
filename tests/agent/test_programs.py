"""Programs of a host that a release starts: what the kernel could not start is refused before anything is touched."""

import pytest

from agent import programs
from agent.world import World
from tests.agent.fake import FakeWorld
from tests.agent.native import machine, release
from tests.agent.releases import applied
from tests.catalogue.programs import AMD64, ARM64

PATH = "/opt/totton_audio/bin/gpu_upsampler_alsa"
WRONG = {
    "another architecture": (ARM64, "is built for arm64, and this machine is amd64"),
    "Windows line ends": (b"#!/bin/sh\r\nexit 0\r\n", "has Windows line ends after its #!"),
    "no interpreter": (b"#!/opt/python/bin/python3 -I\nx\n", "needs the interpreter /opt/python/bin/python3, which is not here"),
    "none that env finds": (b"#!/usr/bin/env -S node --x\n", "needs the interpreter node, which is not here"),
}  # fmt: skip
RIGHT = {
    "this architecture": AMD64, "a script": b"#!/bin/sh -e\nexit 0\n", "an interpreter of env": b"#!/usr/bin/env python3\n",
    "text": b"hello", "nothing": b"", "half a program": b"\x7fELF\x02",
}  # fmt: skip


def having(content: bytes, mode: int = 0o755) -> FakeWorld:
    world = machine()
    world.installed |= {"env", "python3"}
    world.files[PATH] = (content, mode, "root", "root")
    return world


@pytest.mark.parametrize(("content", "line"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_started_is_refused_and_named(content, line):
    world = having(content)
    outcome = applied(world, release("home"))
    assert outcome.outcome == "refused" and f"{PATH} {line}" in outcome.line
    # What is not to be executed is no program
    world.files[PATH] = (content, 0o644, "root", "root")
    assert programs.complaint(world, PATH) is None


@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT)
def test_what_can_be_started_is_not(content):
    assert programs.complaint(having(content), PATH) is None


def test_a_script_of_the_releases_needs_its_interpreter():
    world = having(AMD64)
    world.there.remove("/bin/bash")
    outcome = applied(world, release("home"))
    assert outcome.outcome == "refused" and "/bin/bash (the interpreter of /home/ice/" in outcome.line


def test_only_the_beginning_of_a_large_file_is_read(tmp_path):
    large = tmp_path / "large"
    with open(large, "wb") as file:
        file.write(b"#!/bin/sh\n")
        file.truncate(1 << 40)
    large.chmod(0o755)
    assert World().head(str(large), 10) == b"#!/bin/sh\n" and programs.complaint(World(), str(large)) is None
