"""Who still asks a host that is about to be retired, by its proxy's log. Goes there by itself, since the host may have
an older agent or none: it imports nothing of the agent, and reads only."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from agent.documents.moves import ProxyLog, TrafficPayload

TAIL = 4 * 1024**2
# What no service answered: redirections to TLS, and what strangers try
UNSERVED = {301, *range(400, 500)}


def read_answers(lines: Iterable[str], log: ProxyLog) -> Iterator[tuple[float, str, int]]:
    """(seconds since 1970, client, status) of each answer that a proxy's log has; the client is "" where a line does
    not say it. `log` is described in agent/proxy.py."""
    pattern = re.compile(log["pattern"])
    for line in lines:
        # The journal cuts long lines
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if not log["pattern"]:
                entry = json.loads(line)
                if not all(entry[key].startswith(begin) for key, begin in log["only"].items()):
                    continue
                noted = {name: _value(entry, keys) for name, keys in log["keys"].items()}
            elif match := pattern.search(line):
                noted = match.groupdict()
            else:
                continue
            yield _seconds(noted["time"], log["time_format"]), noted.get("client") or "", int(noted["status"])


def _value(entry: Any, keys: list[str]) -> Any:
    """What an object has behind these keys; "" for a client that is not there."""
    for key in keys:
        entry = cast("dict[str, object]", entry).get(key, "") if isinstance(entry, dict) else ""
    return entry


def _seconds(text: str, time_format: str) -> float:
    return datetime.datetime.strptime(text, time_format).timestamp() if time_format else float(text)


def latest_lines(log: ProxyLog) -> list[str]:
    """The end of a log."""
    if log["journal"]:
        ran = subprocess.run(
            ["journalctl", "-u", log["journal"], "-o", "cat", "-n", "20000", "--no-pager", "-q"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ran.stdout.splitlines()
    if not os.path.exists(log["file"]):
        return []
    with open(log["file"], "rb") as file:
        file.seek(max(0, os.path.getsize(log["file"]) - TAIL))
        return file.read().decode(errors="replace").splitlines()


def count_open_requests(processes: list[str]) -> int:
    """How many requests these have passed on and not answered yet: they are in a log only when they end. They keep no
    connection to a service open."""
    ran = subprocess.run(
        ["ss", "-Htnp", "state", "established", "dst", "127.0.0.0/8"], capture_output=True, text=True, check=False
    )
    return sum(any(f'(("{name}"' in line for name in processes) for line in ran.stdout.splitlines())


def main(payload: TrafficPayload) -> None:
    """The requests of the last `within` seconds that a service answered: how many, from whom most, how long ago the
    latest was (None: none in a log), and how many are `open`. `logs` and `processes` are those of proxies. Of the last
    `failed_within` seconds: how many were answered with an error of the server's (`failed`; None where no log that was
    read reaches back to their beginning)."""
    now = time.time()
    entries = [entry for log in payload["logs"] for entry in read_answers(latest_lines(log), log)]
    served_entries = [entry for entry in entries if entry[1] and entry[2] not in UNSERVED]
    lately = [client for when, client, _ in served_entries if when >= now - payload["within"]]
    clients = sorted({client: lately.count(client) for client in set(lately)}.items(), key=lambda item: -item[1])
    latest = max((when for when, _, _ in served_entries), default=None)
    since = now - payload.get("failed_within", 0.0)
    is_known = any(when < since for when, _, _ in entries)
    failed = sum(when >= since and status >= 500 for when, _, status in entries) if is_known else None
    print(json.dumps({
        "requests": len(lately), "failed": failed, "clients": clients[:3],
        "ago": None if latest is None else max(0.0, now - latest),
        "open": count_open_requests(payload["processes"]),
    }), flush=True)  # fmt: skip
