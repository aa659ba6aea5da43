"""Jobs: each runs as a transient unit of its own, so that it ends whatever becomes of the connection that asked for it.

A job has a directory in memory (`/run`): what to do, what is said about it line by line, and what outside answers.
"""

import base64
import json
import os
import time
from collections.abc import Iterator
from typing import Any

from agent import apply, archive, install, prune, store, transaction
from agent.job import Job
from agent.lock import lock
from agent.outcome import Failed, Outcome, Refused, masked
from agent.recover import recover
from agent.world import World

JOBS = "/run/infra/jobs"
HEARTBEAT = 5.0


def unit(id: str) -> str:
    return f"infra-job-{id}.service"


def start(world: World, spec: dict[str, Any], payload: dict[str, Any], agent: str) -> None:
    """Hands a job to systemd. `spec` says what to do, `payload` has what is secret. Raises Refused."""
    world.directory(JOBS, 0o700, "root", "root")
    place = f"{JOBS}/{spec['id']}"
    _write(world, f"{place}/payload.json", payload)
    _write(world, f"{place}/spec.json", spec)
    ran = world.run(
        "systemd-run", "--quiet", "--collect", f"--unit={unit(spec['id'])}", "--property=Type=exec",
        "--property=Restart=on-failure", "--property=RestartSec=1", "--property=StartLimitIntervalSec=600",
        "--property=StartLimitBurst=5", "--property=OOMScoreAdjust=-500", "--property=SyslogIdentifier=infra",
        f"--description=infra: {spec['kind']} of release {spec['release'][:12]}",
        "/usr/bin/python3", "-I", "-B", agent, "job", spec["id"],
    )  # fmt: skip
    if ran.code != 0:
        world.remove_tree(place)
        raise Refused(f"systemd-run: {ran.last_lines()}")


def run(world: World, id: str) -> int:
    """The job itself, inside its unit. Always 0: a failed job is a result, anything else a crash that is recovered."""
    place = f"{JOBS}/{id}"
    spec = json.loads(world.read(f"{place}/spec.json") or b"{}")
    payload = json.loads(world.read(f"{place}/payload.json") or b"null")
    world.remove(f"{place}/payload.json")
    secrets = (payload or {}).get("secrets", {})

    def tell(event: dict[str, Any]) -> None:
        line = masked(json.dumps(event), secrets)
        print(line, flush=True)
        with open(f"{place}/events", "a") as file:
            file.write(line + "\n")

    job = Job(
        id, spec["kind"], spec["who"], spec["host"], spec["base"],
        say=lambda line: tell({"say": line}),
        confirm=lambda urls: _confirmed(world, place, spec["confirm"], urls, tell),
    )  # fmt: skip
    try:
        with lock(f"{spec['kind']} of release {spec['release'][:12]} by {spec['who']}", job.say):
            outcome = _done(world, job, spec, payload)
    except Refused as refusal:
        outcome = apply.refused(world, job, spec["release"], str(refusal))
    tell({"result": json.loads(outcome.to_json()) | {"code": outcome.code}})
    return 0


def _done(world: World, job: Job, spec: dict[str, Any], payload: dict[str, Any] | None) -> Outcome:
    began = world.wall()
    if payload is None:
        outcome = _after_a_crash(world, job, spec)
    else:
        recover_and_record(world, job, "an earlier job was ended in the middle")
        if transaction.unfinished(world):
            raise Refused("an earlier rollback is not finished; see infra status")
        if spec["kind"] == "apply":
            contents = archive.members(base64.b64decode(payload["archive"]))
            outcome = apply.apply(world, job, spec["release"], contents, payload["secrets"])
        else:
            outcome = apply.go_back(world, job, spec["release"])
        outcome.line = masked(outcome.line, payload.get("secrets", {}))
    _record(world, job, began, outcome)
    install.forget_others(world)
    return outcome


def _after_a_crash(world: World, job: Job, spec: dict[str, Any]) -> Outcome:
    found = recover(world, job, "the agent was ended in the middle")
    if found:
        return found[1]
    if store.current_id(world) == spec["release"]:
        prune.prune(world, store.load(world, spec["release"]).manifest["keep"], job.say)
        line = f"applied on {job.host}: release {spec['release'][:12]} was committed before the agent was ended"
        return Outcome("applied", spec["release"], line)
    return apply.refused(world, job, spec["release"], "the agent was ended before the switch; run again")


def recover_and_record(world: World, job: Job, why: str) -> None:
    """Finishes or undoes what an earlier job left, and puts how that ended into the history as that job's end."""
    found = recover(world, job, why)
    if found:
        begun, outcome = found
        job.say(f"before anything else: {outcome.line}")
        _record(world, Job(begun.job, begun.kind, begun.who, begun.host), begun.began, outcome, begun.base)


def _record(world: World, job: Job, began: float, outcome: Outcome, base: str | None = None) -> None:
    entry = json.loads(outcome.to_json()) | {
        "job": job.id, "kind": job.kind, "who": job.who, "base": base or job.base, "code": outcome.code,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)), "seconds": round(world.wall() - began, 1),
    }  # fmt: skip
    try:
        store.record(world, entry)
    except OSError as error:
        # What happened has happened, whether or not the disk takes a note of it
        job.say(f"cannot write the history: {error}")


def _confirmed(world: World, place: str, seconds: float, urls: list[str], tell) -> None:
    tell({"awaiting": seconds, "look_at": urls})
    end = world.now() + seconds
    while world.now() < end:
        answer = world.read(f"{place}/answer")
        if answer is not None:
            said = json.loads(answer)
            if said["well"]:
                return
            raise Failed(f"from outside: {said['reason']}")
        world.sleep(0.1)
    raise Failed(f"nobody confirmed from outside within {seconds:.0f} s")


def answer(world: World, id: str, said: dict[str, Any]) -> None:
    """What whoever looked from outside found: `well`, and `reason` where it is not. Raises Refused."""
    if world.read(f"{JOBS}/{id}/spec.json") is None:
        raise Refused("there is no such job on this host any more")
    _write(world, f"{JOBS}/{id}/answer", said)


def follow(world: World, id: str, seen: int) -> Iterator[dict[str, Any]]:
    """The job's events after the first `seen`, up to its result, or to where it waits for an answer; now and then an
    empty one as a sign of life. A job that nobody knows ends with `{"gone": true}`."""
    beat, idle = world.now(), 0
    while True:
        lines = (world.read(f"{JOBS}/{id}/events") or b"").decode().splitlines()
        for line in lines[seen:]:
            seen += 1
            event = json.loads(line)
            yield event
            if "result" in event or "awaiting" in event:
                return
        # Asked now and then only: a job that runs answers by its events
        idle += 1
        if idle % 10 == 0 and (last := _last_word(world, id)):
            yield last
            return
        if world.now() - beat > HEARTBEAT:
            beat = world.now()
            yield {}
        world.sleep(0.1)


def _last_word(world: World, id: str) -> dict[str, Any] | None:
    """How a job ended that says nothing any more: None while it may still speak."""
    if world.run("systemctl", "is-active", unit(id)).output.strip() in ("active", "activating"):
        return None
    events = (world.read(f"{JOBS}/{id}/events") or b"").decode().splitlines()
    if events and "result" in json.loads(events[-1]):
        return None
    ended = [entry for entry in store.history(world) if entry["job"] == id]
    if ended:
        return {"result": ended[-1]}
    begun = transaction.unfinished(world)
    return None if begun and begun.job == id else {"gone": True}


def _write(world: World, path: str, value: Any) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    world.write(path, json.dumps(value).encode(), 0o600, "root", "root")
