"""What ran on a host beside its release, as agent/inventory.py notes it down before a switch."""

from __future__ import annotations

from typing import Literal, TypedDict

Kind = Literal["containers", "networks", "volumes", "units", "listening"]


class Inventory(TypedDict, total=False):
    """Of each kind key → name, and None where the host says nothing of it. `boot` is the host's boot, `docker` the
    process that Docker was, `ports` are the release's own. One of an older agent has less."""

    boot: str
    docker: str
    ports: list[int]
    containers: dict[str, str] | None
    networks: dict[str, str] | None
    volumes: dict[str, str] | None
    units: dict[str, str] | None
    listening: dict[str, str] | None
