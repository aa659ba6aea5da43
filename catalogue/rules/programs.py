"""Files of a release that are programs: what the kernel could not start is refused here, and not by a unit that
fails."""

import struct
from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.rules.each import native_services
from catalogue.service import ConfigFile
from catalogue.sizes import INSTANCE_TYPES
from catalogue.systemd.commands import commands

# ELF's numbers of machines
MACHINES = {62: "amd64", 183: "arm64", 3: "i386", 40: "arm"}


def programs(catalogue: Catalogue) -> Iterator[Problem]:
    """A script's first line ends where Linux lines do, a unit's program may be executed, and is one for the machine."""
    for file, system, service in native_services(catalogue):
        where = f"service {service.name}"
        started = {command.program for command in commands([service.program_sections, *service.all_sections])}
        for config in service.files:
            content, is_here = catalogue.sources.get(config.source, b""), config.source in catalogue.sources
            source = f"files/static/{config.source}"
            if content.startswith(b"#!") and content.split(b"\n", 1)[0].endswith(b"\r"):
                rule = f"convert the line endings: sed -i 's/\\r$//' {source}"
                yield Problem(
                    file, where, f"{source} has Windows line endings (CRLF) after its #!: no such interpreter", rule
                )
            if config.path in started and not int(config.mode, 8) & 0o111:
                rule = f'must be mode: "0755" for the file {config.path}'
                yield Problem(file, where, f"{config.path} is executed, but its mode {config.mode} forbids it", rule)
            if content.startswith(b"\xef\xbb\xbf#!"):
                rule = f"must be UTF-8 without one: sed -i '1s/^\\xef\\xbb\\xbf//' {source}"
                yield Problem(
                    file,
                    where,
                    f"{source} has a byte order mark before its #!: the kernel does not run it as a script",
                    rule,
                )
            elif config.path in started and is_here and not content.startswith((b"#!", b"\x7fELF")):
                rule = "must be a script that begins with #! and its interpreter, or a program for Linux"
                what = "not a program" if content else "empty"
                yield Problem(file, where, f"{source} is executed, but it is {what}", rule)
            yield from _for_the_machine(catalogue, system.system, file, where, config)


def _for_the_machine(catalogue: Catalogue, system: str, file: str, where: str, config: ConfigFile) -> Iterator[Problem]:
    architecture = elf_architecture(catalogue.sources.get(config.source, b""))
    for name, host in catalogue.stack.ec2_hosts.items():
        instance_type = INSTANCE_TYPES.get(host.instanceType)
        if architecture and instance_type and system in host.runs and architecture != instance_type.architecture:
            machine = f"{name} ({host.instanceType}) is {instance_type.architecture}"
            fault = f"files/static/{config.source} is built for {architecture}, but {machine}"
            yield Problem(
                file, where, fault, f"must be a program built for {instance_type.architecture}, or another instanceType"
            )


def elf_architecture(content: bytes) -> str:
    """The architecture of a program of Linux, in Docker's words; "" for any other file."""
    if len(content) < 20 or not content.startswith(b"\x7fELF"):
        return ""
    (machine,) = struct.unpack(">H" if content[5] == 2 else "<H", content[18:20])
    return MACHINES.get(machine, f"ELF machine {machine}")
