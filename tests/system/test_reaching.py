"""A person in a service: a command, a shell, a port, a restart; each is known to the host afterwards."""

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest
import yaml

from lab import workspace
from tests.moves.on import client
from tests.system.conftest import System
from tests.system.faults import Load
from tests.system.on import main_pid, wait_until_well

pytestmark = pytest.mark.lab
NATIVE, HOST = "whisper-backend", "services"


def infra(system: System, *words: str, stdin: str | None = None):
    return system.command("infra", *words[:1], "--stack", "lab", *words[1:], stdin=stdin)


def test_a_command_has_the_services_account_directory_environment_and_input(system: System) -> None:
    script = 'id -un; pwd; echo "$RUST_LOG"; cat; echo "in error" >&2; exit 7'
    ran = infra(system, "exec", NATIVE, "--", "sh", "-c", script, stdin="what is typed\n")
    assert ran.code == 7, ran.output
    for said in ("whisper", "/opt/whisper", "info", "what is typed", "in error"):
        assert f"{said}\n" in f"{ran.output}\n", ran.output


@pytest.mark.nightly
def test_failed_command_is_reported_with_its_message(system: System) -> None:
    """The stand-ins' images have a program and nothing else."""
    ran = infra(system, "exec", "vault-api", "--", "/bin/sh")
    assert ran.code in (126, 127) and '"/bin/sh": stat /bin/sh: no such file or directory' in ran.output, ran.output
    ran = infra(system, "exec", "vault", "--", "ls")
    assert ran.code == 1 and "stack lab runs no vault: did you mean 'vault-api'?" in ran.output, ran.output
    assert "Traceback" not in ran.output


@pytest.mark.nightly
def test_large_output_comes_whole(system: System) -> None:
    ran = infra(system, "exec", NATIVE, "--", "seq", "1", "200000")
    assert ran.code == 0 and ran.output.split()[-1] == "200000" and len(ran.output.split()) == 200000
    for _ in range(10):
        # Often less than what is read at a time
        assert len(infra(system, "exec", NATIVE, "--", "seq", "1", "9999").output.split()) == 9999


@pytest.mark.nightly
def test_arguments_arrive_unchanged_with_the_exit_code(system: System) -> None:
    words = ["$HOME", "${d}", "$$", "%i", "a b", "*"]
    ran = infra(system, "exec", NATIVE, "--", "printf", "[%s]", *words)
    assert ran.output == "".join(f"[{word}]" for word in words), ran.output
    for script, code in (("kill -9 $$", 137), ("kill -15 $$", 143), ("exit 255", 255)):
        assert infra(system, "exec", NATIVE, "--", "sh", "-c", script).code == code
    ran = infra(system, "exec", NATIVE, "--", "no-such-program")
    assert ran.code == 127 and "infra: no-such-program: not found" in ran.output, ran.output


def in_a_terminal(system: System, words: list[str], typed: str, until: str) -> str:
    """What a command says in a terminal of its own, until it has said this; then it is left."""
    place, its_end = os.openpty()
    env = workspace.full_environment(system.lab)
    process = subprocess.Popen(
        words, cwd=system.project, env=env, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True
    )
    os.close(its_end)
    said, sent, end = b"", False, time.monotonic() + 60
    while time.monotonic() < end and not re.search(until, said.decode(errors="replace")):
        if select.select([place], [], [], 0.5)[0]:
            try:
                said += os.read(place, 4096)
            except OSError:
                break
        # Not before there is a prompt
        if not sent and re.search(rb"[$#] $", said):
            os.write(place, typed.encode())
            sent = True
    process.wait(timeout=60)
    os.close(place)
    return said.decode(errors="replace")


@pytest.mark.parametrize(
    ("words", "account"), [([NATIVE], "whisper"), (["--host", HOST], "admin")], ids=["a service", "a host"]
)
def test_a_shell_has_a_terminal(system: System, words: list[str], account: str) -> None:
    typed = "echo it is $(id -un) at $(tty) end; exit\n"
    said = in_a_terminal(system, ["infra", "shell", "--stack", "lab", *words], typed, r"it is \S+ at \S+ end")
    assert re.search(r"it is \w+ at /dev/pts/\d+ end", said), said
    assert account == "admin" or f"it is {account} at" in said, said


@contextmanager
def forwarded(system: System, *words: str) -> Iterator[str]:
    """The address here that leads there."""
    command = ["infra", "port-forward", "--stack", "lab", *words]
    env = workspace.full_environment(system.lab)
    process = subprocess.Popen(
        command, cwd=system.project, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout
    try:
        line = process.stdout.readline()
        found = re.match(r"(127\.0\.0\.1:\d+) leads to", line)
        assert found, line + process.stdout.read()
        yield found[1]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, process.stdout.read()


def test_a_port_leads_to_the_service(system: System) -> None:
    with forwarded(system, "vault-api", "--local", "0") as address:
        for _ in range(3):
            assert urlopen(f"http://{address}/health", timeout=10).status == 200


def test_a_restart_loses_no_request_and_changes_nothing_else(system: System) -> None:
    wait_until_well(system)
    before = system.on_host("docker", "inspect", "-f", "{{.State.StartedAt}}", "watchme-vault-api", "ast-api").output
    with Load(system, ["/vault/", "/avatar/"]).going() as load:
        ran = infra(system, "restart", "vault-api")
    assert ran.code == 0 and "restarted on watchme: vault-api, healthy; release" in ran.output, ran.output
    after = system.on_host("docker", "inspect", "-f", "{{.State.StartedAt}}", "watchme-vault-api", "ast-api").output
    changed = [a != b for a, b in zip(before.split(), after.split(), strict=True)]
    assert load.lost() == {} and changed == [True, False]
    assert main_pid(system, "watchme", "watchme-vault-api.service") != "0"
    preview = system.pulumi("preview", "--expect-no-changes")
    assert preview.code == 0, preview.output


@pytest.mark.nightly
def test_access_is_recorded_on_the_host(system: System) -> None:
    infra(system, "exec", NATIVE, "--", "printf", "a-secret-argument")
    said = infra(system, "releases", "--host", HOST).output
    assert re.search(r"exec +│ whisper-backend printf", said), said
    assert "a-secret-argument" not in said
    journal = system.on_host("journalctl", "--since=-10min", "-o", "cat", "--no-pager", host=HOST).output
    assert "printf" in journal and "a-secret-argument" not in journal
    assert f"exec {NATIVE} printf" in infra(system, "logs", "releases", "--host", HOST).output
    assert "restart" in infra(system, "releases", "--host", "watchme").output


@pytest.mark.nightly
def test_secret_of_another_manager_reaches_the_service_but_not_the_state(watchme: System) -> None:
    system, path = watchme, "/lab/recall/probe"
    ssm = client(system, "ssm")
    ssm.put_parameter(Name=path, Value="hunter2-of-ssm", Type="SecureString")
    mark = "    environment_file: /etc/recall/recall.env\n"
    system.edit("files/systems/recall.yaml", mark, f"{mark}    secrets: [PROBE, OTHER]\n")
    sources = {"PROBE": f"ssm:{path}", "OTHER": {"command": ["printf", "hunter2-of-a-command"]}}
    with system.configured():
        # `pulumi config set` takes the place of a secret for a secret
        file = system.lab.config_file
        config = yaml.safe_load(file.read_text())
        config["config"]["infra:secretsFrom"] = {"recall-api": sources}
        file.write_text(yaml.safe_dump(config))
        assert f"from ssm:{path}" in system.command("infra", "secret", "list", "--stack", "lab").output
        output = system.must_up()
        environment = system.on_host("cat", "/etc/recall/recall.env", host=HOST).output
        assert "hunter2-of-ssm" in environment and "hunter2-of-a-command" in environment, environment
        assert "hunter2" not in output
        state = system.lab.path("state", ".pulumi", "stacks", "infra", "lab.json").read_text()
        assert "hunter2" not in state
        ssm.put_parameter(Name=path, Value="another", Type="SecureString", Overwrite=True)
        assert system.pulumi("preview", "--expect-no-changes").code != 0
        ssm.delete_parameter(Name=path)
        gone = system.up()
        assert gone.code != 0 and f"infra:secretsFrom.recall-api.PROBE (ssm:{path}): AWS in" in gone.output, gone.output
    system.restore_all()
    system.must_up()
