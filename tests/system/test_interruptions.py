"""Pulumi's own engine, its `command` plugin, and our programs: interrupted and killed in every way. No lab and no host:
a project of the test's own, and an SSH server of the test's whose agent applies a release in a few steps."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from infra.init import key_pair
from lab import plugins
from lab.tools import ensure_pulumi
from tests.fakes.real import real_plugins
from tests.rows import rows
from tests.ssh_server import Server
from tests.support import ROOT

pytestmark = pytest.mark.lab
# Where there is a real plugin, it takes part in every run, and the stand-in in the nightly one
WORLDS = ["real", pytest.param("stand-in", marks=pytest.mark.nightly)] if real_plugins() else ["stand-in"]
PROGRAM = """
import json, os
import pulumi, pulumi_command as command
from components.access import here
from components.release import to_settle
target, release = json.loads(os.environ["TARGET"]), os.environ["RELEASE"]
options = dict(logging=command.local.Logging.STDERR)
gate = {"target": target, "limit": 3, "first": "", "script": "true", "arguments": ["0"]}
ready = command.local.Command("ready", create=here("infra.ready"), stdin=json.dumps(gate), triggers=["m"],
    add_previous_output_in_env=False, **options)
asked = {"target": target, "release": release, "receive": "", "archive": "", "secrets": {}, "confirm": 60, "roots": [],
    "images": [], "owner": "infra-s.web1"}
asked |= {"settles": to_settle("web1", os.environ["SETTLED"])}
applied = command.local.Command("apply", create=here("infra.deliver"), stdin=json.dumps(asked), triggers=["m"],
    opts=pulumi.ResourceOptions(depends_on=[ready]), **options)
pulumi.export("line", applied.stdout.apply(lambda text: json.loads(text)["line"]))
pulumi.export("release", applied.stdout.apply(lambda text: json.loads(text)["release"]))
pulumi.export("settles", asked["settles"])
"""
STEPS = 8


class Host:
    """Applies a release in STEPS steps of a third of a second, with or without a listener; `applied` are those that it did."""

    def __init__(self) -> None:
        self.current: str | None = None
        self.applied: list[str] = []
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.killed, self.turn = threading.Event(), threading.Lock()
        self.long = ""
        self.server = Server(self.answer)

    @property
    def target(self) -> dict[str, Any]:
        return {
            "host": "web1", "address": "127.0.0.1", "port": self.server.port, "user": "root",
            "host_key": self.server.host_public, "private_key": self.server.user_private,
        }  # fmt: skip

    def answer(self, command: str, text: str, say: Callable[[str], None]) -> int | None:
        if "sh -s" in command:
            return 0
        asked = json.loads(text)
        if command.endswith("releases"):
            say(json.dumps({"current": self.current}))
            return 0
        id = asked.get("id") or asked["spec"]["id"]
        if "receive" in command:
            self.jobs[id] = []
            threading.Thread(target=self.work, args=(self.jobs[id], asked["spec"]["release"]), daemon=True).start()
        if id not in self.jobs:
            say(json.dumps({"gone": True}))
            return 0
        return self.follow(self.jobs[id], asked.get("seen", 0), say)

    def work(self, events: list[dict[str, Any]], release: str) -> None:
        # One job at a time
        with self.turn:
            self.apply(events, release)

    def apply(self, events: list[dict[str, Any]], release: str) -> None:
        outcome = "unchanged" if self.current == release else "applied"
        self.killed.clear()
        for number in range(STEPS if outcome == "applied" else 0):
            events.append({"say": f"step {number}{self.long}"})
            if self.killed.wait(0.3):
                # As the agent does that systemd starts again
                line = "rolled back on web1: the agent was ended midway"
                events.append({"result": {"outcome": "rolled back", "code": 4, "line": line, "release": release}})
                return
        self.current = release
        self.applied += [release] if outcome == "applied" else []
        line = f"{outcome} on web1{self.long}"
        events.append({"result": {"outcome": outcome, "code": 0, "line": line, "release": release}})

    def follow(self, events: list[dict[str, Any]], seen: int, say: Callable[[str], None]) -> int | None:
        while True:
            for event in events[seen:]:
                seen += 1
                try:
                    say(json.dumps(event))
                except OSError:
                    return None
                if "result" in event:
                    return 0
            time.sleep(0.05)


class Project:
    """A Pulumi project in a folder of its own, which sees this checkout's programs."""

    def __init__(self, folder: Path, plugin: bytes) -> None:
        self.folder, self.host = folder, Host()
        program = folder / "home/plugins/resource-command-v1.2.1/pulumi-resource-command"
        program.parent.mkdir(parents=True)
        program.write_bytes(plugin)
        program.chmod(0o755)
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text("name: p\nruntime: python\n")
        (folder / "__main__.py").write_text(PROGRAM)
        for name in (".venv", "agent", "catalogue", "components", "files", "infra", "policy", "rendering"):
            (folder / name).symlink_to(ROOT / name)
        self.env = {
            **os.environ, "PATH": f"{ROOT}/.venv/bin:{ensure_pulumi()}:{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"), "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_STACK": "s",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }  # fmt: skip
        self.pulumi("stack", "init", "s")

    def pulumi(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"], cwd=self.folder, env={**self.env, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180, check=False,
        )  # fmt: skip

    def values(self, release: str, **target: Any) -> dict[str, str]:
        settled = json.loads(self.pulumi("stack", "output", "--json").stdout or "{}").get("settles", "")
        return {"RELEASE": release, "TARGET": json.dumps({**self.host.target, **target}), "SETTLED": settled}

    def up(self, release: str, **target: Any) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview", **self.values(release, **target))

    def up_and(self, release: str, mark: str, act: "Callable[[Update], None]") -> "Update":
        """An update on which something is done when it says `mark`, followed to its end."""
        update = Update(self, release, mark)
        act(update)
        update.finish()
        return update


class Update:
    def __init__(self, project: Project, release: str, mark: str) -> None:
        self.process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"], cwd=project.folder, text=True,
            env={**project.env, **project.values(release)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if mark in line:
                break
        else:
            pytest.fail("".join(self.lines))
        self.plugin, *_ = self.of_session("pulumi-resource-command|lab.fakes.command")
        self.known, self.child = sorted(self.of_session(r"infra\.(deliver|ready)"))

    def of_session(self, pattern: str) -> list[int]:
        ran = subprocess.run(
            ["pgrep", "-s", str(self.process.pid), "-f", pattern],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return [int(pid) for pid in ran.stdout.split()]

    def finish(self) -> None:
        assert self.process.stdout
        self.lines += self.process.stdout.readlines()
        self.process.wait(120)
        end = time.monotonic() + 30
        while any(map(runs, (self.known, self.child, self.plugin))):
            assert time.monotonic() < end, "something of ours still runs"
            time.sleep(0.05)

    @property
    def error(self) -> list[str]:
        """The lines of the command's error, as a person reads them in the end."""
        text = "".join(self.lines).partition("Diagnostics:")[2]
        text = text.partition("command:local:Command")[2].partition("\n\n")[0]
        return [line.strip() for line in text.splitlines() if line.strip()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        # It has ended, before the file was opened or while it was read
        return False


@pytest.fixture(scope="module", params=WORLDS)
def project(request, tmp_path_factory) -> Iterator[Project]:
    real = real_plugins()
    content = plugins.unpack_program(real) if request.param == "real" and real else plugins.stand_in("command").encode()
    made = Project(tmp_path_factory.mktemp("project"), content)
    yield made
    made.host.server.close()


def twice(update: Update) -> None:
    update.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    update.process.send_signal(signal.SIGINT)


FINISHED = "applied on web1. Pulumi was interrupted and recorded it as failed; the next pulumi up corrects that"
WAYS: dict[str, tuple[Callable[[Update], None], str]] = {
    "Ctrl-C": (lambda update: update.process.send_signal(signal.SIGINT), FINISHED),
    "Ctrl-C twice": (twice, ""),
    "the engine is killed": (lambda update: update.process.kill(), ""),
    "the plugin is killed": (lambda update: os.kill(update.plugin, signal.SIGKILL), "EOF"),
    "what the plugin started is killed": (lambda update: os.kill(update.known, signal.SIGKILL), FINISHED),
    "its child is killed": (lambda update: os.kill(update.child, signal.SIGKILL), "was killed (SIGKILL)"),
    "it is asked to end": (
        lambda update: os.kill(update.known, signal.SIGTERM),
        "continues there until it is applied or rolled back",
    ),
}


@pytest.mark.parametrize("way", rows(WAYS, always=["Ctrl-C"]))
def test_interrupted_update_ends_truthfully_and_is_settled_by_the_next(project, way):
    act, last = WAYS[way]
    update = project.up_and(f"release {way}", "step 1", act)
    assert update.process.returncode != 0 and "Traceback" not in "".join(update.lines)
    assert not last or last in update.error[-1], update.error
    # As `pulumi cancel` does for the lock of a killed one
    project.pulumi("cancel", "--yes")
    ran = project.up(f"release {way}")
    assert ran.returncode == 0, ran.stdout
    assert project.host.applied.count(f"release {way}") == 1
    assert json.loads(project.pulumi("stack", "output", "--json").stdout)["line"] == "unchanged on web1"
    assert project.pulumi("preview", "--expect-no-changes", **project.values(f"release {way}")).returncode == 0


@pytest.mark.nightly
def test_reverted_change_after_a_kill_is_reverted_on_the_host(project):
    """For Pulumi nothing has changed since the last whole update; the host has what the killed one brought."""
    assert project.up("the one before").returncode == 0

    def kill(update: Update) -> None:
        for pid in (update.process.pid, update.plugin, update.known, update.child):
            # One may have ended with the one before it
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    project.up_and("the one that was killed", "step 1", kill)
    project.pulumi("cancel", "--yes")
    ran = project.up("the one before")
    assert ran.returncode == 0 and project.host.current == "the one before", ran.stdout
    assert "an interrupted update left job" in ran.stdout
    assert project.pulumi("preview", "--expect-no-changes", **project.values("the one before")).returncode == 0


VICTIMS: dict[str, Callable[[Project, Update], object]] = {
    "the engine": lambda project, update: update.process.kill(),
    "the plugin": lambda project, update: os.kill(update.plugin, signal.SIGKILL),
    "what it started": lambda project, update: os.kill(update.known, signal.SIGKILL),
    "its child": lambda project, update: os.kill(update.child, signal.SIGKILL),
    "the host's job": lambda project, update: project.host.killed.set(),
}


@pytest.mark.parametrize("seed", rows([str(number) for number in range(8)], always=[]))
def test_repeated_kills_end_at_the_release_of_the_stack(project, seed):
    """At random moments, one update after another, each with another change; then the same command until it ends well.
    What is reported then is of what the host has."""
    random = Random(seed)
    for number in range(3):
        update = Update(project, f"release {seed}.{number}", f"step {random.randrange(STEPS - 1)}")
        time.sleep(random.random() * 0.3)
        chosen = random.sample(sorted(VICTIMS), 2)
        print(number, chosen)
        for name in chosen:
            with contextlib.suppress(ProcessLookupError):
                VICTIMS[name](project, update)
        update.finish()
        project.pulumi("cancel", "--yes")
    wanted = random.choice([f"release {seed}.{number}" for number in range(3)] + [f"amended {seed}"])
    said = []
    for _ in range(3):
        said.append(project.up(wanted))
        if said[-1].returncode == 0:
            break
        project.pulumi("cancel", "--yes")
    assert said[-1].returncode == 0 and project.host.current == wanted, [ran.stdout for ran in said]
    outputs = json.loads(project.pulumi("stack", "output", "--json").stdout)
    assert outputs["release"] == wanted and outputs["line"] in ("applied on web1", "unchanged on web1")
    assert project.pulumi("preview", "--expect-no-changes", **project.values(wanted)).returncode == 0


def test_long_line_does_not_hang_the_update(project):
    project.host.long = f" {'x' * 300_000}"
    ran = project.up("a talkative release")
    project.host.long = ""
    assert ran.returncode == 0 and "… (300007 bytes in this line; the whole text: infra logs)" in ran.stdout
    # and the next run still starts, though it is handed what this one said
    ran = project.up("the next release")
    assert ran.returncode == 0, ran.stdout


def test_reason_is_the_last_line_of_the_error(project):
    ran = project.up("unreachable", host_key=key_pair("other")[1])
    reason = ran.stdout.partition("Diagnostics:")[2].partition("command:local:Command (ready):")[2].partition("\n\n")[0]
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    assert len(lines) == 2 and lines[0].startswith("error: exit status 1: running")
    assert lines[1].startswith("failed: web1 (root@127.0.0.1:") and "is pinned" in lines[1]
