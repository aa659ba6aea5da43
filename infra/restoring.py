"""What was changed by hand on a host, put back: the release that serves there is applied again."""

from collections.abc import Callable
from functools import partial
from typing import Any

from catalogue.stack import Stack
from infra import delivery, outside, remote
from infra.releases import SHORT, summarise_paths
from infra.ssh import Target

KEPT = "/var/lib/infra/edited"


def question(host: str, answer: dict[str, Any]) -> str:
    """What is asked before it."""
    paths = [item["path"] for item in answer["drift"]]
    return f"{host}: put back {summarise_paths(paths)}, as release {answer['release'][:SHORT]} has it?"


def restore(stack: Stack, target: Target, answer: dict[str, Any], say: Callable[[str], None]) -> tuple[str, int]:
    """How it ended, and the exit code: 0 when nothing is changed by hand any more. What a release does not bring, such
    as another's drop-in, stays, and is named. Raises InfraError."""
    look = partial(outside.complaint, target.address, stack.trustedRoots)
    ended = delivery.go_back(target, answer["release"], stack.confirmDeadline, look, say)
    if ended["code"]:
        return ended["line"], ended["code"]
    drifted = remote.ask(target, "drift")["drift"]
    if drifted:
        description = "; ".join(f"{item['path']} {item['found']}" for item in drifted)
        return f"{target.host}: still changed, and no file that a release brings: {description}", 2
    name = answer["release"][:SHORT]
    return f"{target.host}: as release {name} left it; what was there is kept below {KEPT} on the host", 0
