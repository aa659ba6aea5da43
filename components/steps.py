"""The steps of a change of the place that a stack serves from: resources, one for each, in the order of
components/serving.py."""

import json
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_command as command

from agent import program, source
from catalogue.stack import Stack
from components.access import here, target
from components.move import Arrival, Move
from components.naming import inside


@dataclass(frozen=True)
class StepArgs:
    """What a step is asked to do in a `region`: `step` names its program (infra/move/steps/), which gets the `request`.
    One that is done `once` is not repeated by later updates. `outputs` are kept in the state once it has passed."""

    step: str
    request: pulumi.Input[dict[str, Any]]
    region: str
    once: bool = True
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])


class Step(pulumi.ComponentResource):
    """One step: a command on this machine. `done` resolves once it has passed."""

    done: pulumi.Output[Any]

    def __init__(self, kind: str, name: str, args: StepArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"infra:index:{kind}", name, None, opts)
        after = list(opts.depends_on) if opts and isinstance(opts.depends_on, list) else []
        command_run = command.local.Command(
            f"{name}-{args.step}",
            create=here("infra.move.step", args.step),
            stdin=pulumi.Output.secret(pulumi.Output.json_dumps(args.request, sort_keys=True)),
            logging=command.local.Logging.STDERR,
            # An attempt's step is done once: what changes afterwards is none of its business
            opts=inside(self, depends_on=after, ignore_changes=["create", "stdin"] if args.once else []),
        )
        self.done = command_run.stdout.apply(json.loads)
        # In the state only when it has passed: see components.before
        self.register_outputs({"region": self.done.apply(lambda _: args.region), **args.outputs})


@dataclass(frozen=True)
class ImageCopy:
    """Images that a stack's region gets from the region `source`: those that are `wanted` (`repository:tag` → digest),
    and where `newest` is set what their tags mean there now. One that is done `once` is not repeated by later
    updates."""

    source: str
    digests: pulumi.Output[dict[str, str]]
    newest: bool = False
    once: bool = True


@dataclass(frozen=True)
class CopyingHost:
    """The host on which images are copied (its `target`, as components.access has it), and the IAM role with whose
    rights."""

    target: pulumi.Output[dict[str, Any]]
    role: pulumi.Input[str]


def images(name: str, stack: Stack, copy: ImageCopy, host: CopyingHost, opts: pulumi.ResourceOptions) -> Step:
    """The step that copies images into the stack's region."""
    entries = copy.digests.apply(
        lambda digests_known: [
            {"repository": key[: len(key) - len(reference)], "reference": reference, "digest": digests_known[key]}
            for key in sorted(digests_known)
            for reference in [key[key.index("@") :] if "@" in key else key[key.index(":") :]]
        ]
    )
    request = {
        "label": f"images {copy.source} → {stack.region}", "account": stack.accountId, "source": copy.source,
        "region": stack.region, "target": host.target, "images": entries, "newest": copy.newest, "role": host.role,
        "program": program("copying"),
    }  # fmt: skip
    return Step("Images", name, StepArgs("images", request, stack.region, copy.once), opts)


@dataclass(frozen=True)
class GateArgs:
    """What a `move` waits for before it points its `names`: each host answers its `urls` (host → URLs) at its own
    address (`addresses`: host → address). URLs that are `resting` wait for their data."""

    move: Move
    urls: dict[str, list[str]]
    addresses: dict[str, pulumi.Output[str]]
    resting: list[str]
    names: list[str]


def gate(name: str, stack: Stack, args: GateArgs, opts: pulumi.ResourceOptions) -> Step:
    """No name is pointed to a host before it answers."""
    move = args.move
    request = {
        "label": f"gate {stack.region}", "urls": _by_address(args.urls, args.addresses), "roots": stack.trustedRoots,
        "deadline": stack.confirmDeadline, "resting": args.resting, "names": args.names, "zone": stack.zone,
        "servers": stack.nameServers, "provider": stack.dns.provider,
    }  # fmt: skip
    machines = {host: stack.place(host) for host in stack.ec2_hosts}
    takers = {system: host for host, spec in stack.hosts.items() for system in spec.runs if system in move.systems}
    passed = {"at": move.at, "ttl": move.ttl, "machines": machines, "systems": takers}
    return Step("Gate", name, StepArgs("gate", request, stack.region, outputs=passed), opts)


def data_here(
    name: str,
    stack: Stack,
    arrival: Arrival,
    machine: pulumi.Output[dict[str, Any]],
    opts: pulumi.ResourceOptions,
) -> Step:
    """The data comes from the host that has it. It stays in the state when that is gone, as every step does."""
    request = {
        "label": f"data {arrival.place}/{arrival.entry['what']}", "entry": arrival.entry, "target": machine,
        "region": arrival.place, "source": arrival.source, "others": arrival.others, "program": source("moving"),
    }  # fmt: skip
    return Step("Data", name, StepArgs("data", request, stack.region), opts)


@dataclass(frozen=True)
class VerifyArgs:
    """What is so once the names have changed place: each of `names` leads to its address, and each host answers its
    `urls` (host → URLs) at its own (`addresses`: host → address). `singles` are the URLs of what starts here last."""

    names: dict[str, pulumi.Output[str]]
    urls: dict[str, list[str]]
    singles: dict[str, list[str]]
    addresses: dict[str, pulumi.Output[str]]


def verify_step(name: str, stack: Stack, args: VerifyArgs, opts: pulumi.ResourceOptions) -> Step:
    """After the switch: the zone's own servers, and every public path."""
    request = {
        "label": f"verify {stack.region}", "zone": stack.zone, "servers": stack.nameServers, "names": args.names,
        "urls": _by_address(args.urls, args.addresses), "singles": _by_address(args.singles, args.addresses),
        "roots": stack.trustedRoots,
        "check": stack.singleCheck, "provider": stack.dns.provider, "wait": stack.dns.wait,
        # A single service starts here two checks after the switch
        "deadline": stack.confirmDeadline + 2 * stack.singleCheck,
    }  # fmt: skip
    return Step("Verified", name, StepArgs("verify", request, stack.region), opts)


def drain_step(name: str, stack: Stack, move: Move, gated: Step, opts: pulumi.ResourceOptions) -> Step:
    """The regions that are about to be deleted get no more requests; the gate has looked how long the names could be
    remembered."""
    # One of an earlier version has not
    ttl = gated.done.apply(lambda report: max(move.ttl, report.get("ttl", 0)))
    hosts = [
        {"region": place, "target": target(stack, host, pulumi.Output.from_input(address))}
        for place, leaving in sorted(move.leaving.items())
        for host, address in sorted(leaving.items())
        if host in stack.hosts
    ]
    request = {
        "label": f"drain {' '.join(sorted({*move.leaving, *move.systems})) or 'nothing'}", "hosts": hosts, "ttl": ttl,
        "quiet": stack.drainQuiet, "limit": stack.drainLimit, "program": program("traffic"),
    }  # fmt: skip
    return Step("Drained", name, StepArgs("drain", request, stack.region), opts)


def _by_address(urls: dict[str, list[str]], addresses: dict[str, pulumi.Output[str]]) -> pulumi.Output[dict[str, Any]]:
    hosts = sorted(host for host in urls if urls[host])
    return pulumi.Output.all(*(addresses[host] for host in hosts)).apply(
        lambda resolved: {address: urls[host] for host, address in zip(hosts, resolved, strict=True)}
    )
