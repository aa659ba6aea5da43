"""Programs that a release starts and does not bring: could the kernel start them."""

from __future__ import annotations

import struct
from collections.abc import Callable

from agent import registry
from agent.world import World

# ELF's numbers of machines, in Docker's words
MACHINES = {62: "amd64", 183: "arm64", 3: "386", 40: "arm"}
HEAD = 4096  # bytes, in which a program says what it is, and what starts it
LOADER = 3  # of ELF's program headers, the one that names it


def complaint(world: World, path: str, place: Callable[[str], str] = str) -> str | None:
    """Why a program cannot be started; None where nothing is wrong, or what is there is no program. `place` says where
    a script's interpreter lies now."""
    head = world.head(path, HEAD)
    if head is None or not world.is_executable(path):
        return None
    if head.startswith(b"#!"):
        return _of_script(world, head, place)
    return built_for_another(world, head) or _without_loader(world, head)


def built_for_another(world: World, head: bytes) -> str | None:
    """Why a program of Linux does not run on this processor, by its first bytes; None for any other file."""
    built, ours = machine_of(head), registry.architecture(world)
    return f"is built for {built}, and this machine is {ours}" if built and built != ours else None


def machine_of(head: bytes) -> str:
    """The architecture that a program of Linux was built for, by its first bytes, as images name it; "" for any other
    file."""
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return ""
    (machine,) = struct.unpack(">H" if head[5] == 2 else "<H", head[18:20])
    return MACHINES.get(machine, f"ELF machine {machine}")


def _without_loader(world: World, head: bytes) -> str | None:
    """A program that another C library's loader starts (musl's, on a host of glibc) is not found, says the kernel."""
    loader = loader_of(head)
    return f"needs the loader {loader}, which is not here" if loader and not world.exists(loader) else None


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


def _of_script(world: World, head: bytes, place: Callable[[str], str]) -> str | None:
    line = head[2:].split(b"\n", 1)[0]
    words = line.decode(errors="replace").split()
    if line.endswith(b"\r"):
        return "has Windows line ends after its #!: no such interpreter"
    if words and not world.exists(place(words[0])):
        return f"needs the interpreter {words[0]}, which is not here"
    named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    if words and words[0].endswith("/env") and named and not world.has_command(named[0]):
        return f"needs the interpreter {named[0]}, which is not here"
    return None
