"""Before a region is retired: no resolver remembers it any more, and it gets no requests."""

import socket
import time
from collections.abc import Callable
from typing import TypedDict

from agent.documents.moves import TrafficAnswer
from agent.quoting import count
from infra.errors import InfraError
from infra.ssh import Target
from infra.traffic import ask_traffic
from rendering.requests import DrainRequest

EVERY = 5.0  # seconds between two lines
SURE = 3  # times in a row that a host must be found gone

Say = Callable[[str], None]
# Host → its requests within the quiet time; None where it does not report them
Busy = dict[str, TrafficAnswer | None]


class DrainResult(TypedDict):
    """After how many seconds no requests came any more."""

    seconds: int


def run(request: DrainRequest, say: Say) -> DrainResult:
    """Waits `ttl` seconds, then until each of `hosts` saw no request for `quiet` seconds, `limit` seconds at most. Only
    a host on which nothing serves any more needs not say so. Raises InfraError."""
    began = time.monotonic()
    hosts = {f"{entry['region']}/{entry['target']['host']}": Target(**entry["target"]) for entry in request["hosts"]}
    wait = f"{request['ttl']} s, then quiet for {request['quiet']} s"
    what = f"no more requests come to {', '.join(hosts)}: {wait}" if hosts else "no old address is cached"
    say(f"until {what}")
    last_report, silent = 0.0, dict.fromkeys(hosts, 0)
    while True:
        waited = time.monotonic() - began
        busy = {} if waited < request["ttl"] or not request["quiet"] else _busy(hosts, request, silent)
        if waited >= request["ttl"] and not busy:
            say(f"quiet after {waited:.0f} s")
            return {"seconds": round(waited)}
        if waited > request["ttl"] + request["limit"]:
            raise InfraError(
                f"after {waited:.0f} s {_describe_busy(busy)}. Nothing was deleted, and everything is served. Run "
                "again to continue waiting; infra:drainQuiet 0 skips the wait, infra:standbyRegions keeps the region"
            )
        if waited - last_report >= EVERY:
            last_report = waited
            say(
                _describe_busy(busy)
                if busy
                else f"resolvers may have the old addresses cached for {request['ttl'] - waited:.0f} s more"
            )
        time.sleep(1)


def _busy(hosts: dict[str, Target], request: DrainRequest, silent: dict[str, int]) -> Busy:
    """The hosts that were asked within the quiet time, and by whom; and those that do not say, but that are gone."""
    traffic_by_host: Busy = {}
    for name, target in hosts.items():
        traffic = _traffic(target, request)
        is_gone = traffic is None and not _serves(target.address)
        silent[name] = silent[name] + 1 if is_gone else 0
        if traffic is None and silent[name] < SURE:
            traffic_by_host[name] = None
        elif traffic and (traffic["requests"] or traffic["open"]):
            traffic_by_host[name] = traffic
    return traffic_by_host


def _serves(address: str) -> bool:
    """Does anything still take requests there; SSH alone may be closed to us."""
    try:
        socket.create_connection((address, 443), 5).close()
    except OSError:
        return False
    return True


def _traffic(target: Target, request: DrainRequest) -> TrafficAnswer | None:
    return ask_traffic(target, request["program"], request["quiet"])


def _describe_busy(busy: Busy) -> str:
    def of(name: str, traffic: TrafficAnswer | None) -> str:
        if traffic is None:
            return f"{name} does not report its requests"
        if traffic["open"] and not traffic["requests"]:
            return f"{name} is still answering {count(traffic['open'], 'request')}"
        clients = ", ".join(f"{client} ({number})" for client, number in traffic["clients"])
        ago = traffic["ago"]
        last = "" if ago is None else f", the last {ago:.0f} s ago"
        return f"{name} still answered {count(traffic['requests'], 'request')}{last}, from {clients}"

    return "; ".join(of(name, traffic) for name, traffic in busy.items())
