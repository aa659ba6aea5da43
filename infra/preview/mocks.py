"""What a program is answered in AWS's and the engine's place: of a machine, a registry, the stack's last update. And
what recording.py, beside which it runs, needs of Pulumi's mocks, as types: theirs say little."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pulumi.runtime.mocks import empty_pb2
    from pulumi.runtime.proto.resource_pb2 import (
        RegisterResourceOutputsRequest,
        RegisterResourceRequest,
        RegisterResourceResponse,
    )

    from infra.preview.documents import StateEntry


Values = dict[str, Any]  # what a provider takes and gives, as each of its functions says


@dataclass(frozen=True)
class KnownFacts:
    """What is known beforehand: `images` as repository → suffix → digest, and the `state` that the last update left."""

    images: dict[str, dict[str, str]]
    state: "dict[str, StateEntry]"


class Call(Protocol):
    """A function of a provider that a program calls (`MockCallArgs`)."""

    token: str
    args: Values


class Monitor(Protocol):
    """What answers in the engine's place (`MockMonitor`)."""

    def RegisterResource(self, request: "RegisterResourceRequest") -> "RegisterResourceResponse": ...

    def RegisterResourceOutputs(self, request: "RegisterResourceOutputsRequest") -> "empty_pb2.Empty": ...


class Runtime(Protocol):
    """`pulumi.runtime`."""

    def test(self, fn: Callable[[], object]) -> Callable[[], None]: ...


def address(name: str) -> str:
    """One of documentation's own (RFC 5737), for every machine another."""
    return f"192.0.2.{1 + int(hashlib.sha256(name.encode()).hexdigest(), 16) % 254}"


def mock_creation(name: str) -> tuple[str, dict[str, str]]:
    """The id of what is created, and what it puts out beside its inputs."""
    return f"{name}-id", {
        "arn": f"arn:aws:mock:{name}", "publicIp": address(name), "repositoryUrl": name,
        "secret": "[made by AWS]", "stdout": '{"line": "", "release": "", "images": {}, "copied": 0}',
    }  # fmt: skip


def answer(call: Call, facts: KnownFacts) -> Values:
    """What a function of a provider returns. Those that look something up by its name have the same one."""
    return FUNCTIONS.get(call.token, _look_up)(call.args, facts)


def _images(arguments: Values, facts: KnownFacts) -> Values:
    entries = facts.images.get(arguments["repositoryName"], {}).items()
    tagged = [{"imageTag": suffix[1:], "imageDigest": digest} for suffix, digest in entries if suffix[0] == ":"]
    pinned = [{"imageTag": "", "imageDigest": digest} for suffix, digest in entries if suffix[0] == "@"]
    return {"imageIds": tagged + pinned, "id": "i", "repositoryName": arguments["repositoryName"]}


def _last_update(arguments: Values, facts: KnownFacts) -> Values:
    return {"name": arguments["stackName"], "outputs": facts.state}


def _offerings(arguments: Values, facts: KnownFacts) -> Values:
    # Which zone offers them is AWS's to say: without it each does, and the first stands for it
    place = arguments["region"]
    pairs = [(kind, f"{place}{letter}") for letter in "abcdef" for kind in _filter_values(arguments)]
    return {
        "instanceTypes": [kind for kind, _ in pairs], "locations": [zone for _, zone in pairs], "locationTypes": [],
        "id": "i", "region": place,
    }  # fmt: skip


def _subnet(arguments: Values, facts: KnownFacts) -> Values:
    return {"availabilityZone": f"{arguments['region']}a", "id": arguments["id"]}


def _instances(arguments: Values, facts: KnownFacts) -> Values:
    # Here it is unknown that one is lost
    return {"ids": _filter_values(arguments), "id": "i", "region": "r"}


def _look_up(arguments: Values, facts: KnownFacts) -> Values:
    name = arguments.get("name", "")
    return {
        "zoneId": "ZONE", "arn": "arn:aws:route53:::hostedzone/ZONE", "id": "ZONE", "value": f"image of {name}",
        "name": name,
    }  # fmt: skip


def _filter_values(arguments: Values) -> list[str]:
    return [value for entry in arguments["filters"] for value in entry["values"]]


FUNCTIONS: dict[str, Callable[[Values, KnownFacts], Values]] = {
    "aws:ecr/getImages:getImages": _images,
    "pulumi:pulumi:readStackResourceOutputs": _last_update,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:ec2/getSubnet:getSubnet": _subnet,
    "aws:ec2/getInstances:getInstances": _instances,
}
