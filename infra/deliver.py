"""`python -m infra.deliver`: what `pulumi up` runs for each host. The request, secrets included, is JSON on standard
input; progress goes to standard error, the result of a success to standard output, the exit code says how it ended."""

import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from infra import delivery, outside, unfinished
from infra.delivery import Look
from infra.errors import InfraError
from infra.lines import RESULT, one_line
from infra.remote import ask
from infra.ssh import Target
from infra.supervised import Ended, Say, Work, run
from infra.unfinished import Unfinished

REFUSED = 3


def planned_from() -> str | None:
    """The release that Pulumi's state has for this host: the previous run's output comes back in the environment."""
    try:
        return json.loads(os.environ.get("PULUMI_COMMAND_STDOUT") or "{}").get("release")
    except ValueError:
        return None


def kept(ended: dict[str, Any]) -> dict[str, Any]:
    """What Pulumi keeps of an outcome, however much a host says about it."""
    whole = {"release": None, **ended, "line": one_line(ended["line"])}
    if len(json.dumps(whole).encode()) <= RESULT:
        return whole
    return {name: whole[name] for name in ("code", "line", "outcome", "release")}


@dataclass
class Delivery(Work):
    """`host` is known once the request was read, `job` once the host may have begun it."""

    host: str = ""
    job: delivery.Job | None = None
    is_interrupted: bool = False

    def do(self, say: Say) -> Ended:
        request = json.load(sys.stdin)
        ended = self.deliver(request, say)
        return Ended(ended["code"], ended["line"], kept(ended))

    def deliver(self, request: dict[str, Any], say: Say) -> dict[str, Any]:
        """How it ended. A host that cannot be talked to is a refusal: nothing was touched."""
        target = Target(**request["target"])
        self.host = target.host
        look = partial(outside.complaint, target.address, request["roots"])
        try:
            planned = planned_from()
            base = settled(target, planned, look, say)
            self.job = delivery.sending(target, request, base, look, say)
            self.job.on_sending = lambda id: unfinished.remember(target, Unfinished(id, request["release"], planned))
            ended = self.job.run()
        except InfraError as error:
            line = f"refused on {target.host}, nothing touched: {error}"
            ended = {"outcome": "refused", "code": REFUSED, "line": line}
        if self.job and self.job.is_sent and ended["outcome"] != "unknown" and not self.is_interrupted:
            unfinished.forget(target)
        return ended

    def on_interrupt(self) -> str:
        if not (self.job and self.job.is_sent):
            return ""
        self.is_interrupted = True
        return f"interrupted: the release on {self.host} comes to its end first; Ctrl-C once more leaves it to the host"

    def after_interrupt(self, ended: Ended) -> str:
        if ended.code:
            return f"{ended.line} (interrupted)"
        return f"{ended.line}. Pulumi was interrupted and counts it as failed; the next pulumi up takes it as it is"

    def left(self) -> str:
        if self.job and self.job.is_sent:
            return (
                f"interrupted on {self.host}: job {self.job.id} goes on there and ends applied or rolled back; the "
                "next pulumi up follows it and says how it ended, and so does infra releases"
            )
        return f"refused on {self.host or 'the host'}, nothing touched: interrupted before anything was sent"


def settled(target: Target, planned: str | None, look: Look, say: Say) -> str | None:
    """The release that this update is planned from, once a job that an interrupted update left has ended."""
    left = unfinished.remembered(target)
    if left is None:
        return planned
    say(f"an interrupted update left job {left.id} on {target.host}: following it to its end")
    try:
        ended = delivery.following(target, left.id, look, say).run()
        say(f"job {left.id}: {ended['line']}")
        current = ask(target, "releases").get("current")
    except InfraError:
        # What is wrong with the host is said by what is sent next
        return planned
    # It was planned from what Pulumi knows, and was ours: no other update lies between
    return left.release if planned == left.base and current == left.release else planned


if __name__ == "__main__":
    run(Delivery())
