"""The host's own page: one static file, and the same for programs. It is never green by itself: a script in it that
finds it young enough makes it so, since a monitor that has died cannot write that it has."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import timezone, tzinfo
from html import escape
from typing import cast

from agent import store, times, wording
from agent.documents.monitor import HostRun, Page, ServiceOnPage
from agent.measures import containers
from agent.monitor import history
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
STATES = ("what", "how it is")
RELEASES = ("when", "by", "what", "release", "outcome")
REPAIRS = ("when", "what", "how it went")
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
    samples = [entry for entry in history.samples(world) if result["at"] - entry["at"] <= DAY]
    limits = {name: (used, limit) for name, used, limit in containers.memory(look)}
    of_service = {entry["service"]: entry["name"] for entry in look.manifest["containers"] if entry["name"] in limits}
    services: list[ServiceOnPage] = [
        {
            "service": name, "status": status, "memory": limits.get(of_service.get(name, "")),
            "day": day([(entry["at"], entry["services"].get(name)) for entry in samples], result["at"]),
        }
        for name, status in look.services.items()
    ]  # fmt: skip
    jobs = [cast("dict[str, str]", job) for job in reversed(store.history(world)[-JOBS:])]
    return {
        "at": result["at"], "host": result["host"], "region": look.manifest["region"], "release": result["release"],
        "well": result["well"], "met": [entry["text"] for entry in result["conditions"] if entry["met"]],
        "services": services, "resting": result["resting"], "stopped": result["stopped"],
        "machine": [(e["alert"], e["subject"], e["value"]) for e in result["conditions"] if e["alert"] in MACHINE],
        "certificates": look.certificates,
        "jobs": [{key: job[key] for key in JOB} for job in jobs],
        "repairs": [_repair(entry, look.say) for entry in reversed(history.all_repairs(world)[-JOBS:])],
    }  # fmt: skip


def _repair(entry: Repair, say: Speaker) -> list[str]:
    text = say.again(entry.said, MADE_ROOM)
    # As programs read it; the page has its owners' time
    return [
        times.show(entry.at, timezone.utc),
        current_alert(entry.alert),
        text if entry.worked else say("not repaired: {why}", why=text),
    ]


def day(looks: Iterable[tuple[float, int | None]], now: float) -> list[int]:
    """A day in CELLS: 1 where all looks found it healthy, 0 where one did not, -1 where it was not checked or not to
    run."""
    cells = [-1] * CELLS
    for at, status in looks:
        cell = CELLS - 1 - int((now - at) * CELLS / DAY)
        if status is not None and 0 <= cell < CELLS:
            cells[cell] = min(cells[cell] % 2, int(status == 200)) if cells[cell] >= 0 else int(status == 200)
    return cells


class Markup(str):
    """What stands on the page as it is."""


def html(value: Page, language: str = "en", zone: tzinfo = timezone.utc) -> str:
    say = wording.speaker(language)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    title = say("{host} in {region}", host=value["host"], region=value["region"]) if value["region"] else value["host"]
    heading = say("All healthy") if value["well"] else say("{count} alert condition(s) met", count=len(value["met"]))
    state_line = f'<span class="{_class(value["well"])}">{heading}</span>'
    old = say(
        "This page was written {minutes} minutes ago: the monitor of this host is not running, and this page is out of "
        "date.",
        minutes="{minutes}",
    )
    jobs = [
        (
            _time(job["began"], zone),
            job["who"],
            say.word(job["kind"]),
            job["release"][:12],
            say.word(job["outcome"]),
        )
        for job in value["jobs"]
    ]
    repairs = [(_time(at, zone), *others) for at, *others in value["repairs"]]
    return "\n".join(
        [
            f'<!doctype html><html lang="{escape(language)}"><head>{HEAD}',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            f"<title>{escape(say('{host}: {line}', host=value['host'], line=heading))}</title>",
            f"<style>{STYLE}</style></head>",
            f'<body class="stale" data-at="{value["at"]:.0f}" data-stale="{STALE}">',
            f"<main><h1>{escape(title)}</h1>",
            f'<p role="status">{say("{seen}, as of {at}.", seen=state_line, at=_time(value["at"], zone))}</p>',
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
        yield f"<h2>{say('Not right')}</h2><ul>{lines}</ul>"


def _services(value: Page, say: Speaker) -> Iterator[str]:
    yield f'<h2>{say("Services")}</h2><div class="wide"><table><thead><tr>'
    yield "".join(f'<th scope="col">{say.word(head)}</th>' for head in SERVICES) + "</tr></thead><tbody>"
    for entry in value["services"]:
        well = entry["status"] == 200
        wrong = say("answers {status}", status=entry["status"]) if entry["status"] else say("does not answer")
        now = say("healthy") if well else wrong
        yield (
            f'<tr><th scope="row">{escape(entry["service"])}</th><td class="{_class(well)}">{now}</td>'
            f'<td>{_day(entry["day"], say)}</td><td class="memory">{_memory(entry["memory"], say)}</td></tr>'
        )
    resting, stopped = say("does not run on this host at present"), say("is stopped to free memory")
    for unit, reason in [*((u, resting) for u in value["resting"]), *((u, stopped) for u in value["stopped"])]:
        yield f'<tr><th scope="row">{escape(unit)}</th><td colspan="3">{reason}</td></tr>'
    yield "</tbody></table></div>"


def _day(cells: list[int], say: Speaker) -> str:
    checked_cells = [cell for cell in cells if cell >= 0]
    label = (
        say("healthy in {good} of {all} half-hours", good=checked_cells.count(1), all=len(checked_cells))
        if checked_cells
        else say("not checked")
    )
    bars = "".join(f'<i class="{ {1: "g", 0: "b"}.get(cell, "") }"></i>' for cell in cells)
    return f'<div class="day" role="img" aria-label="{label}" title="{label}">{bars}</div>'


def _memory(usage: tuple[int, int] | None, say: Speaker) -> str:
    if not usage:
        return say("no limit")
    used, limit = (size // 1024**2 for size in usage)
    return f'<meter min="0" max="{limit}" high="{limit * 95 // 100}" value="{used}"></meter> ' + say(
        "{used} of {limit} MiB", used=used, limit=limit
    )


def _machine(value: Page, say: Speaker) -> Iterator[str]:
    rows = [
        (say.word(name) if name == subject else f"{say.word(name)} {subject}", say("{used} % in use", used=used))
        for name, subject, used in value["machine"]
    ]
    rows += [
        (say("certificate of {name}", name=name), wrong or say("{days} days left", days=days))
        for name, days, wrong in value["certificates"]
    ]
    rows.append((say("release"), value["release"][:12] if value["release"] else say("none")))
    yield from _table(say("Host"), [say.word(head) for head in STATES], rows)


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    if rows:
        yield f'<h2>{title}</h2><div class="wide"><table><thead><tr>'
        yield "".join(f'<th scope="col">{head}</th>' for head in heads) + "</tr></thead><tbody>"
        yield from ("<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        yield "</tbody></table></div>"


def _class(well: bool) -> str:
    return "healthy" if well else "unhealthy"


def _cell(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


def _time(value: str | float, zone: tzinfo) -> Markup:
    """A time in the owners' zone, and for programs in UTC; a text that is none as it stands."""
    at = times.read(value) if isinstance(value, str) else value
    if at is None:
        return Markup(escape(str(value)))
    in_utc = times.show(at, timezone.utc, "%Y-%m-%dT%H:%M:%SZ")
    return Markup(f'<time datetime="{in_utc}">{times.show(at, zone)}</time>')
