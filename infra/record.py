"""`python -m infra.record put|remove`: what `pulumi up` runs for a record of infra:zone that Route 53 does not keep.
The record is JSON on standard input, the token of who may write it in the environment."""

import json
import os
import sys
from dataclasses import dataclass, replace

from catalogue.problems import CatalogueError
from catalogue.stack import API_TOKEN, read_stack
from infra import zone_records
from infra.cloudflare import NoZone, Record, RefusedToken, Zone
from infra.errors import InfraError
from infra.paths import config_file, project_root
from infra.supervision import Say, Work, WorkOutcome, run
from rendering.requests import RecordRequest


@dataclass
class Writing(Work):
    """Every change is one request, which is done or not: interrupted, it ends at once, and the next update goes on."""

    verb: str
    name: str = ""

    def do(self, say: Say) -> WorkOutcome:
        try:
            fields: RecordRequest = json.load(sys.stdin)
            record = Record(fields["name"], fields["type"], tuple(fields["values"]), fields["ttl"], fields["owner"])
            record = replace(record, is_proxied=fields.get("proxied", False))
        except (KeyError, ValueError, TypeError) as error:
            raise InfraError(f"infra.record is run by pulumi up, with the record on standard input: {error}") from None
        self.name = f"{record.name} {record.kind}"
        label, token = self.name, os.environ.get(API_TOKEN, "")
        if self.verb == "remove":
            return WorkOutcome(0, f"{label}: {remove_record(fields, record, token)}")
        changes = Zone(fields["zone"], token).put(record)
        proxied = ", proxied" * record.is_proxied
        line = f"{label}: {', '.join(record.values)} at Cloudflare{proxied}" if changes else ""
        return WorkOutcome(0, line, {"name": record.name, "values": list(record.values), "ttl": record.ttl})

    def interruption_line(self) -> str:
        return f"failed: interrupted while {self.name or 'a record'} was written. Run again to go on"


def remove_record(request: RecordRequest, record: Record, token: str) -> str:
    """What became of a record that the stack has no more. The token is that of the update that wrote it, and may have
    ended since; the stack may have another. Raises InfraError."""
    try:
        try:
            zone = Zone(request["zone"], token)
        except RefusedToken as refused:
            now = _token_of(request["stack"])
            if not now or now == token:
                raise RefusedToken(
                    f"{refused}. The token of the last update lacks that permission: set one that has it, or delete "
                    "the record at Cloudflare and run pulumi state delete here"
                ) from None
            zone = Zone(request["zone"], now)
    except NoZone:
        return f"there is no zone {request['zone']} for this token any more: nothing was removed"
    return "removed at Cloudflare" if zone.remove(record) else "no record that this stack wrote is left"


def _token_of(stack: str) -> str:
    """The one that the stack's configuration has now; "" where it has none, or cannot be read here."""
    try:
        return zone_records.token_of(read_stack(project_root(), stack, config_file(stack)))
    except (InfraError, CatalogueError):
        return ""


if __name__ == "__main__":
    run(Writing(sys.argv[1]))
