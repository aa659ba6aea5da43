"""The host's own page: one static file, and the same for programs. It is never green by itself: a script in it that
finds it young enough makes it so, since a monitor that has died cannot write that it has."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from agent import store
from agent.measures import containers
from agent.monitor import history
from agent.monitor.history import Repair
from agent.monitor.look import HostFacts
from agent.monitor.style import SCRIPT, STYLE
from agent.world import World

PLACE = "/var/www/infra-status"
STALE = 900  # seconds: three runs that did not come
CELLS = 48  # of a day: half an hour each
DAY = 86400
JOBS = 8
JOB = ("began", "who", "kind", "release", "outcome")
MACHINE = ("memory", "swap", "disk")
HEAD = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="robots" content="noindex"><meta http-equiv="refresh" content="60">'
)


def write(world: World, look: HostFacts, ended: dict[str, Any]) -> None:
    """Writes both where the host's proxy serves them; a host without public names has no such place."""
    if not world.exists(PLACE):
        return
    value = facts(world, look, ended)
    world.write(f"{PLACE}/index.html", html(value).encode(), 0o644, "root", "root")
    world.write(f"{PLACE}/status.json", json.dumps(value).encode(), 0o644, "root", "root")


def facts(world: World, look: HostFacts, ended: dict[str, Any]) -> dict[str, Any]:
    """Everything that the page shows, as a value."""
    samples = [entry for entry in history.samples(world) if ended["at"] - entry["at"] <= DAY]
    limits = {name: (used, limit) for name, used, limit in containers.memory(look)}
    of_service = {entry["service"]: entry["name"] for entry in look.manifest["containers"] if entry["name"] in limits}
    services = [
        {
            "service": name, "status": status, "memory": limits.get(of_service.get(name, "")),
            "day": day([(entry["at"], entry["services"].get(name)) for entry in samples], ended["at"]),
        }
        for name, status in look.services.items()
    ]  # fmt: skip
    return {
        "at": ended["at"], "host": ended["host"], "region": look.manifest["region"], "release": ended["release"],
        "well": ended["well"], "met": [entry["text"] for entry in ended["conditions"] if entry["met"]],
        "services": services, "resting": ended["resting"], "stopped": ended["stopped"],
        "machine": [[e["alert"], e["subject"], e["value"]] for e in ended["conditions"] if e["alert"] in MACHINE],
        "certificates": [list(entry) for entry in look.certificates],
        "jobs": [{key: job[key] for key in JOB} for job in reversed(store.history(world)[-JOBS:])],
        "repairs": [_repair(entry) for entry in reversed(history.doings(world)[-JOBS:])],
    }  # fmt: skip


def _repair(entry: Repair) -> list[str]:
    return [_time(entry.at), entry.alert, f"{'' if entry.worked else 'not repaired: '}{entry.said}"]


def day(looks: Iterable[tuple[float, int | None]], now: float) -> list[int]:
    """A day in CELLS: 1 where all looks found it healthy, 0 where one did not, -1 where it was not checked or not to
    run."""
    cells = [-1] * CELLS
    for at, status in looks:
        cell = CELLS - 1 - int((now - at) * CELLS / DAY)
        if status is not None and 0 <= cell < CELLS:
            cells[cell] = min(cells[cell] % 2, int(status == 200)) if cells[cell] >= 0 else int(status == 200)
    return cells


def html(value: dict[str, Any]) -> str:
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    where = f" in {escape(value['region'])}" if value["region"] else ""
    said = "All healthy" if value["well"] else f"{len(value['met'])} thing(s) are not right"
    jobs = [
        (job["began"].replace("T", " ").rstrip("Z"), job["who"], job["kind"], job["release"][:12], job["outcome"])
        for job in value["jobs"]
    ]
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><head>{HEAD}',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(value['host'])}: {said}</title><style>{STYLE}</style></head>",
            f'<body class="stale" data-at="{value["at"]:.0f}" data-stale="{STALE}"><main>',
            f"<h1>{escape(value['host'])}{where}</h1>",
            f'<p role="status"><span class="{_class(value["well"])}">{said}</span>, as of {_time(value["at"])}.</p>',
            '<p id="age" role="alert"><noscript>Whether this page is still written cannot be known without its script: '
            "compare the time above, it is written every five minutes.</noscript></p>",
            *_met(value["met"]),
            *_services(value),
            *_machine(value),
            *_table("Releases", ("when (UTC)", "by", "what", "release", "outcome"), jobs),
            *_table("Repairs", ("when", "what", "how it went"), value["repairs"]),
            f"</main><script>{SCRIPT}</script></body></html>",
        ]
    )


def _met(texts: list[str]) -> Iterator[str]:
    if texts:
        yield (
            "<h2>Not right</h2><ul>" + "".join(f'<li class="unhealthy">{escape(text)}</li>' for text in texts) + "</ul>"
        )


def _services(value: dict[str, Any]) -> Iterator[str]:
    yield '<h2>Services</h2><div class="wide"><table><thead><tr><th scope="col">service</th><th scope="col">now</th>'
    yield '<th scope="col">24 hours</th><th scope="col">memory</th></tr></thead><tbody>'
    for entry in value["services"]:
        well = entry["status"] == 200
        now = "healthy" if well else f"answers {entry['status']}" if entry["status"] else "does not answer"
        yield (
            f'<tr><th scope="row">{escape(entry["service"])}</th><td class="{_class(well)}">{now}</td>'
            f'<td>{_day(entry["day"])}</td><td class="memory">{_memory(entry["memory"])}</td></tr>'
        )
    why = {"resting": "is not to run here now", "stopped": "is stopped to free memory"}
    for unit, said in [(unit, said) for key, said in why.items() for unit in value[key]]:
        yield f'<tr><th scope="row">{escape(unit)}</th><td colspan="3">{said}</td></tr>'
    yield "</tbody></table></div>"


def _day(cells: list[int]) -> str:
    seen = [cell for cell in cells if cell >= 0]
    said = f"healthy in {seen.count(1)} of {len(seen)} half hours" if seen else "not checked"
    bars = "".join(f'<i class="{ {1: "g", 0: "b"}.get(cell, "") }"></i>' for cell in cells)
    return f'<div class="day" role="img" aria-label="{said}" title="{said}">{bars}</div>'


def _memory(found: list[int] | tuple[int, int] | None) -> str:
    if not found:
        return "no limit"
    used, limit = (size // 1024**2 for size in found)
    return f'<meter min="0" max="{limit}" high="{limit * 95 // 100}" value="{used}"></meter> {used} of {limit} MiB'


def _machine(value: dict[str, Any]) -> Iterator[str]:
    rows = [
        (name if name == subject else f"{name} {subject}", f"{used} % in use")
        for name, subject, used in value["machine"]
    ]
    rows += [(f"certificate of {name}", wrong or f"{days} days left") for name, days, wrong in value["certificates"]]
    rows.append(("release", (value["release"] or "none")[:12]))
    yield from _table("Host", ("what", "how it is"), rows)


def _table(title: str, heads: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    if rows:
        yield f'<h2>{title}</h2><div class="wide"><table><thead><tr>'
        yield "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr></thead><tbody>"
        yield from ("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        yield "</tbody></table></div>"


def _class(well: bool) -> str:
    return "healthy" if well else "unhealthy"


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
