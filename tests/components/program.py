"""The whole program under Pulumi's mocks."""

import asyncio
import hashlib
import json
import runpy
from typing import Any
from unittest.mock import patch

import pulumi
from pulumi.runtime.proto.source_pb2 import StackTrace

from tests.support import PROD, ROOT

KEYS = {
    "infra:sshPublicKey": "ssh-ed25519 AAAA user",
    "infra:sshPrivateKey": "PRIVATE-USER-KEY",
    "infra:hostPublicKeys": {"watchme": "ssh-ed25519 BBBB host"},
    "infra:hostPrivateKeys": {"watchme": "PRIVATE-HOST-KEY"},
}
loops: list[asyncio.AbstractEventLoop] = []
SECRET = ["infra:sshPrivateKey", "infra:hostPrivateKeys", "infra:secrets"]


class Mocks(pulumi.runtime.Mocks):
    """`tags` are those of every repository, but in the region that is `empty`; `offered` what machines there are."""

    tags = ["latest"]
    empty = ""
    offered = ["t4g.large", "t4g.medium"]
    lost: frozenset[str] = frozenset()
    # Zone → types of machines that it offers; and the zone of an existing subnet
    zones: dict[str, list[str]] = {}
    subnet_zone = ""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.made: list[pulumi.runtime.MockResourceArgs] = []
        self.state = state or {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs):
        self.made.append(args)
        extra = {
            "arn": f"arn:{args.name}",
            "publicIp": "127.71.0.2",
            "repositoryUrl": f"url/{args.name}",
            "secret": "SECRET-ACCESS-KEY",
            "stdout": '{"line": "applied", "release": "r1"}',
        }
        return f"{args.name}-id", {**args.inputs, **extra}

    def call(self, args: pulumi.runtime.MockCallArgs):
        if args.token == "aws:ecr/getImages:getImages":
            digest = f"sha256:{hashlib.sha256(args.args['repositoryName'].encode()).hexdigest()}"
            tags = [] if self.empty and args.args.get("region") == self.empty else self.tags
            found = [{"imageTag": tag, "imageDigest": digest} for tag in tags]
            return {"imageIds": found, "id": "i", "repositoryName": "n"}, []
        if args.token == "pulumi:pulumi:readStackResourceOutputs":
            return {"name": args.args["stackName"], "outputs": self.state}, []
        if args.token == "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings":
            place = args.args["region"]
            found = self.zones or {f"{place}a": self.offered}
            pairs = [(zone, name) for zone, names in found.items() for name in names]
            types, zones = [name for _, name in pairs], [zone for zone, _ in pairs]
            return {"instanceTypes": types, "locations": zones, "locationTypes": [], "id": "i", "region": place}, []
        if args.token == "aws:ec2/getSubnet:getSubnet":
            return {"availabilityZone": self.subnet_zone, "id": args.args["id"]}, []
        if args.token == "aws:ec2/getInstances:getInstances":
            asked = [value for filter in args.args["filters"] for value in filter["values"]]
            return {"ids": [id for id in asked if id not in self.lost], "id": "i", "region": args.args["region"]}, []
        return {"zoneId": "Z1", "arn": "arn:zone", "id": "Z1", "value": "ami-1", "name": "n"}, []

    def of(self, type: str) -> list[pulumi.runtime.MockResourceArgs]:
        return [made for made in self.made if made.typ == type]


def run_program(values: dict[str, Any] | None = None, state: dict[str, Any] | None = None) -> Mocks:
    config = {**PROD, **KEYS, **(values or {})}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
    mocks = Mocks(state)
    # Pulumi takes the loop that is set, and after an asyncio.run of another test there is none
    for earlier in loops:
        # Each holds descriptors, of which a test's process has some hundreds
        earlier.close()
    loops[:] = [asyncio.new_event_loop()]
    asyncio.set_event_loop(loops[0])
    pulumi.runtime.set_mocks(mocks, project="infra", stack="prod", preview=False)
    pulumi.runtime.set_all_config(texts, SECRET)
    # Pulumi notes for each resource from where it was made, which is a fifth of the work below pytest's many frames
    with patch("pulumi.runtime.resource._get_stack_trace", StackTrace):
        pulumi.runtime.test(lambda: runpy.run_path(str(ROOT / "__main__.py")) and None)()
    return mocks


def opened(value: Any) -> Any:
    """A secret's value; it must be one."""
    assert isinstance(value, dict) and set(value) == {pulumi.runtime.rpc._special_sig_key, "value"}
    return value["value"]


DESKTOP = {
    "kind": "ssh", "address": "192.168.1.20", "port": 2222, "user": "owner", "hostKey": "ssh-ed25519 CCCC desktop",
    "memory": "16g", "systems": ["watchme"],
}  # fmt: skip


MACHINE_URN = "urn:pulumi:prod::infra::infra:index:Host$aws:ec2/instance:Instance::{host}-ap-northeast-1-instance"


def machine_state(machine: str, replaces: str = "", host: str = "watchme") -> dict:
    """Of an update that ended before its host was noted: the machine is what counts."""
    tags = {"Name": f"prod-{host}", **({"replaces": replaces} if replaces else {})}
    outputs = {"arn": f"arn:aws:ec2:ap-northeast-1:754724220380:instance/{machine}", "tags": tags}
    return {MACHINE_URN.format(host=host): {"type": "aws:ec2/instance:Instance", "outputs": outputs}}
