"""After the switch: every server of the zone gives the new address, and everything is well there."""

import time
from collections.abc import Callable
from typing import Any

from infra import names, outside
from infra.errors import InfraError

Say = Callable[[str], None]


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    """`names` maps a name to its new address, `urls` an address to what it must answer; within `deadline` seconds."""
    end = time.monotonic() + request["deadline"]
    asked = names.servers(request["zone"], request["servers"])
    while (reason := _elsewhere(request["names"], asked)) and time.monotonic() < end:
        time.sleep(1)
    if reason:
        raise InfraError(reason)
    say(f"{len(asked)} name server(s) give the new address of {', '.join(request['names'])}")
    for address, urls in request["urls"].items():
        if reason := outside.complaint(address, request["roots"], urls, max(1.0, end - time.monotonic())):
            raise InfraError(f"{reason}: the names point there now; the region that was left is still there")
    say("everything answers under its name")
    return {"servers": len(asked)}


def _elsewhere(wanted: dict[str, str], asked: list[tuple[str, int]]) -> str | None:
    """What is not as it should be with the names' addresses."""
    for name, address in wanted.items():
        for server in asked:
            try:
                found = names.addresses(name, server)
            except InfraError as error:
                return str(error)
            if found != [address]:
                return f"{server[0]} gives {', '.join(found) or 'nothing'} for {name}, and not {address}"
    return None
