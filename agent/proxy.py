"""What the agent has to know of a kind of proxy. Each kind is described by a module of agent/proxies/."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Callable, NamedTuple

from agent.documents.moves import ProxyLog
from agent.store import Release
from agent.world import World

USUAL = {"", "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}


class Command(NamedTuple):
    """How a unit starts a program: its `folder` ("" where none is written), its name, the words after it, and of these
    the options, each with its value or the word that follows."""

    folder: str
    program: str
    words: list[str]
    options: dict[str, str]


class Conflict(NamedTuple):
    """What is in force in the place of a release's configuration: `path` is where it stands (a file, or a unit), `what`
    the text that follows the path."""

    path: str
    what: str


@dataclass(frozen=True)
class Log:
    """Where a proxy notes its answers, and how an entry is read. `agent/traffic.py` reads it on hosts that have no
    agent, so that it is described by values alone."""

    file: str = ""
    """The log's path; "" for a proxy that writes to the journal."""
    journal: str = ""
    """The unit whose journal it is; "" for a log in a file."""
    pattern: str = ""
    """A regular expression for a line, with the groups `time`, `status` and `client`; "" where each line is an object
    in JSON. Clients send any text: it has to find the answer's status behind whatever they sent."""
    time_format: str = ""
    """How `time` is written, for `strptime`; "" for seconds since 1970."""
    keys: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """In JSON: where `time`, `status` and `client` stand, each as the keys that lead there."""
    only: dict[str, str] = field(default_factory=dict[str, str])
    """In JSON: the keys of an answer's object, and how their values begin. Other objects are no answers."""

    @property
    def document(self) -> ProxyLog:
        return {
            "file": self.file, "journal": self.journal, "pattern": self.pattern, "time_format": self.time_format,
            "keys": self.keys, "only": self.only,
        }  # fmt: skip


def _no_conflicts(_: World) -> list[Conflict]:
    return []


def _no_workers(_: World) -> set[str]:
    return set()


def _never(_text: str) -> bool:
    return False


def _all_are_read(_world: World, _release: Release, _answer: str) -> list[str]:
    return []


class Http3(NamedTuple):
    """HTTP/3 of a proxy of which not every version has it."""

    asks: Callable[[str], bool]
    """Whether a file of its configuration, by its text, asks for it."""
    serves: Callable[[World], bool]
    """Whether the host's own has it."""
    remedy: str
    """What to install where it has none, as a refusal names it."""


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy. What reloads it is no field: a release says that itself, in its reactions
    (rendering/proxies/)."""

    name: str
    """What infra:hosts calls it. Its unit, which its package brings, and the directory of its configuration have this
    name too."""
    main: str
    """The file that its program reads first."""
    test: str
    """The command that judges the configuration in `place`, and changes nothing."""
    test_name: str
    """What a refusal calls that command."""
    log: Log
    """Where it notes its answers."""
    starts_ours: Callable[[Command], bool]
    """Whether a command is certain to start it with `main`. Another one may be of a drop-in that an administrator
    wrote."""
    others: Callable[[World, list[str], set[str], bool], Iterable[Conflict]]
    """Configuration beside the release's that answers for one of its public names. It is given the names, the paths
    that are a release's, and whether that release serves."""
    unread: Callable[[World, Release, str], list[str]] = _all_are_read
    """Complaints about sites of a release that the proxy would not read, by what `test` printed."""
    running: Callable[[World], list[Conflict]] = _no_conflicts
    """What it runs in the place of its files, for a proxy that can be given its configuration by other ways."""
    workers: Callable[[World], set[str]] = _no_workers
    """The ids of the processes that take its connections and are replaced when it reads its configuration again; none
    where a reload keeps the process."""
    process: str = ""
    """The name of a process whose connections to services are requests under way; "" for a proxy that keeps
    connections to services open, whose connections say nothing."""

    listens_on_ipv6: Callable[[str], bool] = _never
    """Whether a file of its configuration, by its text, has it listen at IPv6 addresses: then it does not start where
    the kernel has none."""
    http3: Http3 | None = None
    """None for a proxy of which every version has HTTP/3, or none has it."""

    @property
    def unit(self) -> str:
        return f"{self.name}.service"

    @property
    def place(self) -> str:
        """The directory of its configuration, which ends in /. A release's files below it are tested together."""
        return f"/etc/{self.name}/"

    @property
    def title(self) -> str:
        """What messages call its program."""
        return self.name.capitalize()

    def has(self, release: Release) -> bool:
        """Does a release bring configuration for it."""
        return any(file.path.startswith(self.place) for file in release.files)
