"""A job on a host, followed to its end from here: started, watched, looked at from outside, and confirmed.

The job runs on without us. A lost connection is made again; whoever does not come back lets the host go back.
"""

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from infra.errors import InfraError
from infra.ssh import AGENT, ConnectionLost, Target, connected, events

RETURN = 120.0  # seconds that a lost host has to come back
SURE = 3  # times that a host must say that it knows nothing of a job: it may be about to begin
BOOT = "python3 -I -c 'import json, sys; payload = json.load(sys.stdin); exec(payload[\"receive\"])'"

Say = Callable[[str], None]
Look = Callable[[Sequence[str]], str | None]  # what is not well about these URLs from outside


def who() -> str:
    """Whose job this is, for the host's history."""
    name = os.environ.get("GITHUB_ACTOR") or os.environ.get("GITLAB_USER_LOGIN") or getpass.getuser()
    return f"{name}@{socket.gethostname()}"


def spec(kind: str, release: str, target: Target, base: str | None, confirm: float) -> dict[str, Any]:
    """What the agent is to do. `confirm` is how many seconds it waits for our word."""
    return {
        "id": uuid.uuid4().hex[:12], "kind": kind, "release": release, "host": target.host, "who": who(),
        "base": base, "confirm": confirm,
    }  # fmt: skip


def send(target: Target, request: dict[str, Any], base: str | None, outside: Look, say: Say) -> dict:
    """Brings a release to a host; how that ended. Raises InfraError when the host cannot be talked to."""
    job = spec("apply", request["release"], target, base, request["confirm"])
    payload = {key: request[key] for key in ("receive", "archive", "secrets")} | {"spec": job}
    return _followed(target, job["id"], BOOT, payload, outside, say)


def go_back(target: Target, release: str | None, confirm: float, outside: Look, say: Say) -> dict[str, Any]:
    """Has a host go back to a release that it keeps (the one before, when none is named)."""
    job = spec("rollback", release or "", target, None, confirm)
    payload = {"release": release, "spec": job}
    return _followed(target, job["id"], f"{AGENT} rollback", payload, outside, say)


def _followed(
    target: Target, id: str, command: str, payload: dict[str, Any], outside: Look, say: Say
) -> dict[str, Any]:
    seen, lost_at, gone = 0, 0.0, 0
    while True:
        try:
            for event in _conversation(target, id, command, payload, seen, outside, say):
                gone = gone + 1 if event.get("gone") else 0
                if gone:
                    break
                seen, lost_at = seen + is_told(event), 0.0
                if "say" in event:
                    say(event["say"])
                if "result" in event:
                    return event["result"]
        except ConnectionLost as error:
            if not lost_at:
                say(f"{error}; the job goes on there, connecting again")
        except InfraError:
            # Before the first connection that is the end; after it the host may be on its way back
            if not seen and not lost_at:
                raise
        if gone >= SURE and not seen:
            return _never_began(target)
        lost_at = lost_at or time.monotonic()
        if time.monotonic() - lost_at > RETURN:
            return _unknown(target, id)
        command, payload = f"{AGENT} follow", {"id": id, "seen": seen}
        time.sleep(1)


def is_told(event: dict[str, Any]) -> bool:
    """Is it one of the job's own events, which are counted; not a sign of life, nor one that is told again."""
    return bool(event) and not {"started", "again"} & set(event)


def _conversation(
    target: Target, id: str, command: str, payload: Any, seen: int, outside: Look, say: Say
) -> Iterator[dict[str, Any]]:
    """The events over one connection; where the agent waits for our word it gets it."""
    with connected(target) as transport:
        look_at = None
        for event in events(transport, target, command, payload):
            seen += is_told(event)
            look_at = event.get("look_at", look_at)
            yield event
        if look_at is not None:
            say("looking from outside")
            reason = outside(look_at)
            said = {"well": reason is None, "reason": reason}
            yield from events(transport, target, f"{AGENT} answer", {"id": id, "seen": seen, "said": said})


def _never_began(target: Target) -> dict[str, Any]:
    line = f"refused on {target.host}, nothing touched: the connection was lost before the job began; run again"
    return {"outcome": "refused", "code": 3, "line": line}


def _unknown(target: Target, id: str) -> dict[str, Any]:
    line = (
        f"unknown on {target.host}: the host did not come back within {RETURN:.0f} s to say how job {id} ended. "
        "Without our word it goes back to the release before; infra status and infra releases tell"
    )
    return {"outcome": "unknown", "code": 6, "line": line}
