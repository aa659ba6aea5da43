"""What was changed by hand on a host, put back: the release that serves there is applied again."""

from collections.abc import Callable
from functools import partial

from agent.documents.answers import Drift
from catalogue.stack import Stack
from infra import delivery, outside, remote
from infra.errors import InfraError
from infra.releases import SHORT, summarise
from infra.ssh import Target

KEPT = "/var/lib/infra/edited"


def question(host: str, answer: Drift) -> str:
    """What is asked before it. Raises InfraError."""
    paths = [item["path"] for item in answer["drift"]]
    return f"{host}: restore {summarise(paths)} from release {_serving(host, answer)[:SHORT]}?"


def _serving(host: str, answer: Drift) -> str:
    if answer["release"] is None:
        raise InfraError(f"{host}: it has no release yet: there is nothing to restore")
    return answer["release"]


def restore(stack: Stack, target: Target, answer: Drift, say: Callable[[str], None]) -> tuple[str, int]:
    """How it ended, and the exit code: 0 when nothing is changed by hand any more. What a release does not bring, such
    as another's drop-in, stays, and is named. Raises InfraError."""
    release = _serving(target.host, answer)
    look = partial(outside.complaint, target.address, stack.trustedRoots)
    outcome = delivery.go_back(target, release, stack.confirmDeadline, look, say)
    if outcome["code"]:
        return outcome["line"], outcome["code"]
    drifted = remote.ask(target, "drift")["drift"]
    if drifted:
        description = "; ".join(f"{item['path']} {item['found']}" for item in drifted)
        return f"{target.host}: still changed, and not part of the release: {description}", 2
    return f"{target.host}: matches release {release[:SHORT]} again; the changed files are kept below {KEPT} there", 0
