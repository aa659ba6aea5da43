"""Data of systems goes to the host that is to serve: copied while the old host serves, then the last of it while
neither does. At no time do two hosts write; what is interrupted before the old host has given its data away leaves it
serving.

1. copy, again and again, until little is left;  2. the old host stops what writes, under a lease (agent/moving.py);
3. the rest, compared by checksum;  4. the new host puts it in its place (agent/arriving.py);  5. the old host gives it
away for good;  6. the new host starts on it. A failure before 5, or of 6, starts the old host again.
"""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from agent.documents.moves import (
    DescribeAnswer,
    MoveRecord,
    MovingData,
    PrepareAnswer,
    PreparePayload,
    ReadyPayload,
    StartAnswer,
    StartPayload,
)
from agent.quoting import count
from infra import remote
from infra.errors import InfraError
from infra.move.copies import Copy, Declined, Host, MiB, id_map_options
from infra.ssh import Target
from infra.traffic import ask_traffic
from rendering.requests import DataRequest

ROUNDS = 4  # copies while the old host serves, at most
LITTLE = 20.0  # seconds that a copy takes when the rest is little
RENEW = 5.0  # seconds
IN_USE = "moved and in use"  # what the line of a handover has: a report quotes it
LEASE_OVER = 45.0  # seconds until a hold that nothing renews has ended
ASKS = 12  # times that a host is asked what became of a commit
# 23 and 24: files that changed or went while they were read
LIVE, STILL = (0, 23, 24), (0,)
# Set from the moment that the old host stops: what is interrupted then comes to its end first
handing_over = threading.Event()

Say = Callable[[str], None]


class DataResult(TypedDict):
    """How many bytes moved, for how many seconds their services were stopped, and how many requests the old host
    answered with an error meanwhile; None where it does not say."""

    bytes: int
    seconds: float
    failed: NotRequired[int | None]


def run(request: DataRequest, say: Say) -> DataResult:
    """`entry`, as in rendering/moving.py, to `target` from `source` or wherever `others` (region → target) say that
    they went. Safe to repeat: what is here stays here."""
    here = Host(Target(**request["target"]), request["region"], request["program"])
    others = {
        region: Host(Target(**target), region, request["program"]) for region, target in request["others"].items()
    }
    traffic = request.get("traffic", "")
    return Moving(request["entry"], here, others, request["source"], say, traffic).run()


@dataclass
class Moving:
    """The data of a host's systems, on its way `here`, as a whole."""

    entry: MovingData
    here: Host
    others: dict[str, Host]
    source: str
    say: Say
    traffic: str = ""

    @property
    def name(self) -> str:
        """Of the records on both hosts."""
        return self.entry["name"]

    @property
    def what(self) -> str:
        """For people: the systems."""
        return self.entry["what"]

    def run(self) -> DataResult:
        at_home = self._settle_attempt()
        home = self._home(at_home)
        if home is None:
            self.say(f"{self.what}: its data is already here")
            return {"bytes": 0, "seconds": 0.0}
        there = self._describe_data(home)
        if at_home["away"] and there["arriving"] and there["arriving"]["id"] == at_home["away"]["id"]:
            # A move there was given up between its last two messages: nothing has run on it there
            self._return_data(home, at_home["away"]["id"])
            return {"bytes": 0, "seconds": 0.0}
        end = time.monotonic() + LEASE_OVER
        while there["held"] and time.monotonic() < end:
            # An earlier run was killed: its lease ends by itself
            time.sleep(1)
            there = self._describe_data(home)
        if not there["bytes"]:
            self.say(f"{self.what}: {home} has no data for it")
            return {"bytes": 0, "seconds": 0.0}
        self._demand_rsync(home, there, at_home)
        return self._move_data(home, there, at_home)

    def _return_data(self, home: Host, id: str) -> None:
        self._undo(home, id)
        self.here.do("lift", self.name, id=id)
        self.say(f"{self.what}: {home} had not started on the data, which is used here again")

    def _describe_data(self, host: Host) -> DescribeAnswer:
        return host.do("describe", self.name, paths=self.entry["paths"], owners=self.entry["owners"])

    def _in_another_move(self, records: dict[str, MoveRecord | None]) -> MoveRecord | None:
        """The record of a move by another name that gave data of these units away; None where there is none."""
        others = (record for name, record in sorted(records.items()) if record and name != f"{self.name}.json")
        return next((record for record in others if {*record["units"]} & {*self.entry["units"]}), None)

    def _settle_attempt(self) -> DescribeAnswer:
        """How it is here, once an earlier attempt that broke off is finished, or undone."""
        status = self._describe_data(self.here)
        arrival = status["arriving"]
        if not arrival or arrival.get("system") != self.name:
            return status
        giver = self._other(arrival["region"])
        there = self._describe_data(giver)
        if there["away"] and there["away"]["id"] == arrival["id"]:
            self.say(f"{self.what}: {giver} had handed its data over when an earlier attempt ended: starting it here")
            handing_over.set()
            try:
                self._start(giver, arrival["id"], there)
            finally:
                handing_over.clear()
        else:
            self._undo(self.here, arrival["id"])
        return self._describe_data(self.here)

    def _home(self, at_home: DescribeAnswer) -> Host | None:
        """The host that has the data; None where that is this one."""
        away, source_region = at_home["away"], self.source if self.source in self.others else ""
        # Whom it was given to may have given it on since, and be gone
        region = source_region if not away or (source_region and away["region"] not in self.others) else away["region"]
        regions: list[str] = []
        while region and region not in regions:
            home = self._other(region)
            status = self._describe_data(home)
            away = status["away"]
            if not away and (record := self._in_another_move(status["records"])):
                place = f"{record['to']} in {record['region']} at {record.get('at', '?')}"
                raise InfraError(
                    f"{home} handed data of {self.what} over to {place} "
                    f"in another move: bring it back with that move first. The copy on {home} is older"
                )
            if not away or (status["arriving"] and status["arriving"]["id"] == away["id"]):
                return home
            if away["region"] == self.here.region:
                return self._holder_after_handover(home, away, at_home)
            regions.append(region)
            region = away["region"]
        if not region:
            return None
        raise InfraError(f"the data of {self.what}: {', '.join(regions)} each report that another host has it")

    def _holder_after_handover(self, home: Host, away: MoveRecord, at_home: DescribeAnswer) -> Host | None:
        """Of a host that has given its data to this one: whether it came, or went back."""
        arrival = at_home["taken"]
        if arrival and arrival["id"] == away["id"] and not arrival.get("undone"):
            return None
        if arrival and arrival["id"] == away["id"]:
            # It did not run here, and the answer was lost
            home.do("lift", self.name, id=away["id"])
            return home
        raise InfraError(
            f"{home} handed the data of {self.what} over to {away['to']} in {away['region']} at "
            f"{away.get('at', '?')}, but the present host there does not have it. If the earlier host is lost, {home} "
            f"still has its own copy from that time: to use it, run `sudo rm /etc/infra/away/{self.name}.json` on "
            f"{home}, then run this again"
        )

    def _other(self, region: str) -> Host:
        if region not in self.others:
            raise InfraError(
                f"the data of {self.what} is in {region}, where the stack no longer has host {self.here.target.host}. "
                "infra:moveData false serves without the data; infra backup restore restores it from a backup"
            )
        return self.others[region]

    def _demand_rsync(self, home: Host, there: DescribeAnswer, at_home: DescribeAnswer) -> None:
        for host, status in ((home, there), (self.here, at_home)):
            if not status["rsync"]:
                raise InfraError(
                    f"{host} has no rsync, which the data is copied with: run sudo apt-get install rsync there, then "
                    "run again"
                )

    def _move_data(self, home: Host, there: DescribeAnswer, at_home: DescribeAnswer) -> DataResult:
        id = uuid.uuid4().hex[:12]
        # Nothing that a host names besides is put anywhere
        sizes = {path: there["bytes"][path] for path in self.entry["paths"] if path in there["bytes"]}
        shared, size = list(sizes), sum(sizes.values())
        home.do("share", self.name, paths=shared, program=home.program)
        request: PreparePayload = {
            "system": self.name, "volumes": self.entry["volumes"], "bytes": sizes, "what": self.what,
        }  # fmt: skip
        answer: PrepareAnswer = self._ask_at(self.here, "prepare", request)
        places = {path: answer["places"][path] for path in shared}
        copy = Copy(self.name, self.what, home, self.here, shared, places, id_map_options(there, at_home), self.say)
        self.say(f"{self.what}: {size / MiB:.0f} MiB from {home}, which serves meanwhile")
        for number in range(1, ROUNDS + 1):
            began = time.monotonic()
            copy.run(f"copy {number}", LIVE)
            if time.monotonic() - began < LITTLE:
                break
        handing_over.set()
        try:
            return self._hand_over(there, id, copy, size)
        finally:
            handing_over.clear()

    def _hand_over(self, there: DescribeAnswer, id: str, copy: Copy, size: int) -> DataResult:
        home, began = copy.home, time.monotonic()
        self.say(f"{self.what}: {home} stops the services that write")
        with self._keep_renewing(home, id):
            try:
                home.do(
                    "hold", self.name, id=id, units=self.entry["units"], paths=copy.paths,
                    to=self.here.target.host, region=self.here.region, what=self.what,
                )  # fmt: skip
                copy.run("the rest, by checksum", STILL, "--checksum")
                request: ReadyPayload = {
                    "system": self.name, "id": id, "places": copy.places, "from": home.target.host,
                    "region": home.region, "what": self.what, "units": self.entry["units"],
                }  # fmt: skip
                self._ask_at(self.here, "ready", request)
            except InfraError as error:
                # Nothing starts here before the old host has given its data away
                raise InfraError(f"{error}; {self._take_back(home, id)}") from None
            self._commit(home, id)
        self._start(home, id, there)
        seconds = time.monotonic() - began
        failed = self._count_failed(home, began)
        errors = "an unknown number of requests" if failed is None else count(failed, "request")
        self.say(
            f"{self.what}: {size / MiB:.0f} MiB {IN_USE}; stopped for {seconds:.1f} s, in which {errors} got an error"
        )
        return {"bytes": size, "seconds": round(seconds, 1), "failed": failed}

    def _count_failed(self, home: Host, began: float) -> int | None:
        """By the log of its proxy, to which the names still point. Other systems' errors of that time are among
        them."""
        traffic = ask_traffic(home.target, self.traffic, 0.0, began) if self.traffic else None
        return traffic["failed"] if traffic else None

    def _commit(self, home: Host, id: str) -> None:
        """Raises InfraError: the data stays with the old host, or that is not known."""
        is_gone = False
        for remaining in reversed(range(ASKS)):
            try:
                is_gone = home.do("commit", self.name, id=id)["gone"]
                break
            except Declined as error:
                raise InfraError(f"{error}; {self._take_back(home, id)}") from None
            except InfraError as error:
                if not remaining:
                    raise InfraError(
                        f"{error}. Whether {home} has handed the data of {self.what} over is unknown, so nothing is "
                        f"started here: run again once {home} answers"
                    ) from None
                time.sleep(RENEW)
        if not is_gone:
            why = f"{home} had started its services again before the data was in place here"
            raise InfraError(f"{why}; {self._take_back(home, id)}")

    def _take_back(self, home: Host, id: str) -> str:
        """What becomes of the old host, which has given nothing away, as far as is known."""
        outcome = f"{home} still serves {self.what}"
        try:
            # First: nothing starts here that is not asked to
            home.do("lift", self.name, id=id)
        except InfraError:
            outcome = f"{home} starts {self.what} again by itself within {LEASE_OVER:.0f} s"
        with contextlib.suppress(InfraError):
            self._undo(self.here, id)
        return outcome

    def _start(self, home: Host, id: str, there: DescribeAnswer) -> None:
        """Raises InfraError; the old host has its data again then, where it is certain that nothing writes here."""
        request: StartPayload = {
            "system": self.name, "id": id, "services": self.entry["services"], "done": there["steps"],
            "what": self.what,
        }  # fmt: skip
        handed_over = f"{home} has handed the data of {self.what} over"
        try:
            answer: StartAnswer = self._ask_at(self.here, "start", request)
        except InfraError as error:
            raise InfraError(f"{error}. {handed_over}, and whether it runs here is unknown: run again") from None
        if answer["started"]:
            if aside := answer.get("aside"):
                self.say(f"{self.what}: the replaced data of {self.here} is kept at {', '.join(aside)}")
            return
        why = answer.get("why", "it did not start")
        if not answer.get("off"):
            raise InfraError(
                f"{why}. {handed_over}, and does not start it again while it may be running here: run again"
            )
        home.do("lift", self.name, id=id)
        raise InfraError(f"{why}; {home} still serves {self.what}")

    @contextlib.contextmanager
    def _keep_renewing(self, home: Host, id: str) -> Generator[None]:
        over = threading.Event()

        def renew() -> None:
            while not over.wait(RENEW):
                # One that does not answer says so where it is asked for more
                with contextlib.suppress(InfraError):
                    home.do("renew", self.name, id=id)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _undo(self, host: Host, id: str) -> None:
        """A host takes its earlier data again, in place of what arrived in this move."""
        self._ask_at(host, "undo", {"system": self.name, "id": id})

    def _ask_at(self, host: Host, what: str, payload: Mapping[str, Any]) -> Any:
        """The answer of agent/arriving.py."""
        return remote.ask(host.target, f"arrive-{what}", payload)
