"""What a killed update left in AWS and in Pulumi's state: found, adopted into the state or marked for deletion."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeVar

from catalogue.shapes import ResourceValues
from catalogue.stack import Stack
from infra import aws, temporary_ssh
from infra.errors import InfraError
from infra.orphans import kinds, state
from infra.orphans.kinds import FINISH, KINDS, LOST, REPEATABLE, TAGGED, TAGGED_EVERYWHERE
from infra.orphans.state import Creation, Orphan, State
from infra.pulumi import attempt, pulumi

NOT_LOOKED_FOR = "an update was killed while creating it, and infra cannot search for this kind: see the AWS console"
SNAPSHOTS = "aws:dlm/lifecyclePolicy:LifecyclePolicy"
Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Leftovers:
    """`traceless` are interrupted creations that left nothing behind, or nothing that another creation does not find;
    `unknown` are those of kinds that cannot be looked for."""

    state: State
    orphans: list[Orphan]
    traceless: list[Creation]
    unknown: list[Creation]


def export_state(stack: str) -> State:
    return json.loads(pulumi("stack", "export", "--stack", stack))


client = cache(aws.client)


def _asker(region: str) -> kinds.Client:
    return lambda service: client(service, region)


def find_leftovers(pulumi_state: State) -> Leftovers:
    """What the creations that the state has as interrupted made in AWS. Raises InfraError where AWS cannot be asked."""
    orphans: list[Orphan] = []
    traceless: list[Creation] = []
    unknown: list[Creation] = []
    for creation in state.interrupted_creations(pulumi_state):
        if not creation.type.startswith("aws:") or creation.type in REPEATABLE:
            # A command makes nothing in AWS; it is run again
            traceless.append(creation)
        elif (here := _created_ids(creation)) is None:
            unknown.append(creation)
        else:
            ids = [id for id in here if id not in state.ids(pulumi_state, creation.type, creation.region)]
            is_free = not state.is_known(pulumi_state, creation.urn) and creation.type not in LOST
            orphans += [
                Orphan(creation.type, id, creation.region, creation.provider, creation, is_free and number == 0)
                for number, id in enumerate(ids)
            ]
            traceless += [] if ids else [creation]
    return Leftovers(pulumi_state, orphans, traceless, unknown)


def _created_ids(creation: Creation) -> list[str] | None:
    """The ids that AWS has of what a creation asked for; None where it cannot be looked for."""
    if creation.type not in KINDS:
        return None
    try:
        return _find_ids(creation.type, KINDS[creation.type], creation.region, creation.inputs)
    except KeyError:
        # Without a name, or what it belongs to, it cannot be distinguished from others
        return None


def find_tagged(stack: Stack, pulumi_state: State, but: Iterable[str]) -> list[Orphan]:
    """What has the stack's tags in its regions and is not in the state, without the ids of `but`. In the order in which
    an update creates such."""
    providers = state.providers(pulumi_state)
    tags = {"project": "watchme-infra", "stack": stack.name}
    orphans: list[Orphan] = []
    for provider, region in providers.items():
        table = TAGGED_EVERYWHERE if provider.rsplit("::", 2)[-2] == "aws-everywhere" else TAGGED
        # Data Lifecycle Manager is asked where the stack uses it
        unused: set[str] = set() if stack.keepSnapshots else {SNAPSHOTS}
        for type, find in ((type, find) for type, find in table.items() if type not in unused):
            there = (
                set(_find_ids(type, find, region, {"tags": tags})) - state.ids(pulumi_state, type, region) - set(but)
            )
            orphans += [Orphan(type, id, region, provider, None, is_wanted=False) for id in sorted(there)]
    order = [*TAGGED_EVERYWHERE, *TAGGED]
    return sorted(orphans, key=lambda orphan: order.index(orphan.type))


def _find_ids(type: str, find: kinds.Find, region: str, inputs: ResourceValues) -> list[str]:
    return _ask_aws(type, region, lambda: find(_asker(region), inputs))


def _ask_aws(type: str, region: str, ask: Callable[[], T]) -> T:
    with aws.asking(f"each {type.rsplit(':', 1)[-1]}", region):
        return ask()


def settle(stack: str, say: Say) -> None:
    """Before an update: what a killed one left is adopted into the state, or marked there for deletion, and
    SSH that was opened for a time is closed where that is over. Raises InfraError; run again, it goes on."""
    pulumi_state = export_state(stack)
    temporary_ssh.sweep(stack, pulumi_state, say)
    if not state.interrupted_creations(pulumi_state):
        return
    leftovers = find_leftovers(pulumi_state)
    for orphan in leftovers.orphans:
        what = "adopted into the state" if orphan.is_wanted else "the next update deletes it"
        say(f"{orphan.kind} {orphan.id} ({orphan.region}), {orphan.origin}: {what}")
    for creation in leftovers.unknown:
        say(f"{creation.name} ({creation.type}): {NOT_LOOKED_FOR}")
    write(stack, leftovers, leftovers.orphans)


def write(stack: str, leftovers: Leftovers, orphans: list[Orphan]) -> None:
    """Takes orphans into the state (those that are not wanted for the next update to delete them), has the engine read
    the rest of them from AWS, and only then forgets the interrupted creations."""
    changed = leftovers.state
    urns: list[str] = []
    for orphan in orphans:
        if orphan.creation and orphan.is_wanted:
            changed = state.adopt_resource(changed, orphan.creation, orphan.id)
            urns.append(orphan.creation.urn)
        else:
            changed, urn = state.add_unwanted(changed, orphan)
            urns.append(urn)
    if urns:
        # Refused where another update is running: these may be its own
        _import_state(stack, changed)
    for creation in state.interrupted_creations(leftovers.state):
        if creation.type in FINISH and (id := state.id_of(changed, creation.urn)):
            _ask_aws(creation.type, creation.region, partial(FINISH[creation.type], _asker(creation.region), id))
    refresh(stack, list(dict.fromkeys([*urns, *state.unread_urns(leftovers.state)])))
    orphan_ids = {orphan.id for orphan in orphans}
    unchosen = {orphan.creation.urn for orphan in leftovers.orphans if orphan.creation and orphan.id not in orphan_ids}
    over = {orphan.creation.urn for orphan in orphans if orphan.creation} - unchosen | {
        c.urn for c in leftovers.traceless
    }
    if over:
        _import_state(stack, state.drop_creations(export_state(stack), over))


def _import_state(stack: str, changed: State) -> None:
    ran = attempt("stack", "import", "--stack", stack, value=json.dumps(changed))
    if ran.returncode:
        raise InfraError(f"Pulumi's state cannot be written: {ran.stderr.strip() or f'exit code {ran.returncode}'}")


def refresh(stack: str, urns: list[str]) -> None:
    """Has the engine read these from AWS. Raises InfraError."""
    if not urns:
        return
    targets = [word for urn in urns for word in ("--target", urn)]
    ran = attempt("refresh", "--yes", "--skip-preview", "--stack", stack, *targets)
    if ran.returncode:
        errors = [line.strip() for line in f"{ran.stdout}\n{ran.stderr}".splitlines() if "error:" in line]
        reason = errors[0] if errors else ran.stderr.strip()[-300:]
        raise InfraError(f"what a killed update left could not be read from AWS: {reason}; run the same command again")
