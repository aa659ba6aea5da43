"""The log server that a host sends its journal to, and what is noted down of it."""

from __future__ import annotations

from typing import Literal, TypedDict


class _AnyServer(TypedDict):
    host: str
    port: int
    tls: bool
    ca: str
    name: str


class LogServer(_AnyServer, total=False):
    """What rendering/shipping.py writes: `ca` are the authorities of its certificate ("" for those that the host
    trusts), `name` is how the host is called there. Without a `form` it is a syslog server; else lines are posted to
    its `path`, by `user` where it asks for one."""

    form: Literal["loki", "otlp"]
    path: str
    user: str


class ShippingNote(TypedDict):
    """How far the journal was sent: to its entry `cursor`, to the server `to`; `at` is in seconds since 1970. With
    `cursor` "" the server has taken nothing since then."""

    cursor: str
    to: str
    at: float
