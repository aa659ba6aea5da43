"""What should wake somebody up: conditions as data, measured on this host. Reads only."""

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from agent import managers, slots, units
from agent.store import Release
from agent.world import World

LOG_LINES = 20000
RESTART_SCHEDULED = "5eb03494b6584870a536b337290809b3"
# Any text that a client sends may stand before the time
NGINX_LINE = re.compile(r'\[(\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4})\] "[^"]*" (\d{3}) ')


def firing(world: World, release: Release) -> list[dict[str, Any]]:
    """An entry for each condition that is met: `alert`, `subject`, `text`."""
    found = []
    for condition in release.manifest["alerts"]:
        for subject, value, detail in MEASURES[condition["measure"]](world, release, condition):
            if value > condition["above"]:
                text = condition["text"].format(subject=subject, value=value, **condition)
                found.append({"alert": condition["alert"], "subject": subject, "text": f"{text}{detail}"})
    return found


Measured = Iterator[tuple[str, float, str]]


def _units_down(world: World, release: Release, _: dict[str, Any]) -> Measured:
    for name, state in units.states(world, slots.running(world, release.manifest)).items():
        if name != _proxy_unit(release):
            yield name, 0 if state["active"] else 1, ""


def _proxy_down(world: World, release: Release, _: dict[str, Any]) -> Measured:
    name = _proxy_unit(release)
    if name:
        yield name, 0 if units.states(world, [name])[name]["active"] else 1, ""


def _restarts(world: World, release: Release, condition: dict[str, Any]) -> Measured:
    for unit in slots.running(world, release.manifest):
        since = ["--since", f"-{condition['within']}s"]
        told = [*managers.told_of(world, unit), f"MESSAGE_ID={RESTART_SCHEDULED}"]
        ran = world.run("journalctl", *told, *since, "-o", "cat", "--no-pager", "-q")
        yield unit, len(ran.output.splitlines()), ""


def _server_errors(world: World, release: Release, condition: dict[str, Any]) -> Measured:
    """The share of answers, in percent, that the proxy gave with a 5xx."""
    name = _proxy_unit(release)
    if not name:
        return
    read = _of_caddy if name.startswith("caddy") else _of_nginx
    statuses = [status for at, status in read(world) if at >= world.wall() - condition["within"]]
    failed = sum(status >= 500 for status in statuses)
    if len(statuses) >= condition["least"]:
        yield name, round(100 * failed / len(statuses), 1), f" ({failed} of {len(statuses)})"


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


def _certificates(world: World, release: Release, _: dict[str, Any]) -> Measured:
    """Minus the days that are left: the more, the worse."""
    for name, days, wrong in certificates(world, release):
        yield name, -days, f": {wrong}" if wrong else ""


def certificates(world: World, release: Release) -> Iterator[tuple[str, int, str]]:
    """Public name, days left of the certificate that the proxy shows for it, and what is wrong with it."""
    for name in release.manifest["names"]:
        ends, wrong = world.certificate_ends(name)
        yield name, int((ends - world.wall()) // 86400) if ends else 0, wrong


def _proxy_unit(release: Release) -> str | None:
    return next((name for name in release.unit_names if name in ("nginx.service", "caddy.service")), None)


MEASURES = {
    "unit down": _units_down,
    "unit restarts": _restarts,
    "proxy down": _proxy_down,
    "proxy server errors": _server_errors,
    "certificate": _certificates,
}
