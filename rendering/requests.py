"""What the programs that Pulumi runs (infra/) are asked on standard input by the resources that run them (components/),
as types. They say nothing at run time; the requests are in Pulumi's state, so that no key changes its name."""

from typing import NotRequired, TypedDict

from agent.documents.jobs import Secrets
from agent.documents.moves import MovingData


class TargetFields(TypedDict):
    """A host as `infra.ssh.Target` reaches it."""

    host: str
    address: str
    port: int
    user: str
    host_key: str
    private_key: str


class ReleaseRequest(TypedDict):
    """To `infra.deliver`: a release's `archive` in base64 and what starts the agent (`receive`). `confirm` is how many
    seconds the host waits for the look from outside, which trusts `roots`; `images` are those that the release needs,
    and `owner` begins the tags that keep them; `settles` names the job of an interrupted update."""

    target: TargetFields
    release: str
    receive: str
    archive: str
    secrets: Secrets
    confirm: int
    roots: list[str]
    images: list[str]
    owner: str
    settles: NotRequired[str]


class ReadyRequest(TypedDict):
    """To `infra.ready`: the `script` that prepares a host with its `arguments`, the shell commands that come `first`,
    and how many seconds all of it may take (`limit`)."""

    target: TargetFields
    limit: int
    script: str
    first: str
    arguments: list[str]


class MountPayload(TypedDict):
    """To agent/data_disk.py: the `size` of the `volume` is in GiB, and `mounts` are the directories that lie on it."""

    volume: str
    size: float
    device: str
    mounts: list[str]


class MountRequest(TypedDict):
    """To `infra.data_disk`; `program` is the text of agent/data_disk.py."""

    target: TargetFields
    limit: int
    program: str
    payload: MountPayload


class GroupHost(TypedDict):
    """A host of a group: `manages` says whether it keeps the Swarm's state; another `machine` is another request."""

    target: TargetFields
    address: str
    machine: str
    manages: bool


class GroupNetwork(TypedDict):
    """A network of the Swarm."""

    name: str
    subnet: str
    gateway: str


class GroupRequest(TypedDict):
    """To `infra.group`: the hosts of a group by name, the first one first, what the Swarm may take networks of its own
    from (`pool`), and the networks that it is to have. `program` is the text of agent/swarm.py."""

    order: list[str]
    hosts: dict[str, GroupHost]
    pool: str
    networks: list[GroupNetwork]
    program: str


class MirrorRequest(TypedDict):
    """To `infra.mirror`: `reference` is `:TAG` or `@DIGEST`, `digest` what the copy is to have, `logins` are
    registry → user, password."""

    account: str
    region: str
    repository: str
    reference: str
    digest: str
    logins: dict[str, dict[str, str]]


class RecordRequest(TypedDict):
    """To `infra.record`; `owner` is what is written beside the record, which leads to Cloudflare's proxy where it is
    `proxied`."""

    zone: str
    name: str
    type: str
    ttl: int
    values: list[str]
    owner: str
    stack: str
    proxied: NotRequired[bool]


class CopiedImage(TypedDict):
    """An image to be copied: `reference` is `:TAG` or `@DIGEST`."""

    repository: str
    reference: str
    digest: str


class ImagesRequest(TypedDict):
    """To the step `images` of a move: the host `target` copies `images` from the region `source`, with the rights of
    `role`; where `newest` is set, what their tags mean there now. `program` is the text of agent/copying.py."""

    label: str
    account: str
    source: str
    region: str
    target: TargetFields
    images: list[CopiedImage]
    newest: bool
    role: str
    program: str


class GateRequest(TypedDict):
    """To the step `gate`: `urls` are by address what each host answers within `deadline` seconds; those of `resting`
    may wait for their data. `names` are pointed there next, and `servers` are asked for them."""

    label: str
    urls: dict[str, list[str]]
    roots: list[str]
    deadline: int
    resting: list[str]
    names: list[str]
    zone: str
    servers: list[str]
    provider: str


class GateResult(TypedDict):
    """How many `paths` answered, and how many seconds resolvers may remember the names as they were (`ttl`)."""

    paths: int
    ttl: int


class DataRequest(TypedDict):
    """To the step `data`: what `entry` names comes to the host `target`, which is called `region` in it, from `source`
    or one of the `others`, by what each is called. `program` is the text of agent/moving.py, `traffic` that of
    agent/traffic.py."""

    label: str
    entry: MovingData
    target: TargetFields
    region: str
    source: str
    others: dict[str, TargetFields]
    program: str
    traffic: NotRequired[str]


class VerifyRequest(TypedDict):
    """To the step `verify`: `names` are by name the address that each leads to, `urls` and `singles` by address what
    each host answers, the latter a whole `check` later. `deadline`, `check` and `wait` are in seconds."""

    label: str
    zone: str
    servers: list[str]
    names: dict[str, str]
    urls: dict[str, list[str]]
    singles: dict[str, list[str]]
    roots: list[str]
    check: int
    provider: str
    wait: int
    deadline: int


class DrainedHost(TypedDict):
    """A host that is left; `region` is its place."""

    region: str
    target: TargetFields


class DrainRequest(TypedDict):
    """To the step `drain`: resolvers remember the old addresses for `ttl` seconds; then each of `hosts` is to get no
    request for `quiet` seconds, within `limit` seconds. `program` is the text of agent/traffic.py."""

    label: str
    hosts: list[DrainedHost]
    ttl: int
    quiet: int
    limit: int
    program: str


StepRequest = ImagesRequest | GateRequest | DataRequest | VerifyRequest | DrainRequest
