"""Private addresses of hosts in the files of a host: known only once the machines are there."""

from dataclasses import replace

from catalogue.host import SshHost
from catalogue.loading import Catalogue
from catalogue.parts import UNKNOWN, private_address, serving_hosts
from catalogue.services import ComposeService
from catalogue.stack import Stack
from rendering.files import HostFiles


def with_addresses(files: HostFiles, catalogue: Catalogue) -> HostFiles:
    """A host's files with private addresses in the places that are kept for them. One that is not known stays a name,
    which no host takes."""
    hosts = catalogue.stack.hosts
    by_host = {name: str(spec.privateAddress or "") for name, spec in hosts.items() if isinstance(spec, SshHost)}
    by_host |= catalogue.addresses
    pairs = [(private_address(host).encode(), (by_host.get(host) or "").encode()) for host in hosts]

    def resolve(content: bytes) -> bytes:
        # The longer name first: one may end like another
        for name, address in sorted(pairs, key=lambda pair: -len(pair[0])) if UNKNOWN.encode() in content else ():
            content = content.replace(name, address or name)
        return content

    def resolve_text(text: str) -> str:
        return resolve(text.encode()).decode()

    return replace(
        files,
        files=[replace(file, content=resolve(file.content)) for file in files.files],
        private=[resolve_text(way) for way in files.private],
        steps=[replace(step, document=resolve_text(step.document)) for step in files.steps],
    )


def names_unknown_address(files: HostFiles) -> bool:
    """Whether a place that is kept for a private address is still empty, in a file or anywhere else."""
    return UNKNOWN in repr(replace(files, files=[])) or any(UNKNOWN.encode() in file.content for file in files.files)


def private_ports(service: ComposeService, stack: Stack) -> list[str]:
    """Where other hosts reach a service that runs apart from its system: at the port that its containers' network knows
    it by, so that what asks for it there asks alike."""
    host, port = serving_hosts(stack).get(service.name), service.listens_inside
    return [f"{private_address(host)}:{port}:{port}"] if host and port else []
