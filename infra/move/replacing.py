"""`infra host replace`, `infra host retire`: another machine for a host where it is, by the steps of a move."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import typer

from catalogue.host import Ec2Host, HostCopy
from catalogue.loading import Catalogue
from catalogue.machines import FIRST, generation_of, of_instance, region_of
from catalogue.sizes import INSTANCE_TYPES
from catalogue.stack import Stack
from infra.errors import InfraError
from infra.hosts import outputs
from infra.move import attempts, command, run
from infra.move.attempts import Attempts
from infra.move.progress import Progress
from infra.orphans.command import export_state
from infra.orphans.state import State, of_aws
from infra.orphans.state import name as name_of

INSTANCE = "aws:ec2/instance:Instance"


@dataclass(frozen=True)
class Machines:
    """A host's machines in the region that serves, each by its generation: which one serves (of the last whole update),
    which is the `target` of the configuration; the earlier ones that this update kept (`kept_numbers`) and those that
    are to be kept (`wanted_kept`); the instance `types` of those that are there."""

    region: str
    serving: int
    target: int
    kept_numbers: list[int]
    wanted_kept: list[int]
    types: dict[int, str]

    @property
    def is_under_way(self) -> bool:
        return self.serving != self.target

    @property
    def is_way_back(self) -> bool:
        """Of one that is under way: does it go to a machine that was kept."""
        return self.target in self.kept_numbers

    @property
    def next(self) -> int:
        """A generation that no machine has."""
        return max([self.serving, self.target, *self.kept_numbers, *self.wanted_kept, *self.types]) + 1

    def there(self, *numbers: int) -> dict[int, str]:
        """Generation → instance type, of those that are there."""
        return {number: self.types[number] for number in sorted({*numbers}) if number in self.types}


@dataclass(frozen=True)
class Aim:
    """What a command makes of a host's machines: the one that is to serve, its type, and those that are kept."""

    generation: int
    type: str
    kept_types: dict[int, str]


def machines(stack: Stack, host: str) -> Machines:
    """Raises InfraError for a host that is none of the program's own machines, or whose stack is not settled."""
    spec = stack.hosts.get(host)
    if spec is None:
        raise InfraError(f"stack {stack.name} has no host {host!r}; hosts: {', '.join(sorted(stack.hosts))}")
    if not isinstance(spec, Ec2Host):
        raise InfraError(
            f"{host} is its owner's machine (kind: ssh), which infra does not replace; to use another machine, set "
            f"its address in infra:hosts.{host}"
        )
    values = outputs(stack)
    region = values.get("region", "")
    if not region:
        raise InfraError(f"no update of stack {stack.name} has finished yet: pulumi up --stack {stack.name}")
    if region != stack.region:
        raise InfraError(
            f"a move of stack {stack.name} from {region} to {stack.region} is unfinished: first run uv run infra move "
            f"{stack.region} --stack {stack.name}"
        )
    serving = int(values.get("generations", {}).get(host, FIRST))
    standbys = [int(number) for number in values.get("kept", {}).get(host, [])]
    there = types(export_state(stack.name), host, region)
    if spec.generation < serving and spec.generation not in standbys:
        raise InfraError(
            f"infra:hosts.{host}.generation is {spec.generation} in {stack.file}, but the last update left machine "
            f"{serving} serving: restore that version of the file (git pull)"
        )
    return Machines(region, serving, spec.generation, standbys, sorted(spec.kept_types), there)


def types(state: State, host: str, region: str) -> dict[int, str]:
    """Generation → instance type, of a host's machines that are in the stack's state. Pure."""
    by_generation: dict[int, str] = {}
    for entry in of_aws(state):
        name, place = (of_instance(name_of(entry)) if entry["type"] == INSTANCE else None) or ("", "")
        if name == host and region_of(place) == region:
            by_generation[generation_of(place)] = (entry.get("inputs") or {}).get("instanceType", "")
    return by_generation


def forward(now: Machines, configured: Ec2Host, type: str, keep: bool) -> Aim:
    """Another machine; of one that is under way, the same one. Raises InfraError."""
    if type and type not in INSTANCE_TYPES:
        raise InfraError(f"--type {type} is not known; known types: {', '.join(INSTANCE_TYPES)}")
    if now.is_under_way and now.is_way_back:
        raise InfraError(f"a return to machine {now.target} is unfinished: --back continues it, --give-up cancels it")
    if now.is_under_way and type not in ("", configured.instanceType):
        raise InfraError(
            f"a replacement by machine {now.target} ({configured.instanceType}) is unfinished: run without --type to "
            "continue it, or with --give-up to cancel it"
        )
    generation = now.target if now.is_under_way else now.next
    standbys = {*now.kept_numbers, *([now.serving] if keep else [])} - {generation}
    return Aim(generation, type or configured.instanceType, now.there(*standbys))


def back(now: Machines, host: str) -> Aim:
    """The latest of the machines that were kept; the one that serves is kept in its place. Raises InfraError."""
    if now.is_under_way and not now.is_way_back:
        raise InfraError(
            f"a replacement by machine {now.target} is unfinished: run without --back to continue it, or with "
            "--give-up to cancel it"
        )
    others = now.there(*now.kept_numbers)
    if not others:
        raise InfraError(f"{host} keeps no earlier machine to return to")
    to = now.target if now.is_under_way else max(others)
    if to not in now.types:
        raise InfraError(f"machine {to} of {host} no longer exists: --give-up keeps machine {now.serving}")
    return Aim(to, now.types[to], now.there(*{*now.kept_numbers, now.serving} - {to}))


def settled_aim(now: Machines, host: str) -> Aim:
    """What the last whole update left: the machine that is being replaced, and those that were kept. Raises
    InfraError."""
    if not now.is_under_way:
        raise InfraError(
            f"no replacement of {host}'s machine is under way: nothing to cancel; pulumi up finishes any remaining "
            "steps"
        )
    if now.serving not in now.types:
        raise InfraError(
            f"machine {now.serving} of {host} no longer exists: run without --give-up to continue, or create another "
            "one with pulumi up (docs/runbooks/lost-host.md)"
        )
    return Aim(now.serving, now.types[now.serving], now.there(*now.kept_numbers))


class ReplaceRequest(StrEnum):
    """What `infra host replace` is asked to do."""

    FORWARD = ""
    BACK = " --back"
    GIVE_UP = " --give-up"


@dataclass(frozen=True)
class ReplaceOptions:
    """How a person wants a host's machine to be replaced: the instance `type` of the new one ("" for as it is), the
    `request`, whether to `keep` the old one; `yes` asks nothing before it begins, `report` is the file of the report
    (None: one in the project)."""

    type: str
    request: ReplaceRequest
    keep: bool
    yes: bool
    report: Path | None


def replace_machine(catalogue: Catalogue, host: str, options: ReplaceOptions) -> None:
    """The whole of it. Raises InfraError where it stopped; run again, it continues."""
    stack, request = catalogue.stack, options.request
    run.settle(stack.name, lambda line: typer.echo(line), command.may_remove_lock)
    now = machines(stack, host)
    typer.echo(f"{host} of stack {stack.name} runs on {machine_label(now.serving, now.types)} in {now.region}")
    if not now.is_under_way and attempts.read_attempts(stack.name, f"{host}-g{now.serving}"):
        # The names had changed place, and then something stopped: nothing else is begun before that is done
        typer.echo("finishing the remaining steps of the last replacement")
        spec = stack.ec2_hosts[host]
        aim = Aim(now.serving, spec.instanceType, {number: spec.kept_types[number] for number in now.wanted_kept})
    elif request is ReplaceRequest.GIVE_UP:
        aim = settled_aim(now, host)
    elif request is ReplaceRequest.BACK:
        aim = back(now, host)
    else:
        aim = forward(now, stack.ec2_hosts[host], options.type, options.keep)
    if now.is_under_way:
        how = "is cancelled" if request is ReplaceRequest.GIVE_UP else "continues"
        typer.echo(f"an unfinished replacement by machine {now.target}: it {how}")
    elif request is ReplaceRequest.FORWARD and aim.generation != now.serving:
        _preflight(catalogue, host, now, aim)
    _carry_out(catalogue, host, now, aim, options)


def check(catalogue: Catalogue, host: str, type: str) -> None:
    """Says what is in the way of another machine; nothing is changed. Raises InfraError while one is under way."""
    now = machines(catalogue.stack, host)
    if now.is_under_way:
        raise InfraError(
            f"a replacement by machine {now.target} is unfinished: uv run infra host replace {host} --stack "
            f"{catalogue.stack.name} continues it, --give-up cancels it"
        )
    _preflight(catalogue, host, now, forward(now, catalogue.stack.ec2_hosts[host], type, keep=True))


def _preflight(catalogue: Catalogue, host: str, now: Machines, aim: Aim) -> None:
    """Says all that is in the way. Raises typer.Exit where something is."""
    was, will = (INSTANCE_TYPES.get(type) for type in (now.types.get(now.serving, ""), aim.type))
    if was and will and was.architecture != will.architecture:
        typer.echo(
            f"warning: host {host}: from {was.architecture} to {will.architecture}: every image, artefact and file "
            "must be built for that architecture; a release refuses an image that is not, before it switches anything"
        )
    if not command.preflight(_alone(catalogue, host, aim), now.region):
        raise typer.Exit(2)


def retire(catalogue: Catalogue, host: str, yes: bool) -> None:
    """Deletes the earlier machines that a host keeps, once they get no requests. Raises InfraError."""
    stack = catalogue.stack
    run.settle(stack.name, lambda line: typer.echo(line), command.may_remove_lock)
    now = machines(stack, host)
    if now.is_under_way:
        raise InfraError(
            f"a replacement of {host}'s machine is unfinished: first run uv run infra host replace {host} "
            f"--stack {stack.name}"
        )
    if not now.wanted_kept and [*now.types] == [now.serving]:
        raise InfraError(f"{host} keeps no earlier machine")
    aim = Aim(now.serving, stack.ec2_hosts[host].instanceType, {})
    planned = command.agree(stack.name, _change(host, aim), command.ask_for, yes)
    mark = f"{host}-retired"
    command.carry_out(stack.name, mark, planned, Attempts(time.time()), lambda progress: [
        progress.reasons[0].strip(),
        f"{host} serves from its present machine, which was not changed.",
        f"Continue: uv run infra host retire {host} --stack {stack.name}",
    ])  # fmt: skip
    attempts.forget(stack.name, mark)
    typer.echo(f"\n{host} of stack {stack.name} has only {machine_label(now.serving, now.types)}")
    if stack.ec2_hosts[host].dataDisk:
        typer.echo(
            f"data disks of earlier machines stay in AWS, and cost: uv run infra orphans --stack {stack.name} lists "
            "them, and --delete vol-… deletes one"
        )


def machine_label(generation: int, types: Mapping[int, str]) -> str:
    type = types.get(generation)
    return f"machine {generation} ({type})" if type else f"machine {generation}"


def _alone(catalogue: Catalogue, host: str, aim: Aim) -> Catalogue:
    """The stack with this host alone, as it is to be: what a new machine needs is asked for it."""
    spec = catalogue.stack.ec2_hosts[host].model_copy(
        update=HostCopy(instanceType=aim.type, generation=aim.generation, kept=[])
    )
    return replace(catalogue, stack=catalogue.stack.model_copy(update={"hosts": {host: spec}, "standbyRegions": []}))


def _change(host: str, aim: Aim) -> run.Change:
    return run.with_machine(host, aim.generation, aim.type, aim.kept_types)


def _carry_out(catalogue: Catalogue, host: str, now: Machines, aim: Aim, options: ReplaceOptions) -> None:
    name = catalogue.stack.name
    mark = f"{host}-g{aim.generation}"
    so_far = (attempts.read_attempts(name, mark) if now.is_under_way else None) or Attempts(
        time.time(), run.latencies(catalogue)
    )
    planned = command.agree(name, _change(host, aim), command.ask_for, options.yes)

    def why(progress: Progress) -> list[str]:
        went = {step for step, _ in progress.times}
        words = f"uv run infra host replace {host}"
        lines = [progress.reasons[0].strip()]
        lines.append("The new machine serves." if "retire" in went else "Nothing that was serving was deleted.")
        retire = "" if options.keep or options.request else " --retire"
        lines.append(f"Continue: {words}{options.request}{retire} --stack {name}")
        if options.request is not ReplaceRequest.GIVE_UP and "retire" not in went:
            lines.append(f"Cancel: {words} --give-up --stack {name}")
        return lines

    so_far = command.carry_out(name, mark, planned, so_far, why)
    for number in (aim.generation, now.target):
        attempts.forget(name, f"{host}-g{number}")
    types_now = {aim.generation: aim.type, **aim.kept_types}
    if aim.generation == now.serving:
        typer.echo(f"\n{host} of stack {name} runs on {machine_label(now.serving, types_now)}")
        return
    remaining = ""
    if aim.kept_types:
        labels = ", ".join(machine_label(number, aim.kept_types) for number in aim.kept_types)
        remaining = (
            f"{labels} of {host} is kept, but gets no more releases. Delete it: `uv run infra host retire {host} "
            f"--stack {name}`; return to it: `uv run infra host replace {host} --back --stack {name}`"
        )
    title = f"{host}, {machine_label(now.serving, now.types)} → {machine_label(aim.generation, types_now)}"
    move_report = replace(run.report_of(catalogue, now.region, now.region, so_far), title=title, remaining=remaining)
    target = command.put_report(move_report, so_far, options.report)
    typer.echo(f"\n{host} of stack {name} runs on {machine_label(aim.generation, types_now)}; the report: {target}")
    if remaining:
        typer.echo(remaining.replace("`", ""))
