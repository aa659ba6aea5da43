"""The stand-in of the `command` plugin, against a real SSH server of the test's own on loopback."""

import asyncio
import socket
from typing import Any

import pytest
from pulumi.provider.experimental import provider as api

from infra.init import key_pair
from lab.standins.command import KINDS
from lab.standins.plain import plain_map, property_map
from lab.standins.plugin import Plugin, PluginError
from tests.ssh_server import Server

URN = "urn:pulumi:s::p::command:remote:Command::x"
HERE = "urn:pulumi:s::p::command:local:Command::x"


@pytest.fixture
def server():
    def answer(command, given, say):
        say(f"{command}|{given}")
        return 3 if "fail" in command else 0

    made = Server(answer)
    yield made
    made.close()


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


def local(plugin: Plugin, command: str, **values: Any) -> dict[str, Any]:
    inputs = property_map({"create": command, **values})
    return plain_map(asyncio.run(plugin.create(api.CreateRequest(HERE, inputs, 30, False))).properties or {})


def test_a_local_command_reads_its_input_and_environment(plugin):
    state = local(plugin, "cat; echo $A; echo progress >&2", stdin="secret ", environment={"A": "b"})
    assert (state["stdout"], state["stderr"]) == ("secret b", "progress")


def test_a_local_update_knows_what_the_last_run_said(plugin):
    state = local(plugin, "echo one")
    new = {"create": "echo was $PULUMI_COMMAND_STDOUT"}
    request = api.UpdateRequest(HERE, "id", property_map(state), property_map(new), 30, [], False)
    assert plain_map(asyncio.run(plugin.update(request)).properties)["stdout"] == "was one"
    assert local(plugin, "echo was $PULUMI_COMMAND_STDOUT")["stdout"] == "was"


def test_a_failing_local_command_says_its_text_and_output(plugin):
    with pytest.raises(PluginError, match=r"exit status 4: running 'echo why; exit 4':\nwhy"):
        local(plugin, "echo why; exit 4")


def test_the_stand_ins_own_path_is_not_the_commands(plugin, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert local(plugin, "echo -$PYTHONPATH-")["stdout"] == "--"
