"""What a preview knows of a host, as types. They say nothing at run time: snapshot.py makes them, and live.py of what a
host answers."""

from typing import Any, TypedDict

from agent.documents.manifest import Manifest


class _AnyHost(TypedDict):
    manifest: Manifest
    files: dict[str, str]
    addresses: dict[str, str]
    spec: dict[str, Any]
    room: int | None


class Host(_AnyHost, total=False):
    """What a host has or gets: `spec` is its entry in infra:hosts, `exceptions` are those of the policy; a live one
    says what has `drifted`."""

    exceptions: dict[str, dict[str, str]]
    drifted: list[str]
