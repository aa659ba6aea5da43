"""A resource plugin driven as the engine drives it: over gRPC, with an engine that keeps what the plugin logs."""

import contextlib
import os
import subprocess
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
URN = "urn:pulumi:s::p::command:local:Command::x"


class Engine(engine_pb2_grpc.EngineServicer):
    """Keeps (severity, text, ephemeral) of every line; `heard(text)` waits for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, bool]] = []
        self.changed = threading.Condition()
        self.server = grpc.server(ThreadPoolExecutor(4), options=_GRPC_CHANNEL_OPTIONS)
        engine_pb2_grpc.add_EngineServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def Log(self, request, context):
        with self.changed:
            severity = engine_pb2.LogSeverity.Name(request.severity)
            self.lines.append((severity, request.message, request.ephemeral))
            self.changed.notify_all()
        return empty_pb2.Empty()

    def texts(self) -> list[str]:
        return [text for _, text, _ in self.lines]

    def heard(self, text: str, seconds: float = 30) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: any(text in line for line in self.texts()), seconds), self.lines


class Plugin:
    """`program` is started in a session of its own, in `folder`."""

    def __init__(self, program: Path, folder: Path, **env: str) -> None:
        self.engine = Engine()
        self.process = subprocess.Popen(
            [program, f"127.0.0.1:{self.engine.port}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, text=True, cwd=folder, env={**os.environ, **env}, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout
        port = self.process.stdout.readline().strip()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_GRPC_CHANNEL_OPTIONS)
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        self.stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True), timeout=60)
        self.pool = ThreadPoolExecutor(4)

    def close(self) -> None:
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self.engine.server.stop(None)

    def check(self, **inputs: Any) -> list[tuple[str, str]]:
        """(property, reason) of every failure."""
        request = provider_pb2.CheckRequest(urn=URN, news=struct(inputs))
        return [(failure.property, failure.reason) for failure in self.stub.Check(request, timeout=60).failures]

    def create(self, preview: bool = False, timeout: float = 0, urn: str = URN, **inputs: Any) -> dict[str, Any]:
        """The outputs. Raises Refused with the plugin's words."""
        request = provider_pb2.CreateRequest(urn=urn, properties=struct(inputs), preview=preview, timeout=timeout)
        return self._called(self.stub.Create, request)

    def update(self, old: dict[str, Any], preview: bool = False, **inputs: Any) -> dict[str, Any]:
        known = {name: value for name, value in old.items() if name not in ("stdout", "stderr")}
        request = provider_pb2.UpdateRequest(
            id="x", urn=URN, olds=struct(old), old_inputs=struct(known), news=struct(inputs), preview=preview
        )
        return self._called(self.stub.Update, request)

    def delete(self, state: dict[str, Any], urn: str = URN) -> None:
        with refusals():
            self.stub.Delete(provider_pb2.DeleteRequest(id="x", urn=urn, properties=struct(state)), timeout=60)

    def diff(self, old: dict[str, Any], **inputs: Any) -> provider_pb2.DiffResponse:
        known = {name: value for name, value in old.items() if name not in ("stdout", "stderr")}
        request = provider_pb2.DiffRequest(
            id="x", urn=URN, olds=struct(old), old_inputs=struct(known), news=struct(inputs)
        )
        return self.stub.Diff(request, timeout=60)

    def creating(self, **inputs: Any) -> "Future[dict[str, Any]]":
        """`create`, going on."""
        return self.pool.submit(lambda: self.create(**inputs))

    def cancel(self) -> None:
        """The first Ctrl-C."""
        self.stub.Cancel(empty_pb2.Empty(), timeout=60)

    def _called(self, method: Any, request: Any) -> dict[str, Any]:
        with refusals():
            return json_format.MessageToDict(method(request).properties)


class Refused(Exception):
    """An operation failed, with the plugin's words."""


@contextlib.contextmanager
def refusals():
    try:
        yield
    except grpc.RpcError as error:
        raise Refused(error.details()) from None  # type: ignore[attr-defined]


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(values, struct_pb2.Struct())
