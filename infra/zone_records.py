"""The stack's records at Cloudflare: what its last update wrote there, what is there now, and the way back."""

import json
from collections.abc import Iterator
from contextlib import suppress

from catalogue.stack import API_TOKEN, DNS, PROJECT, Stack
from infra import sources
from infra.cloudflare import Change, Entry, Record, Zone, changes, value_of
from infra.drift.finding import Finding
from infra.errors import InfraError
from infra.orphans.state import State
from infra.pulumi import pulumi

COMMAND, NAMED = "command:local:Command", "record-"  # as components/dns.py makes them


def zone_of(stack: Stack) -> Zone:
    """The stack's zone at Cloudflare. Raises InfraError where it is not kept there, or cannot be asked."""
    if stack.dns.provider != "cloudflare":
        raise InfraError(
            f"stack {stack.name} has its zone at {stack.dns.provider} (infra:dns): this is for records at Cloudflare. "
            "Of Route 53, infra adopt aws takes records over, and pulumi up --refresh writes them again"
        )
    if API_TOKEN in stack.secretsFrom.get(DNS, {}):
        own = stack.model_copy(update={"secretsFrom": {DNS: {API_TOKEN: stack.secretsFrom[DNS][API_TOKEN]}}})
        token = sources.resolved(own, {})[DNS][API_TOKEN]
    else:
        token = pulumi("config", "get", "--path", f"{PROJECT}:secrets.{DNS}.{API_TOKEN}", "--stack", stack.name)
    return Zone(stack.zone, token)


def written(state: State) -> list[Record]:
    """The records as Pulumi's state has them."""
    found = []
    for entry in state.get("deployment", {}).get("resources") or []:
        if entry.get("type") == COMMAND and entry["urn"].rsplit("::", 1)[-1].startswith(NAMED):
            with suppress(ValueError, KeyError, TypeError):
                asked = json.loads(entry["inputs"]["stdin"])
                values = tuple(asked["values"])
                found.append(Record(asked["name"], asked["type"], values, asked["ttl"], asked["owner"]))
    return found


def findings(stack: Stack, zone: Zone, records: list[Record]) -> Iterator[Finding]:
    """What is there otherwise than the last update left it."""
    entries = zone.records()
    for record in records:
        there = [entry for entry in entries if entry["name"] == record.name]
        if _missing(there, record):
            same = [_shown(entry) for entry in there if entry["type"] == record.kind]
            found = f"has {', '.join(same) or 'no such record'}, the last update left {', '.join(record.values)}"
            remedy = f"infra dns restore --stack {stack.name} puts it back"
            yield Finding(f"{record.name} {record.kind} at Cloudflare", found, remedy)


def _missing(there: list[Entry], record: Record) -> list[Change]:
    try:
        return changes(there, record)
    except InfraError:
        # Another's is in the way of it
        return [Change("POST")]


def _shown(entry: Entry) -> str:
    return f"{value_of(entry)} (proxied)" if entry.get("proxied") else value_of(entry)


def restore(zone: Zone, records: list[Record]) -> Iterator[str]:
    """Writes them again, a line for each that was otherwise. Raises InfraError where another's record is in the way."""
    for record in records:
        if zone.put(record):
            yield f"{record.name} {record.kind}: {', '.join(record.values)} again"
