"""Programs that a release starts and does not bring: could the kernel start them."""

from __future__ import annotations

import os
import posixpath
import re
import struct
from collections.abc import Callable, Iterable

from agent import registry
from agent.desired_state import DesiredFile
from agent.world import World

# ELF's numbers of machines, in Docker's words
MACHINES = {62: "amd64", 183: "arm64", 3: "386", 40: "arm"}
# What a kernel runs besides, where the program's own loader is here
RUNS_TOO = {"amd64": ("386",)}
BOM = b"\xef\xbb\xbf"
# Of env, those whose value is the next word; what `-S` has is words
ENV_VALUES = ("-u", "--unset", "-C", "--chdir", "-a", "--argv0")
LINKS = 40  # one after the other, as many as the kernel follows
HEAD = 4096  # bytes, in which a program says what it is, and what starts it
# A unit's command of which it is known what the kernel is given: not one that may fail, or that a shell reads
STARTS = re.compile(
    r'^Exec(?:Condition|Start|StartPre|StartPost|Reload|Stop|StopPost)\s*=\s*[@:+!]*\s*"?(/[^\s"]+)', re.MULTILINE
)
UNIT = re.compile(r"\.service(\.d/[^/]+\.conf)?$")
LOADER = 3  # of ELF's program headers, the one that names it


def started_programs(files: Iterable[DesiredFile]) -> set[str]:
    """The programs that units among these files start by themselves, and not by a shell or another program."""
    texts = [file.content.decode(errors="replace") for file in files if UNIT.search(file.path)]
    return {path for text in texts for path in STARTS.findall(text)}


def complaint(world: World, path: str, place: Callable[[str], str] = str, is_started: bool = False) -> str | None:
    """Why a program cannot be started; None where nothing is wrong, or what is there is no program. `place` says where
    a script's interpreter lies now, `is_started` that a unit starts this file itself."""
    head = world.head(path, HEAD)
    if head is None or not world.is_executable(path):
        return None
    if head.startswith(BOM + b"#!"):
        return "has a byte order mark before its #!: save it as UTF-8 without one"
    if head.startswith(b"MZ"):
        return "is a program for Windows"
    if is_started and (reason := _not_by_itself(head) or mount_fault(world, path)):
        return reason
    if head.startswith(b"#!"):
        return _script_fault(world, head, place)
    return _binary_fault(world, head)


def _not_by_itself(head: bytes) -> str | None:
    """Why a unit cannot start a file itself, which a shell may take for a script of its own."""
    if not head.strip(b"\0"):
        return "contains only zeros" if head else "is empty"
    # Of another binary format the host may know a loader (binfmt_misc)
    if head.startswith(b"#!") or b"\0" in head:
        return None
    if head.lstrip().startswith(b"#!"):
        return "has a space before its #!, which must be its first two characters"
    return "has no #! in its first line, but a unit starts it without a shell: add #!/bin/sh or another interpreter"


def mount_fault(world: World, path: str) -> str | None:
    """Why the file system on which a path lies lets nothing of it be started."""
    end = _end(world, path)
    options, longest = "", ""
    for line in os.fsdecode(world.read("/proc/mounts") or b"").split("\n"):
        fields = line.split(" ")
        # A later one covers an earlier one
        if len(fields) > 3 and f"{end}/".startswith(f"{fields[1].rstrip('/')}/") and len(fields[1]) >= len(longest):
            longest, options = fields[1], fields[3]
    heal = f"mount -o remount,exec {longest}, and without noexec in /etc/fstab"
    return f"is on {longest}, which is mounted noexec ({heal})" if "noexec" in options.split(",") else None


def _end(world: World, path: str) -> str:
    """Where a path leads, links of its directories followed."""
    real_path, waiting, links = "", path.split("/"), 0
    while waiting:
        part = waiting.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            real_path = posixpath.dirname(real_path).rstrip("/")
            continue
        target = world.link_target(f"{real_path}/{part}") if links < LINKS else None
        if target is None:
            real_path = f"{real_path}/{part}"
            continue
        links += 1
        real_path, waiting = "" if target.startswith("/") else real_path, [*target.split("/"), *waiting]
    return real_path


def _binary_fault(world: World, head: bytes) -> str | None:
    return architecture_complaint(world, head) or _loader_fault(world, head)


def architecture_complaint(world: World, head: bytes) -> str | None:
    """Why a program of Linux does not run on this processor, by its first bytes; None for any other file."""
    built, ours = machine_of(head), registry.architecture(world)
    if built in RUNS_TOO.get(ours, ()):
        return None
    return f"is built for {built}, but this machine is {ours}" if built and built != ours else None


def machine_of(head: bytes) -> str:
    """The architecture that a program of Linux was built for, by its first bytes, as images name it; "" for any other
    file."""
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return ""
    (machine,) = struct.unpack(">H" if head[5] == 2 else "<H", head[18:20])
    return MACHINES.get(machine, f"ELF machine {machine}")


def _loader_fault(world: World, head: bytes) -> str | None:
    """A program that another C library's loader starts (musl's, on a host of glibc) is not found, says the kernel."""
    loader = loader_of(head)
    return (
        f"needs the loader {loader}, which does not exist on this host" if loader and not world.exists(loader) else None
    )


def loader_of(head: bytes) -> str:
    """The program that starts a dynamically linked one, by its first bytes; "" for any other file."""
    if not head.startswith(b"\x7fELF") or len(head) < 64:
        return ""
    is_wide, order = head[4] == 2, ">" if head[5] == 2 else "<"
    try:
        (begin,) = struct.unpack_from(f"{order}Q" if is_wide else f"{order}I", head, 32 if is_wide else 28)
        size, count = struct.unpack_from(f"{order}HH", head, 54 if is_wide else 42)
        for number in range(count):
            at = begin + number * size
            if struct.unpack_from(f"{order}I", head, at)[0] != LOADER:
                continue
            (place,) = struct.unpack_from(f"{order}Q" if is_wide else f"{order}I", head, at + (8 if is_wide else 4))
            return head[place : head.index(b"\0", place)].decode(errors="replace")
    except (struct.error, ValueError, OverflowError):
        # It says so beyond these bytes, or is none
        pass
    return ""


def _script_fault(world: World, head: bytes, place: Callable[[str], str]) -> str | None:
    line = head[2:].split(b"\n", 1)[0]
    words = line.decode(errors="replace").split(maxsplit=1)
    if line.endswith(b"\r"):
        return "has Windows line endings (CRLF) after its #!: no such interpreter"
    if not words:
        return None
    if not world.exists(place(words[0])):
        return f"needs the interpreter {words[0]}, which does not exist on this host"
    if fault := _interpreter_fault(world, place(words[0]), place):
        return f"needs the interpreter {words[0]}, which {fault}"
    if words[0].endswith("/env") and words[1:]:
        return _env_fault(world, words[1].rstrip())
    return None


def _interpreter_fault(world: World, path: str, place: Callable[[str], str]) -> str | None:
    """Why what is there starts no script; None where nothing is wrong, or it is not known."""
    end = path
    for _ in range(LINKS):
        target = world.link_target(end)
        if target is None:
            break
        # Not made shorter: a directory in it may be a link too
        end = place(posixpath.join(posixpath.dirname(end), target))
        if not world.exists(end):
            return f"is a link to {end}, which does not exist on this host"
    if world.directory_entry(end) is not None:
        return "is a directory"
    head = world.head(end, HEAD)
    if head is None:
        return None
    return _binary_fault(world, head) if world.is_executable(end) else "is not executable (chmod +x)"


def _env_fault(world: World, rest: str) -> str | None:
    """What `env` starts: the kernel gives it all that follows as one word, which `-S` splits."""
    name = rest
    if rest.startswith(("-S", "-vS", "--split-string")):
        words = rest.split()
        while words and (words[0].startswith("-") or "=" in words[0]):
            if words[0] in ("-S", "-vS", "--split-string"):
                words = words[1:]
            elif words[0].startswith(("-S", "--split-string=")):
                words[0] = words[0].removeprefix("--split-string=").removeprefix("-S")
            else:
                words = words[2 if words[0] in ENV_VALUES else 1 :]
        name = words[0] if words else ""
    elif rest.startswith("-") or "=" in rest.split()[0]:
        # env's own words, which older versions of it take in other ways
        return None
    elif len(rest.split()) > 1:
        return f"passes arguments to env in its #!, which env takes for one name: use env -S {rest}"
    if name and "/" not in name and "$" not in name and not world.has_command(name):
        return f"needs the interpreter {name}, which does not exist on this host"
    return None
