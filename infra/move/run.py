"""The move as one command: look, show, ask, do, verify, report. Interrupted anywhere, the same command goes on."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

from agent import times
from catalogue.loading import Catalogue
from catalogue.shapes import is_mapping
from catalogue.stack import PROJECT
from catalogue.updates import OF_ONE_UPDATE
from infra import locks, names, unlocking
from infra.errors import InfraError
from infra.move.attempts import Attempts
from infra.move.phases import STEPS, Phase, phases
from infra.move.progress import EngineEvent, Progress
from infra.move.report import Latency, Report
from infra.orphans import command as orphans
from infra.paths import config_file, project_root
from infra.pulumi import attempt, preview, pulumi
from rendering.host import render, zone_names

Say = Callable[[str], None]
Ask = Callable[[str], bool]
TRIES = 3
INTERRUPTED = (
    "interrupted: a running release is finished, every other step ends now; Ctrl-C once more ends Pulumi at once"
)
AGAIN = "interrupted again: Pulumi ends at once; a host finishes or rolls back its release by itself"


@dataclass(frozen=True)
class Standing:
    """Where a stack is: `serving` by its last update ("" before the first), `target` by its configuration."""

    serving: str
    target: str
    standby: list[str]

    @property
    def is_under_way(self) -> bool:
        return bool(self.serving) and self.serving != self.target


def standing(catalogue: Catalogue) -> Standing:
    stack = catalogue.stack
    outputs = json.loads(pulumi("stack", "output", "--json", "--stack", stack.name) or "{}")
    return Standing(outputs.get("region", ""), stack.region, outputs.get("standby", []))


def standby_after(now: Standing, region: str, keep: bool) -> list[str]:
    """The regions that stand by once the stack is in `region`."""
    standbys = [*now.standby, *([now.serving] if now.serving else [])] if keep else []
    return [other for other in dict.fromkeys(standbys) if other != region]


# Changes a configuration: gets the words by which Pulumi finds it
Change = Callable[[Sequence[str]], None]


def in_region(region: str, standby: list[str]) -> Change:
    """The stack in a region, with others that stand by."""

    def change(selection: Sequence[str]) -> None:
        pulumi("config", "set", *selection, "aws:region", region)
        attempt("config", "rm", *selection, "--path", f"{PROJECT}:standbyRegions")
        for number, other in enumerate(standby):
            pulumi("config", "set", *selection, "--path", f"{PROJECT}:standbyRegions[{number}]", other)

    return change


def with_machine(host: str, generation: int, type: str, earlier: Mapping[int, str]) -> Change:
    """A host on one of its machines, with earlier ones that are kept (generation → instance type)."""
    place = f'{PROJECT}:hosts["{host}"]'

    def change(selection: Sequence[str]) -> None:
        pulumi("config", "set", *selection, "--path", f"{place}.generation", str(generation))
        pulumi("config", "set", *selection, "--path", f"{place}.instanceType", type)
        attempt("config", "rm", *selection, "--path", f"{place}.kept")
        for position, (number, its_type) in enumerate(sorted(earlier.items())):
            pulumi("config", "set", *selection, "--path", f"{place}.kept[{position}].generation", str(number))
            pulumi("config", "set", *selection, "--path", f"{place}.kept[{position}].instanceType", its_type)

    return change


@contextmanager
def copy_configuration(stack: str, change: Change) -> Generator[Path]:
    """A copy of the stack's configuration as it would be; gone afterwards."""
    real = config_file(stack) or project_root() / f"Pulumi.{stack}.yaml"
    folder = real.parent / f".move-{os.getpid()}"
    folder.mkdir(mode=0o700)
    copy = folder / real.name
    try:
        shutil.copy(real, copy)
        change(("--stack", stack, "--config-file", str(copy)))
        yield copy
    finally:
        shutil.rmtree(folder)


def preview_phases(stack: str, file: Path) -> list[Phase]:
    """The steps that `pulumi up` would take. Raises InfraError with what the program says."""
    return phases(preview("--stack", stack, "--config-file", str(file)).steps)


def plan_lines(steps: list[Phase]) -> list[str]:
    """The steps, and what each touches."""
    lines: list[str] = []
    for number, phase in enumerate(steps, 1):
        names = list(phase.touches)
        text = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        lines.append(f"{number:2}. {phase!s:<32} {phase.what:<12} {STEPS[phase.step]} ({text})")
    return lines


def settle(stack: str, say: Say, ask: Ask) -> None:
    """What an update that was killed left in AWS is taken into the state, or marked there for deletion. Raises
    InfraError."""

    def once() -> tuple[str, str]:
        try:
            orphans.settle(stack, say)
        except InfraError as error:
            return str(error), str(error)
        return "", ""

    reason, locked = unlocking.pass_locks(stack, once, say, ask)
    if reason:
        raise (locks.Locked if locked else InfraError)(f"nothing was touched: {locked or reason}")


@dataclass(frozen=True)
class Options:
    """What `pulumi up` gets beside its stack: further `words` of the command, and variables of its `environment`."""

    words: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


WHOLE = Options()  # an update of all that the stack has


def up(stack: str, planned: list[Phase], say: Say, ask: Ask, options: Options = WHOLE) -> Progress:
    """`pulumi up`, followed step by step; its `reasons` say why it stopped, and are none when it came to its end. A
    lock that a killed one left here holds up nothing; `ask` is asked whether any other lock may be removed."""
    work = partial(_up, stack, planned, say, options)
    progress, locked = unlocking.pass_locks(stack, work, say, ask)
    if locked:
        progress.reasons, progress.is_locked = [locked], True
    return progress


def _up(stack: str, planned: list[Phase], say: Say, options: Options) -> tuple[Progress, str]:
    progress = Progress({(phase.step, phase.region): phase for phase in planned}, say, time.monotonic)
    words = ["--yes", "--skip-preview", "--json", "--non-interactive", "--stack", stack, *options.words]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as complaints,
        _as_interrupts(signal.SIGTERM, signal.SIGHUP),
        _start_process(["pulumi", "up", *words], complaints, options.environment) as process,
    ):
        assert process.stdout
        locks.remember(stack, process.pid)
        interrupted = handed_on = 0
        while True:
            # Another one may come while the first is being handed on
            try:
                while handed_on < interrupted:
                    handed_on += 1
                    process.send_signal(signal.SIGINT)
                    say(INTERRUPTED if handed_on == 1 else AGAIN)
                progress.follow(_events(process.stdout))
                code = process.wait()
                break
            except KeyboardInterrupt:
                interrupted += 1
        complaints.seek(0)
        error_output = complaints.read().strip()
    reported_reasons: list[str] = []
    if code and interrupted:
        progress.reasons = ["interrupted; run the same command again to continue"]
    elif code:
        reported_reasons = list(progress.reasons)
        progress.reasons = (progress.reasons or error_output.splitlines())[:1] or [f"pulumi up ended with {code}"]
    else:
        progress.reasons = []
    return progress, "\n".join([error_output, *reported_reasons])


def _start_process(command: list[str], complaints: IO[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    is_ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if is_ignored:
        # Pulumi would inherit that (`nohup`, a shell's background), and it could not be ended in an orderly way
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            command,
            cwd=project_root(),
            # An update is what it is asked to be, whatever a shell still has
            env={name: text for name, text in os.environ.items() if name not in OF_ONE_UPDATE} | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            # A terminal's Ctrl-C reaches us alone: it is handed on, since a second one would end Pulumi at once
            process_group=0,
        )
    finally:
        if is_ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _as_interrupts(*signals: signal.Signals) -> Generator[None]:
    """These end us as Ctrl-C does, so that Pulumi is not left alone in the middle; but what was ignored when we were
    started (`nohup`) stays so."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    heard = [one for one in signals if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, interrupt) for one in heard}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _events(lines: Iterator[str]) -> Iterator[EngineEvent]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if is_mapping(event):
            yield cast(EngineEvent, event)


def latencies(catalogue: Catalogue) -> dict[str, Latency]:
    """Public name → how far it is from here; none of what does not answer."""
    stack = catalogue.stack
    by_name: dict[str, Latency] = {}
    try:
        servers = names.servers(stack.zone, stack.nameServers, stack.dns.provider)
    except InfraError:
        return {}
    for host in stack.ec2_hosts:
        paths = dict.fromkeys(zone_names(catalogue, host), "/")
        for probe in render(catalogue, host).probes:
            name, _, path = (probe.public or "https:///").removeprefix("https://").partition("/")
            paths |= {name: f"/{path}"} if paths.get(name) == "/" else {}
        for name, path in paths.items():
            try:
                addresses = names.addresses(name, servers[0])
                by_name[name] = _distance(name, addresses[0], path, stack.trustedRoots)
            except (InfraError, OSError, IndexError):
                continue
    return by_name


def _distance(name: str, address: str, path: str, roots: list[str]) -> Latency:
    context = ssl.create_default_context()
    for root in roots:
        context.load_verify_locations(cadata=root)
    opened: list[float] = []
    new: list[float] = []
    for _ in range(TRIES):
        began = time.perf_counter()
        with (
            socket.create_connection((address, 443), 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            since = time.perf_counter()
            secure.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            secure.recv(1)
            opened.append(time.perf_counter() - since)
            new.append(time.perf_counter() - began)
    return Latency(1000 * min(opened), 1000 * min(new))


def finished_steps(progress: Progress) -> list[tuple[str, str, float]]:
    """The steps that came to their end: name, what it did, seconds."""
    return [
        (str(phase), phase.what, timed.seconds)
        for key, timed in progress.times.items()
        if not timed.failed and timed.ended_at and (phase := progress.planned.get(key, Phase(*key)))
    ]


def report_of(catalogue: Catalogue, old: str, region: str, whole: Attempts) -> Report:
    """The report of a move to `region` from the `old` one that has ended, in however many attempts."""
    name = catalogue.stack.name
    outputs = json.loads(pulumi("stack", "output", "--json", "--stack", name))
    return Report(
        name, old or region, region, times.show(whole.began),
        whole.spent, whole.steps, outputs.get("images", {}), whole.before, latencies(catalogue),
        outputs.get("standby", []), gaps=whole.gaps,
    )  # fmt: skip
