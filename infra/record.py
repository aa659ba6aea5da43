"""`python -m infra.record put|remove`: what `pulumi up` runs for a record of infra:zone that Route 53 does not keep.
The record is JSON on standard input, the token of who may write it in the environment."""

import json
import os
import sys
from dataclasses import dataclass

from catalogue.stack import API_TOKEN
from infra.cloudflare import Record, Zone
from infra.errors import InfraError
from infra.supervised import Ended, Say, Work, run


@dataclass
class Writing(Work):
    """Every change is one request, which is done or not: interrupted, it ends at once, and the next update goes on."""

    verb: str
    name: str = ""

    def do(self, say: Say) -> Ended:
        try:
            given = json.load(sys.stdin)
            wanted = Record(given["name"], given["type"], tuple(given["values"]), given["ttl"], given["owner"])
        except (KeyError, ValueError, TypeError) as error:
            raise InfraError(f"infra.record is run by pulumi up, with the record on standard input: {error}") from None
        self.name = f"{wanted.name} {wanted.kind}"
        zone, said = Zone(given["zone"], os.environ.get(API_TOKEN, "")), self.name
        if self.verb == "remove":
            gone = zone.remove(wanted)
            return Ended(0, f"{said}: removed at Cloudflare" if gone else f"{said}: was not there any more")
        done = zone.put(wanted)
        line = f"{said}: {', '.join(wanted.values)} at Cloudflare" if done else ""
        return Ended(0, line, {"name": wanted.name, "values": list(wanted.values), "ttl": wanted.ttl})

    def left(self) -> str:
        return f"failed: interrupted while {self.name or 'a record'} was written. Run again to go on"


if __name__ == "__main__":
    run(Writing(sys.argv[1]))
