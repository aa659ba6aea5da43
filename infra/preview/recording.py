"""A program under Pulumi's mocks: every resource that it asks for, and what its components put out.

Runs beside snapshot.py, which imports it once the checkout's packages are there.
"""

import asyncio
import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor

if TYPE_CHECKING:
    from pulumi.runtime.mocks import empty_pb2
    from pulumi.runtime.proto.resource_pb2 import (
        RegisterResourceOutputsRequest,
        RegisterResourceRequest,
        RegisterResourceResponse,
    )

    from infra.preview.documents import Configuration, Program, ResourceRecord
if __package__:
    from infra.preview import marks, mocked
else:
    import marks
    import mocked

ENCRYPTED = ("infra:sshPrivateKey", "infra:hostPrivateKeys", "infra:secrets")


class Mocks(pulumi.runtime.Mocks):
    """Answers in the place of AWS and of the engine, out of what is known beforehand."""

    def __init__(self, facts: mocked.KnownFacts) -> None:
        self.known = facts

    def new_resource(self, args: mocked.Creation) -> tuple[str, mocked.Values]:
        return mocked.mock_creation(args)

    def call(self, args: mocked.Call) -> tuple[mocked.Values, list[tuple[str, str]]]:
        return mocked.answer(args, self.known), []


class Recorder(MockMonitor):
    """What a program registers: `records` of its resources in their order, `outputs` by their component's URN."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.records: list[ResourceRecord] = []
        self.outputs: dict[str, mocked.Values] = {}

    def RegisterResource(self, request: "RegisterResourceRequest") -> "RegisterResourceResponse":
        # Pulumi's own mocks have no types
        answer = cast(mocked.Monitor, super()).RegisterResource(request)
        self.records.append(_record(request, answer.urn))
        return answer

    def RegisterResourceOutputs(self, request: "RegisterResourceOutputsRequest") -> "empty_pb2.Empty":
        self.outputs[marks.stable(request.urn)] = marks.mask_inputs(rpc.deserialize_properties(request.outputs))
        # As above
        return cast(mocked.Monitor, super()).RegisterResourceOutputs(request)


def _record(request: "RegisterResourceRequest", urn: str) -> "ResourceRecord":
    inputs = marks.mask_inputs(rpc.deserialize_properties(request.object))
    of_properties = request.propertyDependencies.items()
    return {
        "urn": marks.stable(urn),
        "type": request.type,
        "name": marks.stable(request.name),
        "custom": bool(request.custom),
        "parent": marks.stable(request.parent),
        "inputs": json.loads(marks.stable(json.dumps(inputs, default=str))),
        "dependencies": _stable_urns(request.dependencies),
        "propertyDependencies": {key: _stable_urns(dependencies.urns) for key, dependencies in of_properties},
        "ignores": list(request.ignoreChanges),
        "provider": request.provider.rpartition("::")[0],
    }


def _stable_urns(urns: Any) -> list[str]:
    return sorted(marks.stable(urn) for urn in urns)


def run(root: Path, stack: str, values: "Configuration", facts: mocked.KnownFacts) -> "Program":
    """What the program in `root` asks for with the configuration `values` (key → value, JSON for what is no text)."""
    # Pulumi takes the loop that is set, and since Python 3.14 none is made for it
    asyncio.set_event_loop(asyncio.new_event_loop())
    mocks = Mocks(facts)
    recorder = Recorder(mocks)
    pulumi.runtime.set_mocks(mocks, project="infra", stack=stack, preview=False, monitor=recorder)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    pulumi.runtime.set_all_config(texts, [key for key in texts if key in ENCRYPTED])
    # Pulumi's decorator has no types
    cast(mocked.Runtime, pulumi.runtime).test(lambda: runpy.run_path(str(root / "__main__.py")) and None)()
    return {"resources": recorder.records, "outputs": recorder.outputs}
