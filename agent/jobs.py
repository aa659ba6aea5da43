"""Jobs: each runs as a transient unit of its own, so that it ends whatever becomes of the connection that asked for it.

A job has a directory in memory (`/run`): what to do, what is said about it line by line, and what outside answers.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

from agent import (
    alive,
    apply,
    archive,
    credentials,
    images,
    install,
    quoting,
    steps,
    store,
    tag_releases,
    transaction,
    units,
    validate,
)
from agent.backups import drills, restoring
from agent.documents.jobs import Event, Payload, Spec, Verdict
from agent.job import Job
from agent.lock import PATIENCE, lock
from agent.outcome import Failed, Mask, Outcome, Refused
from agent.recover import recover
from agent.world import TIMED_OUT, World

MiB = 1024**2
RUN = "/run"
JOBS = "/run/infra/jobs"
AFTER_A_KILL = 600.0  # seconds that a job which left a switch half done waits for its turn


def unit(id: str) -> str:
    return f"infra-job-{id}.service"


def start(world: World, spec: Spec, payload: Payload, agent: str) -> None:
    """Hands a job to systemd. `spec` says what to do, `payload` has what is secret. Raises Refused."""
    place = f"{JOBS}/{spec['id']}"
    # The payload, and the copies of its files that are looked at before the switch, which are not compressed
    need = len(json.dumps(payload)) + archive.unpacked_size(payload.get("archive", "")) + MiB
    if (free := world.free(RUN)) < need:
        raise Refused(
            f"no space left in {RUN}: {free // MiB} MiB are free, and this release needs about {need // MiB} MiB there "
            f"during the switch: see df {RUN} and du -xsh {RUN}/*"
        )
    world.directory(JOBS, 0o700, "root", "root")
    try:
        _write(world, f"{place}/payload.json", payload)
        _write(world, f"{place}/spec.json", {**spec, "agent": agent})
    except OSError as error:
        world.remove_tree(place)
        raise Refused(f"the job cannot be written to {RUN}: {quoting.error(error)}") from None
    ran = world.run(
        "systemd-run", "--quiet", "--collect", f"--unit={unit(spec['id'])}", "--property=Type=exec",
        "--property=Restart=on-failure", "--property=RestartForceExitStatus=SIGTERM SIGINT SIGHUP",
        "--property=RestartSec=1", "--property=StartLimitIntervalSec=600",
        "--property=StartLimitBurst=5", "--property=OOMScoreAdjust=-500", "--property=SyslogIdentifier=infra",
        f"--description=infra: {spec['kind']} of release {spec['release'][:12]}",
        "/usr/bin/python3", "-I", "-B", agent, "job", spec["id"],
    )  # fmt: skip
    # One that did not answer may have started it: who follows the job sees
    if ran.code not in (0, TIMED_OUT):
        world.remove_tree(place)
        raise Refused(f"systemd-run: {ran.last_lines()}")


def run(world: World, id: str) -> int:
    """The job itself, inside its unit. Always 0: a failed job is a result, anything else a crash that is recovered."""
    place = f"{JOBS}/{id}"
    spec = json.loads(world.read(f"{place}/spec.json") or b"{}")
    payload = json.loads(world.read(f"{place}/payload.json") or b"null")
    world.remove(f"{place}/payload.json")
    mask = Mask(secret_values(world, payload))

    half: list[str] = []  # a line's end that is missing, where a disk was full

    def publish(event: Event) -> None:
        line = quoting.event_line(mask.all_of(event))
        # What happens happens, whether or not its reader is still there
        with contextlib.suppress(OSError):
            print(line, flush=True)
        with contextlib.suppress(OSError), open(f"{place}/events", "a") as file:
            before, half[:] = "".join(half), ["\n"]
            file.write(before + line + "\n")
            file.flush()
            half.clear()

    began = world.wall()
    job = Job(
        id, spec["kind"], spec["who"], spec["host"], spec["base"],
        say=lambda line: publish({"say": line}),
        confirm=lambda urls: _await_confirmation(world, place, spec, urls, publish),
        only=tuple(spec.get("only", [])),
    )  # fmt: skip
    try:
        purpose = f"{spec['kind']} of release {spec['release'][:12]} by {spec['who']}"
        with quoting.hiding(mask.all_of), lock(purpose, job.say, patience=PATIENCE if payload else AFTER_A_KILL):
            outcome = execute(world, with_history(world, job, began, mask), spec, payload)
            _forget_other_agents(world)
    except Refused as refusal:
        outcome = _without_the_lock(world, job, spec["release"], str(refusal))
    publish({"result": json.loads(outcome.to_json()) | {"code": outcome.code}})
    return 0


def _without_the_lock(world: World, job: Job, release: str, reason: str) -> Outcome:
    """A job that begins has touched nothing; one that was killed in its switch may have."""
    switch = transaction.load_unfinished(world)
    if switch is None or switch.job != job.id:
        return apply.refusal_outcome(world, job, release, reason)
    line = (
        f"unknown on {job.host}: the agent was ended midway of the switch, and {reason[0].lower()}{reason[1:]}. "
        "That job first rolls back the switch; infra status shows the running release"
    )
    return Outcome("unknown", release, line)


def secret_values(world: World, payload: Payload | None) -> set[str]:
    """Every secret that comes with a job or is kept on the host: a service may say its own in its log."""
    payload_secrets = {value for values in (payload or {}).get("secrets", {}).values() for value in values.values()}
    return payload_secrets | store.known_secrets(world)


def with_history(world: World, job: Job, began: float, mask: Mask) -> Job:
    """The job with its way into the history, which is written once for each job."""

    def record(job: Job, outcome: Outcome) -> None:
        entry = mask.all_of(json.loads(outcome.to_json())) | {
            "job": job.id, "kind": job.kind, "who": job.who, "base": job.base, "code": outcome.code,
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
            "seconds": round(world.wall() - began, 1),
        }  # fmt: skip
        try:
            if not any(other["job"] == job.id for other in store.history(world)):
                store.record(world, entry)
        except OSError as error:
            # What happened has happened, whether or not the disk takes a note of it
            job.say(f"cannot write the history: {quoting.error(error)}")

    return replace(job, history=record)


def execute(world: World, job: Job, spec: Spec, payload: Payload | None) -> Outcome:
    """Does the job, or what its crash left to do, under the lock."""
    forget_leftovers(world)
    was_stepping = steps.forget_leftovers(world)
    drills.forget_leftovers(world)
    restoring.undo_interrupted(world, job.say)
    if payload is None:
        outcome = _after_a_crash(world, job, spec, was_stepping)
    else:
        recover_first(world, job)
        if spec["kind"] == "apply":
            contents = archive.members(base64.b64decode(payload.get("archive", "")))
            outcome = apply.apply(world, job, spec["release"], contents, payload["secrets"])
        elif spec["kind"] == tag_releases.KIND:
            outcome = apply.bring(world, job, spec["release"], lambda: tag_releases.release(world, payload))
        else:
            # What serves now, whatever did when a restart was asked for
            current = store.current_id(world) if job.restarts else None
            outcome = apply.go_back(world, job, current or spec["release"])
    job.record(outcome)
    return outcome


def forget_leftovers(world: World) -> None:
    """What a killed preparation left in memory's file systems: a registry's login, rendered secrets, the payload of a
    job that never began."""
    # One that is just being handed to systemd has this lock
    with contextlib.suppress(Refused), lock("removing secrets", lambda _: None, install.LOCK, patience=0):
        for id in world.listing(JOBS):
            if world.exists(f"{JOBS}/{id}/payload.json") and not is_on(world, id):
                world.remove_tree(f"{JOBS}/{id}")
    credentials.forget_staged(world)
    store.forget_noted_secrets(world)
    for place in (images.LOGIN, validate.STAGE):
        if world.exists(place):
            world.remove_tree(place)


def is_on(world: World, id: str) -> bool:
    """Does a job's unit run, or is it about to."""
    return world.run("systemctl", "is-active", unit(id)).output.strip() in units.RUNNING


def _forget_other_agents(world: World) -> None:
    """Not while one is being installed: the next job does it then."""
    specs = (world.read(f"{JOBS}/{id}/spec.json") for id in world.listing(JOBS) if is_on(world, id))
    in_use = {json.loads(text).get("agent", "") for text in specs if text}
    with contextlib.suppress(Refused), lock("removing earlier agents", lambda _: None, install.LOCK, patience=0):
        install.forget_others(world, in_use)


def _after_a_crash(world: World, job: Job, spec: Spec, was_stepping: bool) -> Outcome:
    recovered = recover(world, job, "the agent was ended midway")
    if recovered:
        return recovered[1]
    entries = [entry for entry in store.history(world) if entry["job"] == job.id]
    if entries:
        return Outcome.of(entries[-1])
    untouched = steps.StepFailed.untouched if was_stepping else Refused.untouched
    return apply.refusal_outcome(
        world, job, spec["release"], "the agent was ended before the switch; run again", untouched
    )


def recover_first(world: World, job: Job) -> None:
    """Finishes or undoes what an earlier job left. Raises Refused when that cannot be done."""
    recovered = recover(world, job, "an earlier job was ended midway")
    if recovered:
        job.say(f"before anything else: {recovered[1].line}")
    if transaction.load_unfinished(world):
        raise Refused("an earlier rollback is not finished; see infra status")


def _await_confirmation(
    world: World, place: str, spec: Spec, urls: list[str], publish: Callable[[Event], None]
) -> None:
    if spec["kind"] == "restart":
        # It changes nothing that could be taken back
        return
    if spec["kind"] == tag_releases.KIND:
        # No other machine knows of it
        tag_releases.look_by_names(world, urls)
        return
    seconds = spec["confirm"]
    publish({"awaiting": seconds, "look_at": urls})
    end = world.now() + seconds
    while world.now() < end:
        answer = world.read(f"{place}/answer")
        if answer is not None:
            verdict = json.loads(answer)
            if verdict["well"]:
                return
            raise Failed(f"from outside: {verdict['reason']}")
        world.sleep(0.1)
    raise Failed(f"not confirmed from outside within {seconds:.0f} s")


def answer(world: World, id: str, verdict: Verdict) -> None:
    """What the look from outside found: `well`, and `reason` where it is not. Raises Refused."""
    if world.read(f"{JOBS}/{id}/spec.json") is None:
        raise Refused("this host no longer knows this job")
    _write(world, f"{JOBS}/{id}/answer", verdict)


def follow(world: World, id: str, received_count: int) -> Iterator[Event]:
    """The job's events after the first `received_count`, up to its result, or to where it waits for an answer; now and
    then an empty one as a sign of life. One that still waits for an answer says so again (`again`) to a new connection.
    An unknown job ends with `{"gone": true}`."""
    beat, idle = world.now(), 0
    waiting = _open_question(world, id, received_count)
    if waiting:
        yield {**waiting, "again": True}
        return
    while True:
        for event in _events(world, id)[received_count:]:
            received_count += 1
            yield event
            if "result" in event or "awaiting" in event:
                return
        # Asked now and then only: a job that runs answers by its events
        idle += 1
        if idle % 10 == 0 and (last := _last_word(world, id)):
            yield last
            return
        if world.now() - beat > alive.HEARTBEAT:
            beat = world.now()
            yield {}
        world.sleep(0.1)


def _events(world: World, id: str) -> list[Event]:
    lines = (world.read(f"{JOBS}/{id}/events") or b"").decode(errors="replace").split("\n")
    # The last one is being written, or empty; of what a full disk broke off nothing can be made
    events: list[Event] = []
    for line in lines[:-1]:
        with contextlib.suppress(ValueError, RecursionError):
            event: object = json.loads(line)
            events += [cast("Event", event)] if isinstance(event, dict) else []
    return events


def _open_question(world: World, id: str, received_count: int) -> Event | None:
    events = _events(world, id)
    answered = world.read(f"{JOBS}/{id}/answer") is not None
    return (
        events[-1] if events and len(events) <= received_count and "awaiting" in events[-1] and not answered else None
    )


def _last_word(world: World, id: str) -> Event | None:
    """How a job ended that says nothing any more: None while it may still speak."""
    if is_on(world, id):
        return None
    events = _events(world, id)
    if events and "result" in events[-1]:
        return None
    entries = [entry for entry in store.history(world) if entry["job"] == id]
    if entries:
        return {"result": entries[-1]}
    switch = transaction.load_unfinished(world)
    if switch is None or switch.job != id:
        return {"gone": True}
    # The agent was ended for good: what it left is undone as after a reboot
    world.run("systemctl", "start", "--no-block", install.UNIT)
    return None


def _write(world: World, path: str, value: Any) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    world.write(path, json.dumps(value).encode(), 0o600, "root", "root")
