"""What an update puts out and Pulumi's state keeps, as types: a later update and the commands read it there. They say
nothing at run time; an earlier version, and an update that failed, left less."""

from typing import NotRequired, TypedDict


class LastMove(TypedDict, total=False):
    """The last change of place, as `Move` in components/move.py has it."""

    at: str
    source: str
    leaving: dict[str, dict[str, str]]
    ttl: int
    data: list[str]
    homes: dict[str, str]
    systems: dict[str, list[str]]


class ReleaseId(TypedDict):
    """The release that a host serves."""

    id: str


class StackOutputs(TypedDict, total=False):
    """The outputs of a stack; numbers come as Pulumi writes them. `systems`, `generations` and `kept` are by host,
    `parts` are the services of each part of a system, `groups` are a group's first host → host → bytes of memory that
    it has for spread services, `images` are `repository:tag` → digest, `deployed` is as catalogue/deployed_images.py
    says."""

    region: str
    standby: list[str]
    systems: dict[str, list[str]]
    parts: dict[str, list[str]]
    groups: dict[str, dict[str, float]]
    generations: dict[str, float]
    kept: dict[str, list[float]]
    move: LastMove
    deployed: dict[str, dict[str, dict[str, str]]]
    images: dict[str, str]


class RegionOutputs(TypedDict):
    """Of a region: host → address, host → its release, and host → its address between hosts where parts of systems run
    on other hosts, or hosts are in a group. Those of a region that stands by are under `standby_REGION`."""

    addresses: dict[str, str]
    releases: dict[str, ReleaseId]
    privateAddresses: NotRequired[dict[str, str]]
