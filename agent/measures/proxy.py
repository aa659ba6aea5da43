"""The proxy: does it run, how many of its answers are errors, how long are its certificates good."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import datetime

from agent import lineages, managers, units
from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.store import Release
from agent.wording import phrase
from agent.world import World

LOG_LINES = 20000
# Any text that a client sends may stand before the time
NGINX_LINE = re.compile(r'\[(\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4})\] "[^"]*" (\d{3}) ')


def proxy_unit(release: Release) -> str | None:
    return next((name for name in release.unit_names if name in ("nginx.service", "caddy.service")), None)


def down(look: HostFacts, _: Alert) -> Measures:
    name = proxy_unit(look.release)
    if name:
        yield Measured(name, 0 if units.states(look.world, [name])[name]["active"] else 1)


def server_errors(look: HostFacts, condition: Alert) -> Measures:
    """The share of answers, in percent, that the proxy gave with a 5xx."""
    name, world = proxy_unit(look.release), look.world
    if not name:
        return
    read = _of_caddy if name.startswith("caddy") else _of_nginx
    statuses = [status for at, status in read(world) if at >= world.wall() - condition["within"]]
    failed = sum(status >= 500 for status in statuses)
    share = round(100 * failed / len(statuses), 1) if len(statuses) >= condition["least"] else 0.0
    yield Measured(name, share, phrase(" ({failed} of {all})", failed=failed, all=len(statuses)))


def _of_nginx(world: World) -> Iterator[tuple[float, int]]:
    for line in world.run("tail", "-n", str(LOG_LINES), "/var/log/nginx/access.log").output.splitlines():
        match = NGINX_LINE.search(line)
        with contextlib.suppress(ValueError):
            if match:
                yield datetime.strptime(match[1], "%d/%b/%Y:%H:%M:%S %z").timestamp(), int(match[2])


def _of_caddy(world: World) -> Iterator[tuple[float, int]]:
    for line in managers.journal(world, "caddy.service", LOG_LINES).output.splitlines():
        # A failure stands there twice: as an error, and as an answer. The journal cuts long lines
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(line)
            if entry["logger"].startswith("http.log.access"):
                yield float(entry["ts"]), int(entry["status"])


def renewals(look: HostFacts, _: Alert) -> Measures:
    """1 for a certificate that certbot cannot renew, long before that matters."""
    for item in look.manifest["certificates"]:
        fault = lineages.fault(look.world, item["name"])
        yield Measured(item["name"], 1 if fault else 0, fault)


def certificates_left(look: HostFacts, _: Alert) -> Measures:
    """Minus the days that are left: the more, the worse."""
    for name, days, wrong in look.certificates:
        yield Measured(name, -days, phrase(": {wrong}", wrong=wrong) if wrong else "")
