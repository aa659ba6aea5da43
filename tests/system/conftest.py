"""The rehearsal lab of the tests: its own name, addresses, state and copy of the project."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import machine, network, run, up, workspace
from lab.settings import HOST_LABEL, LABEL, REGION_LABEL, ROOT, Lab
from lab.table import PublicClient, await_statuses
from tests import journals
from tests.support import end_session, started
from tests.system import neighbours
from tests.system.cannot import reason_why_not

UP_LIMIT = 900  # seconds of a command; three labs and the pure tests share the cores
# Several can be tested in at once: see tests/labs.py
_NAME, _NUMBER = os.environ.get("TESTS_LAB", "test:72").split(":")
# Below a lab: what Pulumi keeps of the stack
STATE = "state/.pulumi/stacks/infra/lab.json"
LAB = Lab(_NAME, int(_NUMBER), ROOT / f".lab-{_NAME}")


@dataclass(frozen=True)
class Ran:
    code: int
    output: str


@dataclass
class System:
    """The lab's hosts and what runs on them, as its users and its administrators see it."""

    lab: Lab
    project: Path
    edited: set[str] = field(default_factory=set)
    # Of what was edited an update may have brought something to the hosts
    is_brought: bool = False

    def command(self, *argv: str, stdin: str | None = None) -> Ran:
        """A command in the copy of the project, in an environment as after `. .lab/env`."""
        env = workspace.full_environment(self.lab)
        process = subprocess.Popen(
            argv, cwd=self.project, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(stdin, timeout=UP_LIMIT)
        except subprocess.TimeoutExpired:
            # With all that it started, or its lock on the stack would fail every test to come
            end_session(process.pid)
            process.wait()
            workspace.clear_dead_locks(self.lab)
            raise
        return self._noted(argv, Ran(process.returncode, output))

    def _noted(self, argv: Sequence[str], ran: Ran, is_disturbed: bool = False) -> Ran:
        """What was refused or rolled back has brought nothing; what was disturbed may have, however it ended."""
        if tuple(argv[:2]) in (("pulumi", "up"), ("infra", "up")):
            if ran.code == 0:
                self.is_brought = bool(self.edited)
            elif is_disturbed:
                self.is_brought |= bool(self.edited)
        return ran

    def follow(
        self, said: str, then: Callable[[subprocess.Popen[str]], object], *argv: str, every: bool = False
    ) -> Ran:
        """A command as above; `then` is called as soon as a line has `said`: at the first, or at each."""
        env = workspace.full_environment(self.lab)
        lines, heard = [], False
        with started(
            *argv, timeout=UP_LIMIT, cwd=self.project, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:  # fmt: skip
            assert process.stdout
            for line in process.stdout:
                lines.append(line)
                if said in line and (every or not heard):
                    heard = True
                    then(process)
            assert heard, f"no line has {said!r}: {''.join(lines[-20:])}"
            return self._noted(argv, Ran(process.wait(), "".join(lines)), is_disturbed=True)

    def up_and(self, said: str, then: Callable[[subprocess.Popen[str]], object]) -> Ran:
        """`pulumi up`, and something else in the middle of it."""
        return self.follow(said, then, "pulumi", "up", "--yes", "--skip-preview", "--stack", "lab", "--non-interactive")

    def up_killed_at(self, said: str) -> Ran:
        """`pulumi up` that ends by SIGKILL, with all that it started, as soon as it says this; what AWS was creating
        just then is settled as the next `pulumi up` asks for."""
        ran = self.up_and(said, lambda process: end_session(process.pid))
        workspace.clear_dead_locks(self.lab)
        state = self.lab.path(STATE)
        if not state.read_bytes().strip():
            # Pulumi was killed while it wrote it: as docs/troubleshooting.md says
            shutil.copy(f"{state}.bak", state)
        settled = self.command("infra", "orphans", "--adopt", "--yes", "--stack", "lab")
        assert settled.code == 0, settled.output
        return ran

    def set(self, key: str, value: str) -> None:
        """A configuration value of the stack."""
        path = ["--path"] if key.startswith("infra:") else []
        ran = self.command("pulumi", "config", "set", "--stack", "lab", *path, key, "--", value)
        assert ran.code == 0, ran.output

    def unset(self, key: str) -> None:
        ran = self.command("pulumi", "config", "rm", "--stack", "lab", "--path", key)
        assert ran.code == 0 or "not found" in ran.output, ran.output

    def pulumi(self, *argv: str) -> Ran:
        return self.command("pulumi", *argv, "--stack", "lab", "--non-interactive")

    def up(self) -> Ran:
        return self.pulumi("up", "--yes", "--skip-preview")

    def deliver(self, host: str = "watchme") -> Ran:
        """A release to one host as `pulumi up` has it brought there, without Pulumi: for what the agent does with it.
        Pulumi does not know of it, so that only one that fails leaves the stack as it is."""
        made = self.command(".venv/bin/python", "tests/system/delivering.py", host)
        assert made.code == 0, made.output
        serving = self.on_host("readlink", "/var/lib/infra/current", host=host).output.rsplit("/", 1)[-1]
        before = f"PULUMI_COMMAND_STDOUT={json.dumps({'release': serving})}"
        request = made.output.splitlines()[-1]
        return self.command("env", before, ".venv/bin/python", "-m", "infra.deliver", stdin=request)

    def must_up(self) -> str:
        ran = self.up()
        assert ran.code == 0, ran.output
        return ran.output

    def output(self, name: str) -> str:
        return self.pulumi("stack", "output", name).output.strip()

    @property
    def container(self) -> str:
        return self.container_of("watchme")

    def containers_of(self, host: str, region: str = "") -> list[str]:
        """The containers that stand for a host, in a region or in all."""
        labels = [
            f"{LABEL}={self.lab.name}",
            f"{HOST_LABEL}=lab-{host}",
            *([f"{REGION_LABEL}={region}"] if region else []),
        ]
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        return run.run("docker", "ps", "-aq", *filters).split()

    def container_of(self, host: str, region: str = "") -> str:
        return self.containers_of(host, region)[0]

    def on_host(self, *argv: str, stdin: str | None = None, host: str = "watchme", region: str = "") -> Ran:
        flag = ["-i"] if stdin is not None else []
        done = subprocess.run(
            ["docker", "exec", *flag, self.container_of(host, region), *argv], input=stdin, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, timeout=120,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout.strip())

    def inner_address(self, host: str = "watchme") -> str:
        """The host's own address on the lab's network, without the lab's forwarder before it."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return run.run("docker", "inspect", "-f", form, self.container_of(host)).strip()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        name: str = "api.hey-watch.me",
        address: str | None = None,
        patience: float = 10,
    ) -> tuple[int, Mapping[str, str], bytes]:
        client = PublicClient(name, self.lab.dns, self.lab.path("ca.pem"), address, patience)
        try:
            return client.ask(method, path, body)
        finally:
            client.close()

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.project / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new, 1))
        self.edited.add(path)

    def add(self, path: str, text: str) -> None:
        """A file that the repository does not have."""
        (self.project / path).parent.mkdir(parents=True, exist_ok=True)
        (self.project / path).write_text(text)
        self.edited.add(path)

    def restore(self, path: str) -> None:
        if (ROOT / path).exists():
            shutil.copy(ROOT / path, self.project / path)
        else:
            (self.project / path).unlink()
        self.edited.discard(path)

    def restore_all(self) -> None:
        """Every edited file as it is in the repository, and the hosts too, where an update brought an edit to them."""
        for path in sorted(self.edited):
            self.restore(path)
        if self.is_brought:
            self.must_up()

    @contextmanager
    def configured(self, **values: str) -> Iterator[None]:
        """The stack with other configuration, and its file as it was afterwards."""
        before = self.lab.config_file.read_text()
        for key, value in values.items():
            ran = self.command("pulumi", "config", "set", "--stack", "lab", "--path", f"infra:{key}", "--", value)
            assert ran.code == 0, ran.output
        try:
            yield
        finally:
            self.lab.config_file.write_text(before)

    def logins(self) -> int:
        return self.on_host("journalctl", "-u", "ssh", "-o", "cat").output.count("Accepted publickey")


def must_be_possible() -> None:
    if why := reason_why_not():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no lab: {why}")


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> Iterator[neighbours.Programs | None]:
    """Other programs on the usual ports, from before this lab until after it. Of labs side by side only one can have
    them: the one whose tests ask."""
    if not any("test_neighbours" in item.nodeid for item in request.session.items):
        yield None
        return
    with neighbours.Programs() as taken:
        yield taken


@pytest.fixture(scope="session")
def system(programs: neighbours.Programs | None) -> Iterator[System]:
    """A lab with WatchMe on it. What an earlier or killed run left goes first, and everything goes at the end."""
    must_be_possible()
    up.clear(LAB, take_over=True)
    project = LAB.path("project")
    made = System(LAB, project)
    try:
        with journals.said_on_failure(LAB.name, LAB.path("run")):
            up.start(LAB)
            _keep_no_engine_log(LAB)
            copy_project(project)
            up.prepare(LAB, project)
            # What a test breaks stays broken until the test has seen it
            made.set("infra:repairs", "false")
            made.must_up()
            # What has a single instance anywhere starts when its name has pointed here for a while
            await_statuses(LAB, project, patience=120)
        yield made
    finally:
        up.clear(LAB)
        left = what_is_left(LAB)
        machine.stop_docker()
    assert not left, f"`make lab-down` leaves behind: {left}"


def _keep_no_engine_log(lab: Lab) -> None:
    """Pulumi compresses and encrypts a debug log of each command, two thirds of its engine's CPU time, and has no switch
    for it; it goes on without one where it cannot make the folder."""
    home = lab.path("pulumi")
    home.mkdir(parents=True, exist_ok=True)
    (home / "logs").touch()


def copy_project(target: Path) -> None:
    """What git tracks or would track."""
    listed = run.run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    for name in listed:
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(ROOT / ".venv")


def what_is_left(lab: Lab) -> list[str]:
    left = [daemon.name for daemon in up.daemons(lab) if daemon.alive]
    for kind in ("ps -aq", "network ls -q", "images -q"):
        left += run.run("docker", *kind.split(), "--filter", f"label={LABEL}={lab.name}").split()
    return left + network.remains(lab) + ([str(lab.directory)] if lab.directory.exists() else [])


@pytest.fixture
def watchme(system: System) -> Iterator[System]:
    """The system, what a test edits as it is in the repository before and after."""
    yield system
    system.restore_all()
