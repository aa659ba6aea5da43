"""The steps of a change of the place that a stack serves from: resources, one for each, in the order of
components/serving.py."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_command as command

from agent import program, source
from catalogue.stack import Stack
from components.access import here, target
from components.move import Arrival, Move
from components.naming import inside
from components.state import GateOutputs
from rendering.requests import (
    CopiedImage,
    DataRequest,
    DrainedHost,
    DrainRequest,
    GateRequest,
    GateResult,
    ImagesRequest,
    StepRequest,
    TargetFields,
    VerifyRequest,
)


@dataclass(frozen=True)
class StepArgs:
    """What a step is asked to do in a `region`: `step` names its program (infra/move/steps/), which gets the `request`.
    One that is done `once` is not repeated by later updates. `outputs` are kept in the state once it has passed."""

    step: str
    request: pulumi.Output[StepRequest]
    region: str
    once: bool = True
    outputs: Mapping[str, object] = field(default_factory=dict[str, object])


class Step(pulumi.ComponentResource):
    """One step: a command on this machine. `result` is what its program said at its end: it resolves once the step has
    passed."""

    result: pulumi.Output[Any]

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
        self.result = command_run.stdout.apply(json.loads)
        # In the state only when it has passed: see components.before
        self.register_outputs({"region": self.result.apply(lambda _: args.region), **args.outputs})


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

    target: pulumi.Output[TargetFields]
    role: pulumi.Input[str]


def images(name: str, stack: Stack, copy: ImageCopy, host: CopyingHost, opts: pulumi.ResourceOptions) -> Step:
    """The step that copies images into the stack's region."""

    def request(digest_of: dict[str, str], target: TargetFields, role: str) -> ImagesRequest:
        return {
            "label": f"images {copy.source} → {stack.region}", "account": stack.accountId, "source": copy.source,
            "region": stack.region, "target": target, "images": _copied_images(digest_of), "newest": copy.newest,
            "role": role, "program": program("copying"),
        }  # fmt: skip

    resolved = pulumi.Output.all(copy.digests, host.target, host.role).apply(lambda inputs: request(*inputs))
    return Step("Images", name, StepArgs("images", resolved, stack.region, copy.once), opts)


def _copied_images(digest_of: dict[str, str]) -> list[CopiedImage]:
    """Of `repository:tag` or `repository@digest` → digest."""
    return [
        {"repository": key[: len(key) - len(reference)], "reference": reference, "digest": digest_of[key]}
        for key in sorted(digest_of)
        for reference in [key[key.index("@") :] if "@" in key else key[key.index(":") :]]
    ]


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

    def request(urls: dict[str, list[str]]) -> GateRequest:
        return {
            "label": f"gate {stack.region}", "urls": urls, "roots": stack.trustedRoots,
            "deadline": stack.confirmDeadline, "resting": args.resting, "names": args.names, "zone": stack.zone,
            "servers": stack.nameServers, "provider": stack.dns.provider,
        }  # fmt: skip

    machines = {host: stack.place(host) for host in stack.ec2_hosts}
    takers = {system: host for host, spec in stack.hosts.items() for system in spec.runs if system in move.systems}
    outputs: GateOutputs = {"at": move.at, "ttl": move.ttl, "machines": machines, "systems": takers}
    resolved = _by_address(args.urls, args.addresses).apply(request)
    return Step("Gate", name, StepArgs("gate", resolved, stack.region, outputs=outputs), opts)


def data_here(
    name: str,
    stack: Stack,
    arrival: Arrival,
    machine: pulumi.Output[TargetFields],
    opts: pulumi.ResourceOptions,
) -> Step:
    """The data comes from the host that has it. It stays in the state when that is gone, as every step does."""

    def request(target: TargetFields, others: dict[str, TargetFields]) -> DataRequest:
        return {
            "label": f"data {arrival.place}/{arrival.entry['what']}", "entry": arrival.entry, "target": target,
            "region": arrival.place, "source": arrival.source, "others": others, "program": source("moving"),
            "traffic": program("traffic"),
        }  # fmt: skip

    resolved = pulumi.Output.all(machine, arrival.others).apply(lambda targets: request(*targets))
    return Step("Data", name, StepArgs("data", resolved, stack.region), opts)


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

    def request(names: dict[str, str], urls: dict[str, list[str]], singles: dict[str, list[str]]) -> VerifyRequest:
        return {
            "label": f"verify {stack.region}", "zone": stack.zone, "servers": stack.nameServers, "names": names,
            "urls": urls, "singles": singles, "roots": stack.trustedRoots,
            "check": stack.singleCheck, "provider": stack.dns.provider, "wait": stack.dns.wait,
            # A single service starts here two checks after the switch
            "deadline": stack.confirmDeadline + 2 * stack.singleCheck,
        }  # fmt: skip

    urls, singles = _by_address(args.urls, args.addresses), _by_address(args.singles, args.addresses)
    resolved = pulumi.Output.all(args.names, urls, singles).apply(lambda inputs: request(*inputs))
    return Step("Verified", name, StepArgs("verify", resolved, stack.region), opts)


def drain_step(name: str, stack: Stack, move: Move, gated: Step, opts: pulumi.ResourceOptions) -> Step:
    """The regions that are about to be deleted get no more requests; the gate has looked how long the names could be
    remembered."""
    hosts = [
        {"region": place, "target": target(stack, host, pulumi.Output.from_input(address))}
        for place, leaving in sorted(move.leaving.items())
        for host, address in sorted(leaving.items())
        if host in stack.hosts
    ]

    def request(result: GateResult, hosts: list[DrainedHost]) -> DrainRequest:
        return {
            "label": f"drain {' '.join(sorted({*move.leaving, *move.systems})) or 'nothing'}", "hosts": hosts,
            # The result of an earlier version has none
            "ttl": max(move.ttl, result.get("ttl", 0)),
            "quiet": stack.drainQuiet, "limit": stack.drainLimit, "program": program("traffic"),
        }  # fmt: skip

    resolved = pulumi.Output.all(gated.result, hosts).apply(lambda inputs: request(*inputs))
    return Step("Drained", name, StepArgs("drain", resolved, stack.region), opts)


def _by_address(
    urls: dict[str, list[str]], addresses: dict[str, pulumi.Output[str]]
) -> pulumi.Output[dict[str, list[str]]]:
    hosts = sorted(host for host in urls if urls[host])

    def by_address(resolved: list[str]) -> dict[str, list[str]]:
        return {address: urls[host] for host, address in zip(hosts, resolved, strict=True)}

    return pulumi.Output.all(*(addresses[host] for host in hosts)).apply(by_address)
