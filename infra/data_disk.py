"""`python -m infra.data_disk`: what `pulumi up` runs until a host has its data disk mounted, in its whole size. The
request is JSON on standard input."""

import json
import sys
from dataclasses import dataclass

from infra.answers import checked_mounting
from infra.errors import InfraError
from infra.foreign import clean
from infra.remote import run_program
from infra.ssh import Target, connect
from infra.supervision import Say, Work, WorkOutcome, run
from rendering.requests import MountRequest


@dataclass
class Mount(Work):
    """`host` is known once the request was read."""

    host: str = ""

    def do(self, say: Say) -> WorkOutcome:
        request: MountRequest = json.load(sys.stdin)
        target = Target(**request["target"])
        self.host = target.host
        return mount(target, request, say)

    def interruption_line(self) -> str:
        return (
            f"failed: interrupted while the data disk of {self.host or 'the host'} was being mounted, which may go on "
            "there. Run again"
        )


def mount(target: Target, request: MountRequest, say: Say) -> WorkOutcome:
    """Raises InfraError."""
    payload = request["payload"]
    is_mounted = False
    with connect(target) as transport:
        for raw_event in run_program(transport, target, request["program"], payload):
            event = checked_mounting(clean(raw_event), str(target))
            if refusal := event.get("refused"):
                raise InfraError(f"{target.host}: {refusal}")
            if line := event.get("say"):
                say(line)
            is_mounted = is_mounted or event.get("done") is not None
    if not is_mounted:
        raise InfraError(f"{target.host} stopped in the middle of mounting its data disk: run again")
    line = f"the data disk of {target.host} ({payload['volume']}) is mounted at {payload['mounts'][0]}"
    return WorkOutcome(0, line, {"host": target.host, "volume": payload["volume"]})


if __name__ == "__main__":
    run(Mount())
