"""After the switch: every server of the zone gives the new address, and everything is healthy there."""

import time
from collections.abc import Callable
from typing import TypedDict

from agent.quoting import count
from infra import names, outside
from infra.errors import InfraError
from rendering.requests import VerifyRequest

EARLIEST = 1.1  # of a check
REMINDED = 60  # seconds

Say = Callable[[str], None]


class VerifyResult(TypedDict):
    """How many name servers give the new addresses."""

    servers: int


def run(request: VerifyRequest, say: Say) -> VerifyResult:
    """Until the names are switched, for which a person has `wait` seconds where the program does not write the records;
    then until all answers, within `deadline` seconds of that."""
    resolvers = _wait_for_names(request, say)
    began = time.monotonic()
    end = began + request["deadline"]
    say(f"{count(len(resolvers), 'name server')} with the new address of {', '.join(request['names'])}")
    _wait_until_healthy(request["urls"], request["roots"], end, 1.0)
    late = sum(map(len, request["singles"].values()))
    if late:
        say(f"{count(late, 'path')} of single services to be checked after {request['check']} s")
        # Asked for before it can be there, it would count as a fault
        time.sleep(max(0.0, began + EARLIEST * request["check"] - time.monotonic()))
        _wait_until_healthy(request["singles"], request["roots"], end, request["check"] / 5)
    say("every name answers from the new host")
    return {"servers": len(resolvers)}


def _wait_for_names(request: VerifyRequest, say: Say) -> list[tuple[str, int]]:
    """Waits until the servers of the zone that answer give the names' new addresses; who they are. Raises
    InfraError."""
    by_hand = request["provider"] == "external"
    end = time.monotonic() + (request["wait"] if by_hand else request["deadline"])
    reported = float("-inf")
    resolvers: list[tuple[str, int]] = []
    while True:
        try:
            resolvers = resolvers or names.servers(request["zone"], request["servers"], request["provider"])
            reason = _elsewhere(request["names"], resolvers)
        except InfraError as error:
            reason = str(error)
        if not reason:
            return resolvers
        now = time.monotonic()
        if now > end:
            rest = f"; the record was not changed within {request['wait']} s. Run again to continue" if by_hand else ""
            raise InfraError(f"{reason}{rest}")
        if by_hand and now - reported > REMINDED:
            reported = now
            changes = ", ".join(f"{name} A {address}" for name, address in request["names"].items())
            zone = request["zone"]
            say(f"waiting for a change by hand, {end - now:.0f} s at most: in {zone} set {changes} ({reason})")
        time.sleep(1)


def _wait_until_healthy(urls: dict[str, list[str]], roots: list[str], end: float, pause: float) -> None:
    for address, expected in urls.items():
        while reason := outside.complaint(address, roots, expected, patience=0):
            if time.monotonic() > end:
                raise InfraError(f"{reason}: the names already point to it; the old region still exists")
            time.sleep(pause)


def _elsewhere(addresses: dict[str, str], resolvers: list[tuple[str, int]]) -> str | None:
    """What is wrong with the names' addresses. Of several servers one may not answer."""
    for name, address in addresses.items():
        silent: list[str] = []
        for server in resolvers:
            try:
                current = names.addresses(name, server)
            except InfraError as error:
                silent.append(str(error))
                continue
            if current != [address]:
                return f"{server[0]} returns {', '.join(current) or 'no address'} for {name} instead of {address}"
        if len(silent) == len(resolvers):
            return silent[0] if silent else "the zone has no name servers"
    return None
