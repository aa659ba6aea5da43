"""What a release puts on a host, as values."""

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class File:
    """A file of a host. `mode` is the octal permission, `owner` and `group` are names on the host."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class EnvironmentFile:
    """An environment file, 0600. Its secrets are only named here: `SERVICE/NAME`, in `secrets` under their variable."""

    path: str
    values: dict[str, str]
    secrets: dict[str, str]


@dataclass(frozen=True)
class Unit:
    """A systemd unit to enable and keep running. A change of one of `files` or `images` restarts it."""

    name: str
    files: list[str]
    images: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Probe:
    """How a service shows that it is well: `url` on its own port, `public` through the proxy, both answering 200."""

    service: str
    unit: str
    url: str
    public: str | None


@dataclass(frozen=True)
class Certificate:
    """A certificate that must be there before the proxy is switched; `server` is the ACME directory."""

    name: str
    challenge: str
    server: str
    email: str


@dataclass(frozen=True)
class Reaction:
    """When one of `paths` changed: `run`. A directory in `paths` (ending in `/`) stands for all below it."""

    paths: list[str]
    run: list[str]


@dataclass(frozen=True)
class Link:
    """A symbolic link at `path`."""

    path: str
    target: str


@dataclass(frozen=True)
class HostFiles:
    """Everything that one host is to be: the input of the archive."""

    host: str
    files: list[File] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    environment_files: list[EnvironmentFile] = field(default_factory=list)
    directories: list[dict[str, Any]] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)
    trusted_roots: list[str] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
