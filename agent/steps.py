"""Commands that a release runs once before what it (re)starts, each in a container of its own: migrations, mostly.

Before the switch where all that a step needs runs and is none of the release's changes: then its failure is a refusal.
Else, as in a first release, within the switch, once what it needs is healthy.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from agent import away, compose, health, quoting, slots, store, units
from agent.documents.manifest import Manifest, Step
from agent.outcome import Failed, Refused
from agent.store import STATE, Release
from agent.world import TIMED_OUT, World

DONE = f"{STATE}/steps.json"
REMEMBERED = 500
STAGED = "/run/infra/steps"  # as in rendering/steps.py
LABEL = "infra.step"  # as in rendering/steps.py
Say = Callable[[str], None]


class StepFailed(Refused):
    """A step that failed before the switch: what it did to data by then stays."""

    untouched = "nothing switched; what the step has done stays"


def pending(world: World, manifest: Manifest) -> list[Step]:
    """The steps of a release that this host has not run yet, in their order; none of what rests since its data is on
    another host."""
    done_keys, rest = set(_done_keys(world)), away.resting(world)
    return [
        step
        for step in manifest["steps"]
        if step["key"] not in done_keys
        and not rest & {unit for name in (step["service"], *step["needs"]) for unit in _units_of(manifest, name)}
    ]


def _units_of(manifest: Manifest, service: str) -> list[str]:
    return slots.units_of_service(manifest, service)


def split(world: World, manifest: Manifest, changing: set[str]) -> tuple[list[Step], list[Step]]:
    """The pending steps that run before the switch, and those within it. `changing` are the units that it (re)starts or
    stops."""
    early: list[Step] = []
    late: list[Step] = []
    for step in pending(world, manifest):
        prerequisites = {step["network_unit"], *_units(manifest, step)}
        running = units.states(world, [step["network_unit"]])[step["network_unit"]]["active"]
        is_early = running and not prerequisites & changing and all(map(world.exists, step["binds"]))
        (early if is_early and not late else late).append(step)
    return early, late


def _units(manifest: Manifest, step: Step) -> list[str]:
    return [unit for service in step["needs"] for unit in _units_of(manifest, service)]


def run_before_the_switch(world: World, target: Release, steps: list[Step], say: Say) -> None:
    """Raises Refused where a step cannot run or fails: the present release keeps serving."""
    if steps:
        store.note_secrets(world, target)
    for number, step in enumerate(steps):
        own_probes = slots.own_probes(world, target.manifest, step["needs"])
        if ill := [name for name, status in health.once(world, own_probes).items() if status != 200]:
            raise (StepFailed if number else Refused)(
                f"{', '.join(ill)} is unhealthy, but release step {step['name']} of {step['service']} needs it: see "
                f"infra logs {ill[0]}, and run again"
            )
        try:
            run(world, target, step, say)
        except Failed as failure:
            raise StepFailed(str(failure)) from None


def run_within_the_switch(
    world: World, target: Release, steps: list[Step], touched: list[str], patience: health.Patience
) -> list[str]:
    """Starts what each step needs of the `touched` units, and runs it once that is healthy. The units that are left to
    start. Raises Failed."""
    remaining = list(touched)
    for step in steps:
        prerequisites = {step["network_unit"], *_units(target.manifest, step)}
        if first := [unit for unit in remaining if unit in prerequisites]:
            units.start(world, first, patience.deadline)
            remaining = [unit for unit in remaining if unit not in prerequisites]
        health.wait(world, slots.own_probes(world, target.manifest, step["needs"]), {}, patience)
        run(world, target, step, patience.say)
    return remaining


def run(world: World, target: Release, step: Step, say: Say) -> None:
    """Runs one step to its end, with the files of its release, and remembers that it was done. Raises Failed."""
    place, release_files = step["place"], {file.path: file for file in target.files}
    say(f"running release step {step['name']} of {step['service']}, {step['limit']:.0f} s at most: {step['said']}")
    _clear(world, step)
    try:
        world.directory(place, 0o700, "root", "root")
        for file in (release_files[path] for path in step["files"]):
            world.write(f"{place}{file.path}", file.content, file.mode, file.owner, file.group)
        world.write(f"{place}/compose.yml", step["document"].encode(), 0o600, "root", "root")
        for volume in step["volumes"]:
            units.must(world, "docker", "volume", "create", volume)
        ran = world.run(
            compose.demand(world.can.compose).path, "-p", step["project"], "-f", f"{place}/compose.yml",
            "run", "--rm", "--no-deps", "-T", "--name", step["container"], step["name"], timeout=step["limit"],
        )  # fmt: skip
    finally:
        _clear(world, step)
    if ran.code:
        late = ran.code == TIMED_OUT and ran.output.endswith(f"no end after {step['limit']:.0f} s")
        how = f"did not finish within {step['limit']:.0f} s and was ended" if late else f"ended with {ran.code}"
        ending = ran.last_lines(5, whole=step["service"])
        what = quoting.quote(step["said"])
        raise Failed(f"release step {step['name']} of {step['service']} {how} ({what}); its output ends: {ending}")
    _write_done(world, [*_done_keys(world), step["key"]][-REMEMBERED:])


def _clear(world: World, step: Step) -> None:
    world.run("docker", "rm", "--force", "--volumes", step["container"], timeout=60)
    world.remove_tree(step["place"])


def forget_leftovers(world: World) -> bool:
    """Ends what a job that was killed had begun, where it was in a step."""
    if not world.listing(STAGED):
        return False
    ran = world.run("docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}", timeout=60)
    if ran.code == 0 and ran.output.split():
        world.run("docker", "rm", "--force", "--volumes", *ran.output.split(), timeout=60)
    world.remove_tree(STAGED)
    return True


def forget_done(world: World, keys: list[str] | None = None) -> None:
    """Data has come back from another time: these steps, or all, are run on it again."""
    if keys is None:
        world.remove(DONE)
    elif set(keys) & set(done_keys := _done_keys(world)):
        _write_done(world, [key for key in done_keys if key not in keys])


def note_done(world: World, keys: list[str], done_keys: list[str]) -> None:
    """Data has come from another host: of these steps it has seen those in `done_keys`, and no others."""
    other_keys = [key for key in _done_keys(world) if key not in keys]
    _write_done(world, [*other_keys, *(key for key in keys if key in done_keys)][-REMEMBERED:])


def _write_done(world: World, done_keys: list[str]) -> None:
    world.directory(STATE, 0o700, "root", "root")
    world.write(DONE, json.dumps({"done": done_keys}).encode(), 0o600, "root", "root")


def _done_keys(world: World) -> list[str]:
    try:
        keys = json.loads(world.read(DONE) or b"{}")["done"]
        return [key for key in keys if isinstance(key, str)]
    except (ValueError, LookupError, TypeError, RecursionError):
        # Run once more: a step that was done finds nothing to do
        return []
