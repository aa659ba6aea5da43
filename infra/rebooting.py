"""Hosts are rebooted one at a time; the next one only when all services of the last are healthy again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.documents.answers import Status
from agent.lock import LOCK
from agent.transaction import TRANSACTION
from catalogue.loading import Catalogue
from catalogue.parts import release_order
from catalogue.stack import Stack
from infra import draining, remote, unlocking
from infra.errors import InfraError
from infra.foreign import clean, one_line
from infra.ssh import ConnectionLost, NeverConnects, Target, connect

PROGRAM = Path(__file__).with_name("reboot_on_host.py").read_text(encoding="utf-8")
COMMAND = ["systemctl", "--no-block", "reboot"]
PAUSE = 5.0  # seconds between two looks
ROW = 2  # looks in a row that must see every service healthy
Say = Callable[[str], None]


@dataclass(frozen=True)
class Boot:
    """Which boot a host is in (`id`), and why it was not rebooted (`refusal`), "" where it was, or was not asked to."""

    id: str
    refusal: str


def choose(stack: Stack, names: Sequence[str], host: str | None, rolling: bool) -> list[str]:
    """The hosts in their order: what stands by first, then each before the hosts that call it. Raises InfraError."""
    if host is not None:
        if host not in names:
            raise InfraError(f"stack {stack.name} has no host {host!r}; hosts: {', '.join(sorted(names))}")
        return [host]
    if len(names) > 1 and not rolling:
        raise InfraError(
            f"stack {stack.name} has {len(names)} hosts ({', '.join(sorted(names))}): name one, or add --rolling to "
            "reboot them one after the other"
        )
    standby = sorted(name for name in names if "@" in name)
    return [*standby, *(name for name in release_order(stack) if name in names)]


def demand_unlocked(stack: Stack, say: Say) -> None:
    """Raises InfraError while an update, which may be a move, holds the stack."""
    if why := why_locked(stack, say):
        raise InfraError(f"nothing was rebooted: {why}")


def why_locked(stack: Stack, say: Say) -> str:
    """Whose update holds the stack, and what to do; "" where none does."""
    try:
        return unlocking.explain(stack.name)
    except InfraError as error:
        # Each host's own lock still refuses during a release
        say(f"whether an update holds the stack is unknown: {error}")
        return ""


def question(catalogue: Catalogue, names: Sequence[str], statuses: dict[str, Status]) -> str:
    """What is asked before anything is done."""
    stack = catalogue.stack
    on_hosts = [name for name in names if "@" not in name]
    sites = [stack.public_name(s.name) for name in on_hosts for one in catalogue.systems_on(name) for s in one.sites]
    away = f"; meanwhile {', '.join(sites)} will not answer" if sites else ""
    unhealthy = [
        f"{service} on {name}" for name in names for service, code in statuses[name]["services"].items() if code != 200
    ]
    now = f"; unhealthy now: {', '.join(unhealthy)}" if unhealthy else ""
    order = f"{', '.join(names)}, one after the other" if len(names) > 1 else names[0]
    return f"reboot {order}{away}{now}?"


def look(targets: dict[str, Target]) -> dict[str, Status]:
    """Each host's status before anything is done. Raises InfraError for one that does not answer, has no release, or
    where a job is running."""
    statuses: dict[str, Status] = {}
    for name, target in targets.items():
        status = remote.ask(target, "status")
        why = _why_not_now(status)
        if why:
            raise InfraError(f"nothing was rebooted: {name}: {why}")
        statuses[name] = status
    return statuses


def _why_not_now(status: Status) -> str:
    if status["release"] is None:
        return "it has no release yet"
    if status["holder"]:
        return f"another job is running on this host: {status['holder']}"
    return "an interrupted release is not settled: pulumi up first" if status["unfinished"] else ""


def boot_of(target: Target, reboot: bool = False) -> Boot:
    """Asks a host, and reboots it where that is asked for. Raises InfraError."""
    payload: dict[str, object] = {"reboot": reboot, "lock": LOCK, "transaction": TRANSACTION, "command": COMMAND}
    event: dict[str, object] = {}
    try:
        with connect(target) as transport:
            for answer in remote.run_program(transport, target, PROGRAM, payload):
                event = clean(answer) or event
    except ConnectionLost:
        # The host may end the connection before the program has ended
        if not event.get("rebooting"):
            raise
    if not isinstance(event.get("boot"), str):
        raise InfraError(f"{target}: it did not say which boot it is in")
    refusal = event.get("refused")
    return Boot(str(event["boot"]), one_line(str(refusal)) if refusal else "")


def reboot_each(catalogue: Catalogue, targets: dict[str, Target], statuses: dict[str, Status], say: Say) -> None:
    """Reboots hosts in this order; `statuses` are those before. What a group runs on one of them runs elsewhere first.
    Raises InfraError at the first that is not healthy again, which names it and those that were not rebooted."""
    stack = catalogue.stack
    names = [*targets]
    for number, name in enumerate(names):
        rest = names[number + 1 :]
        left_out = f"; not rebooted: {', '.join(rest)}" if rest else ""
        try:
            # An update may have begun since the question was answered, or during the last host's reboot
            if why := why_locked(stack, say):
                raise InfraError(f"{name} was not rebooted: {why}")
            with draining.drain(catalogue, name, say):
                say(reboot_one(stack, targets[name], [*statuses[name]["services"]], say))
        except InfraError as error:
            raise InfraError(f"{error}{left_out}") from None


def reboot_one(stack: Stack, target: Target, services: Sequence[str], say: Say) -> str:
    """Reboots a host and waits until all is healthy there, the `services` that ran before included. Raises
    InfraError."""
    began = time.monotonic()
    before = boot_of(target)
    if refusal := boot_of(target, reboot=True).refusal:
        raise InfraError(f"{target.host} was not rebooted: {refusal}")
    say(f"{target.host} reboots")
    _wait_for_boot(target, before, stack.readyTimeout)
    say(f"{target.host} is up after {time.monotonic() - began:.0f} s: waiting for its services")
    count = _wait_for_health(target, services, stack.healthDeadline)
    return f"{target.host} was rebooted: {count} services healthy after {time.monotonic() - began:.0f} s"


def _wait_for_boot(target: Target, before: Boot, limit: float) -> None:
    end, why = time.monotonic() + limit, "it is still in the same boot"
    while True:
        try:
            if boot_of(target).id != before.id:
                return
        except NeverConnects:
            raise
        except InfraError as error:
            why = str(error)
        if time.monotonic() > end:
            raise InfraError(
                f"{target.host} has not come back within {limit:.0f} s after its reboot (infra:readyTimeout): {why}"
            )
        time.sleep(PAUSE)


def _wait_for_health(target: Target, services: Sequence[str], limit: float) -> int:
    """How many services are healthy, once all are. Raises InfraError naming those that are not in time."""
    end, row, why = time.monotonic() + limit, 0, "it did not answer"
    while True:
        try:
            status = remote.ask(target, "status")
            why = _why_unhealthy(status, services)
            row = 0 if why else row + 1
            if row >= ROW:
                return len(status["services"])
        except NeverConnects:
            raise
        except InfraError as error:
            row, why = 0, str(error)
        if time.monotonic() > end:
            raise InfraError(
                f"{target.host} was rebooted and is not healthy within {limit:.0f} s (infra:healthDeadline): {why}; "
                "infra status and infra logs say more"
            )
        time.sleep(PAUSE)


def _why_unhealthy(status: Status, services: Sequence[str]) -> str:
    if status["unfinished"]:
        return "an interrupted release is being settled there"
    if status["holder"]:
        return f"a job is running on this host: {status['holder']}"
    # One that waits for its turn, such as a single service, is not asked yet
    missing = [f"{name} (not started)" for name in services if name not in status["services"]]
    unhealthy = [f"{name} ({code or 'no answer'})" for name, code in status["services"].items() if code != 200]
    return ", ".join([*missing, *unhealthy])
