"""A Pulumi resource plugin out of a table of resource kinds."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from pulumi.provider.experimental import provider as api
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc

from lab.fakes.plain import UNKNOWN, plain_map, property_map


class PluginError(Exception):
    """Refused as the real plugin refuses: its text, without a traceback, is what the user sees."""


Values = dict[str, Any]
Say = Callable[[str, str], None]


@dataclass
class Call:
    """One resource operation: its `cloud`, its resource, `say(severity, text)` to the user, `status(text)` for what is
    only shown until the next one; Ctrl-C sets `stop`."""

    cloud: Any
    urn: str
    timeout: float
    say: Say
    stop: threading.Event
    status: Callable[[str], None] = lambda text: None

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[1]


@dataclass
class Kind:
    """A resource type. Inputs are "replace" (a change makes a new one), "update", "elements" (for a changed element the
    SDK itself replaces), or "refuse": the real plugin changes them in place, and this one says that it cannot. With
    `infers` a change's kind is exact and makes every output unknown in a preview, as pulumi-go-provider has it.

    `create(call, inputs)` returns id and outputs, `update(call, id, old, new)` outputs, `delete(call, id, state)`
    nothing, `read(call, id, state)` fresh outputs or None when it is gone, `importer(call, id)` inputs and outputs of
    what is to be imported.
    """

    inputs: dict[str, str]
    required: set[str]
    outputs: list[str]
    create: Callable[[Call, Values], tuple[str, Values]]
    update: Callable[[Call, str, Values, Values], Values] | None = None
    delete: Callable[[Call, str, Values], None] = lambda call, id, state: None
    read: Callable[[Call, str, Values], Values | None] | None = None
    importer: Callable[[Call, str], tuple[Values, Values] | None] | None = None
    autonamed: bool = False
    infers: bool = False
    checks: list[Callable[[Values], str | None]] = field(default_factory=list)

    def state(self, inputs: Values, outputs: Values) -> Values:
        unknown = set(outputs) - set(self.outputs)
        assert not unknown, f"undeclared outputs {unknown}"
        return {**inputs, **outputs}


class Plugin(api.Provider):
    """`connect(config)` gives the cloud that every call gets; `invokes` are the functions by token."""

    def __init__(
        self,
        kinds: dict[str, Kind],
        connect: Callable[[Values], Any],
        invokes: dict[str, Callable[[Any, Values], Values]] | None = None,
    ) -> None:
        self.kinds, self.connect, self.invokes = kinds, connect, invokes or {}
        self.cloud: Any = None
        self.engine: engine_pb2_grpc.EngineStub | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stop = threading.Event()

    async def cancel(self) -> None:
        self.stop.set()

    async def check_config(self, request: api.CheckRequest) -> api.CheckResponse:
        return api.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: api.DiffRequest) -> api.DiffResponse:
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        replaces = ["region"] if old.get("region") != new.get("region") else []
        # The SDK hands this on as the protocol's number, not as a boolean: 1 is none, 2 is some
        changes: Any = 2 if old != new else 1
        return api.DiffResponse(changes=changes, replaces=replaces)

    async def configure(self, request: api.ConfigureRequest) -> api.ConfigureResponse:
        self.cloud = await asyncio.to_thread(self.connect, plain_map(request.args))
        return api.ConfigureResponse(supports_preview=True)

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        kind, inputs = self._kind(request.type), plain_map(request.new_inputs)
        failures = [
            api.CheckFailure(
                key, f"{request.type} has no input of this name (the stand-in knows: {', '.join(kind.inputs)})"
            )
            for key in inputs
            if key not in kind.inputs
        ]
        failures += [api.CheckFailure(key, "is required") for key in sorted(kind.required - set(inputs))]
        failures += [api.CheckFailure("", text) for rule in kind.checks if (text := rule(inputs))]
        if kind.autonamed and "name" not in inputs:
            old = plain_map(request.old_inputs)
            suffix = request.random_seed.hex()[:7] or "0000000"
            inputs["name"] = old.get("name") or f"{request.name}-{suffix}"
        return api.CheckResponse(inputs=property_map(inputs), failures=failures)

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        kind = self._kind(request.type)
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        changed = [
            key for key in kind.inputs if (key in new and old.get(key) != new[key]) or (key in old and key not in new)
        ]
        replaces = [key for key in changed if kind.inputs[key] == "replace"]
        kinds = api.PropertyDiffKind
        if kind.infers:
            detailed, replaces = _infer_diff(kind, old, new, changed)
            return api.DiffResponse(bool(changed), replaces, diffs=changed, detailed_diff=detailed)
        detailed = {
            key: api.PropertyDiff(kinds.UPDATE_REPLACE if key in replaces else kinds.UPDATE, True) for key in changed
        }
        return api.DiffResponse(changes=bool(changed), replaces=replaces, diffs=changed, detailed_diff=detailed)

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        kind, inputs = self._kind(request.type), plain_map(request.properties)
        if request.preview:
            state = {**inputs, **{key: UNKNOWN for key in kind.outputs if key not in inputs}}
            return api.CreateResponse("", property_map(state))
        call = self._call(request.urn, request.timeout)
        id, outputs = await asyncio.to_thread(kind.create, call, inputs)
        return api.CreateResponse(id, property_map(kind.state(inputs, outputs)))

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        kind, new = self._kind(request.type), plain_map(request.news)
        old = plain_map(request.olds)
        outputs = {key: old[key] for key in kind.outputs if key in old}
        if request.preview and kind.infers and any(old.get(key) != new.get(key) for key in kind.inputs):
            outputs = dict.fromkeys(kind.outputs, UNKNOWN)
        if request.preview:
            return api.UpdateResponse(property_map({**new, **outputs}))
        unable = [key for key, how in kind.inputs.items() if how == "refuse" and old.get(key) != new.get(key)]
        if kind.update is None or unable:
            raise PluginError(f"the stand-in cannot change {', '.join(unable) or request.type} in place")
        call = self._call(request.urn, request.timeout)
        outputs |= await asyncio.to_thread(kind.update, call, request.resource_id, old, new)
        return api.UpdateResponse(property_map(kind.state(new, outputs)))

    async def delete(self, request: api.DeleteRequest) -> None:
        call = self._call(request.urn, request.timeout)
        kind = self._kind(request.type)
        await asyncio.to_thread(kind.delete, call, request.resource_id, plain_map(request.properties))

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        kind, state = self._kind(request.type), plain_map(request.properties)
        inputs = plain_map(request.inputs)
        if not state and not inputs:
            return await self._import(kind, request)
        if kind.read is not None:
            outputs = await asyncio.to_thread(kind.read, self._call(request.urn, 60), request.resource_id, state)
            if outputs is None:
                return api.ReadResponse("", {}, {})
            state = {**state, **outputs}
        return api.ReadResponse(request.resource_id, property_map(state), property_map(inputs))

    async def _import(self, kind: Kind, request: api.ReadRequest) -> api.ReadResponse:
        if kind.importer is None:
            raise PluginError(f"the stand-in cannot import {request.type}")
        values = await asyncio.to_thread(kind.importer, self._call(request.urn, 60), request.resource_id)
        if values is None:
            return api.ReadResponse("", {}, {})
        inputs, outputs = values
        return api.ReadResponse(request.resource_id, property_map(kind.state(inputs, outputs)), property_map(inputs))

    async def invoke(self, request: api.InvokeRequest) -> api.InvokeResponse:
        if request.tok not in self.invokes:
            raise PluginError(f"the stand-in does not know the function {request.tok}")
        outputs = await asyncio.to_thread(self.invokes[request.tok], self.cloud, plain_map(request.args))
        return api.InvokeResponse(property_map(outputs))

    def _kind(self, chain: str) -> Kind:
        """The kind of a URN's type, which holds the parents' types too."""
        type = chain.rsplit("$", 1)[-1]
        if type not in self.kinds:
            raise PluginError(f"the stand-in does not know the resource type {type}; add it under lab/fakes")
        return self.kinds[type]

    def _call(self, urn: str, timeout: float) -> Call:
        def say(severity: str, text: str) -> None:
            if self.engine is not None and self.loop is not None:
                entry = engine_pb2.LogRequest(severity=engine_pb2.LogSeverity.Value(severity), message=text, urn=urn)
                self.loop.call_soon_threadsafe(self.engine.Log, entry)

        async def show(text: str) -> None:
            assert self.engine
            severity = engine_pb2.LogSeverity.Value("INFO")
            entry = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=True)
            log: Any = self.engine.Log
            await log(entry)

        def status(text: str) -> None:
            assert self.loop
            # An engine that has gone reads nothing any more
            with contextlib.suppress(grpc.RpcError, TimeoutError):
                asyncio.run_coroutine_threadsafe(show(text), self.loop).result(10)

        return Call(self.cloud, urn, timeout, say, self.stop, status)


def _infer_diff(
    kind: Kind, old: Values, new: Values, changed: list[str]
) -> tuple[dict[str, api.PropertyDiff], list[str]]:
    """What changed, element by element, and what replaces the resource."""
    how = api.PropertyDiffKind
    detailed, replaces = {}, []
    for key in changed:
        before, after = old.get(key), new.get(key)
        if isinstance(before, list) and isinstance(after, list):
            before, after = ({f"[{n}]": value for n, value in enumerate(values)} for values in (before, after))
        elif isinstance(before, dict) and isinstance(after, dict):
            before, after = ({f".{name}": value for name, value in values.items()} for values in (before, after))
        else:
            one = how.ADD if key not in old else how.DELETE if key not in new else how.UPDATE
            if kind.inputs[key] == "elements":
                replaces.append(key)
                one = how(one.value + 1)
            detailed[key] = api.PropertyDiff(one, False)
            continue
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                one = how.ADD if name not in before else how.DELETE if name not in after else how.UPDATE
                detailed[f"{key}{name}"] = api.PropertyDiff(one, False)
    return detailed, replaces


class _Servicer(ProviderServicer):
    """The SDK's servicer, but a refusal reaches the user without a Python traceback."""


def _clean(method: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: _Servicer, request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await getattr(ProviderServicer, method)(self, request, context)
        except asyncio.CancelledError:
            # The engine has gone: what it asked for is of no use to it any more
            self._provider.stop.set()  # type: ignore[attr-defined]
            raise
        except Exception as error:
            cause = error.__context__ if isinstance(error.__context__, PluginError) else error
            await context.abort(grpc.StatusCode.UNKNOWN, str(cause))

    return call


for _method in ("Configure", "Check", "Diff", "Create", "Update", "Delete", "Read", "Invoke"):
    setattr(_Servicer, _method, _clean(_method))


def serve(plugin: Plugin, version: str) -> None:
    """Speaks the plugin protocol: the port on stdout, then gRPC until the engine ends us."""

    async def run() -> None:
        address = next(word for word in sys.argv[1:] if not word.startswith("-"))
        plugin.loop = asyncio.get_running_loop()
        plugin.engine = engine_pb2_grpc.EngineStub(grpc.aio.insecure_channel(address, options=_GRPC_CHANNEL_OPTIONS))
        server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
        servicer = _Servicer([], version, plugin, engine_address=address)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(port, flush=True)
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        await server.wait_for_termination()

    # The engine ends its plugins with it
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(run())


def _end_with(engine: int) -> None:
    while os.getppid() == engine:
        time.sleep(0.2)
    os._exit(1)
