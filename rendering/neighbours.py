"""Private addresses of hosts in the files of a host: known only once the machines are there."""

from collections.abc import Mapping
from dataclasses import replace

from catalogue.host import SshHost
from catalogue.parts import UNKNOWN, neighbours, private_address, serving_hosts
from catalogue.services import ComposeService
from catalogue.stack import Stack
from rendering.files import File, HostFiles

Addresses = Mapping[str, str]


def with_addresses(files: HostFiles, stack: Stack, addresses: Addresses) -> HostFiles:
    """A host's files with the private `addresses` (by host) in the places that are kept for them. An address that is
    not known stays a name, which no host takes."""
    by_host = {name: str(spec.privateAddress or "") for name, spec in stack.hosts.items() if isinstance(spec, SshHost)}
    by_host |= addresses
    pairs = [(private_address(host).encode(), by_host.get(host, "").encode()) for host in neighbours(stack, files.host)]

    def resolve(file: File) -> File:
        content = file.content
        if UNKNOWN.encode() in content:
            # The longer name first: one may end like another
            for name, address in sorted(pairs, key=lambda pair: -len(pair[0])):
                content = content.replace(name, address or name)
        return file if content == file.content else replace(file, content=content)

    return replace(files, files=[resolve(file) for file in files.files])


def private_ports(service: ComposeService, stack: Stack) -> list[str]:
    """Where other hosts reach a service that runs apart from its system: at the port that its containers' network knows
    it by, so that what asks for it there asks alike."""
    host, port = serving_hosts(stack).get(service.name), service.listens_inside
    return [f"{private_address(host)}:{port}:{port}"] if host and port else []
