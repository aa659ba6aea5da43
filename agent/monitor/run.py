"""One run of the monitor: look, put right what may be, look again, remember."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import cast

from agent import lock, quoting, slots, store, transaction
from agent.backups import restoring
from agent.documents import answers
from agent.documents.monitor import Condition, HostRun, Run, Sample
from agent.monitor import history, metrics, notices, page, repairs, trends
from agent.monitor.conditions import ConditionResult, evaluate
from agent.monitor.history import Repair
from agent.monitor.look import HostFacts, Unanswered
from agent.outcome import Failed, Refused
from agent.quoting import count
from agent.world import World

LOCK = "/run/infra/monitor.lock"
SETTLE = 60.0  # seconds that what was put right has to show it


def main(world: World, arguments: list[str]) -> int:
    """`infra-monitor` on the host: 0 when all is healthy, 2 when something is not."""
    parser = argparse.ArgumentParser(
        prog="infra-monitor", description="Check this host's alert conditions, and repair what can be repaired."
    )
    parser.add_argument("--fix", action="store_true", help="repair what can be repaired without losing data")
    parser.add_argument("--now", action="store_true", help="with --fix: also repair what was tried too often lately")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="print only conditions that are met")
    options = parser.parse_args(arguments)
    with lock.lock("the monitor", lambda line: None, LOCK, patience=60):
        result = run(world, options.fix, options.now)
    print(json.dumps(result) if options.json else text(result, options.quiet), flush=True)
    return 0 if result["well"] else 2


def run(world: World, fix: bool, now: bool = False) -> Run:
    """What was found (`conditions`), what was done about it (`repairs`), what was left alone and why (`left`)."""
    began, job = world.now(), lock.holder(lock.LOCK)
    release = store.current(world)
    if release is None:
        return {"at": world.wall(), "release": None, "well": False, "conditions": [], "repairs": [], "left": []}
    look = HostFacts(world, release)
    results = evaluate(look)
    attempts: list[Repair] = []
    not_done: list[str] = []
    if fix and any(entry.met for entry in results):
        look, results, attempts, not_done = _repair_all(look, results, now)
    job = job or lock.holder(lock.LOCK)
    # Beside a release too: there silence is an alarm
    _step(not_done, "publishing metrics", lambda: metrics.publish(world, look.manifest, results))
    result: HostRun = {
        "at": world.wall(), "host": look.manifest["host"], "release": look.release.id,
        "well": not any(entry.met for entry in results),
        "conditions": [cast("Condition", asdict(entry)) for entry in results],
        "repairs": [cast("answers.Repair", asdict(entry)) for entry in attempts], "left": not_done,
        "resting": sorted(slots.waiting(world, look.manifest)),
        "stopped": sorted(slots.stopped_units(world, look.manifest)), "took": round(world.now() - began, 2),
    }  # fmt: skip
    if job:
        # What a release stops and starts is no outage
        not_done.append(f"no notice was sent, since a job is running: {job}")
    else:
        _step(not_done, "sending notices", lambda: notices.send(world, result, attempts, look.say))
        _step(not_done, "storing the state", lambda: history.remember_sample(world, sample(look)))
    _step(not_done, "storing the hour", lambda: trends.remember(world, look))
    _step(not_done, "writing the page", lambda: page.write(world, look, result))
    _step(not_done, "storing this run", lambda: history.remember_run(world, result))
    return result


def _step(not_done: list[str], what: str, do: Callable[[], str | None]) -> None:
    """One that fails, on a full disk or without an answer, is reported, and takes no other along."""
    try:
        wrong = do()
    except Exception as error:
        wrong = f"{what} failed: {quoting.error(error)}"
    if wrong:
        not_done.append(wrong)


def _repair_all(
    look: HostFacts, results: list[ConditionResult], now: bool
) -> tuple[HostFacts, list[ConditionResult], list[Repair], list[str]]:
    """The host afterwards, what was done, and what was left alone. A running release knows better: nothing is touched
    beside it, and what it has changed is looked at again."""
    world = look.world
    attempts: list[Repair] = []
    not_done: list[str] = []
    for kind in repairs.REPAIRS:
        if not repairs.candidates(results, kind):
            continue
        batch: list[Repair] = []
        try:
            with lock.lock("the monitor's repairs", lambda line: None, lock.LOCK, patience=0):
                release = store.current(world)
                if transaction.load_unfinished(world) or release is None:
                    raise Refused("a switch is unfinished: its recovery comes first")
                if world.exists(restoring.RECORD):
                    raise Refused("a restore is unfinished: it must end first")
                look = HostFacts(world, release)
                results = evaluate(look)
                for entry in repairs.candidates(results, kind):
                    _attempt(look, entry, now, batch, not_done)
        except Refused as refusal:
            not_done.append(str(refusal))
            break
        if batch:
            # What one repair puts right another need not: a network brings its containers along
            look, results = _await_settled(world, look.release, results, batch)
            batch = _judge_repairs(look, batch, results)
            attempts += batch
            _step(not_done, "storing the repairs", lambda batch=batch: history.remember_repairs(world, batch))
    return look, results, attempts, not_done


def _attempt(look: HostFacts, entry: ConditionResult, now: bool, batch: list[Repair], not_done: list[str]) -> None:
    """Nothing is done that cannot be written down before: its pauses would not count."""
    world, at = look.world, look.world.wall()
    attempt = Repair(at, entry.alert, entry.subject, entry.repair, False, "begun")
    if why := "" if now else repairs.why_not(entry, history.repairs(world), at):
        not_done.append(f"{entry.alert} {entry.subject}: {why}")
        return
    try:
        history.remember_repairs(world, [attempt])
    except OSError as error:
        why = quoting.quote(str(error))
        not_done.append(
            f"{entry.alert} {entry.subject}: nothing was repaired, since the attempt cannot be recorded: {why}"
        )
        return
    try:
        batch.append(replace(attempt, worked=True, said=repairs.repair(look, entry)))
    except (Failed, Unanswered) as failure:
        reason = failure.in_words(look.say) if isinstance(failure, Failed) else str(failure)
        batch.append(replace(attempt, said=reason))


def _await_settled(
    world: World, release: store.Release, before: list[ConditionResult], attempts: list[Repair]
) -> tuple[HostFacts, list[ConditionResult]]:
    """The host once more, when nothing is wrong but what was and was not put right, or after SETTLE seconds."""
    expected = {(entry.alert, entry.subject) for entry in before if entry.met}
    expected -= {(entry.alert, entry.subject) for entry in attempts if entry.worked}
    end = world.now() + SETTLE
    while True:
        look = HostFacts(world, release)
        results = evaluate(look)
        if world.now() >= end or all((entry.alert, entry.subject) in expected for entry in results if entry.met):
            return look, results
        world.sleep(2)


def _judge_repairs(look: HostFacts, attempts: list[Repair], results: list[ConditionResult]) -> list[Repair]:
    still = {(entry.alert, entry.subject): entry.text for entry in results if entry.met}

    def judge(entry: Repair) -> Repair:
        text = still.get((entry.alert, entry.subject))
        if text is None or not entry.worked:
            return entry
        both = look.say("{done}, but the condition remains: {text}", done=entry.said, text=text)
        return replace(entry, worked=False, said=both)

    return [judge(entry) for entry in attempts]


def sample(look: HostFacts) -> Sample:
    """What a day is drawn of: each service's status."""
    return {"at": round(look.world.wall()), "services": look.services}


def text(result: Run, quiet: bool = False) -> str:
    """For people: a line for each condition (`quiet`: for each that is met), and one for each thing that is not
    right."""
    if result["release"] is None:
        return "this host has no release yet"
    lines: list[str] = []
    write = lines.append
    names = list(dict.fromkeys(entry["alert"] for entry in result["conditions"]))
    for name in names:
        entries = [entry for entry in result["conditions"] if entry["alert"] == name]
        met = [entry for entry in entries if entry["met"]]
        if quiet and not met:
            continue
        write(f"{'✗' if met else '✓'} {name}: {len(entries) - len(met)} of {len(entries)} healthy")
        for entry in met:
            write(f"    {entry['text']}")
    for entry in result["repairs"]:
        write(
            f"{'repaired' if entry['worked'] else 'not repaired'}: {entry['alert']} {entry['subject']}: {entry['said']}"
        )
    for line in result["left"]:
        write(f"not repaired: {line}")
    met = sum(entry["met"] for entry in result["conditions"])
    how = "healthy" if result["well"] else f"{count(met, 'alert condition')} met"
    write(f"{cast('HostRun', result)['host']}: {how}")
    return "\n".join(lines)
