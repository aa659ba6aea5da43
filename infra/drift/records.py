"""Records that a person added at the stack's names in Route 53: clients go by them to elsewhere, and a refresh, which
asks for the stack's own, does not see them."""

import json
import shlex
from collections.abc import Collection, Iterator
from typing import Any

from catalogue.shapes import AwsEntry
from infra.aws import record_name
from infra.drift.finding import Finding, text
from infra.orphans import state
from infra.orphans.state import State

RECORD = "aws:route53/record:Record"
# Those that lead to hosts; of texts, mail servers and the like others may have their own
LEADING = ("A", "AAAA", "CNAME")
# What sets one apart of several records of a name and type; in Route 53's words
POLICIES = {
    "Weight": "weighted", "Region": "by latency", "GeoLocation": "by place", "GeoProximityLocation": "by distance",
    "Failover": "for failover", "MultiValueAnswer": "one of several", "CidrRoutingConfig": "by network",
}  # fmt: skip


def find_added(route53: Any, pulumi_state: State, keepable: Collection[str]) -> Iterator[Finding]:
    """Those beside the stack's own; the names of `keepable` may have others in infra:records."""
    own: dict[str, set[tuple[str, str, str]]] = {}
    for entry in (entry for entry in state.of_aws(pulumi_state) if entry["type"] == RECORD):
        properties = {**entry.get("inputs", {}), **(entry.get("outputs") or {})}
        key = (record_name(properties["name"]), properties["type"], properties.get("setIdentifier") or "")
        own.setdefault(properties["zoneId"], set()).add(key)
    for zone, keys in sorted(own.items()):
        names = {name for name, kind, _ in keys if kind in LEADING}
        for page in route53.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone):
            for entry in page["ResourceRecordSets"]:
                name, kind = record_name(entry["Name"]), entry["Type"]
                if name in names and kind in LEADING and (name, kind, entry.get("SetIdentifier", "")) not in keys:
                    yield _finding(zone, name, entry, name in keepable)


def _finding(zone: str, name: str, entry: AwsEntry, may_be_kept: bool) -> Finding:
    target = entry.get("AliasTarget", {}).get("DNSName")
    values = [target] if target else [value["Value"] for value in entry.get("ResourceRecords", ())]
    policy = "".join(f" ({word})" for key, word in POLICIES.items() if key in entry)
    fault = f"points to {text(values)}{policy}, which the stack does not define: clients may be sent there"
    batch = shlex.quote(json.dumps({"Changes": [{"Action": "DELETE", "ResourceRecordSet": entry}]}))
    keep = "; to keep it, add it to infra:records" if may_be_kept else ""
    remove = f"aws route53 change-resource-record-sets --hosted-zone-id {zone} --change-batch {batch}"
    return Finding(f"record {name} {entry['Type']} in Route 53", fault, f"delete it: {remove}{keep}")
