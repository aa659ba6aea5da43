"""What a `command` plugin does, as the real one (v1.2.1) was seen to do it. The stand-in is held to the same table, so
that a machine without a network rehearses the truth."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import plugins
from tests.fakes.plugins import UNKNOWN, Plugin, Refused
from tests.fakes.real import real_plugins

WORLDS = ["stand-in", *(["real"] if real_plugins() else [])]
LINE = "head -c {} /dev/zero | tr '\\0' x; echo"
GATE = "urn:pulumi:s::p::command:remote:Command::x-ready"


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("plugins")
    made = {"stand-in": plugins.stand_in("command").encode()}
    if real := real_plugins():
        made["real"] = plugins.unpack_program(real)
    for name, content in made.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
    return {name: folder / name for name in made}


@pytest.fixture(scope="module", params=WORLDS)
def world(request, programs) -> Path:
    return programs[request.param]


@pytest.fixture(scope="module")
def plugin(world, tmp_path_factory) -> Iterator[Plugin]:
    made = Plugin(world, tmp_path_factory.mktemp("project"), PYTHONPATH="/somewhere")
    yield made
    made.close()


@pytest.fixture
def own(world, tmp_path) -> Iterator[Plugin]:
    """A plugin that the test may spoil."""
    made = Plugin(world, tmp_path)
    yield made
    made.close()


OUTPUTS = {
    "both streams, without their last line break": (
        {"create": "printf 'a\\n\\nb\\n\\n'; echo c >&2"}, {"stdout": "a\n\nb\n", "stderr": "c"},
    ),
    "standard input": ({"create": "cat", "stdin": "given"}, {"stdout": "given"}),
    "no standard input": ({"create": "readlink /proc/self/fd/0"}, {"stdout": "/dev/null"}),
    "more input than is read": ({"create": "head -c 2", "stdin": "x" * 300_000}, {"stdout": "xx"}),
    "environment": ({"create": "echo $A", "environment": {"A": "b"}}, {"stdout": "b"}),
    "another folder": ({"create": "pwd", "dir": "/usr"}, {"stdout": "/usr"}),
    "another interpreter": ({"create": "print(1)", "interpreter": ["python3", "-c"]}, {"stdout": "1"}),
    "no command": ({"stdin": "x"}, {"stdout": "", "stderr": ""}),
    "a long line that is not logged": (
        {"create": LINE.format(300_000), "logging": "stderr"}, {"stdout": "x" * 300_000, "stderr": ""},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("inputs", "expected"), OUTPUTS.values(), ids=OUTPUTS)
def test_output_of_a_command_becomes_its_outputs(plugin, inputs, expected):
    state = plugin.create(**inputs)
    assert {name: state[name] for name in expected} == expected


FAILURES = {
    "an exit code, and both streams as they came": (
        {"create": "echo o; sleep 0.1; echo 'é \"q\"' >&2; sleep 0.1; echo o2; exit 3"},
        'exit status 3: running "echo o; sleep 0.1; echo \'é \\"q\\"\' >&2; sleep 0.1; echo o2; exit 3":\no\né "q"\no2\n',
    ),
    "killed": ({"create": "kill -9 $$"}, 'signal: killed: running "kill -9 $$":\n'),
    "terminated": ({"create": "kill -15 $$"}, 'signal: terminated: running "kill -15 $$":\n'),
    "the end of its time": (
        {"create": "echo one; sleep 2; echo never", "timeout": 1},
        'signal: killed: running "echo one; sleep 2; echo never":\none\n',
    ),
    "no such folder": ({"create": "pwd", "dir": "/nowhere"}, 'chdir /nowhere: no such file or directory: running "pwd":\n'),
    "no such interpreter": (
        {"create": "x", "interpreter": ["nope"]}, 'exec: "nope": executable file not found in $PATH: running "x":\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize(("inputs", "text"), FAILURES.values(), ids=FAILURES)
def test_how_a_failure_is_worded(plugin, inputs, text):
    with pytest.raises(Refused) as refused:
        plugin.create(**inputs)
    assert str(refused.value) == text


SCRIPT = "echo o; sleep 0.1; echo e >&2; sleep 0.1; printf part >&2"


@pytest.mark.parametrize(
    ("logging", "expected"),
    [("stdoutAndStderr", ["o", "e", "part"]), ("stdout", ["o"]), ("stderr", ["e", "part"]), ("none", [])],
)
def test_logged_lines_are_shown_until_the_next_one(plugin, logging, expected):
    plugin.engine.lines.clear()
    plugin.create(create=SCRIPT, logging=logging)
    assert plugin.engine.lines == [("INFO", line, True) for line in expected]


def test_the_longest_line_that_is_logged(plugin):
    plugin.engine.lines.clear()
    assert len(plugin.create(create=LINE.format(65_535))["stdout"]) == 65_535
    assert [len(text) for text in plugin.engine.texts()] == [65_535]


def test_oversized_line_hangs_the_command(own):
    """Why infra.lines bounds what our programs write."""
    going = own.creating(create=f"echo before; {LINE.format(65_536)}; echo after")
    own.engine.heard("before")
    time.sleep(1)
    own.cancel()
    time.sleep(1)
    assert not going.done() and own.engine.texts() == ["before"]


def state(**values: Any) -> dict[str, Any]:
    return {"create": "echo a", "triggers": ["t"], "stdout": "a", "stderr": "", **values}


def test_update_gets_the_last_output_unless_disabled(plugin):
    command = "echo was $PULUMI_COMMAND_STDOUT"
    assert plugin.update(state(), create=command)["stdout"] == "was a"
    assert plugin.update(state(), create=command, addPreviousOutputInEnv=False)["stdout"] == "was"
    assert plugin.create(create=command)["stdout"] == "was"
    assert plugin.update(state(), create="echo c", update="echo u")["stdout"] == "u"


def test_update_after_oversized_output_fails(plugin):
    """Why infra.lines bounds all lines together."""
    with pytest.raises(Refused, match="fork/exec /bin/sh: argument list too long"):
        plugin.update(state(stdout="x" * 140_000), create="echo hi")
    assert plugin.update(state(stdout="x" * 130_000), create="echo hi")["stdout"] == "hi"


def test_outputs_of_a_change_are_unknown_in_a_preview(plugin):
    assert plugin.create(preview=True, create="false")["stdout"] == UNKNOWN
    assert plugin.update(state(), preview=True, create="echo b", triggers=["t"])["stdout"] == UNKNOWN
    assert plugin.update(state(), preview=True, create="echo a", triggers=["t"])["stdout"] == "a"


DIFFS = {
    "nothing": (state(), {"create": "echo a", "triggers": ["t"]}, {}, []),
    "the command": (state(), {"create": "echo b", "triggers": ["t"]}, {"create": "UPDATE"}, []),
    "an input more": (state(), {"create": "echo a", "triggers": ["t"], "stdin": "x"}, {"stdin": "ADD"}, []),
    # It is the SDK that replaces for these: its resource says replaceOnChanges triggers[*]
    "a trigger": (state(), {"create": "echo a", "triggers": ["u"]}, {"triggers[0]": "UPDATE"}, []),
    "a trigger more": (state(), {"create": "echo a", "triggers": ["t", "u"]}, {"triggers[1]": "ADD"}, []),
    "a trigger less": (state(triggers=["t", "u"]), {"create": "echo a", "triggers": ["t"]}, {"triggers[1]": "DELETE"}, []),
    "triggers at all": ({"create": "echo a"}, {"create": "echo a", "triggers": ["t"]}, {"triggers": "ADD_REPLACE"}, ["triggers"]),
    "no triggers": (state(), {"create": "echo a"}, {"triggers": "DELETE_REPLACE"}, ["triggers"]),
    "a variable": (
        state(environment={"A": "b"}), {"create": "echo a", "triggers": ["t"], "environment": {"A": "c"}},
        {"environment.A": "UPDATE"}, [],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "changes", "replaces"), DIFFS.values(), ids=DIFFS)
def test_changed_inputs_update_or_replace_a_command(plugin, old, new, changes, replaces):
    answer = plugin.diff(old, **new)
    kinds = {name: type(entry).Kind.Name(entry.kind) for name, entry in answer.detailedDiff.items()}
    assert (kinds, list(answer.replaces)) == (changes, replaces)


def test_an_unknown_input_is_refused(plugin):
    assert [name for name, _ in plugin.check(create="x", colour="red")] == ["colour"]
    assert plugin.check(create="x", logging="stderr", triggers=["t"]) == []


def test_removal_runs_the_delete_command(plugin, tmp_path):
    plugin.delete(state(delete=f"touch {tmp_path}/gone"))
    assert (tmp_path / "gone").exists()
    with pytest.raises(Refused, match='exit status 2: running "echo bye; exit 2":\nbye\n'):
        plugin.delete(state(delete="echo bye; exit 2"))


def test_a_gate_of_older_stacks_is_forgotten_without_a_connection(plugin):
    """It was a remote.Command; whether its host still answers is no matter."""
    connection = {
        "host": "127.0.0.1",
        "port": 9,
        "user": "root",
        "privateKey": "x",
        "dialErrorLimit": -1,
        "perDialTimeout": 15,
    }
    plugin.delete(
        {"connection": connection, "create": "sh -s", "triggers": ["i-1"], "stdout": "", "stderr": ""}, urn=GATE
    )


def test_the_plugins_own_path_is_not_the_commands(own):
    assert own.create(create="echo -$PYTHONPATH-")["stdout"] == "--"


def test_cancelled_command_waits_for_holders_of_its_pipes(own, tmp_path):
    """The first Ctrl-C. What is said from then on is in the error, and nowhere else."""
    command = f"echo begun; sh -c 'while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo orphan'; echo never"
    going = own.creating(create=command)
    own.engine.heard("begun")
    own.cancel()
    time.sleep(0.5)
    assert not going.done()
    (tmp_path / "go").touch()
    with pytest.raises(Refused) as refused:
        going.result(30)
    assert str(refused.value) == f'signal: killed: running "{command}":\nbegun\norphan\n'
    assert own.engine.texts() == ["begun"]


def test_after_a_cancellation_nothing_is_started_any_more(own):
    own.cancel()
    with pytest.raises(Refused, match='context canceled: running "echo hi":'):
        own.create(create="echo hi")


def test_without_an_engine_the_shell_is_killed(own, tmp_path):
    own.creating(create=f"echo begun; echo $$ > {tmp_path}/shell; while :; do sleep 0.1; done")
    own.engine.heard("begun")
    own.channel.close()
    shell = (tmp_path / "shell").read_text().strip()
    until(lambda: not Path(f"/proc/{shell}").exists())


def test_an_interrupted_plugin_ends_at_once(own):
    own.creating(create="echo begun; sleep 1")
    own.engine.heard("begun")
    own.process.send_signal(signal.SIGINT)
    assert own.process.wait(30) != 0


def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
