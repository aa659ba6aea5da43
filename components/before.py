"""What the last update left of this stack: Pulumi's own state, asked before anything is made."""

from dataclasses import dataclass, field
from typing import Any

import pulumi

Hosts = dict[str, str]


@dataclass(frozen=True)
class Before:
    """`region` served ("" before the first update), `hosts` maps each region that has some to host → address, `gated`
    are the regions that a name may have pointed to, `ttl` is how many seconds its record could be remembered, `move`
    the last change of place."""

    region: str = ""
    hosts: dict[str, Hosts] = field(default_factory=dict)
    gated: frozenset[str] = frozenset()
    ttl: int = 0
    move: dict[str, Any] = field(default_factory=dict)


def before() -> Before:
    """Of the stack that is being updated."""
    name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    found = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": name}).value or {}
    return read(found.get("outputs") or {})


def read(resources: dict[str, Any]) -> Before:
    """Out of the state's resources: URN → {type, outputs}."""
    of = {kind: [r.get("outputs") or {} for r in resources.values() if r.get("type") == kind] for kind in KINDS}
    outputs = next(iter(of["pulumi:pulumi:Stack"]), {})
    hosts: dict[str, Hosts] = {}
    for made in of["infra:index:Host"]:
        if made.get("address") and made.get("region"):
            hosts.setdefault(made["region"], {})[made["host"]] = made["address"]
    served = {outputs["region"], *outputs.get("standby", [])} if outputs.get("region") else set()
    passed = {gate["region"] for gate in of["infra:index:Gate"] if gate.get("region")}
    return Before(
        outputs.get("region") or "",
        hosts,
        frozenset(served | passed),
        max((int(record.get("ttl") or 0) for record in of["aws:route53/record:Record"]), default=0),
        outputs.get("move") or {},
    )


KINDS = ("pulumi:pulumi:Stack", "infra:index:Host", "infra:index:Gate", "aws:route53/record:Record")
