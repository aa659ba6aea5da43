"""Whose the files on a data disk are: another machine that gets the disk makes its accounts with the same numbers."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import cast

from agent.documents.manifest import Manifest
from agent.outcome import Refused
from agent.shapes import JsonObject
from agent.world import World

NAME = ".infra-accounts"


def numbers(world: World, manifest: Manifest) -> dict[str, int]:
    """Account → its number when the disk was last used, of those that a release has."""
    names = {account["name"] for account in manifest["accounts"]}
    return {name: number for name, number in _noted_numbers(world, manifest).items() if name in names}


def _noted_numbers(world: World, manifest: Manifest) -> dict[str, int]:
    for place in manifest.get("mounts", [])[:1]:
        with suppress(ValueError):
            noted: object = json.loads(world.read(f"{place}/{NAME}") or b"{}")
            if isinstance(noted, dict):
                return {name: number for name, number in cast("JsonObject", noted).items() if isinstance(number, int)}
    return {}


def agree(world: World, manifest: Manifest) -> None:
    """Raises Refused for an account that cannot have the number that its files on the disk have."""
    for name, number in numbers(world, manifest).items():
        present = world.account(name)
        if present and present.uid != number:
            raise Refused(
                f"account {name} has the UID {present.uid} on this host, but its files on the data disk have {number}: "
                f"run usermod --uid {number} {name} while none of its processes runs, and run again"
            )
        if present is None and world.run("getent", "passwd", str(number)).code == 0:
            raise Refused(
                f"account {name} needs the UID {number}, which its files on the data disk have, but another account of "
                f"this host has it: give that account another UID (usermod --uid), and run again"
            )


def note(world: World, manifest: Manifest) -> None:
    """Notes the numbers down on the disk; what is known of accounts that left stays."""
    for place in manifest.get("mounts", [])[:1]:
        present = {account["name"]: world.account(account["name"]) for account in manifest["accounts"]}
        numbers_now = {name: entry.uid for name, entry in present.items() if entry}
        new_content = json.dumps({**_noted_numbers(world, manifest), **numbers_now}, sort_keys=True).encode()
        if numbers_now and new_content != world.read(f"{place}/{NAME}"):
            world.write(f"{place}/{NAME}", new_content, 0o644, "root", "root")
