"""The manifest of a release: what rendering/archive.py writes, and the agent works from. What the fields mean is said
at the classes of the same names in rendering/files.py.

A part that an earlier version wrote may lack fields that were added since: `get` asks for those."""

from __future__ import annotations

from typing import TypedDict

from agent.documents.stacks import Spread

# What a manifest means where it says nothing of it: releases without any have the ids that they always had
LEFT_OUT: dict[str, object] = {
    "environments": [],
    "group_networks": [],
    "language": "en",
    "mounts": [],
    "own_certificates": [],
    "private": [],
    "spread": [],
    "timezone": "UTC",
}


class File(TypedDict):
    path: str
    mode: int
    owner: str
    group: str
    sha256: str


class EnvironmentFile(TypedDict):
    path: str
    values: dict[str, str]
    secrets: dict[str, str]
    versions: dict[str, str]
    head: str
    mode: int
    owner: str
    group: str
    between: str


class Link(TypedDict):
    path: str
    target: str


class _AnyDirectory(TypedDict):
    path: str
    mode: int
    owner: str
    group: str


class Directory(_AnyDirectory, total=False):
    """With `if_missing` one that is there stays as it is."""

    if_missing: bool


class Unit(TypedDict):
    name: str
    files: list[str]
    images: list[str]
    flag: str
    bar: str


class Probe(TypedDict):
    service: str
    unit: str
    url: str | None
    public: str | None


class AimedProbe(Probe):
    """A probe as a host asks it: aimed at the unit that runs, and with its `container` ("" where it has none)."""

    container: str


class Certificate(TypedDict):
    name: str
    challenge: str
    server: str
    email: str
    group: str
    provider: str
    zone: str
    domain: str


class Reaction(TypedDict):
    paths: list[str]
    run: list[str]


class Choice(TypedDict):
    unit: str
    port: int
    url: str
    target: str
    drain: int


class Slots(TypedDict):
    service: str
    link: str
    choices: list[Choice]


class Member(TypedDict):
    unit: str
    port: int
    link: str
    target: str
    drain: int


class Replicas(TypedDict):
    service: str
    members: list[Member]
    awaited: list[str]


class RequestHold(TypedDict):
    service: str
    unit: str
    port: int
    link: str
    target: str
    waiting: str
    socket: str
    limit: int
    drain: int


class ActiveRequestHold(RequestHold):
    """One whose requests wait during a switch: `to` is the port that its service is going to have, in unit `then`."""

    to: int
    then: str


class Port(TypedDict):
    port: int
    service: str
    unit: str
    container: str


class Listener(Port):
    """A port of the host as it is looked at: tcp or udp."""

    protocol: str


class PublishedPorts(TypedDict):
    first: int
    last: int
    protocol: str
    service: str
    unit: str
    container: str


class OwnCertificate(TypedDict):
    name: str
    chain: str
    key: str


class Account(TypedDict):
    name: str
    home: str
    login: bool
    lingering: bool
    groups: list[str]


class Requirement(TypedDict):
    path: str
    reason: str


class Milestone(TypedDict):
    name: str
    unit: str
    within: int


class Alert(TypedDict):
    """A condition of files/alerts.yaml, as catalogue/alerts.py says."""

    alert: str
    measure: str
    above: float
    within: int
    least: int
    text: str
    repair: str | None
    metric: str | None


class Metrics(TypedDict, total=False):
    """Nothing for a host that publishes none."""

    region: str
    namespace: str
    dimensions: dict[str, str]


class Network(TypedDict):
    name: str
    subnet: str
    gateway: str
    unit: str


class Container(TypedDict):
    name: str
    service: str
    unit: str
    network: str
    address: str
    aliases: list[str]
    limit: int
    project: str
    image: str
    covered: list[str]
    kept: dict[str, str]
    named: str
    user: str


class Step(TypedDict):
    service: str
    name: str
    said: str
    container: str
    project: str
    needs: list[str]
    network_unit: str
    document: str
    place: str
    files: list[str]
    volumes: list[str]
    binds: list[str]
    limit: float
    key: str


class Backup(TypedDict):
    service: str
    units: list[str]
    container: str
    dump: list[str]
    load: list[str]
    paths: list[str]
    volumes: list[str]
    dependents: list[str]
    keep: dict[str, int]
    max_age: int
    drill: str
    scratch: dict[str, str]
    health: str


class Artefact(TypedDict):
    service: str
    image: str
    into: str
    folder: str
    target: str
    programs: list[str]
    scripts: list[str]


class Environment(TypedDict):
    service: str
    into: str
    folder: str
    lock: str
    version: str
    groups: list[str]
    extras: list[str]
    index: str
    limit: float
    needs: int
    programs: list[str]
    scripts: list[str]


class Health(TypedDict):
    successes: int
    deadline: int


class _Sometimes(TypedDict, total=False):
    language: str  # of the page and notices, where that is not English
    environments: list[Environment]  # of Python, where there are any
    group_networks: list[str]  # those that containers share with other hosts of the group, where there are some
    spread: list[Spread]  # services of the group's Docker Swarm, where there are some
    timezone: str  # an IANA name: of the times that the page and notices show, where that is not UTC
    own_certificates: list[OwnCertificate]  # that no authority is asked for, where there are some
    mounts: list[str]  # places that have to be mounted, where there are some
    private: list[str]  # ADDRESS:PORT at which other hosts of the stack reach containers, where they do


class Manifest(_Sometimes):
    """All of it; agent/store.py fills in empty ones of what an earlier format did not have."""

    format: int
    host: str
    files: list[File]
    links: list[Link]
    environment_files: list[EnvironmentFile]
    directories: list[Directory]
    units: list[Unit]
    probes: list[Probe]
    certificates: list[Certificate]
    trusted_roots: list[str]
    reactions: list[Reaction]
    commands: list[str]
    logins: list[str]
    slots: list[Slots]
    ports: list[Port]
    memory: int
    health: Health
    keep: int
    accounts: list[Account]
    requirements: list[Requirement]
    milestones: list[Milestone]
    names: list[str]
    alerts: list[Alert]
    metrics: Metrics
    networks: list[Network]
    containers: list[Container]
    steps: list[Step]
    backups: list[Backup]
    artefacts: list[Artefact]
    published: list[PublishedPorts]
    replicas: list[Replicas]
    held: list[RequestHold]
    kind: str
    region: str
