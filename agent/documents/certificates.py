"""What a host keeps of the certificates that it obtained."""

from __future__ import annotations

from typing import TypedDict


class ObtainedCertificate(TypedDict):
    """Which certificate was asked for (`item`), its renewal file, and link → target of its files: of those that it has,
    and of those that were there `before`."""

    item: list[str]
    renewal: str
    links: dict[str, str]
    before: dict[str, str | None]


class _AnyTextRecord(TypedDict):
    id: str


class TextRecord(_AnyTextRecord, total=False):
    """A record of a zone at Cloudflare that proves a name, as its API has it."""

    content: str
    comment: str | None
