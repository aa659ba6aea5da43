"""Programs of a host that a release starts: what the kernel could not start is refused before anything is touched."""

import struct
from dataclasses import replace

import pytest

from agent import preflight, programs
from agent.desired_state import DesiredFile
from agent.outcome import Refused
from agent.store import Release
from agent.world import World
from tests.agent.fake import FakeWorld
from tests.agent.native import machine, release
from tests.agent.releases import applied
from tests.catalogue.programs import AMD64, ARM64

MUSL = b"/lib/ld-musl-x86_64.so.1"
PATH = "/opt/totton_audio/bin/gpu_upsampler_alsa"


def started_by(loader: bytes, offset: int = 120) -> bytes:
    """A dynamically linked program of this architecture."""
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 3, 4, offset, 0, 0, len(loader), len(loader), 1) + loader + b"\0"


WRONG = {
    "another architecture": (ARM64, "is built for arm64, but this machine is amd64"),
    "Windows line endings": (b"#!/bin/sh\r\nexit 0\r\n", "has Windows line endings (CRLF) after its #!"),
    "no loader": (started_by(MUSL), "needs the loader /lib/ld-musl-x86_64.so.1, which does not exist on this host"),
    "no interpreter": (b"#!/opt/python/bin/python3 -I\nx\n", "needs the interpreter /opt/python/bin/python3, which does not exist on this host"),
    "a byte order mark": (b"\xef\xbb\xbf#!/bin/sh\n", "has a byte order mark before its #!"),
    "a program for Windows": (b"MZ\x90\0", "is a program for Windows"),
    "an interpreter that may not be executed": (b"#!/opt/data\n", "needs the interpreter /opt/data, which is not executable (chmod +x)"),
    "one behind a link to nothing": (b"#!/opt/dangling\n", "needs the interpreter /opt/dangling, which is a link to /opt/gone, which does not exist on this host"),
    "a directory": (b"#!/opt/folder\n", "needs the interpreter /opt/folder, which is a directory"),
    "one of another architecture": (b"#!/opt/linked\n", "needs the interpreter /opt/linked, which is built for arm64, but this machine is amd64"),
    "several words for env": (b"#!/usr/bin/env python3 -u\n", "passes arguments to env in its #!, which env takes for one name: use env -S python3 -u"),
    "none behind env's own words": (b"#!/usr/bin/env -S -u FOO A=1 node\n", "needs the interpreter node, which does not exist on this host"),
    "none that env finds": (b"#!/usr/bin/env -S node --x\n", "needs the interpreter node, which does not exist on this host"),
}  # fmt: skip
# What a shell takes for a script, and systemd does not
NOT_BY_ITSELF = {
    "nothing": (b"", "is empty"),
    "zeros after a loss of power": (bytes(500), "contains only zeros"),
    "no interpreter named": (b"exec sleep 9\n", "has no #! in its first line, but a unit starts it without a shell"),
    "a space before it": (b" #!/bin/sh\n", "has a space before its #!"),
    "a line before it": (b"\n#!/bin/sh\n", "has a space before its #!"),
}
MOUNTS = "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 {} ext4 rw,nosuid,noexec 0 0\n"
RIGHT = {
    "this architecture": AMD64, "a script": b"#!/bin/sh -e\nexit 0\n", "an interpreter of env": b"#!/usr/bin/env python3\n",
    "env unsets": b"#!/usr/bin/env -S -u FOO python3\n", "env unsets, in one word": b"#!/usr/bin/env -u FOO python3\n",
    "env goes elsewhere": b"#!/usr/bin/env -S -C /tmp A=1 python3 -u\n", "env splits": b"#!/usr/bin/env -Spython3 -u\n",
    "an interpreter behind a link": b"#!/opt/link\n", "32 bits of the same": AMD64.replace(b"\x3e", b"\x03"),
    "a loader that is here": started_by(b"/bin/sh"), "a loader far behind": started_by(MUSL, 1 << 40),
    "a loader without an end": started_by(MUSL)[:-1], "text": b"hello", "nothing": b"", "half a program": b"\x7fELF\x02",
}  # fmt: skip


def having(content: bytes, mode: int = 0o755) -> FakeWorld:
    world = machine()
    world.installed |= {"env", "python3"}
    world.files[PATH] = (content, mode, "root", "root")
    for path, inside, bits in (
        ("/opt/data", b"text", 0o644),
        ("/opt/right", AMD64, 0o755),
        ("/opt/wrong", ARM64, 0o755),
    ):
        world.files[path] = (inside, bits, "root", "root")
    world.links |= {"/opt/dangling": "gone", "/opt/link": "/opt/right", "/opt/linked": "wrong"}
    world.directories["/opt/folder"] = ("root", "root", 0o755)
    return world


@pytest.mark.parametrize(("content", "line"), WRONG.values(), ids=WRONG)
def test_program_that_cannot_be_started_is_refused(content, line):
    world = having(content)
    outcome = applied(world, release("home"))
    assert outcome.outcome == "refused" and f"{PATH} {line}" in outcome.line
    # What is not to be executed is no program
    world.files[PATH] = (content, 0o644, "root", "root")
    assert programs.complaint(world, PATH) is None


@pytest.mark.parametrize(("content", "line"), NOT_BY_ITSELF.values(), ids=NOT_BY_ITSELF)
def test_script_without_an_interpreter_line_is_refused_for_a_unit(content, line):
    world = having(content)
    outcome = applied(world, release("home"))
    assert outcome.outcome == "refused" and f"{PATH} {line}" in outcome.line
    # A shell is given it, or it may fail
    assert programs.complaint(world, PATH) is None


UNITS = {
    "ExecStart=/opt/x -a": True, "ExecStartPre = +@/opt/x x": True, 'ExecStart="/opt/x" -a': True, "ExecStop=/opt/x": True,
    "ExecStart=/bin/sh /opt/x": False, "ExecStart=-/opt/x": False, "ExecStart=|/opt/x": False, "ExecStart=/opt/xy": False,
    "# ExecStart=/opt/x": False, "Environment=ExecStart=/opt/x": False,
}  # fmt: skip


@pytest.mark.parametrize(("line", "is_started"), UNITS.items(), ids=UNITS)
def test_programs_started_by_units_are_found(line, is_started):
    for path in ("/etc/systemd/system/a.service", "/home/ice/.config/systemd/user/a.service.d/infra.conf"):
        unit = DesiredFile(path, f"[Service]\n{line}\n".encode(), 0o644, "root", "")
        assert ("/opt/x" in programs.started_programs([unit])) is is_started
    assert not programs.started_programs([DesiredFile("/opt/a", f"{line}\n".encode(), 0o644, "root", "")])


@pytest.mark.parametrize("place", ["/opt/totton_audio", "/data"])
def test_a_program_where_none_may_be_started_is_refused(place):
    world = having(AMD64)
    world.files["/proc/mounts"] = (MOUNTS.format(place).encode(), 0o444, "root", "root")
    if place == "/data":
        world.files[f"{place}/gpu"] = world.files[PATH]
        world.links[PATH] = f"{place}/gpu"
    outcome = applied(world, release("home"))
    assert outcome.outcome == "refused" and f"{PATH} is on {place}, which is mounted noexec" in outcome.line
    assert programs.complaint(world, PATH) is None, "what no unit starts"


def test_program_on_a_later_mount_may_be_started():
    world = having(AMD64)
    mounts = f"{MOUNTS.format('/opt')}/dev/sdc1 /opt/totton_audio ext4 rw 0 0\n/dev/sdd1 /opt/totton ext4 noexec 0 0\n"
    world.files["/proc/mounts"] = (mounts.encode(), 0o444, "root", "root")
    assert programs.complaint(world, PATH, is_started=True) is None


def test_a_program_of_the_releases_is_started_only_where_that_is_allowed():
    world, path = machine(), "/srv/x/serve"
    unit = DesiredFile("/etc/systemd/system/x.service", f"[Service]\nExecStart={path}\n".encode(), 0o644, "root", "")
    brought = Release("a", {"requirements": []}, [unit, DesiredFile(path, AMD64, 0o755, "root", "")])
    preflight.check_programs(world, brought)
    world.files["/proc/mounts"] = (MOUNTS.format("/srv").encode(), 0o444, "root", "root")
    with pytest.raises(Refused, match=f"{path} is on /srv, which is mounted noexec"):
        preflight.check_programs(world, brought)


@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT)
def test_startable_program_is_accepted(content):
    assert programs.complaint(having(content), PATH) is None


def test_script_of_a_release_needs_its_interpreter():
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


def test_program_of_a_release_must_match_the_architecture():
    """On a host of kind ssh the catalogue does not know the processor."""
    world, path = machine(), "/opt/x/bin/server"
    brought = Release("a", {"requirements": []}, [DesiredFile(path, ARM64, 0o755, "root", "")])
    with pytest.raises(Refused, match=f"{path} is built for arm64, but this machine is amd64"):
        preflight.check_programs(world, brought)
    preflight.check_programs(world, Release("a", {"requirements": []}, [DesiredFile(path, ARM64, 0o644, "root", "")]))
    preflight.check_programs(world, Release("a", {"requirements": []}, [DesiredFile(path, AMD64, 0o755, "root", "")]))


def test_a_site_that_listens_in_a_family_that_the_host_lacks_is_refused():
    site = DesiredFile("/etc/nginx/sites-available/a", b"server { listen [::]:443 ssl; }", 0o644, "root", "")
    world = machine()
    preflight.check_families(world, Release("a", {"host": "home"}, [site]))
    world.lacks = {"ipv6"}
    with pytest.raises(Refused, match=r"this host has no IPv6, but /etc/nginx/.* ipv6: false in infra:hosts, home"):
        preflight.check_families(world, Release("a", {"host": "home"}, [site]))
    preflight.check_families(world, Release("a", {"host": "home"}, [replace(site, content=b"listen 443;")]))


def test_a_crafted_program_is_no_fault_of_the_agents():
    """Its program headers are where no file can be."""
    head = bytearray(started_by(MUSL))
    for begin in (1 << 63, (1 << 64) - 1, 63):
        head[32:40] = struct.pack("<Q", begin)
        assert programs.complaint(having(bytes(head)), PATH) is None
