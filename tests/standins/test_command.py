"""The stand-in of the `command` plugin, against a real SSH server of the test's own on loopback."""

import asyncio
import io
import socket
import threading
from typing import Any

import paramiko
import pytest
from pulumi.provider.experimental import provider as api

from infra.init import key_pair
from lab.standins.command import KINDS
from lab.standins.plain import plain_map, property_map
from lab.standins.plugin import Plugin, PluginError

URN = "urn:pulumi:s::p::command:remote:Command::x"
HERE = "urn:pulumi:s::p::command:local:Command::x"


class Server(paramiko.ServerInterface):
    """Runs nothing: it answers a command by its own text and what came on standard input."""

    def __init__(self) -> None:
        self.logins = 0
        self.host_private, self.host_public = key_pair("host")
        self.user_private, _ = key_pair("user")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._session, args=(client,), daemon=True).start()

    def _session(self, client: socket.socket) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key(io.StringIO(self.host_private)))
        try:
            transport.start_server(server=self)
        except (paramiko.SSHException, EOFError):
            return
        transport.join(30)

    def check_auth_publickey(self, username, key):
        self.logins += 1
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self._answer, args=(channel, command.decode()), daemon=True).start()
        return True

    def _answer(self, channel, command):
        given = b""
        while data := channel.recv(1024):
            given += data
        channel.sendall(f"{command}|{given.decode()}\n".encode())
        channel.sendall_stderr(b"progress\n")
        channel.send_exit_status(3 if "fail" in command else 0)
        channel.close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.listener.close()


@pytest.fixture
def plugin():
    return Plugin(KINDS, connect=lambda config: None)


def inputs(server: Server, create: str, **connection: Any) -> dict[str, Any]:
    base = {
        "host": "127.0.0.1", "port": server.port, "user": "u", "privateKey": server.user_private,
        "hostKey": server.host_public, "dialErrorLimit": 1,
    }  # fmt: skip
    return {"connection": {**base, **connection}, "create": create, "stdin": "secret"}


def nobody() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return closed.getsockname()[1]


def create(plugin: Plugin, values: dict[str, Any], preview: bool = False, timeout: float = 30) -> dict[str, Any]:
    response = asyncio.run(plugin.create(api.CreateRequest(URN, property_map(values), timeout, preview)))
    return plain_map(response.properties or {})


def test_output_and_standard_input(plugin, server):
    state = create(plugin, inputs(server, "hello"))
    assert (state["stdout"], state["stderr"]) == ("hello|secret", "progress")


def test_a_preview_never_connects(plugin, server):
    create(plugin, inputs(server, "hello"), preview=True)
    assert server.logins == 0


def test_a_failing_command_says_its_text_and_output(plugin, server):
    with pytest.raises(PluginError, match=r"Process exited with status 3: running 'fail':\nfail\|secret"):
        create(plugin, inputs(server, "fail"))


def test_another_host_key_is_refused_before_logging_in(plugin, server):
    with pytest.raises(PluginError, match="host key mismatch"):
        create(plugin, inputs(server, "hello", hostKey=key_pair("other")[1]))
    assert server.logins == 0


def test_nobody_listening_gives_up_after_the_allowed_attempts(plugin, server):
    with pytest.raises(PluginError, match=r"after 2 failed attempts: ssh 127\.0\.0\.1"):
        create(plugin, inputs(server, "hello", port=nobody(), dialErrorLimit=2))


def test_without_a_limit_the_resources_timeout_ends_it(plugin, server):
    with pytest.raises(PluginError, match="timeout after 1s"):
        create(plugin, inputs(server, "hello", port=nobody(), dialErrorLimit=-1), timeout=1)


def test_ctrl_c_ends_the_dialling(plugin, server):
    asyncio.run(plugin.cancel())
    with pytest.raises(PluginError, match="cancelled"):
        create(plugin, inputs(server, "hello", port=nobody(), dialErrorLimit=-1), timeout=60)


def test_triggers_replace_and_the_rest_updates(plugin, server):
    state = {**inputs(server, "hello"), "triggers": ["i-1"], "stdout": "x"}
    request = api.DiffRequest(URN, "id", property_map(state), property_map({**state, "triggers": ["i-2"]}), [])
    assert asyncio.run(plugin.diff(request)).replaces == ["triggers"]
    request = api.DiffRequest(URN, "id", property_map(state), property_map({**state, "create": "other"}), [])
    found = asyncio.run(plugin.diff(request))
    assert (found.replaces, found.diffs) == ([], ["create"])


def test_an_unknown_connection_setting_is_refused(plugin, server):
    values = inputs(server, "hello", proxy={"host": "x"})
    response = asyncio.run(plugin.check(api.CheckRequest(URN, {}, property_map(values), b"")))
    assert "does not know connection ['proxy']" in (response.failures or [])[0].reason
