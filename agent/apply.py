"""One release onto one host: verify, preflight, pull, certify, validate, switch, restart, probe, confirm, commit.

Up to the switch nothing that serves is touched; from there on everything is either committed or put back.
"""

import json
from collections.abc import Callable

from agent import (
    accounts,
    adopting,
    alone,
    artefacts,
    certificates,
    compose,
    credentials,
    edits,
    environments,
    health,
    holding,
    image_volumes,
    images,
    maintenance,
    owners,
    preflight,
    proxies,
    prune,
    quoting,
    rolling,
    slots,
    stacks,
    steps,
    store,
    transaction,
    units,
)
from agent.backups import making
from agent.desired_state import desired_files, digest
from agent.documents.jobs import Secrets
from agent.documents.manifest import ActiveRequestHold
from agent.documents.transaction import PathState
from agent.job import Job
from agent.outcome import Failed, Outcome, Refused, reason_of
from agent.plan import Plan, plan
from agent.quoting import count
from agent.rollback import roll_back
from agent.store import Release
from agent.transaction import Transaction
from agent.validate import validate
from agent.world import World


def apply(world: World, job: Job, id: str, contents: dict[str, bytes], secrets: Secrets) -> Outcome:
    """Brings the host to the release. `contents` are the archive's members by name. Every end is an Outcome."""
    return bring(world, job, id, lambda: unpack_release(id, contents, secrets))


def go_back(world: World, job: Job, id: str) -> Outcome:
    """Brings the host to a release that it keeps: the same way, without anything from the network."""
    return bring(world, job, id, lambda: store.load(world, id))


def bring(world: World, job: Job, id: str, release: Callable[[], Release]) -> Outcome:
    """The way of every release; where none is made of it, that is a refusal too."""
    try:
        return _bring(world, job, release())
    except Refused as refusal:
        return refusal_outcome(world, job, id, str(refusal), refusal.untouched)
    except Exception as error:
        if transaction.load_unfinished(world):
            # Too much has gone wrong to say anything: systemd starts the job again, which then recovers
            raise
        # A full disk, an account that does not exist: the result says so, whatever it was
        return refusal_outcome(world, job, id, quoting.error(error))


def refusal_outcome(world: World, job: Job, id: str, reason: str, untouched: str = Refused.untouched) -> Outcome:
    serving = store.current_id(world)
    serves = f"release {serving[:12]} keeps serving" if serving else "there was no earlier release"
    if transaction.load_unfinished(world):
        return Outcome("refused", id, f"refused on {job.host}: {reason} (running release: infra status)")
    if certificates.are_replaced(world):
        untouched = (
            "and the certificates that this release obtained stay in use until the next pulumi up restores the "
            "earlier ones"
        )
    return Outcome("refused", id, f"refused on {job.host}, {untouched}: {reason} ({serves})")


def unpack_release(id: str, contents: dict[str, bytes], secrets: Secrets) -> Release:
    """The release out of its archive. Raises Refused when it is not the release that it claims to be."""
    text = contents.get("manifest.json", b"")
    if digest(text) != id:
        raise Refused("the manifest in the archive belongs to another release; run again")
    manifest = json.loads(text)
    for file in manifest["files"]:
        if {".", ".."} & {*file["path"].split("/")}:
            raise Refused(f"the release names a path that leads elsewhere: {quoting.quote(file['path'])}")
        content = contents.get(f"files{file['path']}")
        if content is None or digest(content) != file["sha256"]:
            raise Refused(f"{file['path']} was damaged in transfer; run again")
    return Release(id, manifest, desired_files(manifest, contents, secrets))


def _bring(world: World, job: Job, target: Release) -> Outcome:
    ready, replaced, obtained = _prepare(world, job, target)
    if ready.is_empty:
        try:
            if obtained:
                # Nothing else would have the proxy read them
                units.react(world, [target.manifest], {f.path for f in target.files if proxies.has_file(f.path)})
        except Exception:
            certificates.give_back(world)
            raise
        certificates.forget(world)
        return _verify_unchanged(world, job, target, obtained)
    try:
        store.keep(world, target)
        edited = edits.keep_aside(world, edits.edited_paths(world, ready.base, ready.change), job.id)
        switch = transaction.begin(world, job, ready, _unhealthy_services(world, ready), replaced)
    except Exception:
        if not transaction.load_unfinished(world):
            # Nothing is switched, and so nothing may be another
            certificates.give_back(world)
            edits.drop(world, job.id)
        raise
    try:
        certificates.forget(world)
        services, still_unhealthy = _switch(world, job, ready, switch)
        probes = ready.target.manifest["probes"]
        public = [probe["public"] for probe in probes if probe["public"] and probe["service"] in services]
        job.confirm(maintenance.serving_urls(world, public))
        _confirm_health(world, ready, switch.began)
        transaction.commit(world, switch)
    except Exception as error:
        edits.drop(world, job.id)
        return roll_back(world, job, switch, reason_of(error))
    outcome = _outcome(job, ready, services, still_unhealthy, edited)
    return _clear_up(world, job, ready, switch, outcome)


def _prepare(world: World, job: Job, target: Release) -> tuple[Plan, list[PathState], list[str]]:
    """All that can be known and fetched while the present release serves, what of the host's certificates it has
    replaced, and which it has obtained. Raises Refused, after which the host has its own again."""
    base = store.base(world, job.say)
    with credentials.aws_environment(world, target) as identity:
        preflight.check(world, job, base, target)
        absent, missing_artefacts = images.absent(world, target, identity), artefacts.absent(world, target)
        artefacts.clear(world, target, missing_artefacts)
        environments.clear(world, target)
        unpacked = artefacts.bytes_needed(world, missing_artefacts) + environments.bytes_needed(world, target)
        preflight.disk(world, target, absent, unpacked)
        images.pull(world, absent, job.say)
        artefacts.fetch(world, missing_artefacts, job.say)
        artefacts.check(world, target)
        environments.make(world, target, job.say)
        preflight.check_programs_behind_links(world, target)
        image_volumes.check(world, target)
        renewing = job.kind != "rollback"
        replaced = certificates.remember(world, target, renewing)
        try:
            obtained = certificates.obtain(world, target, identity, replaced, renewing)
            for line in [*obtained, *certificates.warnings(world, target)]:
                job.say(line)
            restarts = _units_to_restart(world, job, target)
            ready = alone.narrow(plan(world, base, target, restarts), [*job.only], restarts)
            if ready.change.paths:
                job.say(f"validating {count(len(ready.change.paths), 'changed file')}")
                validate(world, target, ready.change)
            steps.run_before_the_switch(world, target, ready.early, job.say)
        except Exception:
            certificates.give_back(world)
            raise
    return ready, certificates.states_to_restore(replaced), obtained


def _units_to_restart(world: World, job: Job, target: Release) -> list[str]:
    """The units that the job restarts though nothing changes. Raises Refused for a service that is not to run now."""
    if not job.restarts:
        return []
    unit_names: list[str] = []
    rest = slots.resting(world, target.manifest)
    for service in job.only:
        own = slots.units_of_service(target.manifest, service)
        if not own:
            raise Refused(f"this host runs no {service}")
        if rest & {*own}:
            raise Refused(f"{service} does not run on this host at present: infra status shows why")
        unit_names += own
    stacks.request_restart(world, target.manifest, unit_names)
    return unit_names


def _verify_unchanged(world: World, job: Job, target: Release, obtained: list[str]) -> Outcome:
    probes = slots.probes(world, target.manifest)
    if job.only:
        # How others are is not this job's affair
        probes = [probe for probe in probes if probe["service"].partition("/")[0] in job.only]
    try:
        services = health.wait(world, probes, {}, health.Patience.of(target.manifest, say=job.say))
    except Failed as failure:
        reason = f"unchanged, but unhealthy: {failure}"
        if not obtained:
            raise Refused(reason) from None
        line = f"refused on {job.host}: {'; '.join(obtained)}, which the proxy has loaded; otherwise {reason}"
        return Outcome("refused", target.id, line)
    serves = f"release {target.id[:12]} serves, {count(len(services), 'service')} healthy"
    return Outcome("unchanged", target.id, f"unchanged on {job.host}: {serves}", services=services)


def _unhealthy_services(world: World, ready: Plan) -> list[str]:
    """The services that are unhealthy before the switch. Where the proxy changes it may be what was wrong: then only
    what a service itself answers counts."""
    if ready.base is None:
        return []
    probes = slots.probes(world, ready.base.manifest)
    if any(map(proxies.has_file, ready.change.paths)):
        probes = [slots.own_probe(probe) for probe in probes]
    return [name for name, status in health.once(world, probes).items() if status != 200]


def _switch(world: World, job: Job, ready: Plan, switch: Transaction) -> tuple[dict[str, int], list[str]]:
    """The services' statuses once all that is needed is healthy, and who was unhealthy before and still is.

    Raises Failed, and whatever else a host can do to us.
    """
    manifest, paths = ready.target.manifest, set(ready.change.paths)
    # A service's first slot serves from the beginning; later ones, and more replicas, once they are healthy
    later = {rollout.link for rollout in ready.rollouts if world.link_target(rollout.link) is not None}
    joining = {roll.link for roll in ready.rolls if roll.is_new}
    job.say(f"switching {count(len(paths), 'file')}")
    accounts.ensure(world, manifest["accounts"], owners.numbers(world, manifest))
    owners.note(world, manifest)
    if "docker-compose" in manifest["commands"]:
        compose.make_command(world, compose.demand(world.can.compose))
    waiting_entries: list[ActiveRequestHold] = []
    if ready.base:
        rolling.leave(world, ready.base.manifest, ready.leaves)
        entries_to_hold = holding.entries_to_hold(
            ready.base.manifest, manifest, {*ready.stops, *ready.starts, *ready.leaves}
        )
        waiting_entries = holding.close(world, ready.base.manifest, entries_to_hold)
        if waiting_entries:
            job.say(f"holding requests for {', '.join(entry['service'] for entry in waiting_entries)}")
    units.stop(world, [*ready.stops, *ready.leaves])
    units.retire(world, ready.leaves)
    _write(world, ready, later | joining, not job.only)
    units.react(world, [manifest], paths - later - joining)
    adopting.begin(world, job.say, switch.existing, switch.adopted)
    units.enable(world, ready.enables)
    if ready.starting_units:
        job.say(f"(re)starting {count(len(ready.starting_units), 'unit')}")
    limit = manifest["health"]["deadline"]
    patience = health.Patience.of(manifest, switch.began, job.say)
    probes = slots.probes(world, manifest, ready.rollouts)
    try:
        remaining = steps.run_within_the_switch(world, ready.target, ready.late, ready.at_once, patience)
        if remaining:
            units.start(world, remaining, limit)
        rolling.restart_each(world, job, ready, switch, probes)
    except Failed as failure:
        # A unit that waits for another one's health says only that it is unhealthy
        raise Failed("; ".join([*health.faults(world, probes), str(failure)])) from None
    touched = [probe["service"] for probe in probes if probe["unit"] in ready.starting_units]
    exempt = [probe for probe in probes if probe["service"] in switch.sick and probe["service"] not in touched]
    moving = {rollout.service for rollout in ready.rollouts if rollout.link in later}
    waiting_units = {entry["then"] for entry in waiting_entries}
    waited_for = {probe["service"] for probe in probes if probe["unit"] in waiting_units}
    first = [slots.own_probe(p) if p["service"] in moving | waited_for else p for p in probes if p not in exempt]
    successes = {service: int(manifest["health"]["successes"]) for service in touched}
    job.say(f"waiting for {count(len(first), 'service')} to be healthy, {limit:.0f} s at most")
    services = health.wait(world, first, successes, patience)
    holding.open_again(world, manifest, waiting_entries)
    if moving:
        job.say(f"directing {', '.join(sorted(moving))} to the new slot")
        for rollout in ready.rollouts:
            world.link(rollout.link, rollout.next["target"])
        units.react(world, [manifest], later)
    if moving | waited_for:
        through_proxy = [probe for probe in probes if probe["service"] in moving | waited_for]
        services |= health.wait(world, through_proxy, successes, patience)
    statuses = health.once(world, exempt)
    services |= {name: status for name, status in statuses.items() if status == 200}
    return services, [name for name, status in statuses.items() if status != 200]


def _write(world: World, ready: Plan, later: set[str], is_whole: bool) -> None:
    for directory in ready.target.manifest["directories"] if is_whole else []:
        if directory.get("if_missing") and world.exists(directory["path"]):
            continue
        world.directory(directory["path"], directory["mode"], directory["owner"], directory["group"])
    for path in ready.change.remove:
        world.remove(path)
    for file in ready.change.write:
        world.write(file.path, file.content, file.mode, file.owner, file.group)
    for path, target in ready.change.link.items():
        if path not in later:
            world.link(path, target)


def _confirm_health(world: World, ready: Plan, since: float) -> None:
    manifest = ready.target.manifest
    stopped = slots.stopped_units(world, manifest) & {*ready.starting_units}
    if names := [probe["service"] for probe in manifest["probes"] if probe["unit"] in stopped]:
        raise Failed(f"{', '.join(names)} was stopped to free memory during the release")
    probes = slots.probes(world, manifest)
    health.confirm(world, [probe for probe in probes if probe["unit"] in ready.starting_units], since)


def _outcome(
    job: Job, ready: Plan, services: dict[str, int], still_unhealthy: list[str], edited: dict[str, str]
) -> Outcome:
    """That of a release that is committed: `services` are healthy, `still_unhealthy` were so before, `edited`
    are the paths that were edited by hand, with where what they held is kept."""
    warnings = [f"{name} was unhealthy before and still is" for name in still_unhealthy]
    base, ours = ready.base, set[str]()
    if base:
        ours = {*(file.path for file in base.files), *(link["path"] for link in base.manifest["links"])}
    for why, theirs in (("edited by hand and overwritten", False), ("existed before, and was overwritten", True)):
        copies = "; ".join(f"{path} is kept at {copy}" for path, copy in edited.items() if (path not in ours) is theirs)
        warnings += [f"{why}: {copies}"] if copies else []
    line = f"restarted on {job.host}: {', '.join(job.only)}, healthy; release {ready.target.id[:12]} keeps serving"
    if not job.restarts:
        files, units = count(len(ready.change.paths), "file"), count(len(ready.starting_units), "unit")
        line = (
            f"applied on {job.host}: release {ready.target.id[:12]}, {files} changed, {units} (re)started, "
            f"{count(len(services), 'service')} healthy"
        )
    return Outcome(
        "applied", ready.target.id, line, ready.change.paths, ready.starting_units, services, edited, warnings
    )  # fmt: skip


def _clear_up(world: World, job: Job, ready: Plan, switch: Transaction, outcome: Outcome) -> Outcome:
    """The release is committed: what is left to do can be said to have gone wrong, and makes nothing fail."""
    line, warnings = outcome.line, outcome.warnings
    try:
        store.note_served(world, ready.target.id)
        warnings += slots.settle(world, ready.target.manifest)
        warnings += stacks.remove_left(world, ready.base and ready.base.manifest, ready.target.manifest)
        warnings += adopting.finish(world, switch.existing, switch.adopted)
        job.record(outcome)
        transaction.end(world)
        making.note_begin(world, ready.target.manifest)
        prune.prune(world, ready.target.manifest["keep"], warnings.append)
        edits.forget_old(world, job.id)
    except Exception as error:
        warnings.append(f"cleanup stopped, and continues with the next job: {quoting.error(error)}")
    outcome.line = "; ".join([line, *warnings])
    return outcome
