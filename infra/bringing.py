"""A release of one host that changes some services alone, brought by an update that touches nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.documents.answers import Releases
from catalogue.loading import Catalogue
from catalogue.stack import Stack
from catalogue.updates import STALE, UNSETTLED
from infra import hosts
from infra.errors import InfraError
from infra.hosts import LastOutputs
from infra.locks import Locked, Unsettled
from infra.move import run
from infra.paths import project_root
from infra.releases import FOLLOWED
from infra.remote import ask
from infra.writing import put_below

Say = Callable[[str], None]
# How the reason of an update begins after which the host is as it was
CERTAIN = ("rolled back on ", "refused on ", "nothing was touched")


def ensure_whole(catalogue: Catalogue, outputs: LastOutputs, host: str) -> None:
    """Raises InfraError for a stack that has more to make than a release."""
    stack = catalogue.stack
    if "images" not in outputs or "region" not in outputs:
        raise InfraError(f"stack {stack.name} has not been brought up as a whole yet: pulumi up --stack {stack.name}")
    if outputs["region"] != stack.region:
        raise InfraError(
            f"stack {stack.name} serves from {outputs['region']} and is to be in {stack.region}: finish that move first"
        )
    # One that is gone is kept no more, whatever the configuration names
    unretired = [
        name
        for name, numbers in outputs.get("kept", {}).items()
        if name not in stack.ec2_hosts or {*numbers} - {*stack.ec2_hosts[name].kept_types}
    ]
    systems = {name: sorted(spec.runs) for name, spec in stack.hosts.items()}
    before = {name: sorted(names) for name, names in outputs.get("systems", {}).items()}
    is_other = outputs.get("generations", {}) != stack.generations
    if unretired or is_other or (before and before != systems):
        raise InfraError(
            f"hosts of stack {stack.name}, or what runs on them, have changed since its last full update: run pulumi "
            f"up --stack {stack.name} first, then {host} again"
        )
    there = {name for name in outputs["addresses"] if "@" not in name}
    if there != {*stack.hosts} or sorted(outputs.get("standby", [])) != sorted(stack.standbyRegions):
        raise InfraError(
            f"hosts or standby regions of stack {stack.name} have changed since its last full update: run pulumi "
            f"up --stack {stack.name} first, then {host} again"
        )


def ask_settled(stack: Stack, outputs: LastOutputs, host: str, command: str) -> Releases:
    """What a host says of its releases, where it serves what the stack brought last, or what an interrupted run of the
    same `command` brought. Raises InfraError."""
    target = hosts.select_targets(stack, outputs, host, hosts.private_key(stack))[host]
    answer = ask(target, "releases")
    note = project_root() / UNSETTLED.format(stack=stack.name)
    if note.exists() and (pending := note.read_text().strip()) != command:
        raise InfraError(f"another deploy was interrupted here: run it again first ({pending}), or remove {note}")
    # One that was interrupted here is what the host may serve
    if answer["current"] != hosts.release_of(outputs, host) and not note.exists():
        if any(job["release"] == answer["current"] and job["kind"] == FOLLOWED for job in answer["history"]):
            raise InfraError(
                f"{host} has deployed a new image of a tag that it follows: run pulumi up --stack {stack.name} first, "
                "which records it"
            )
        # Or another update has brought it, and has not come to its end
        raise Unsettled(
            f"{host} serves {(answer['current'] or 'no release')[:12]}, and not what pulumi up brought last: run "
            f"pulumi up --stack {stack.name} first, or return to that with infra rollback (infra status names both)"
        )
    return answer


@dataclass(frozen=True)
class Update:
    """An update for some services alone: the `command` that asks for it again, Pulumi's `words` and `variables` for it,
    and those with which it is noted `back` what serves after all."""

    command: str
    words: Sequence[str]
    variables: Mapping[str, str]
    back: Mapping[str, str]


def bring(stack: str, update: Update, say: Say, ask_lock: run.Ask, undo: Callable[[], None] = lambda: None) -> None:
    """Brings it to its host; `undo` is called where the host certainly has nothing of it. Raises InfraError."""
    note = project_root() / UNSETTLED.format(stack=stack)
    is_again = note.exists()
    put_below(project_root(), UNSETTLED.format(stack=stack), f"{update.command}\n")
    progress = run.up(stack, [], say, ask_lock, run.Options(update.words, update.variables))
    reason = progress.reasons[0].strip() if progress.reasons else ""
    has_begun = not (progress.is_locked or STALE in reason)
    is_undone = reason.startswith(CERTAIN) or not (has_begun or is_again)
    if not reason or is_undone:
        note.unlink(missing_ok=True)
    if reason and is_undone:
        undo()
    if reason.startswith(CERTAIN) and has_begun:
        # The engine has noted what it was to bring: noted back, the next update has nothing to do
        run.up(stack, [], lambda _: None, lambda _: False, run.Options(update.words, update.back))
    if reason:
        raise (InfraError if has_begun else Locked)(reason)


def targets(stack: Stack, hosts_to_update: Sequence[str]) -> list[str]:
    """The words by which Pulumi updates the releases of these hosts and nothing else."""
    return [
        word
        for host in hosts_to_update
        for end in ("release", "release-apply")
        for word in ("--target", f"urn:pulumi:{stack.name}::**::{stack.resource_prefix(host)}-{end}")
    ]
