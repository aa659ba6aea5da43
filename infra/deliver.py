"""`python -m infra.deliver`: what `pulumi up` runs for each host. The request, secrets included, is JSON on standard
input; progress goes to standard error, the structured result to standard output, the exit code says how it ended."""

import json
import os
import sys
from functools import partial
from typing import Any

from infra import delivery, outside
from infra.errors import InfraError
from infra.ssh import Target

REFUSED = 3


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def planned_from() -> str | None:
    """The release that Pulumi's state has for this host: the previous run's output comes back in the environment."""
    try:
        return json.loads(os.environ.get("PULUMI_COMMAND_STDOUT") or "{}").get("release")
    except ValueError:
        return None


def deliver(request: dict[str, Any]) -> dict[str, Any]:
    """How it ended. A host that cannot be talked to is a refusal: nothing was touched."""
    target = Target(**request["target"])
    look = partial(outside.complaint, target.address, request["roots"])
    try:
        return delivery.send(target, request, planned_from(), look, say)
    except InfraError as error:
        return {"outcome": "refused", "code": REFUSED, "line": f"refused on {target.host}, nothing touched: {error}"}


if __name__ == "__main__":
    ended = deliver(json.load(sys.stdin))
    print(json.dumps({"release": None, **ended}, sort_keys=True), flush=True)
    say(ended["line"])
    sys.exit(ended["code"])
