"""Records of a zone as Cloudflare's API has them: https://developers.cloudflare.com/api/resources/dns/."""

from typing import NotRequired, TypedDict


class RecordData(TypedDict, total=False):
    """The parts of a value: of SRV a priority, weight, port and target, of CAA flags, a tag and its value."""

    priority: int
    weight: int
    port: int
    target: str
    flags: int
    tag: str
    value: str


class RecordBody(TypedDict, total=False):
    """What is sent of a record."""

    type: str
    name: str
    ttl: int
    comment: str
    proxied: bool
    content: str
    priority: int
    data: RecordData


class Entry(TypedDict):
    """A record as the API has it."""

    id: str
    name: str
    type: str
    content: NotRequired[str]
    ttl: NotRequired[int]
    proxied: NotRequired[bool]
    comment: NotRequired[str | None]
    priority: NotRequired[int]
    data: NotRequired[RecordData | None]
