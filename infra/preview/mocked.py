"""What a program is answered in AWS's and the engine's place: of a machine, a registry, the stack's last update. And
what snapshot.py, beside which it runs, needs of Pulumi's mocks, as types: theirs say little."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pulumi.runtime.mocks import empty_pb2
    from pulumi.runtime.proto.resource_pb2 import (
        RegisterResourceOutputsRequest,
        RegisterResourceRequest,
        RegisterResourceResponse,
    )


class Creation(Protocol):
    """A resource that a program asks for (`MockResourceArgs`)."""

    name: str
    inputs: dict[str, Any]


class Call(Protocol):
    """A function of a provider that a program calls (`MockCallArgs`)."""

    token: str
    args: dict[str, Any]


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


def mock_creation(asked: Creation) -> tuple[str, dict[str, Any]]:
    """The id and the outputs of what is created."""
    outputs = {
        "arn": f"arn:aws:mock:{asked.name}", "publicIp": address(asked.name), "repositoryUrl": asked.name,
        "secret": "[made by AWS]", "stdout": '{"line": "", "release": "", "images": {}, "copied": 0}',
    }  # fmt: skip
    return f"{asked.name}-id", {**outputs, **asked.inputs}


def answer(call: Call, images: dict[str, dict[str, str]], state: dict[str, Any]) -> dict[str, Any]:
    """What a call gives: of `images` (repository → suffix → digest), and of the `state` that the last update left (URN
    → {type, outputs})."""
    if call.token == "aws:ecr/getImages:getImages":
        entries = images.get(call.args["repositoryName"], {}).items()
        tagged = [{"imageTag": suffix[1:], "imageDigest": d} for suffix, d in entries if suffix[0] == ":"]
        pinned = [{"imageTag": "", "imageDigest": d} for suffix, d in entries if suffix[0] == "@"]
        return {"imageIds": tagged + pinned, "id": "i", "repositoryName": call.args["repositoryName"]}
    if call.token == "pulumi:pulumi:readStackResourceOutputs":
        return {"name": call.args["stackName"], "outputs": state}
    if call.token == "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings":
        types = [value for filter in call.args["filters"] for value in filter["values"]]
        # Which zone offers them is AWS's to say: without it each does, and the first stands for it
        place = call.args["region"]
        pairs = [(kind, f"{place}{letter}") for letter in "abcdef" for kind in types]
        offers = {"instanceTypes": [kind for kind, _ in pairs], "locations": [zone for _, zone in pairs]}
        return {**offers, "locationTypes": [], "id": "i", "region": place}
    if call.token == "aws:ec2/getSubnet:getSubnet":
        return {"availabilityZone": f"{call.args['region']}a", "id": call.args["id"]}
    if call.token == "aws:ec2/getInstances:getInstances":
        # Here it is unknown that one is lost
        ids = [value for filter in call.args["filters"] for value in filter["values"]]
        return {"ids": ids, "id": "i", "region": "r"}
    name = call.args.get("name", "")
    return {
        "zoneId": "ZONE", "arn": "arn:aws:route53:::hostedzone/ZONE", "id": "ZONE", "value": f"image of {name}",
        "name": name,
    }  # fmt: skip
