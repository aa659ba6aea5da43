"""What the last update left of this stack: Pulumi's own state, asked before anything is made."""

import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pulumi

from catalogue.dns import COMMAND, RECORD, keeper

Hosts = dict[str, str]
TORN = "failed to load checkpoint"
TRIES = 10


@dataclass(frozen=True)
class Machine:
    """A host's machine in EC2; `replaces` is the lost one whose place it took, "" for the first."""

    id: str
    replaces: str = ""


@dataclass(frozen=True)
class Served:
    """A release as it was brought last: its id, and its files' hashes as previews show them."""

    id: str = ""
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Before:
    """`region` is where the last whole update left it ("" before the first), `pointed` are the regions that names
    point to, `hosts` maps each region that has some to host → address, `gated` are the regions that a name may have
    pointed to, `ttl` is how many seconds its record could be remembered, `move` the last change of place, `machines`
    those of EC2 by region and host, `settled` the last interrupted job of each release, by its name in Pulumi,
    `unfinished` whether a move passed its gate and did not come to its end, `deployed` the images that were deployed
    for one service alone (catalogue/deployed.py), `served` each release by its name in Pulumi, `kept_at` the providers
    that have records of the stack."""

    region: str = ""
    pointed: frozenset[str] = frozenset()
    hosts: dict[str, Hosts] = field(default_factory=dict)
    gated: frozenset[str] = frozenset()
    ttl: int = 0
    move: dict[str, Any] = field(default_factory=dict)
    machines: dict[str, dict[str, Machine]] = field(default_factory=dict)
    settled: dict[str, str] = field(default_factory=dict)
    unfinished: bool = False
    deployed: dict[str, Any] = field(default_factory=dict)
    served: dict[str, Served] = field(default_factory=dict)
    kept_at: frozenset[str] = frozenset()


def before() -> Before:
    """Of the stack that is being updated."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    for left in reversed(range(TRIES)):
        try:
            found = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name}).value or {}
            return read(found.get("outputs") or {})
        except Exception as error:
            # The engine writes the state of what it has just registered: a file can be read in the middle of that
            if TORN not in str(error) or not left:
                raise
            time.sleep(0.2)
    raise AssertionError("the last try returns or raises")


def read(resources: dict[str, Any]) -> Before:
    """Out of the state's resources: URN → {type, outputs}."""
    of = {kind: [r.get("outputs") or {} for r in resources.values() if r.get("type") == kind] for kind in KINDS}
    outputs = next(iter(of["pulumi:pulumi:Stack"]), {})
    hosts: dict[str, Hosts] = {}
    for made in of["infra:index:Host"]:
        if made.get("address") and made.get("region"):
            hosts.setdefault(made["region"], {})[made["host"]] = made["address"]
    served = {outputs["region"], *outputs.get("standby", [])} if outputs.get("region") else set()
    move = outputs.get("move") or {}
    gates = [gate for gate in of["infra:index:Gate"] if gate.get("region")]
    records = [*of[RECORD], *written(resources)]
    addresses = {address for record in records for address in record.get("records") or []}
    # An attempt that is not over may have shortened what names could be remembered for when it began
    pending = [int(gate.get("ttl") or 0) for gate in gates if gate.get("at") != move.get("at")]
    return Before(
        outputs.get("region") or "",
        frozenset(region for region, own in hosts.items() if addresses & set(own.values())),
        hosts,
        frozenset(served | {gate["region"] for gate in gates}),
        max([*pending, *(int(record.get("ttl") or 0) for record in records)], default=0),
        move,
        machines(resources),
        {
            urn.rsplit("::", 1)[-1]: (resource.get("outputs") or {}).get("settles") or ""
            for urn, resource in resources.items()
            if resource.get("type") == "infra:index:Release"
        },
        any(gate.get("at") != move.get("at") for gate in gates),
        found if isinstance(found := outputs.get("deployed"), dict) else {},
        brought(resources),
        keepers(resources),
    )


def written(resources: dict[str, Any]) -> list[dict[str, Any]]:
    """The addresses of public names in a zone that Route 53 does not keep: what their commands wrote last."""
    found = []
    for urn, resource in resources.items():
        if "infra:index:PublicName$" in urn and resource.get("type") == COMMAND:
            said = (resource.get("outputs") or {}).get("stdout") or ""
            with contextlib.suppress(ValueError, TypeError, KeyError):
                record = json.loads(said)
                found.append({"records": record["values"], "ttl": record["ttl"]})
    return found


def keepers(resources: dict[str, Any]) -> frozenset[str]:
    """The providers at which the last update left records."""
    return frozenset({keeper(resource.get("type") or "", urn) for urn, resource in resources.items()} - {""})


def brought(resources: dict[str, Any]) -> dict[str, Served]:
    """Release → what it brought last, by what its command said: an update that fails writes no outputs of the
    component."""
    named = {urn.rsplit("::", 1)[-1]: resource.get("outputs") or {} for urn, resource in resources.items()}
    found = {}
    for urn, resource in resources.items():
        if resource.get("type") == "infra:index:Release":
            name, outputs = urn.rsplit("::", 1)[-1], resource.get("outputs") or {}
            try:
                id = json.loads(named[f"{name}-apply"]["stdout"])["release"]
            except (KeyError, ValueError, TypeError):
                id = outputs.get("id")
            found[name] = Served(id if isinstance(id, str) else "", outputs.get("files") or {})
    return found


def machines(resources: dict[str, Any]) -> dict[str, dict[str, Machine]]:
    """Region → host → its machine. By the machines themselves: their hosts' outputs are not written by an update that
    fails before its end."""
    found: dict[str, dict[str, Machine]] = {}
    for urn, resource in resources.items():
        outputs = resource.get("outputs") or {}
        if resource.get("type") == MACHINE and outputs.get("arn"):
            region, id = outputs["arn"].split(":")[3], outputs["arn"].rsplit("/", 1)[-1]
            host = urn.rsplit("::", 1)[-1].removesuffix(f"-{region}-instance")
            found.setdefault(region, {})[host] = Machine(id, (outputs.get("tags") or {}).get(REPLACES, ""))
    return found


MACHINE = "aws:ec2/instance:Instance"
REPLACES = "replaces"  # a machine's tag: the lost one whose place it took
KINDS = ("pulumi:pulumi:Stack", "infra:index:Host", "infra:index:Gate", RECORD)
