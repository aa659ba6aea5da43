"""Before the names point to a new host: every public path answers there, with a certificate that clients trust."""

import time
from collections.abc import Callable

from infra import names, outside
from infra.errors import InfraError
from rendering.requests import GateRequest, GateResult

TIMES = 3
PAUSE = 1.0

Say = Callable[[str], None]


def run(request: GateRequest, say: Say) -> GateResult:
    """Until the hosts answer several times in a row. Raises InfraError where they do not in their time."""
    count = sum(len(urls) for urls in request["urls"].values())
    say(f"{count} public paths, {TIMES} times in a row")
    end = time.monotonic() + request["deadline"]
    well = 0
    while well < TIMES:
        reasons = [
            reason
            for address, urls in request["urls"].items()
            if (reason := outside.complaint(address, request["roots"], urls, 0, request["resting"]))
        ]
        well = 0 if reasons else well + 1
        if reasons and time.monotonic() > end:
            raise InfraError(f"{'; '.join(reasons)}: no name was switched")
        if well < TIMES:
            time.sleep(PAUSE)
    say(f"{count} public paths answered {TIMES} times in a row")
    return {"paths": count, "ttl": _longest(request, say)}


def _longest(request: GateRequest, say: Say) -> int:
    """For how many seconds resolvers may keep what the names' records are now: of records that the program writes the
    stack knows it."""
    longest = 0
    if request["provider"] == "route53":
        return longest
    try:
        for server in names.servers(request["zone"], request["servers"], request["provider"])[:1]:
            longest = max((names.life(name, server) or 0 for name in request["names"]), default=0)
    except InfraError as error:
        if request["provider"] == "external":
            # Of what a person wrote the stack knows nothing
            raise InfraError(f"how long resolvers cache the names is unknown: {error}: no name was switched") from None
        say(f"how long resolvers cache the names is unknown: {error}")
    return longest
