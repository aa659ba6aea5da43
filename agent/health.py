"""Are the services healthy: each on its own port, and through the proxy under its public name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import TypeVar
from urllib.parse import urlsplit

from agent import checks, managers, quoting, units
from agent.documents.manifest import AimedProbe, Manifest
from agent.outcome import Failed
from agent.world import World

Entry = TypeVar("Entry")
INTERVAL = 1.0
REMINDER = 30.0
STOPPED = "/run/infra/stopped"  # flags of agent/pressure.py
AT_ONCE = 8
ANOTHERS, NOT_ASKED = -1, -2
# Seconds between looks at whether a service ends again and again; how often in all, and with nothing else to come
LOOK, ENDS, AFTER = 5.0, 5, 2


@dataclass(frozen=True)
class Patience:
    """How long services may take to become healthy: `deadline` seconds. Every REMINDER seconds `say` gets what is still
    waited for. Of logs only what came `since` then counts (seconds since 1970): else an earlier release's words would
    be taken for the reason."""

    deadline: float
    since: float = 0.0
    say: Callable[[str], None] = lambda line: None

    @classmethod
    def of(cls, manifest: Manifest, since: float = 0.0, say: Callable[[str], None] = lambda line: None) -> Patience:
        """That of a release."""
        return cls(float(manifest["health"]["deadline"]), since, say)


def once(world: World, probes: list[AimedProbe], end: float = inf) -> dict[str, int]:
    """Service → status, each asked one time; no entry for one whose turn did not come until `end`, by World.now."""
    statuses = ask_until(world, probes, lambda probe: status(world, probe), end)
    return {probe["service"]: answer for probe, answer in statuses}


def ask_until(
    world: World, entries: Sequence[Entry], ask: Callable[[Entry], int], end: float
) -> list[tuple[Entry, int]]:
    """Each with its answer, several asked at a time; without those whose turn does not come until `end`."""

    def in_time(entry: Entry) -> int | None:
        return ask(entry) if world.now() <= end else None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        pairs = zip(entries, pool.map(in_time, entries))
        return [(entry, answer) for entry, answer in pairs if answer is not None]


def wait(world: World, probes: list[AimedProbe], successes: dict[str, int], patience: Patience) -> dict[str, int]:
    """Service → 200, once each has answered 200 as many times in a row as `successes` says (1 where it says nothing).

    Raises Failed naming every service that does not get there in time; earlier where all that are left end again and
    again, or are started no more, and nothing else is to come that they could wait for.
    """
    deadline = patience.deadline
    end, remind_at = world.now() + deadline, world.now() + REMINDER
    waiting = {probe["service"]: probe for probe in probes}
    rows = dict.fromkeys(waiting, 0)
    statuses = dict.fromkeys(waiting, NOT_ASKED)
    hopeless = _Hopeless(world)
    while True:
        new_statuses = _own_statuses(world, list(waiting.values()), end)
        statuses |= new_statuses
        for name in [name for name in waiting if name in new_statuses]:
            rows[name] = rows[name] + 1 if statuses[name] == 200 else 0
            if rows[name] >= successes.get(name, 1):
                del waiting[name]
        if not waiting:
            return statuses
        if world.now() >= end or hopeless.are(list(waiting.values()), statuses):
            each, late = quoting.REASON // len(waiting), f" within {deadline:.0f} s" if world.now() >= end else ""
            complaints: list[str] = []
            for name, probe in waiting.items():
                fault = f"{_describe_status(world, probe, statuses[name])}{late or hopeless.why(name)}"
                complaints.append(_complaint(world, probe, fault, each, patience.since))
            raise Failed("; ".join(complaints))
        if world.now() >= remind_at:
            remind_at = world.now() + REMINDER
            patience.say(_reminder({name: statuses[name] for name in waiting}, end - world.now()))
        world.sleep(INTERVAL)


class _Hopeless:
    """Services that only end and start again. While others come up one may wait for them: what counts is how it goes on
    once all others are healthy."""

    def __init__(self, world: World) -> None:
        self._world, self._next = world, world.now() + LOOK
        self._alone: dict[str, int] = {}
        self._ends: dict[str, int] = {}

    def are(self, waiting: list[AimedProbe], statuses: dict[str, int]) -> bool:
        """Is none of these going to be healthy."""
        if self._world.now() < self._next:
            return False
        self._next = self._world.now() + LOOK
        if any(statuses[probe["service"]] == 200 for probe in waiting):
            return False
        self._ends = ends = {probe["service"]: units.ends(self._world, probe["unit"]) for probe in waiting}
        if {*self._alone} != {*ends}:
            self._alone = ends
        again = (ends[name] - self._alone[name] >= AFTER or ends[name] >= units.GIVEN_UP for name in ends)
        return all(number >= ENDS for number in ends.values()) and all(again)

    def why(self, service: str) -> str:
        ends = self._ends[service]
        return ", and was not restarted" if ends >= units.GIVEN_UP else f", and ended {ends} times"


def _reminder(waiting: dict[str, int], seconds: float) -> str:
    answers = {ANOTHERS: "another program answers", NOT_ASKED: "not asked yet", 0: "no answer"}
    names = [f"{name} ({answers.get(code, code)})" for name, code in sorted(waiting.items())]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"still unhealthy, {seconds:.0f} s left: {', '.join(names[:3])}{more}"


def _own_statuses(world: World, probes: list[AimedProbe], end: float = inf) -> dict[str, int]:
    """As `once`; ANOTHERS for an answer at the port of a service whose unit is not active: it is another program's."""
    statuses = once(world, probes, end)
    answering = [probe for probe in probes if probe["url"] and statuses.get(probe["service"]) == 200]
    active = units.active(world, [probe["unit"] for probe in answering])
    return statuses | {probe["service"]: ANOTHERS for probe in answering if not active[probe["unit"]]}


def confirm(world: World, probes: list[AimedProbe], since: float) -> None:
    """The last look before a release is final; `since` as in Patience. Raises Failed naming who was healthy and is not
    any more."""
    statuses = _own_statuses(world, probes)
    if strangers := _strangers(world, probes):
        raise Failed("; ".join(strangers))
    unhealthy = [probe for probe in probes if statuses[probe["service"]] != 200]
    if unhealthy:
        each = quoting.REASON // len(unhealthy) - len(", after it had been healthy; ")
        complaints = [
            _complaint(world, probe, _describe_status(world, probe, statuses[probe["service"]]), each, since)
            for probe in unhealthy
        ]
        raise Failed("; ".join(f"{complaint}, after it had been healthy" for complaint in complaints))


def faults(world: World, probes: list[AimedProbe]) -> list[str]:
    """What is wrong with services that run and are not asked by HTTP, each in a few words."""
    own_probes = [(probe, url) for probe in probes if (url := probe["url"]) and not url.startswith("http")]
    active = units.active(world, [probe["unit"] for probe, _ in own_probes])
    faults_by_service = [
        (probe["service"], checks.fault(world, url)) for probe, url in own_probes if active[probe["unit"]]
    ]
    return [f"{service} {fault}" for service, fault in faults_by_service if fault]


def _strangers(world: World, probes: list[AimedProbe]) -> list[str]:
    """Services at whose port another container answers, although their own unit is active."""
    own = [(probe, url) for probe in probes if (url := probe["url"]) and checks.port_of(url) and probe.get("container")]
    if not own:
        return []
    ran = world.run("docker", "ps", "--format", "{{.Names}} {{.Ports}}", timeout=30)
    if ran.code:
        return [f"the ports of the containers are unknown: docker ps: {ran.last_lines(1)}"]
    published: dict[int, set[str]] = {}
    for name, _, ports in (line.partition(" ") for line in ran.output.splitlines()):
        # At another address, or over UDP, it is no service's of ours
        for first, last in re.findall(r"(?:0\.0\.0\.0|127\.0\.0\.1|\[::\]|::):(\d+)(?:-(\d+))?->[\d-]+/tcp", ports):
            for port in range(int(first), int(last or first) + 1):
                published.setdefault(port, set()).add(name)
    return [
        f"{probe['service']}: the container {', '.join(sorted(names))} has its port instead of {probe['container']}"
        for probe, url in own
        if (names := published.get(checks.port_of(url))) and probe["container"] not in names
    ]


def status(world: World, probe: AimedProbe) -> int:
    """200 when both ways answer 200, else the first other status (0: no answer). A unit without a port is asked for
    by its state."""
    if probe["url"] is None:
        return 200 if units.is_healthy(world, probe["unit"]) else 0
    own = checks.status(world, probe["url"])
    if own != 200 or not probe["public"]:
        return own
    return public_status(world, probe["public"])


def public_status(world: World, url: str) -> int:
    """Status of a public address, asked of this host's own proxy."""
    public = urlsplit(url)
    query = f"?{public.query}" if public.query else ""
    return world.status_of(f"https://127.0.0.1{public.path}{query}", name=public.hostname)


def _complaint(world: World, probe: AimedProbe, fault: str, limit: int, since: float) -> str:
    """At most `limit` bytes about one service, its fault and its log, so that none goes missing behind another one's
    log."""
    service = probe["service"]
    head, begin = f"{service} {fault}", "; its log ends: "
    words = managers.last_words(world, probe["unit"], 20, since)
    log = words.last_lines(5, max(0, limit - quoting.size(head + begin) - 2), service)
    return quoting.cut(f"{head}{begin}{log}" if log else f"{head}; its log is empty", limit - 2, service)


def _describe_status(world: World, probe: AimedProbe, code: int) -> str:
    if world.exists(f"{STOPPED}/{probe['service']}"):
        return "was stopped to free memory"
    if probe["url"] is None:
        return f"({probe['unit']}) " + ("did not keep running" if code == 200 else units.why_not(world, probe["unit"]))
    if code == ANOTHERS:
        return f"({probe['unit']}) {units.why_not(world, probe['unit'])}; another program answers at {probe['url']}"
    if code == NOT_ASKED:
        return f"({probe['unit']}) was not checked in time: the other checks took all of it"
    if code == 0 and (fault := checks.fault(world, probe["url"])):
        return f"({probe['unit']}) {fault}"
    how = {0: "did not answer", 200: "did not answer 200 often enough in succession"}.get(code, f"answered {code}")
    return f"{how} at {probe['url']}"
