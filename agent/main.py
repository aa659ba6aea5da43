"""The agent's way in. Every verb answers in JSON lines on standard output."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from agent import (
    alive,
    archive,
    arriving,
    artefacts,
    contents,
    ecr,
    ending,
    environments,
    install,
    jobs,
    lock,
    logs,
    maintenance,
    pressure,
    proofs,
    prune,
    quoting,
    reaching,
    reports,
    restore,
    shipping,
    singletons,
    stacks,
    store,
    tags,
    transaction,
)
from agent import recover as recovery
from agent.backups import asking as backing_up
from agent.backups import restoring
from agent.documents.answers import PruneAnswer
from agent.documents.jobs import Payload, Spec
from agent.documents.requests import (
    AccessPayload,
    AnswerPayload,
    DiskPayload,
    FollowPayload,
    LogsPayload,
    MaintenancePayload,
    NoPayload,
    ReceivePayload,
    RestartPayload,
    RollbackPayload,
)
from agent.job import Job
from agent.monitor import run as monitoring
from agent.outcome import Failed, Mask, Refused, reason_of
from agent.world import World

# A sign of life must not come in the middle of a line
_printing = threading.Lock()


def receive(payload: ReceivePayload) -> int:
    """What comes over the connection: the agent installs itself, starts the job, and reports how it goes."""
    world = World()
    contents = archive.members(b64decode(payload["archive"]))
    sources = {name: text for name, text in contents.items() if name.startswith("agent/")}
    return _start(
        world,
        payload["spec"],
        {"archive": payload["archive"], "secrets": payload["secrets"]},
        lambda: install.install(world, sources),
    )


def rollback(payload: RollbackPayload) -> int:
    """Goes back to a kept release: the one before the current when none is named."""
    world = World()
    try:
        id = _choose_release(world, payload["release"])
        host = store.load(world, id).manifest["host"]
    except Refused as refusal:
        return _print_refusal(payload["release"] or "", str(refusal))
    return _start(world, {**payload["spec"], "release": id, "host": host}, {"secrets": {}}, lambda: install.BIN)


def restart(payload: RestartPayload) -> int:
    """Restarts services of the release that serves."""
    world = World()
    try:
        id = store.current_id(world)
        if id is None:
            raise Refused("this host has no release yet")
        host = store.load(world, id).manifest["host"]
    except Refused as refusal:
        return _print_refusal("", str(refusal))
    return _start(world, {**payload["spec"], "release": id, "host": host}, {"secrets": {}}, lambda: install.BIN)


def _choose_release(world: World, prefix: str | None) -> str:
    """A kept release by the beginning of its id. Raises Refused."""
    ids = store.returnable(world)
    if not prefix:
        earlier_ids = [id for id in ids if id != store.current_id(world)]
        if not earlier_ids:
            raise Refused("no earlier release is kept on this host")
        return earlier_ids[0]
    matching_ids = [id for id in ids if id.startswith(prefix)]
    if len(matching_ids) != 1:
        choice = ", ".join(id[:12] for id in ids) or "none"
        how_many = (
            f"{len(matching_ids)} kept releases begin" if matching_ids else "no kept release that has served begins"
        )
        raise Refused(f"{how_many} with {prefix!r}; kept: {choice}")
    return matching_ids[0]


def _start(world: World, spec: Spec, payload: Payload, agent: Callable[[], str]) -> int:
    """Hands a job to systemd, to be done by `agent`'s directory, which nothing removes meanwhile."""
    try:
        with lock.lock("installing an agent", lambda line: _print({"say": line}), install.LOCK):
            jobs.start(world, spec, payload, agent())
    except Refused as refusal:
        return _print_refusal(spec["release"], str(refusal))
    except (OSError, Failed) as error:
        return _print_refusal(spec["release"], f"the agent cannot be installed: {reason_of(error)}")
    _print({"started": spec["id"]})
    return follow({"id": spec["id"], "seen": 0})


def _print_refusal(release: str, reason: str) -> int:
    _print(
        {"result": {"outcome": "refused", "code": 3, "release": release, "line": f"refused, nothing touched: {reason}"}}
    )
    return 0


def follow(payload: FollowPayload) -> int:
    for event in jobs.follow(World(), payload["id"], payload["seen"]):
        _print(event)
    return 0


def answer(payload: AnswerPayload) -> int:
    """Confirms or rejects a job, and follows it to its end."""
    # How a job ended that is gone is said by what follows
    with contextlib.suppress(Refused):
        jobs.answer(World(), payload["id"], payload["said"])
    return follow(payload)


def status(_: NoPayload) -> int:
    _print(reports.status(World()))
    return 0


def overview(_: NoPayload) -> int:
    _print(reports.overview(World()))
    return 0


def show_boot_times(_: NoPayload) -> int:
    _print(reports.boot_times(World()))
    return 0


def show_drift(_: NoPayload) -> int:
    _print(reports.drift(World()))
    return 0


def show_contents(_: NoPayload) -> int:
    _print(contents.contents(World()))
    return 0


def show_logs(payload: LogsPayload) -> int:
    excerpt = logs.Excerpt(payload["lines"], payload["follow"], payload.get("since"), payload.get("grep", ""))
    for event in logs.logs(World(), payload["service"], excerpt):
        _print(event)
    return 0


def releases(_: NoPayload) -> int:
    _print(reports.releases(World()))
    return 0


def free(_: NoPayload) -> int:
    world = World()
    with lock.lock("pruning", lambda line: _print({"say": line})):
        for id in store.unreadable(world):
            _print({"say": f"no image is removed: kept release {id[:12]} cannot be read, and may need any of them"})
        artefacts.prune(world)
        environments.prune(world)
        answer: PruneAnswer = {"freed": environments.empty_cache(world) + prune.images(world)}
        _print(answer)
    return 0


def maintain(payload: MaintenancePayload) -> int:
    """Begins or ends the maintenance of sites."""
    with lock.lock("maintenance", lambda line: _print({"say": line}), maintenance.LOCK):
        _print(maintenance.handle(World(), payload))
    return 0


def reach(payload: AccessPayload) -> int:
    """How a person gets to a service, which is noted down."""
    _print(reaching.grant_access(World(), payload))
    return 0


def restore_from_disk(payload: DiskPayload) -> int:
    """Restores data directories from an earlier disk."""
    _print(restore.restore(World(), payload, lambda line: _print({"say": line})))
    return 0


def backup(what: str, payload: Any) -> int:
    """What people ask of backups."""
    _print(backing_up.handle(World(), what, payload, lambda line: _print({"say": line})))
    return 0


def recover(_: NoPayload) -> int:
    """At boot: what the host was in the middle of is finished or undone. A failure is tried again by the next job."""
    world = World()

    def say(line: str) -> None:
        _print({"say": line})

    id = time.strftime("boot-%Y%m%d%H%M%S", time.gmtime())
    job = Job(id, "recover", "the host itself", "this host", say=say)
    mask = Mask(jobs.secret_values(world, None))
    with quoting.hiding(mask.all_of), lock.lock("recovery after a restart", say, patience=600):
        restoring.undo_interrupted(world, say)
        recovery.recover(world, jobs.with_history(world, job, world.wall(), mask), "the host restarted midway")
    return 1 if transaction.load_unfinished(world) else 0


def arrive(what: str, payload: Any) -> int:
    """Data of a system that comes from another host."""
    _print(arriving.handle(World(), what, payload, lambda line: _print({"say": line})))
    return 0


# Each takes the payload of its name
VERBS: dict[str, Callable[[Any], int]] = {
    "follow": follow, "answer": answer, "rollback": rollback, "status": status, "overview": overview,
    "drift": show_drift, "releases": releases, "prune": free, "contents": show_contents,
    "boot-times": show_boot_times, "recover": recover, "logs": show_logs, "restore": restore_from_disk,
    "maintenance": maintain, "restart": restart, "reach": reach,
    **{f"backup-{what}": partial(backup, what) for what in backing_up.ANSWERS},
    **{f"arrive-{what}": partial(arrive, what) for what in arriving.ANSWERS},
}  # fmt: skip
WATCHES = {
    "watch-singles": singletons.run,
    "watch-memory": pressure.run,
    "watch-tags": tags.run,
    "ship-logs": shipping.run,
}

STACKS = {"apply-stack": stacks.apply, "check-group": stacks.check_group}


def command() -> None:
    """`python3 /var/lib/infra/bin VERB`, its argument as JSON on standard input; `job ID`, `registry-login HOST…`,
    `end-container NAME`, `scheduled-backup SERVICE`, `scheduled-drill SERVICE`, `watch-singles`, `watch-memory`,
    `watch-tags` and `ship-logs` are for systemd, `monitor` for it and for people, `enter ID` for what people run in a
    service, `prove` and `unprove` for certbot."""
    verb = sys.argv[1]
    if verb == "job":
        sys.exit(jobs.run(World(), sys.argv[2]))
    try:
        if verb == "end-container":
            ending.end(sys.argv[2])
            sys.exit(0)
        if verb == "enter":
            sys.exit(reaching.enter(World(), sys.argv[2]))
        if verb in ("prove", "unprove"):
            sys.exit(proofs.run(World(), verb, sys.argv[2:]))
        if verb == "registry-login":
            sys.exit(ecr.log_in(World(), sys.argv[2:]))
        if verb == "monitor":
            try:
                sys.exit(monitoring.main(World(), sys.argv[2:]))
            except Refused as refusal:
                # Neither healthy nor not: it was not checked
                sys.exit(f"infra-monitor: {refusal}")
        if verb == "enter-group":
            stacks.enter(World(), sys.argv[2])
        if verb in STACKS:
            sys.exit(STACKS[verb](World(), sys.argv[2], lambda line: print(line, flush=True)))
        if verb == "scheduled-backup":
            sys.exit(backing_up.run_scheduled(World(), sys.argv[2], lambda line: print(line, flush=True)))
        if verb == "scheduled-drill":
            sys.exit(backing_up.run_scheduled_drill(World(), sys.argv[2], lambda line: print(line, flush=True)))
        if verb in WATCHES:
            sys.exit(WATCHES[verb](World(), lambda line: print(line, flush=True)))
        payload: Any = {} if verb == "recover" else json.load(sys.stdin)
        # Who follows a job hears from it
        quiet = verb in ("follow", "answer", "rollback", "restart", "recover", "logs")
        with contextlib.nullcontext() if quiet else alive.signs_of_life(_print):
            code = VERBS[verb](payload)
        sys.exit(code)
    except OSError as error:
        if verb == "enter":
            sys.exit(f"infra: {error.filename or 'the command'}: {error.strerror}")
        raise
    except Refused as refusal:
        if verb == "recover":
            sys.exit(f"infra-recover: {refusal}")
        if verb in (*STACKS, "enter-group"):
            sys.exit(str(refusal))
        if verb == "enter":
            sys.exit(f"infra: {refusal}")
        if verb in ("prove", "unprove"):
            sys.exit(f"{proofs.FAILED}{refusal}")
        sys.exit(_print_refusal("", str(refusal)))


def _print(event: Mapping[str, Any]) -> None:
    # What people read line by line is bounded; the answers of other verbs are for programs
    line = quoting.event_line(event) if event.keys() & {"say", "result"} else json.dumps(event)
    try:
        with _printing:
            print(line, flush=True)
    except BrokenPipeError:
        # The listener has gone; the job does not end for that
        sys.exit(0)
