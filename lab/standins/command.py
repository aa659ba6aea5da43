"""`pulumi-resource-command`: `remote.Command` over paramiko, the host key pinned as the real plugin pins it, and
`local.Command`."""

import base64
import contextlib
import io
import os
import socket
import subprocess
import threading
import time
import uuid
from typing import Any

from lab.standins.plugin import Call, Kind, Plugin, PluginError, Values, serve

CONNECTION = {"host", "user", "port", "privateKey", "hostKey", "dialErrorLimit", "perDialTimeout"}


def _checked(values: Values) -> str | None:
    connection = values.get("connection")
    if isinstance(connection, dict) and (unknown := set(connection) - CONNECTION):
        return f"the stand-in does not know connection {sorted(unknown)}"
    return None


def _key(text: str) -> Any:
    import paramiko

    return paramiko.Ed25519Key.from_private_key(io.StringIO(text))


def _dial(call: Call, connection: Values) -> Any:
    """A client, after as many attempts as the connection allows. Raises PluginError."""
    import paramiko

    limit, per_dial = connection.get("dialErrorLimit", 10), connection.get("perDialTimeout", 15)
    host, port = connection["host"], int(connection.get("port", 22))
    end = time.monotonic() + call.timeout if call.timeout else None
    delay, attempts = 0.5, 0
    while True:
        attempts += 1
        try:
            return _connect(paramiko, connection, host, port, per_dial)
        except (OSError, EOFError, paramiko.SSHException) as error:
            if limit >= 0 and attempts >= limit:
                raise PluginError(f"after {attempts} failed attempts: {_reason(error, host, port)}") from None
            if end and time.monotonic() + delay > end:
                raise PluginError(f"timeout after {call.timeout:.0f}s: {_reason(error, host, port)}") from None
        if call.stop.wait(delay):
            raise PluginError(f"cancelled while dialling {host}:{port}")
        delay = min(delay * 1.2, 2)


def _connect(paramiko: Any, connection: Values, host: str, port: int, per_dial: float) -> Any:
    client = paramiko.SSHClient()
    expected = connection.get("hostKey")
    if expected:
        kind, data = expected.split()[:2]
        key = paramiko.PKey.from_type_string(kind, base64.b64decode(data))
        client.get_host_keys().add(host if port == 22 else f"[{host}]:{port}", kind, key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
    else:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    try:
        client.connect(
            host, port, connection.get("user", "root"), pkey=_key(connection["privateKey"]), timeout=per_dial,
            banner_timeout=per_dial, auth_timeout=per_dial, allow_agent=False, look_for_keys=False,
        )  # fmt: skip
    except paramiko.BadHostKeyException:
        client.close()
        raise paramiko.SSHException("ssh: handshake failed: host key mismatch") from None
    except BaseException:
        client.close()
        raise
    return client


def _reason(error: Exception, host: str, port: int) -> str:
    text = "connection timed out" if isinstance(error, socket.timeout) else str(error) or type(error).__name__
    return f"ssh {host}:{port}: {text}"


def _run(call: Call, values: Values, command: str) -> Values:
    """stdout and stderr of the command. Raises PluginError with its text when it fails, as the real plugin does."""
    client = _dial(call, values["connection"])
    try:
        channel = client.get_transport().open_session()
        channel.exec_command(command)
        collected: dict[str, list[str]] = {"stdout": [], "stderr": []}
        logging = values.get("logging", "stdoutAndStderr")
        streams = {"stdout": channel.makefile("r"), "stderr": channel.makefile_stderr("r")}
        readers = [
            threading.Thread(
                target=_collect, args=(call, stream, collected[name], logging in (name, "stdoutAndStderr"))
            )
            for name, stream in streams.items()
        ]
        for reader in readers:
            reader.start()
        channel.sendall(values.get("stdin", "").encode())
        channel.shutdown_write()
        for reader in readers:
            reader.join()
        code = channel.recv_exit_status()
    finally:
        client.close()
    output = {name: "".join(lines).rstrip("\n") for name, lines in collected.items()}
    if code != 0:
        said = "\n".join(text for text in output.values() if text)
        raise PluginError(f"Process exited with status {code}: running {command!r}:\n{said}")
    return output


def _collect(call: Call, stream: Any, lines: list[str], logged: bool) -> None:
    for line in stream:
        lines.append(line)
        if logged:
            call.say("INFO", line.rstrip("\n"))


def _create(call: Call, values: Values) -> tuple[str, Values]:
    return f"cmd-{uuid.uuid4().hex[:12]}", _run(call, values, values["create"]) if values.get("create") else {}


def _update(call: Call, id: str, old: Values, new: Values) -> Values:
    command = new.get("update") or new.get("create")
    return _run(call, new, command) if command else {}


def _delete(call: Call, id: str, state: Values) -> None:
    if state.get("delete"):
        _run(call, state, state["delete"])


def _run_here(call: Call, values: Values, command: str, previous: Values | None = None) -> Values:
    """stdout and stderr of a command on this machine. Raises PluginError with its text, as the real plugin does."""
    # The stand-in's own path is none of the command's business
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | values.get("environment", {})
    if previous and values.get("addPreviousOutputInEnv", True):
        env |= {f"PULUMI_COMMAND_{name.upper()}": previous[name] for name in ("stdout", "stderr") if previous.get(name)}
    process = subprocess.Popen(
        [*values.get("interpreter", ["/bin/sh", "-c"]), command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=env, cwd=values.get("dir"),
    )  # fmt: skip
    collected: dict[str, list[str]] = {"stdout": [], "stderr": []}
    logging = values.get("logging", "stdoutAndStderr")
    streams = {"stdout": process.stdout, "stderr": process.stderr}
    readers = [
        threading.Thread(target=_collect, args=(call, stream, collected[name], logging in (name, "stdoutAndStderr")))
        for name, stream in streams.items()
    ]
    for reader in readers:
        reader.start()
    assert process.stdin
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(values.get("stdin", ""))
    for reader in readers:
        reader.join()
    code = process.wait()
    output = {name: "".join(lines).rstrip("\n") for name, lines in collected.items()}
    if code != 0:
        said = "\n".join(text for text in output.values() if text)
        raise PluginError(f"exit status {code}: running {command!r}:\n{said}")
    return output


def _create_here(call: Call, values: Values) -> tuple[str, Values]:
    return f"local{uuid.uuid4().hex[:12]}", _run_here(call, values, values["create"]) if values.get("create") else {}


def _update_here(call: Call, id: str, old: Values, new: Values) -> Values:
    command = new.get("update") or new.get("create")
    return _run_here(call, new, command, old) if command else {}


def _delete_here(call: Call, id: str, state: Values) -> None:
    if state.get("delete"):
        _run_here(call, state, state["delete"], state)


KINDS = {
    "command:remote:Command": Kind(
        {
            "connection": "update",
            "create": "update",
            "update": "update",
            "delete": "update",
            "stdin": "update",
            "logging": "update",
            "addPreviousOutputInEnv": "update",
            "triggers": "replace",
        },
        {"connection"},
        ["stdout", "stderr"],
        _create,
        _update,
        _delete,
        checks=[_checked],
    ),
    "command:local:Command": Kind(
        {
            "create": "update",
            "update": "update",
            "delete": "update",
            "stdin": "update",
            "environment": "update",
            "interpreter": "update",
            "dir": "update",
            "logging": "update",
            "addPreviousOutputInEnv": "update",
            "triggers": "replace",
        },
        set(),
        ["stdout", "stderr"],
        _create_here,
        _update_here,
        _delete_here,
    ),
}

if __name__ == "__main__":
    serve(Plugin(KINDS, connect=lambda config: None), "1.2.1")
