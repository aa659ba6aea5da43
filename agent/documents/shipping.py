"""The log server that a host sends its journal to, and what is noted down of it."""

from __future__ import annotations

from typing import TypedDict


class LogServer(TypedDict):
    """What rendering/shipping.py writes: `ca` are the authorities of its certificate ("" for those that the host
    trusts), `name` is how the host is called there."""

    host: str
    port: int
    tls: bool
    ca: str
    name: str


class ShippingNote(TypedDict):
    """How far the journal was sent: to its entry `cursor`, to the server `to`; `at` is in seconds since 1970."""

    cursor: str
    to: str
    at: float
