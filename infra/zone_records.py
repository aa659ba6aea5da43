"""The stack's records at Cloudflare: what its last update wrote there, what is there now, and the way back."""

import copy
import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace

from catalogue.dns import keeper
from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.proxied import proxied_names
from catalogue.stack import API_TOKEN, DNS, PROJECT, Stack
from infra import sources
from infra.cloudflare import EXCLUSIVE, Change, Record, Zone, changes, value_of
from infra.cloudflare_forms import Entry
from infra.drift.finding import Finding
from infra.errors import InfraError
from infra.orphans.state import State, StateResource
from infra.pulumi import pulumi


def zone_of(stack: Stack) -> Zone:
    """The stack's zone at Cloudflare. Raises InfraError where it is not kept there, or cannot be asked."""
    if stack.dns.provider != "cloudflare":
        raise InfraError(
            f"stack {stack.name} has its zone at {stack.dns.provider} (infra:dns): this is for records at Cloudflare. "
            "Of Route 53, infra adopt aws takes records over, and pulumi up --refresh writes them again"
        )
    return Zone(stack.zone, token_of(stack))


def token_of(stack: Stack) -> str:
    """What the stack's configuration has now. Raises InfraError where it cannot be read here."""
    if API_TOKEN in stack.secretsFrom.get(DNS, {}):
        own = stack.model_copy(update={"secretsFrom": {DNS: {API_TOKEN: stack.secretsFrom[DNS][API_TOKEN]}}})
        return sources.resolve_values(own, {})[DNS][API_TOKEN]
    return pulumi("config", "get", "--path", f"{PROJECT}:secrets.{DNS}.{API_TOKEN}", "--stack", stack.name)


def missing(catalogue: Catalogue) -> Iterator[Problem]:
    """What an update would be refused there: a token that may not, a zone that is not there, another's record in the
    way."""
    stack = catalogue.stack
    try:
        zone = zone_of(stack)
    except InfraError as error:
        yield Problem("Cloudflare", f"zone {stack.zone}", str(error), "see docs/names.md")
        return
    entries = zone.records()
    sites = {stack.public_name(site.name) for system in catalogue.running.values() for site in system.sites}
    owner, proxied = stack.dns_owner("site"), proxied_names(catalogue)
    records = [Record(n, "A", (), stack.recordTtl, owner, n in proxied) for n in sites if stack.in_zone(n)]
    records += [Record(r.name, r.type, tuple(r.values), r.ttl, stack.dns_owner("record")) for r in stack.records]
    for record in records:
        try:
            there = [entry for entry in entries if entry["name"] == record.name]
            # Where a site's host is, is not known here: an address that leads anywhere may be the right one
            own = tuple(value_of(entry) for entry in there if entry["type"] == "A" and not entry.get("comment"))
            changes(there, replace(record, values=record.values or own))
        except InfraError as error:
            yield Problem("Cloudflare", f"{record.name} {record.kind}", str(error), "then run again")


def region_to_leave(stack: Stack) -> str:
    """The region that the stack's names may still have to leave; "" where no move is under way. Raises InfraError."""
    outputs = json.loads(pulumi("stack", "output", "--json", "--stack", stack.name) or "{}")
    return region if (region := outputs.get("region", "")) != stack.region else ""


def records_in_state(state: State) -> list[Record]:
    """The records as Pulumi's state has them."""
    records: list[Record] = []
    for entry in _resources(state):
        if keeper(entry.get("type") or "", entry["urn"]) == "cloudflare":
            with suppress(ValueError, KeyError, TypeError):
                request = json.loads(entry.get("inputs", {})["stdin"])
                values = tuple(request["values"])
                record = Record(request["name"], request["type"], values, request["ttl"], request["owner"])
                records.append(replace(record, is_proxied=bool(request.get("proxied"))))
    return records


def _resources(state: State) -> list[StateResource]:
    return state.get("deployment", {}).get("resources") or []


def records_elsewhere(stack: Stack, state: State) -> list[str]:
    """The records in Pulumi's state that the stack has at other providers than its zone's, by their URN."""
    providers = {entry["urn"]: keeper(entry.get("type") or "", entry["urn"]) for entry in _resources(state)}
    return [urn for urn, provider in providers.items() if provider not in ("", stack.dns.provider)]


def remove_resources(state: State, urns: Collection[str]) -> State:
    """A state in which these resources are no more; what was made after them is as it was. Pure."""
    changed = copy.deepcopy(state)
    remaining = [entry for entry in _resources(changed) if entry["urn"] not in urns]
    for entry in remaining:
        entry["dependencies"] = [urn for urn in entry.get("dependencies") or [] if urn not in urns]
        of_properties = entry.get("propertyDependencies") or {}
        entry["propertyDependencies"] = {
            name: [urn for urn in dependencies or [] if urn not in urns] for name, dependencies in of_properties.items()
        }
    changed["deployment"]["resources"] = remaining
    return changed


def findings(stack: Stack, zone: Zone, records: list[Record]) -> Iterator[Finding]:
    """What is there otherwise than the last update left it."""
    entries = zone.records()
    for record in records:
        there = [entry for entry in entries if entry["name"] == record.name]
        if _missing(there, record):
            same = [
                _record_text(entry) for entry in there if entry["type"] == record.kind or entry["type"] in EXCLUSIVE
            ]
            fault = f"has {', '.join(same) or 'no such record'}, the last update left {record.words}"
            remedy = f"infra dns restore --stack {stack.name} puts it back"
            yield Finding(f"{record.name} {record.kind} at Cloudflare", fault, remedy)


def _missing(there: list[Entry], record: Record) -> list[Change]:
    try:
        return changes(there, record)
    except InfraError:
        # Another's is in the way of it
        return [Change("POST")]


def _record_text(entry: Entry) -> str:
    kind = f"{entry['type']} " if entry["type"] in EXCLUSIVE else ""
    how = "proxied" if entry.get("proxied") else f"for {entry.get('ttl')} s"
    return f"{kind}{value_of(entry)} {how}" + ("" if entry.get("comment") else ", without a comment")


def restore(zone: Zone, records: list[Record]) -> Iterator[str]:
    """Writes them again, a line for each that was otherwise. Raises InfraError, once all were tried, where another's
    record is in the way."""
    blocked: list[str] = []
    for record in records:
        try:
            if zone.put(record):
                yield f"{record.name} {record.kind}: {', '.join(record.values)} again"
        except InfraError as error:
            blocked.append(str(error))
    if blocked:
        raise InfraError("\n".join(blocked))
