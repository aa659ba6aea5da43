"""`infra host replace`, `infra host retire`: another machine for a host where it is, by the steps of a move."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from catalogue.machines import FIRST, of_instance, region_of
from catalogue.stack import Stack
from infra.errors import InfraError
from infra.hosts import outputs
from infra.move import attempts, command, run
from infra.move.attempts import Attempts
from infra.move.phases import Phase
from infra.move.progress import Progress
from infra.orphans.command import exported
from infra.orphans.state import State, of_aws
from infra.orphans.state import name as name_of

INSTANCE = "aws:ec2/instance:Instance"


@dataclass(frozen=True)
class Machines:
    """A host's machines in the region that serves: which one serves (of the last whole update), which one is to, and
    which earlier ones are kept, each by its generation; the instance `types` of those that are there and those that are
    to be kept."""

    region: str
    serving: int
    wanted: int
    kept: list[int]
    types: dict[int, str]

    @property
    def is_under_way(self) -> bool:
        return self.serving != self.wanted

    @property
    def next(self) -> int:
        """A generation that no machine has."""
        return max([self.serving, self.wanted, *self.kept, *self.types]) + 1


@dataclass(frozen=True)
class Aim:
    """What a command makes of a host's machines: the one that is to serve, its type, and those that are kept."""

    generation: int
    type: str
    kept: dict[int, str]


def machines(stack: Stack, host: str) -> Machines:
    """Raises InfraError for a host that is none of the program's own machines, or whose stack is not settled."""
    spec = stack.hosts.get(host)
    if spec is None:
        raise InfraError(f"stack {stack.name} has no host {host!r}; hosts: {', '.join(sorted(stack.hosts))}")
    if not isinstance(spec, Ec2Host):
        raise InfraError(
            f"{host} is a machine of its owner's (kind: ssh): the program makes no other one; name another one's "
            f"address in infra:hosts.{host}"
        )
    found = outputs(stack)
    region = found.get("region", "")
    if not region:
        raise InfraError(f"no update of stack {stack.name} has come to its end yet: pulumi up --stack {stack.name}")
    if region != stack.region:
        raise InfraError(
            f"a move of stack {stack.name} from {region} to {stack.region} has not come to its end: first "
            f"uv run infra move {stack.region} --stack {stack.name}"
        )
    serving = int(found.get("generations", {}).get(host, FIRST))
    there = types(exported(stack.name), host, region)
    return Machines(region, serving, spec.generation, sorted(spec.kept_types), spec.kept_types | there)


def types(state: State, host: str, region: str) -> dict[int, str]:
    """Generation → instance type, of a host's machines that are in the stack's state. Pure."""
    found = {}
    for entry in of_aws(state):
        named = of_instance(name_of(entry)) if entry["type"] == INSTANCE else None
        if named and named[0] == host and region_of(named[1]) == region:
            _, _, number = named[1].partition(f"{region}-g")
            found[int(number or FIRST)] = (entry.get("inputs") or {}).get("instanceType", "")
    return found


def forward(now: Machines, configured: Ec2Host, type: str, keep: bool) -> Aim:
    """Another machine; of one that is under way, the same one. Raises InfraError."""
    if now.is_under_way:
        if type and type != configured.instanceType:
            raise InfraError(
                f"a replacement is under way, by a {configured.instanceType}: it goes on without --type; --back gives "
                "it up"
            )
        kept = set(now.kept) - {now.serving, now.wanted} | ({now.serving} if keep else set())
        return Aim(now.wanted, configured.instanceType, {number: now.types[number] for number in sorted(kept)})
    kept = {*now.kept, now.serving} if keep else {*now.kept}
    return Aim(now.next, type or configured.instanceType, {number: now.types[number] for number in sorted(kept)})


def back(now: Machines, host: str, keep: bool) -> Aim:
    """The machine that served before; of a replacement that is under way, the one that is being replaced, and nothing
    of the other one stays. Raises InfraError."""
    others = [number for number in now.kept if number != now.serving]
    if now.is_under_way:
        kept = [number for number in others if number != now.wanted]
        return Aim(now.serving, now.types[now.serving], {number: now.types[number] for number in kept})
    if not others:
        raise InfraError(f"{host} keeps no earlier machine that it could go back to")
    to = max(others)
    kept = {*others, *([now.serving] if keep else [])} - {to}
    return Aim(to, now.types[to], {number: now.types[number] for number in sorted(kept)})


def replace_machine(
    catalogue: Catalogue, host: str, type: str, is_back: bool, keep: bool, yes: bool, written: Path | None
) -> None:
    """The whole of it. Raises InfraError where it stopped; run again, it goes on."""
    stack = catalogue.stack
    run.settle(stack.name, lambda line: typer.echo(line), command.may_remove_lock)
    now = machines(stack, host)
    spec = stack.ec2_hosts[host]
    said = f"{host} of stack {stack.name} runs on {shown(now.serving, now.types.get(now.serving, ''))} in {now.region}"
    typer.echo(said)
    aim = back(now, host, keep) if is_back else forward(now, spec, type, keep)
    if now.is_under_way:
        typer.echo(f"a replacement has not come to its end: it {'is given up' if is_back else 'goes on'}")
    elif not is_back and not command.preflight(_alone(catalogue, host, aim), now.region):
        raise typer.Exit(2)
    _carry_out(catalogue, host, now, aim, is_back, keep, yes, written)


def check(catalogue: Catalogue, host: str, type: str) -> None:
    """Says what is in the way of another machine; nothing is changed."""
    now = machines(catalogue.stack, host)
    aim = forward(now, catalogue.stack.ec2_hosts[host], type, keep=True)
    if not command.preflight(_alone(catalogue, host, aim), now.region):
        raise typer.Exit(2)


def retire(catalogue: Catalogue, host: str, yes: bool) -> None:
    """Deletes the earlier machines that a host keeps, once they get no requests. Raises InfraError."""
    stack = catalogue.stack
    run.settle(stack.name, lambda line: typer.echo(line), command.may_remove_lock)
    now = machines(stack, host)
    if now.is_under_way:
        raise InfraError(
            f"a replacement of {host}'s machine has not come to its end: first uv run infra host replace {host} "
            f"--stack {stack.name}"
        )
    if not now.kept and [*now.types] == [now.serving]:
        raise InfraError(f"{host} keeps no earlier machine")
    aim = Aim(now.serving, stack.ec2_hosts[host].instanceType, {})
    planned = command.agree(stack.name, _change(host, aim), _question, yes)
    mark = f"{host}-retired"
    command.carry_out(stack.name, mark, planned, Attempts(time.time()), lambda progress: [
        progress.reasons[0].strip(),
        f"{host} serves from its present machine, and nothing of it was touched.",
        f"Go on: uv run infra host retire {host} --stack {stack.name}",
    ])  # fmt: skip
    attempts.forget(stack.name, mark)
    typer.echo(f"\n{host} of stack {stack.name} has {shown(now.serving, aim.type)} and no other machine")


def shown(generation: int, type: str) -> str:
    return f"machine {generation} ({type})" if type else f"machine {generation}"


def _alone(catalogue: Catalogue, host: str, aim: Aim) -> Catalogue:
    """The stack with this host alone, as it is to be: what a new machine needs is asked for it."""
    spec = catalogue.stack.ec2_hosts[host].model_copy(update={"instanceType": aim.type, "generation": aim.generation})
    return replace(catalogue, stack=catalogue.stack.model_copy(update={"hosts": {host: spec}, "standbyRegions": []}))


def _change(host: str, aim: Aim) -> run.Change:
    return run.with_machine(host, aim.generation, aim.type, aim.kept)


def _question(planned: list[Phase]) -> str:
    gone = [name for phase in planned if phase.step == "retire" for name in phase.touches if of_instance(name)]
    machines_of = [f"{host} in {place}" for host, place in filter(None, map(of_instance, gone))]
    return f"Do all this, and delete the machine of {', '.join(machines_of)} at the end?" if gone else "Do all this?"


def _carry_out(
    catalogue: Catalogue, host: str, now: Machines, aim: Aim, is_back: bool, keep: bool, yes: bool, written: Path | None
) -> None:
    name = catalogue.stack.name
    mark = f"{host}-g{aim.generation}"
    so_far = (attempts.kept(name, mark) if now.is_under_way else None) or Attempts(
        time.time(), run.latencies(catalogue)
    )
    planned = command.agree(name, _change(host, aim), _question, yes)

    def why(progress: Progress) -> list[str]:
        went = {step for step, _ in progress.times}
        words = f"uv run infra host replace {host}{' --back' if is_back else ''}{'' if keep else ' --retire'}"
        lines = [progress.reasons[0].strip()]
        lines.append("The new machine serves." if "retire" in went else "Nothing that served was deleted.")
        lines.append(f"Go on: {words} --stack {name}")
        if not is_back and "retire" not in went:
            lines.append(f"Give it up: uv run infra host replace {host} --back --stack {name}")
        return lines

    so_far = command.carry_out(name, mark, planned, so_far, why)
    for number in (aim.generation, now.wanted):
        attempts.forget(name, f"{host}-g{number}")
    if aim.generation == now.serving:
        typer.echo(f"\n{host} of stack {name} runs on {shown(now.serving, aim.type)}, as before")
        return
    left = ""
    if aim.kept:
        left = (
            f"{', '.join(shown(*entry) for entry in aim.kept.items())} of {host} stays, and serves nothing. Delete it: "
            f"`uv run infra host retire {host} --stack {name}`; go back to it: "
            f"`uv run infra host replace {host} --back --stack {name}`"
        )
    title = f"{host}, {shown(now.serving, now.types.get(now.serving, ''))} → {shown(aim.generation, aim.type)}"
    ended = run.told(catalogue, now.region, now.region, so_far, title, left)
    target = command.put_report(ended, so_far, written)
    typer.echo(f"\n{host} of stack {name} runs on {shown(aim.generation, aim.type)}; the report: {target}")
    if left:
        typer.echo(left.replace("`", ""))
