"""Copies of data directories from one host to another, by rsync on both."""

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, overload

from agent.documents.moves import (
    CommitAnswer,
    DescribeAnswer,
    HoldAnswer,
    LiftAnswer,
    RenewAnswer,
    ShareAnswer,
)
from infra import remote
from infra.answers import MovingEvent, checked_moving
from infra.errors import InfraError
from infra.foreign import clean, one_line
from infra.host_pipe import Side, join
from infra.ssh import ConnectionLost, Target, connect

MiB = 1024**2
SIGN = 10.0  # seconds between two lines
# rsync's way to its server: the command's own input (8) and output (9). Whichever side ends first ends both
BRIDGE = (
    'trap "exit 0" TERM; exec 7<&0; (cat <&7 >&9; kill $$) 2>&- & (exec 9>&-; cat <&8; kill $$) 2>&- & '
    "exec 7<&- 8<&- 9>&-; wait"
)

Say = Callable[[str], None]


class Declined(InfraError):
    """The host's own answer that it did not do it: what it says is certain."""


@dataclass
class Host:
    """One side of a move."""

    target: Target
    region: str
    program: str

    def __str__(self) -> str:
        # Of a system that goes from host to host it names the host
        return self.region.rstrip("@") if "@" in self.region else f"{self.target.host} in {self.region}"

    @overload
    def do(self, verb: Literal["describe"], system: str, **more: Any) -> DescribeAnswer: ...
    @overload
    def do(self, verb: Literal["share"], system: str, **more: Any) -> ShareAnswer: ...
    @overload
    def do(self, verb: Literal["hold"], system: str, **more: Any) -> HoldAnswer: ...
    @overload
    def do(self, verb: Literal["renew"], system: str, **more: Any) -> RenewAnswer: ...
    @overload
    def do(self, verb: Literal["commit"], system: str, **more: Any) -> CommitAnswer: ...
    @overload
    def do(self, verb: Literal["lift"], system: str, **more: Any) -> LiftAnswer: ...
    def do(self, verb: str, system: str, **more: Any) -> Any:
        """The answer of agent/moving.py. Raises InfraError."""
        payload = {"do": verb, "system": system, **more}
        answer: MovingEvent = {}
        with connect(self.target) as transport:
            for event in remote.run_program(transport, self.target, f"{self.program}\n\nmain(payload)\n", payload):
                answer = checked_moving(verb, clean(event), str(self.target)) or answer
        if "failed" in answer:
            raise Declined(f"{self}: {answer['failed']}")
        if "done" not in answer:
            raise ConnectionLost(f"{self}: it ended before finishing {verb}")
        return answer["done"]


@dataclass
class Copy:
    """The directories of `what` (for people), one after the other; `name` is that of the hosts' records, `places` where
    each comes to, `owners` rsync's options of accounts with other numbers."""

    name: str
    what: str
    home: Host
    here: Host
    paths: list[str]
    places: dict[str, str]
    owners: list[str]
    say: Say

    def run(self, which: str, good: tuple[int, ...], *options: str) -> None:
        """Raises InfraError."""
        last_report = [time.monotonic()]
        with connect(self.home.target) as giver, connect(self.here.target) as taker:
            for number, path in enumerate(self.paths):

                def report_progress(total: int, path: str = path) -> None:
                    if time.monotonic() - last_report[0] > SIGN:
                        last_report[0] = time.monotonic()
                        self.say(f"{self.what}: {which}: {total / MiB:.0f} MiB of {path} so far")

                config = f"/run/infra/moving/{self.name}/rsyncd.conf"
                give = Side(giver, self.home.target, ["rsync", "--server", "--daemon", f"--config={config}", "."])
                of_volume = path.startswith("/var/lib/docker/volumes/")
                take = Side(
                    taker, self.here.target,
                    taking(number, self.places[path], [*options, *([] if of_volume else self.owners)]),
                )  # fmt: skip
                exchange = join(give, take, report_progress)
                if exchange.codes[1] not in good:
                    words = exchange.words[1] or exchange.words[0] or f"it ended with {exchange.codes[1]}"
                    raise InfraError(
                        f"{path} of {self.what} could not be copied from {self.home}: rsync: {one_line(words)}"
                    )


def taking(number: int, place: str, options: list[str]) -> list[str]:
    """rsync as a client whose server is at the other end of its own standard input and output."""
    words = [
        "rsync", "--archive", "--hard-links", "--acls", "--xattrs", "--sparse", "--numeric-ids", "--delete",
        "--compress", "--partial-dir=.infra-partial", "--modify-window=-1", "--timeout=240", "--blocking-io", *options,
        f"--rsh=sh -c '{BRIDGE}' x", f"host::p{number}/", f"{place}/",
    ]  # fmt: skip
    return ["sh", "-c", f"exec 8<&0 9>&1 </dev/null >&2; exec {shlex.join(words)}"]


def id_map_options(there: DescribeAnswer, here: DescribeAnswer) -> list[str]:
    """What gives accounts' files to the accounts of the same names, whose numbers can be others."""
    options: list[str] = []
    kinds = [("--usermap", there["users"], here["users"]), ("--groupmap", there["groups"], here["groups"])]
    for option, numbers_there, numbers_here in kinds:
        pairs = [
            f"{number}:{numbers_here[name]}"
            for name, number in sorted(numbers_there.items())
            if name in numbers_here and numbers_here[name] != number
        ]
        options += [f"{option}={','.join(pairs)}"] if pairs else []
    return options
