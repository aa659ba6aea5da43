"""Before a region is retired: no resolver remembers it any more, and it gets no requests."""

import socket
import time
from collections.abc import Callable
from typing import Any

from agent import proxies
from infra.answers import checked_traffic
from infra.errors import InfraError
from infra.foreign import clean
from infra.remote import run_program
from infra.ssh import Target, connect

EVERY = 5.0  # seconds between two lines
SURE = 3  # times in a row that a host must be found gone

Say = Callable[[str], None]


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    """Waits `ttl` seconds, then until each of `hosts` (targets) saw no request for `quiet` seconds, `limit` seconds at
    most. Only a host on which nothing serves any more needs not say so."""
    began = time.monotonic()
    hosts = {f"{entry['region']}/{entry['target']['host']}": Target(**entry["target"]) for entry in request["hosts"]}
    wait = f"{request['ttl']} s, then quiet for {request['quiet']} s"
    what = f"no more requests come to {', '.join(hosts)}: {wait}" if hosts else "no old address is cached"
    say(f"until {what}")
    last_report, silent = 0.0, dict.fromkeys(hosts, 0)
    while True:
        gone = time.monotonic() - began
        busy = {} if gone < request["ttl"] or not request["quiet"] else _busy(hosts, request, silent)
        if gone >= request["ttl"] and not busy:
            say(f"quiet after {gone:.0f} s")
            return {"seconds": round(gone)}
        if gone > request["ttl"] + request["limit"]:
            raise InfraError(
                f"after {gone:.0f} s {_describe_busy(busy)}. Nothing was deleted, and everything is served. Run again "
                "to continue waiting; infra:drainQuiet 0 skips the wait, infra:standbyRegions keeps the region"
            )
        if gone - last_report >= EVERY:
            last_report = gone
            say(
                _describe_busy(busy)
                if busy
                else f"resolvers may have the old addresses cached for {request['ttl'] - gone:.0f} s more"
            )
        time.sleep(1)


def _busy(hosts: dict[str, Target], request: dict[str, Any], silent: dict[str, int]) -> dict[str, dict[str, Any]]:
    """The hosts that were asked within the quiet time, and by whom; and those that do not say, but that are gone."""
    traffic_by_host: dict[str, dict[str, Any]] = {}
    for name, target in hosts.items():
        traffic = _traffic(target, request)
        gone = traffic is None and not _serves(target.address)
        silent[name] = silent[name] + 1 if gone else 0
        if traffic is None and silent[name] < SURE:
            traffic_by_host[name] = {"requests": None}
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


def _traffic(target: Target, request: dict[str, Any]) -> dict[str, Any] | None:
    try:
        with connect(target, timeout=5) as transport:
            payload = {"within": request["quiet"], **proxies.signs_of_traffic()}
            answer = next(
                (event for event in run_program(transport, target, request["program"], payload) if event), None
            )
            return answer and checked_traffic(clean(answer), str(target))
    except InfraError:
        return None


def _describe_busy(busy: dict[str, dict[str, Any]]) -> str:
    def of(name: str, traffic: dict[str, Any]) -> str:
        if traffic["requests"] is None:
            return f"{name} does not report its requests"
        if traffic["open"] and not traffic["requests"]:
            return f"{name} is still answering {traffic['open']} request(s)"
        clients = ", ".join(f"{client} ({count})" for client, count in traffic["clients"])
        count, ago = traffic["requests"], traffic["ago"]
        return f"{name} still answered {count} request(s), the last {ago:.0f} s ago, from {clients}"

    return "; ".join(of(name, traffic) for name, traffic in busy.items())
