"""The host's own page: one static file, and the same for programs. It is never green by itself: a script in it that
finds it young enough makes it so, since a monitor that has died cannot write that it has."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timezone, tzinfo
from html import escape
from typing import cast

from agent import store, times, wording
from agent.documents.monitor import HostRun, Page, ServiceOnPage
from agent.measures import containers, machine
from agent.monitor import history, markup
from agent.monitor.history import Repair
from agent.monitor.look import HostFacts
from agent.monitor.names import current_alert
from agent.monitor.style import SCRIPT, STYLE
from agent.wording import Speaker
from agent.world import World

PLACE = "/var/www/infra-status"
STALE = 900  # seconds: three runs that did not come
CELLS = 48  # of a day: half an hour each
DAY = 86400
JOBS = 8
JOB = ("began", "who", "kind", "release", "outcome")
MACHINE = ("memory", "swap", "disk")
# Heads of the tables
SERVICES = ("service", "now", "24 hours", "memory")
STATES = ("what", "status")
RELEASES = ("when", "by", "what", "release", "outcome")
REPAIRS = ("when", "what", "outcome")
# What agent/pressure.py notes down, in English: its code is part of releases, and is not changed for this
MADE_ROOM = (
    "{service} was stopped: {left} of {size} MiB were left",
    "{service} was started again: {left} of {size} MiB are left",
)
UNSEEN = (
    "Without its script this page cannot show whether it is current: compare the time above. The monitor writes it "
    "every five minutes."
)
HEAD = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="robots" content="noindex"><meta http-equiv="refresh" content="60">'
)


def write(world: World, look: HostFacts, result: HostRun) -> None:
    """Writes both where the host's proxy serves them; a host without public names has no such place."""
    if not world.exists(PLACE):
        return
    value = facts(world, look, result)
    page = html(value, look.manifest.get("language", wording.ENGLISH), look.zone)
    world.write(f"{PLACE}/index.html", page.encode(), 0o644, "root", "root")
    world.write(f"{PLACE}/status.json", json.dumps(value).encode(), 0o644, "root", "root")


def facts(world: World, look: HostFacts, result: HostRun) -> Page:
    """Everything that the page shows, as a value."""
    of_day = days(world, result["at"])
    limits = {name: (used, limit) for name, used, limit in containers.memory(look)}
    of_service = {entry["service"]: entry["name"] for entry in look.manifest["containers"] if entry["name"] in limits}
    services: list[ServiceOnPage] = [
        {
            "service": name, "status": status, "memory": limits.get(of_service.get(name, "")),
            "day": of_day.get(name, day([], result["at"])),
        }
        for name, status in look.services.items()
    ]  # fmt: skip
    jobs = [cast("dict[str, str]", job) for job in reversed(store.history(world)[-JOBS:])]
    return {
        "at": result["at"], "host": result["host"], "region": look.manifest["region"], "release": result["release"],
        "well": result["well"], "met": [entry["text"] for entry in result["conditions"] if entry["met"]],
        "services": services, "resting": result["resting"], "stopped": result["stopped"],
        "machine": _machine_use(look, result),
        "certificates": look.certificates,
        "jobs": [{key: job[key] for key in JOB} for job in jobs],
        "repairs": [_repair(entry, look.say) for entry in reversed(history.all_repairs(world)[-JOBS:])],
    }  # fmt: skip


def _machine_use(look: HostFacts, result: HostRun) -> list[tuple[str, str, float]]:
    """What is in use of memory, swap and disks; what is in memory, such as /run, is no disk."""
    disks: set[str] = set()
    with suppress(OSError):
        disks |= {path for path, _ in machine.disks(look)}
    return [
        (entry["alert"], entry["subject"], entry["value"])
        for entry in result["conditions"]
        if entry["alert"] in MACHINE and (entry["alert"] != "disk" or entry["subject"] in disks)
    ]


def _repair(entry: Repair, say: Speaker) -> list[str]:
    text = say.again(entry.said, MADE_ROOM)
    # As programs read it; the page has its owners' time
    return [
        times.show(entry.at, timezone.utc),
        current_alert(entry.alert),
        text if entry.worked else say("not repaired: {why}", why=text),
    ]


def days(world: World, now: float) -> dict[str, list[int]]:
    """The last day of each service that was checked in it, by its name."""
    samples = [entry for entry in history.samples(world) if now - entry["at"] <= DAY]
    names = dict.fromkeys(name for entry in samples for name in entry["services"])
    return {name: day([(entry["at"], entry["services"].get(name)) for entry in samples], now) for name in names}


def day(looks: Iterable[tuple[float, int | None]], now: float) -> list[int]:
    """A day in CELLS: 1 where all looks found it healthy, 0 where one did not, -1 where it was not checked or not to
    run."""
    cells = [-1] * CELLS
    for at, status in looks:
        cell = CELLS - 1 - int((now - at) * CELLS / DAY)
        if status is not None and 0 <= cell < CELLS:
            cells[cell] = min(cells[cell] % 2, int(status == 200)) if cells[cell] >= 0 else int(status == 200)
    return cells


def html(value: Page, language: str = "en", zone: tzinfo = timezone.utc) -> str:
    say = wording.speaker(language)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = say("{host} in {region}", host=value["host"], region=value["region"]) if value["region"] else value["host"]
    met = len(value["met"])
    conditions = say("1 alert condition met") if met == 1 else say("{count} alert conditions met", count=met)
    heading = say("All healthy") if value["well"] else conditions
    state_line = markup.state(heading, value["well"])
    old = say(
        "This page was written {minutes} minutes ago: the monitor of this host is not running, and this page is out of "
        "date.",
        minutes="{minutes}",
    )
    jobs = [
        (
            markup.time(job["began"], zone),
            job["who"],
            say.word(job["kind"]),
            job["release"][:12],
            say.word(job["outcome"]),
        )
        for job in value["jobs"]
    ]
    repairs = [(markup.time(at, zone), *others) for at, *others in value["repairs"]]
    return "\n".join(
        [
            f'<!doctype html><html lang="{escape(language)}"><head>{HEAD}',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(say('{host}: {line}', host=value['host'], line=heading))}</title>",
            f"<style>{STYLE}</style></head>",
            f'<body class="stale" data-at="{value["at"]:.0f}" data-stale="{STALE}">',
            f"<main><h1>{escape(title)}</h1>",
            f'<p role="status">{say("{seen}, as of {at}.", seen=state_line, at=markup.time(value["at"], zone))}</p>',
            f'<p id="age" role="alert" data-old="{escape(old)}"><noscript>{say.word(UNSEEN)}</noscript></p>',
            *_conditions(value["met"], say),
            *_services(value, say),
            *_machine(value, say),
            *_table(say("Releases"), [say.word(head) for head in RELEASES], jobs),
            *_table(say("Repairs"), [say.word(head) for head in REPAIRS], repairs),
            f"</main><script>{SCRIPT}</script></body></html>",
        ]
    )


def _conditions(texts: list[str], say: Speaker) -> Iterator[str]:
    if texts:
        lines = "".join(f'<li class="unhealthy">{escape(text)}</li>' for text in texts)
        yield f"<h2>{say('Alerts')}</h2><ul>{lines}</ul>"


def _services(value: Page, say: Speaker) -> Iterator[str]:
    rows = [
        (
            entry["service"],
            markup.service_state(entry["status"], say),
            markup.day(entry["day"], say),
            _memory(entry["memory"], say),
        )
        for entry in value["services"]
    ]
    resting, stopped = say("does not run on this host at present"), say("is stopped to free memory")
    rows += [(unit, resting, "", "") for unit in value["resting"]]
    rows += [(unit, stopped, "", "") for unit in value["stopped"]]
    yield f"<h2>{say('Services')}</h2>"
    yield markup.table([say.word(head) for head in SERVICES], rows, with_row_heads=True)


def _memory(usage: tuple[int, int] | None, say: Speaker) -> str:
    if not usage:
        return say("no limit")
    used, limit = (size // 1024**2 for size in usage)
    text = say("{used} of {limit} MiB", used=used, limit=limit)
    return markup.meter(used, limit, text)


def _machine(value: Page, say: Speaker) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        (say.word(name) if name == subject else f"{say.word(name)} {subject}", say("{used} % in use", used=used))
        for name, subject, used in value["machine"]
    ]
    rows += [
        (say("certificate of {name}", name=name), wrong or say("{days} days left", days=days))
        for name, days, wrong in value["certificates"]
    ]
    rows.append((say("release"), value["release"][:12] if value["release"] else say("none")))
    yield from _table(say("Host"), [say.word(head) for head in STATES], rows)


def _table(title: str, heads: Iterable[str], rows: list[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield f"<h2>{title}</h2>"
        yield markup.table(heads, rows)
