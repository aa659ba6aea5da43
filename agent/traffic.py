"""Who still asks a host that is about to be retired, by its proxy's log. Goes there by itself, since the host may have
an older agent or none: it imports nothing of the agent, and reads only."""

import datetime
import json
import os
import re
import subprocess
import time

TAIL = 4 * 1024**2
LINE = re.compile(r'^(\S+) .*?\[(\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4})\] "[^"]*" (\d{3}) ')
# What no service answered: redirections to TLS, and what strangers try
UNSERVED = {301, *range(400, 500)}


def nginx(path="/var/log/nginx/access.log"):
    """(seconds since 1970, client, status) of the latest requests."""
    if not os.path.exists(path):
        return
    with open(path, "rb") as file:
        file.seek(max(0, os.path.getsize(path) - TAIL))
        for line in file.read().decode(errors="replace").splitlines():
            match = LINE.match(line)
            if match:
                when = datetime.datetime.strptime(match[2], "%d/%b/%Y:%H:%M:%S %z").timestamp()
                yield when, match[1], int(match[3])


def caddy():
    ran = subprocess.run(
        ["journalctl", "-u", "caddy.service", "-o", "cat", "-n", "20000", "--no-pager", "-q"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for line in ran.stdout.splitlines():
        try:
            entry = json.loads(line)
            if entry["logger"].startswith("http.log.access"):
                yield float(entry["ts"]), entry["request"]["remote_ip"], int(entry["status"])
        except (ValueError, KeyError, TypeError):
            continue


def count_open_requests():
    """How many requests Nginx has passed on and not answered yet: they are in its log only when they end. It keeps no
    connection to a service open; Caddy does, so that its say nothing."""
    ran = subprocess.run(
        ["ss", "-Htnp", "state", "established", "dst", "127.0.0.0/8"], capture_output=True, text=True, check=False
    )
    return sum('(("nginx"' in line for line in ran.stdout.splitlines())


def main(payload):
    """The requests of the last `within` seconds that a service answered: how many, from whom most, how long ago the
    latest was (None: none in the log), and how many are `open`."""
    now = time.time()
    seen = [entry for entry in [*nginx(), *caddy()] if entry[2] not in UNSERVED]
    lately = [client for when, client, _ in seen if when >= now - payload["within"]]
    clients = sorted({client: lately.count(client) for client in set(lately)}.items(), key=lambda item: -item[1])
    latest = max((when for when, _, _ in seen), default=None)
    print(json.dumps({
        "requests": len(lately), "clients": clients[:3], "ago": None if latest is None else max(0.0, now - latest),
        "open": count_open_requests(),
    }), flush=True)  # fmt: skip
