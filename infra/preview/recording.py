"""A program under Pulumi's mocks: every resource that it asks for, and what its components put out.

Runs beside snapshot.py, which imports it once the checkout's packages are there.
"""

import asyncio
import json
import runpy
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pulumi
from pulumi.runtime import resource as registering
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.proto import resource_pb2, source_pb2

if TYPE_CHECKING:
    from pulumi.runtime.mocks import empty_pb2
    from pulumi.runtime.proto.resource_pb2 import (
        RegisterResourceOutputsRequest,
        RegisterResourceRequest,
        RegisterResourceResponse,
        ResourceInvokeRequest,
        ResourceInvokeResponse,
    )

    from infra.preview.documents import Configuration, Program, ResourceRecord
if __package__:
    from infra.preview import marks, mocks
else:
    import marks
    import mocks

ENCRYPTED = ("infra:sshPrivateKey", "infra:hostPrivateKeys", "infra:secrets")
STACK, STDIN = "pulumi:pulumi:Stack", "stdin"


class Mocks(pulumi.runtime.Mocks):
    """What Pulumi asks for beside a monitor. `Recorder` answers each request itself."""

    def new_resource(self, args: object) -> tuple[str, mocks.Values]:
        raise NotImplementedError

    def call(self, args: object) -> tuple[mocks.Values, list[tuple[str, str]]]:
        raise NotImplementedError


class Recorder(MockMonitor):
    """Answers in the place of AWS and of the engine, out of what is known beforehand, and keeps what a program
    registers: `records` of its resources in their order, `outputs` by their component's URN.

    Pulumi's own monitor of mocks reads and writes the inputs of each resource twice more, in an event loop of its own,
    and keeps them all.
    """

    def __init__(self, facts: mocks.KnownFacts) -> None:
        super().__init__(Mocks())
        self.facts = facts
        self.records: list[ResourceRecord] = []
        self.outputs: dict[str, mocks.Values] = {}

    def RegisterResource(self, request: "RegisterResourceRequest") -> "RegisterResourceResponse":
        urn = self.make_urn(request.parent, request.type, request.name)
        self.records.append(_record(request, urn))
        if request.type == STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if request.type.startswith("command:") and STDIN in request.object:
            # A whole release, which nothing reads again: what a program is answered it keeps to its end
            request.object[STDIN] = ""
        id, outputs = mocks.mock_creation(request.name)
        answer = resource_pb2.RegisterResourceResponse(urn=urn, id=id, object=request.object)
        for name, value in outputs.items():
            if name not in request.object:
                answer.object[name] = value
        return answer

    def Invoke(self, request: "ResourceInvokeRequest") -> "ResourceInvokeResponse":
        answer = resource_pb2.ResourceInvokeResponse()
        # The field's name is a word of Python's
        getattr(answer, "return").update(
            mocks.answer(_Call(request.tok, rpc.deserialize_properties(request.args)), self.facts)
        )
        return answer

    def RegisterResourceOutputs(self, request: "RegisterResourceOutputsRequest") -> "empty_pb2.Empty":
        self.outputs[marks.stable(request.urn)] = marks.mask_inputs(rpc.deserialize_properties(request.outputs))
        # Pulumi's own mocks have no types
        return cast(mocks.Monitor, super()).RegisterResourceOutputs(request)


@dataclass
class _Call:
    token: str
    args: mocks.Values


class AtOnce(ThreadPoolExecutor):
    """Runs what it is asked for at once: a recorder's answer is there sooner than another thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


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


def run(root: Path, stack: str, values: "Configuration", facts: mocks.KnownFacts) -> "Program":
    """What the program in `root` asks for with the configuration `values` (key → value, JSON for what is no text)."""
    # Pulumi takes the loop that is set, and since Python 3.14 none is made for it
    loop = asyncio.new_event_loop()
    loop.set_default_executor(AtOnce())
    asyncio.set_event_loop(loop)
    # Each resource says from which lines it comes, which means reading all of them, and no preview shows it
    registering._get_stack_trace = source_pb2.StackTrace  # pyright: ignore[reportPrivateUsage]
    recorder = Recorder(facts)
    pulumi.runtime.set_mocks(recorder.mocks, project="infra", stack=stack, preview=False, monitor=recorder)
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    pulumi.runtime.set_all_config(texts, [key for key in texts if key in ENCRYPTED])
    # Pulumi's decorator has no types
    cast(mocks.Runtime, pulumi.runtime).test(lambda: runpy.run_path(str(root / "__main__.py")) and None)()
    return {"resources": recorder.records, "outputs": recorder.outputs}
