"""After the switch: every server of the zone gives the new address, and everything is healthy there."""

import time
from collections.abc import Callable
from typing import Any

from infra import names, outside
from infra.errors import InfraError

EARLIEST = 1.1  # of a check

Say = Callable[[str], None]


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    """`names` maps a name to its new address, `urls` an address to what it must answer, `singles` an address to what
    starts there a whole `check` after the switch; all within `deadline` seconds."""
    began = time.monotonic()
    end = began + request["deadline"]
    asked = names.servers(request["zone"], request["servers"])
    while (reason := _elsewhere(request["names"], asked)) and time.monotonic() < end:
        time.sleep(1)
    if reason:
        raise InfraError(reason)
    say(f"{len(asked)} name server(s) give the new address of {', '.join(request['names'])}")
    _well(request["urls"], request["roots"], end, 1.0)
    late = sum(map(len, request["singles"].values()))
    if late:
        say(f"{late} path(s) of what may run only once follow after {request['check']} s")
        # Asked for before it can be there, it would count as a fault
        time.sleep(max(0.0, began + EARLIEST * request["check"] - time.monotonic()))
        _well(request["singles"], request["roots"], end, request["check"] / 5)
    say("everything answers under its name")
    return {"servers": len(asked)}


def _well(urls: dict[str, list[str]], roots: list[str], end: float, pause: float) -> None:
    for address, wanted in urls.items():
        while reason := outside.complaint(address, roots, wanted, patience=0):
            if time.monotonic() > end:
                raise InfraError(f"{reason}: the names point there now; the region that was left is still there")
            time.sleep(pause)


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
