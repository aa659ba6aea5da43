"""The record of a switch under way: the state of the host from which it began (agent/transaction.py)."""

from __future__ import annotations

from typing import Literal, TypedDict, Union


class _AnyState(TypedDict):
    """`slot` says that a link chooses which of two places serves."""

    path: str
    slot: bool


class _OwnedState(_AnyState):
    owner: str
    group: str
    mode: int


class AbsentPath(_AnyState):
    kind: Literal["absent"]


class EarlierLink(_AnyState):
    kind: Literal["link"]
    target: str


class _AnyFile(_AnyState):
    kind: Literal["file"]
    copy: str


class EarlierFile(_AnyFile, total=False):
    """Its content is at `copy`, with its owner and mode; an older agent noted down no more than that."""

    sha256: str
    owner: str
    group: str
    mode: int


class EarlierText(_OwnedState):
    """A small file without secrets, with its content."""

    kind: Literal["text"]
    content: str


class EarlierDirectory(_OwnedState):
    """Whose a directory was; what is in it is no part of it."""

    kind: Literal["directory"]


class EarlierOwner(_OwnedState):
    """Whose a file was; its content stays what it is."""

    kind: Literal["owned"]


class PathAside(_AnyState):
    """What is kept at `aside` while something else is in its place."""

    kind: Literal["aside"]
    aside: str


PathState = Union[
    AbsentPath, EarlierLink, EarlierFile, EarlierText, EarlierDirectory, EarlierOwner, PathAside
]  # what was at a path


class _AnyExistingContainer(TypedDict):
    id: str
    name: str
    running: bool
    started: str
    restart: str
    networks: list[str]
    volumes: list[str]


class ExistingContainer(_AnyExistingContainer, total=False):
    """A container that no release made, as agent/existing.py sets it aside or agent/adopting.py adopts it: `started` is
    as Docker has it, `restart` as its command line takes it. One that is adopted has a `unit`; of another one `differs`
    says in what it is not what the release creates; one that `leaves` has no successor in it."""

    unit: str
    differs: list[str]
    leaves: bool


class Address(TypedDict):
    """An address of a service; a `public` one is asked of the host's own proxy."""

    url: str
    public: bool


class EarlierAnswer(Address):
    status: int


class RolledReplica(TypedDict):
    """A replica that was restarted by itself, as `Roll` of agent/rolling.py says."""

    service: str
    unit: str
    port: int
    link: str
    target: str
    drain: float
    is_new: bool
