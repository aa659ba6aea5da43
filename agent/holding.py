"""Requests of a service that restarts wait before it. The proxy's link leads to a socket of systemd's meanwhile, and
back to the service once that is healthy.

What waits is systemd's own `systemd-socket-proxyd`, so that no request is lost where the agent is killed: it leads on
once the file `NAME.closed` is gone, or the service's own limit is reached. Waiting is a help: where it is not possible,
the service restarts as it would without it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Sequence
from typing import Literal, cast

from agent import proxies, slots, units
from agent.documents.manifest import ActiveRequestHold, Manifest, RequestHold
from agent.outcome import Failed
from agent.world import World

PLACE = "/run/infra-waiting"  # as in rendering/holding.py
PROGRAM = "/lib/systemd/systemd-socket-proxyd"  # as in infra-waiting@.service
HANDED_OVER = 5.0  # seconds in which the proxy's earlier workers take no more connections


def entries_to_hold(base: Manifest | None, manifest: Manifest, concerned: Collection[str]) -> list[ActiveRequestHold]:
    """Of the units that restart, stop for a while or leave, the services of the base whose requests can wait: the proxy
    knows both ways already, and the release leads there as well. `to` is the port that it is going to have, and `then`
    its unit: a relay may take a container's place. Requests of a spread service come through another unit too."""
    entry_of = {entry["service"]: entry["entry"] for entry in (base or {}).get("spread", [])}
    after = {entry["service"]: entry for entry in manifest.get("held", [])}
    entries: list[ActiveRequestHold] = []
    for entry in (base or {}).get("held", []):
        then = after.get(entry["service"])
        is_concerned = not {entry["unit"], entry_of.get(entry["service"])}.isdisjoint(concerned)
        if then and is_concerned and (then["link"], then["target"]) == (entry["link"], entry["target"]):
            entries.append(
                cast("ActiveRequestHold", {**entry, "limit": then["limit"], "to": then["port"], "then": then["unit"]})
            )
    return entries


def close(world: World, manifest: Manifest, entries: Iterable[ActiveRequestHold]) -> list[ActiveRequestHold]:
    """From here on requests of these wait, and those under way have ended, or their time is over. The ones that it was
    possible for: a link that was edited by hand stays as it is."""
    entries_to_close = [
        entry for entry in entries if world.link_target(entry["link"]) in (entry["target"], entry["waiting"])
    ]
    if not entries_to_close or not world.exists(PROGRAM):
        return []
    try:
        _close(world, manifest, entries_to_close)
    except (Failed, OSError):
        # A full disk, or a proxy that does not read its configuration: which is not this step's to complain of
        with contextlib.suppress(Failed, OSError):
            open_again(world, manifest, entries_to_close)
        return []
    slots.drain(world, {entry["port"]: float(entry["drain"]) for entry in entries_to_close})
    return entries_to_close


def _close(world: World, manifest: Manifest, entries: list[ActiveRequestHold]) -> None:
    world.directory(PLACE, 0o755, "root", "root")
    _await_ends(world, entries)
    for entry in entries:
        # They wait while the earlier ones end, too
        until = round(world.wall()) + entry["limit"] + entry["drain"]
        settings = f"PORT={entry['to']}\nUNTIL={until}\n"
        world.write(f"{PLACE}/{entry['service']}.env", settings.encode(), 0o600, "root", "root")
        world.write(_flag_path(entry), b"", 0o644, "root", "root")
    units.must(world, "systemctl", "start", *(entry["socket"] for entry in entries))
    before = _workers(world, manifest)
    _lead(world, manifest, entries, "waiting")
    _await_handover(world, manifest, before)


def open_again(world: World, manifest: Manifest, entries: Iterable[RequestHold]) -> None:
    """Those that waited are let through, and the proxy leads to the services themselves again. Safe to repeat. Raises
    Failed, and OSError."""
    holds = [*entries]
    for entry in holds:
        world.remove(_flag_path(entry))
    _lead(world, manifest, waiting(world, holds), "target")


def waiting(world: World, entries: Iterable[RequestHold]) -> list[RequestHold]:
    """Those to whose waiting place the proxy leads now."""
    return [entry for entry in entries if world.link_target(entry["link"]) == entry["waiting"]]


def _lead(
    world: World, manifest: Manifest, entries: Sequence[RequestHold], where: Literal["target", "waiting"]
) -> None:
    for entry in entries:
        world.link(entry["link"], entry[where])
    if entries:
        units.react(world, [manifest], {entry["link"] for entry in entries})


def _await_ends(world: World, entries: Sequence[RequestHold]) -> None:
    """A place that still leads requests on from the time before would have none wait; it ends with the last of them."""
    end_of = {entry["socket"].replace(".socket", ".service"): world.now() + entry["drain"] for entry in entries}
    while end_of := {unit: end for unit, end in end_of.items() if _leads(world, unit)}:
        if late := [unit for unit, end in end_of.items() if world.now() >= end]:
            world.run("systemctl", "stop", *late)
            end_of = {unit: end for unit, end in end_of.items() if unit not in late}
        world.sleep(0.25)


def _leads(world: World, unit: str) -> bool:
    """Also one that waits still, since an earlier job was killed."""
    return world.run("systemctl", "is-active", unit).output.strip() in ("active", "activating")


def _flag_path(entry: RequestHold) -> str:
    return f"{PLACE}/{entry['service']}.closed"


def _workers(world: World, manifest: Manifest) -> set[str]:
    """The processes that take connections of the release's proxy."""
    described = [proxies.by_unit(unit["name"]) for unit in manifest["units"]]
    return {process for proxy in described if proxy for process in proxy.workers(world)}


def _await_handover(world: World, manifest: Manifest, before: set[str]) -> None:
    """A proxy that reads its configuration again goes on by the earlier one for a moment."""
    end = world.now() + HANDED_OVER
    while before & _workers(world, manifest) and world.now() < end:
        world.sleep(0.1)
