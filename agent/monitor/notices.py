"""Notices, each sent once: what begins, what has ended, what was repaired. What could not be sent is sent later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import cast

from agent.documents.monitor import HostRun, Notice
from agent.monitor import history
from agent.monitor.history import DAY, PLACE, Repair
from agent.monitor.names import current_alert
from agent.quoting import count
from agent.shapes import JsonObject, items_of, object_of
from agent.wording import Speaker
from agent.world import World

CONFIG = "/etc/infra/notify.env"
SENT = f"{PLACE}/told.json"
AGAIN = DAY  # seconds until what still is not right is sent once more
QUIET_RUNS = 2  # without it, until it counts as ended: what comes and goes is one thing
TRIES = 3
ENGLISH = Speaker({})


@dataclass(frozen=True)
class Notices:
    """`lines` are to be sent now; `state` is what is remembered once they are: subject → {told, text, quiet}."""

    lines: list[str]
    state: dict[str, Notice]


def due(
    state: dict[str, Notice], met: dict[str, str], repairs: list[Repair], now: float, say: Speaker = ENGLISH
) -> Notices:
    """What is to be sent, by what was sent before and what is not right now (subject → text). Pure."""
    lines: list[str] = []
    new_state: dict[str, Notice] = {}
    for key, text in met.items():
        last_notice = state.get(key)
        last_sent = now
        if last_notice is None or now - last_notice["told"] >= AGAIN:
            lines.append(text if last_notice is None else say("still: {text}", text=text))
        else:
            last_sent = last_notice["told"]
        new_state[key] = {"told": last_sent, "text": text, "quiet": 0}
    for key, last_notice in state.items():
        if key in met:
            continue
        quiet = last_notice["quiet"] + 1
        if quiet >= QUIET_RUNS:
            lines.append(say("resolved: {text}", text=last_notice["text"]))
        else:
            new_state[key] = {**last_notice, "quiet": quiet}
    lines += [say("repaired: {done}", done=entry.said) for entry in repairs if entry.worked]
    return Notices(lines, new_state)


def send(world: World, result: HostRun, repairs: list[Repair], say: Speaker = ENGLISH) -> str:
    """Sends what is due, where there is a recipient. Why it could not be sent, which a later run repeats; "" when it
    was."""
    url = webhook(world)
    if not url:
        return ""
    remembered: JsonObject = history.read(world, SENT, {})
    owed = [line for line in items_of(remembered.pop("owed", None)) if isinstance(line, str)]
    state = {_name_today(key): notice for key, entry in remembered.items() if (notice := _notice_of(entry))}
    met = {f"{e['alert']} {e['subject']}": e["text"] for e in result["conditions"] if e["met"]}
    notices = due(state, met, repairs, result["at"], say)
    lines = [*owed, *notices.lines]
    wrong = _post(world, url, result["host"], lines, say) if lines else ""
    history.write(world, SENT, {**notices.state, **({"owed": lines[-50:]} if wrong else {})})
    return wrong


def _name_today(key: str) -> str:
    """What an earlier version sent is not sent again by another name."""
    alert, space, subject = key.partition(" ")
    return f"{current_alert(alert)}{space}{subject}"


def _notice_of(value: object) -> Notice | None:
    """None for what was torn or written by something else: its notice is sent once more."""
    entry = object_of(value)
    is_whole = isinstance(entry.get("text"), str) and isinstance(entry.get("quiet"), int)
    return cast("Notice", entry) if is_whole and history.is_time(entry.get("told")) else None


def webhook(world: World) -> str:
    """Where notices go; "" where there is no recipient."""
    lines = (world.read(CONFIG) or b"").decode().splitlines()
    return next((line.split("=", 1)[1].strip("'") for line in lines if line.startswith("webhook=")), "")


def _post(world: World, url: str, host: str, lines: list[str], say: Speaker) -> str:
    """In the form that Slack, Mattermost and many others take. The address itself is a secret."""
    text = "\n".join(say("{host}: {line}", host=host, line=line) for line in lines)
    body = json.dumps({"text": text, "host": host, "lines": lines}).encode()
    status = 0
    for attempt in range(TRIES):
        status, _ = world.fetch(url, {"Content-Type": "application/json"}, "POST", body, timeout=5)
        if 200 <= status < 300:
            return ""
        if attempt < TRIES - 1:
            world.sleep(2**attempt)
    return (
        f"{count(len(lines), 'notice')} could not be sent: the webhook answered {status or 'nothing'}; a later run "
        "sends them"
    )
