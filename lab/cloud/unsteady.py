"""AWS under load, and just after a change: requests that are throttled, resources that are not known everywhere yet,
names that still lead to where they led. At random, from a seed; test equipment, and switched on by a test alone."""

import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.writing import open_for_append
from lab.cloud.faults import ApiRequest

Records = Callable[[], list[dict[str, Any]]]
MAKES = re.compile(r"^(Create|Run|Allocate)")
# In EC2's answers; what it says of one that it does not know yet
IDS = re.compile(rb">((vpc|subnet|sg|igw|rtb|eipalloc|i)-[0-9a-f]+)<")
UNKNOWN = {
    "vpc": "InvalidVpcID.NotFound", "subnet": "InvalidSubnetID.NotFound", "sg": "InvalidGroup.NotFound",
    "igw": "InvalidInternetGatewayID.NotFound", "rtb": "InvalidRouteTableID.NotFound",
    "eipalloc": "InvalidAllocationID.NotFound", "i": "InvalidInstanceID.NotFound",
}  # fmt: skip
NAMES = re.compile(r"(?:^|&)(?:RoleName|InstanceProfileName)=([^&]+)")
MOST = 2  # requests that name a new resource and find none of it
KNOWN_AFTER = 30.0  # seconds until all of AWS knows a new resource: what deletes it later finds it
DNS_DELAY = 5.0  # seconds until a changed record is answered


@dataclass
class Day:
    """The faults of one run: the draws from its seed, and each resource that AWS does not know yet → how many requests
    about it are still refused, and until when at most."""

    text: str
    share: float
    draw: random.Random
    unknown: dict[str, tuple[int, float]] = field(default_factory=dict)


class Unsteady:
    """`file` switches it on: {seed, share}, `share` of all requests being throttled. What it did is a line each in the
    log beside it."""

    def __init__(self, file: Path, records: Records) -> None:
        self.file, self._records = file, records
        self.lock = threading.Lock()
        self.day: Day | None = None
        self.earlier: tuple[float, list[dict[str, Any]]] = (0.0, [])

    def refusal(self, request: ApiRequest) -> tuple[str, str] | None:
        """Code and HTTP status with which a request is refused today; None where it is done."""
        with self.lock:
            day = self._today()
            if day is None:
                return None
            if reason := _refuse_unknown(day, request):
                return self._log(request, reason), "400 Bad Request"
            if day.draw.random() < day.share:
                if request.service == "ec2":
                    return self._log(request, "RequestLimitExceeded"), "503 Service Unavailable"
                return self._log(request, "ThrottlingException"), "400 Bad Request"
            if request.action.startswith("POST") and "/rrset" in request.action:
                self.earlier = (time.monotonic() + DNS_DELAY, self._records())
            return None

    def note_answer(self, request: ApiRequest, answer: bytes) -> bytes:
        """Notes what a request created; returns the answer, as the faults of this run leave it."""
        with self.lock:
            day = self._today()
            if day is None:
                return answer
            if request.service == "route53" and "/change/" in request.action and time.monotonic() < self.earlier[0]:
                return answer.replace(b"INSYNC", b"PENDING")
            if not MAKES.match(request.action):
                return answer
            names = [id.decode() for id, _ in IDS.findall(answer)] if request.service == "ec2" else []
            names += NAMES.findall(request.body) if request.service == "iam" else []
            # What the request of EC2 names too is older
            new = [id for id in names if request.service == "iam" or id not in request.body]
            until = time.monotonic() + KNOWN_AFTER
            day.unknown |= {id: (day.draw.randint(0, MOST), until) for id in new}
            self._log(request, f"made {' '.join(new)}")
            return answer

    def records(self) -> list[dict[str, Any]]:
        """As DNS answers them."""
        until, earlier = self.earlier
        return earlier if time.monotonic() < until and self.file.exists() else self._records()

    def _today(self) -> Day | None:
        try:
            text = self.file.read_text()
        except FileNotFoundError:
            self.day = None
            return None
        if self.day is None or self.day.text != text:
            settings = json.loads(text)
            self.day = Day(text, settings["share"], random.Random(settings["seed"]))
        return self.day

    def _log(self, request: ApiRequest, reason: str) -> str:
        with open_for_append(self.file.with_suffix(".log")) as log:
            log.write(f"{request.service} {request.action} {reason}\n".encode())
        return reason


def _refuse_unknown(day: Day, request: ApiRequest) -> str | None:
    for id, (refusals_left, until) in day.unknown.items():
        # Of a role that is assumed the name is the end of an ARN, encoded
        if refusals_left and time.monotonic() < until and re.search(rf"(=|%2F){re.escape(id)}(&|$)", request.body):
            day.unknown[id] = refusals_left - 1, until
            if request.service == "iam":
                return "NoSuchEntity"
            if request.service == "sts":
                return "AccessDenied"
            return UNKNOWN.get(id.split("-")[0], "InvalidParameterValue")
    return None
