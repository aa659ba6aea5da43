"""One measurement after the other: each job in turn by everyone, so that all meet the same machine."""

import os
import re
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import ours
from benchmarks.peers.line import Line
from benchmarks.peers.meters import MARK, Client, Memory, host_cpu
from benchmarks.peers.ours import Project, on_host
from benchmarks.peers.peers import Login, Peer, Step
from benchmarks.peers.table import OURS, WHOLE, Run
from benchmarks.peers.work import Rendered, Tree, tree
from lab.run import run
from lab.say import LabError

LONGEST = 3600  # seconds of one command
SWITCHED = re.compile(r"waiting for \d+ services?")  # what the agent says next
IDLE = 5.0  # seconds over which a host's own use of its processor is taken


def slug(name: str) -> str:
    """A peer's name as it can be part of a unit's, a path's and an upstream's."""
    return re.sub(r"[^a-z0-9]+", "", name.lower()) or "peer"


def follow(step: Step, env: dict[str, str], stdin: str, log: Path) -> tuple[int, float | None]:
    """Runs a command to its end, its output in `log`: exit code, and after how many seconds the host had switched to
    the release (None: no line says so)."""
    switched, began = None, time.perf_counter()
    with tempfile.TemporaryFile("w+") as given_input, log.open("w") as output:
        given_input.write(stdin)
        given_input.seek(0)
        with subprocess.Popen(
            step.argv or ["true"], cwd=step.folder, env=env, stdin=given_input, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            guard = threading.Timer(LONGEST, process.kill)
            guard.daemon = True
            guard.start()
            for line in process.stdout or ():
                output.write(line)
                if switched is None and SWITCHED.search(line):
                    switched = time.perf_counter() - began
            code = process.wait(60)
            guard.cancel()
    return code, switched


@dataclass(frozen=True)
class HostOfLab:
    """A running host: `public` is where this program connects, `inner` where its SSH server listens."""

    container: str
    public: str
    inner: str


@dataclass
class Session:
    """All that the measurements share: the `host`, the `project` that is brought to it, how peers log in, a `folder`
    for them, and what a client asks meanwhile. `base` is the release that Pulumi knows to be on the host."""

    host: HostOfLab
    base: Rendered
    project: Project
    login: Login
    folder: Path
    ask: Callable[[], bool]
    loss: float = 0.0
    round_trip: int = 0
    number: int = 1
    runs: list[Run] = field(default_factory=list)
    trees: dict[str, Tree] = field(default_factory=dict)
    idle: float = 0.0
    say: Callable[[str], None] = print

    def measure_idle(self) -> None:
        """What the host uses while a client asks and nothing else is done."""
        with Client(self.ask):
            began = host_cpu(self.host.container)
            time.sleep(IDLE)
            self.idle = (host_cpu(self.host.container) - began) / IDLE

    def measure(self, name: str, job: str, step: Step, stdin: str = "", is_own: bool = False) -> Run | None:
        """Runs a command through a line of its own and notes what it took. A job `failed` is to fail."""
        if step.argv is None:
            return None
        mark = uuid.uuid4().hex
        env = {**os.environ, **step.env, MARK: mark}
        env = {key: value for key, value in env.items() if value != ""}
        port = 0 if is_own else self.login.port
        line = Line((self.host.inner, 22), self.round_trip / 1000, self.loss / 100, port)
        log = self.folder / f"{slug(name)}.log"
        with ExitStack() as stack:
            stack.enter_context(line)
            stack.enter_context(Redirect(self.host.public, line.port) if is_own else nullcontext())
            client = stack.enter_context(Client(self.ask))
            memory = stack.enter_context(Memory(mark))
            cpu, began = host_cpu(self.host.container), time.perf_counter()
            code, switched = follow(step, env, stdin, log)
            seconds = time.perf_counter() - began
            cpu = host_cpu(self.host.container) - cpu - self.idle * seconds
            # What a client keeps open for its next command ends with the line
            count = line.count
        is_good = (code != 0) == (job == "failed")
        if not is_good:
            self.say(f"  {name}: exit code {code}: {' | '.join(log.read_text().splitlines()[-4:])[-600:]}")
        return self._note(Run(
            name, job, self.round_trip, self.loss, self.number, seconds, count.connections, count.round_trips,
            count.up, count.down, cpu, memory.peak, client.requests, client.failed, is_good,
            self._what_serves() if job == "failed" else "", switched,
        ))  # fmt: skip

    def _note(self, one: Run) -> Run:
        self.runs.append(one)
        self.say(
            f"  {one.round_trip} ms, {one.job}, {one.peer}: {one.seconds:.2f} s, {one.connections} connections, "
            f"{one.round_trips} round trips, {one.up + one.down} bytes"
        )
        return one

    def _what_serves(self) -> str:
        try:
            answer = "the site as before" if self.ask() else "the site does not answer as before"
        except OSError:
            answer = "the site does not answer"
        test = on_host(self.host.container, "nginx -t -q")
        if test.returncode == 0:
            return f"{answer}; the files on the host are valid"
        return f"{answer}, from Nginx's memory: the files on the host are broken, and a restart or reboot ends it"

    def by_peers(self, peers: Sequence[Peer], job: str, rendered: Rendered) -> None:
        """A job by all peers. What a failed one leaves is put right before anyone else goes on."""
        for peer in peers:
            folder = self.folder / slug(peer.name)
            folder.mkdir(parents=True, exist_ok=True)
            before, after = self.trees.get(peer.name), tree(rendered, slug(peer.name))
            if job == "first":
                self.remove(peer)
                before = None
            elif before is None:
                before = tree(self.base, slug(peer.name))
                self._bring_unmeasured(peer, folder, before)
            step = peer.prepare(folder, self.login, before, after)
            self.measure(peer.name, job, step)
            if job == "failed" and before is not None:
                self._put_site(before)
            else:
                self.trees[peer.name] = after

    def _bring_unmeasured(self, peer: Peer, folder: Path, after: Tree) -> None:
        """The state that a job other than the first begins from."""
        self.remove(peer)
        step = peer.prepare(folder, self.login, None, after)
        with Line((self.host.inner, 22), port=self.login.port), (self.folder / "first.log").open("w") as log:
            env = {key: value for key, value in {**os.environ, **step.env}.items() if value != ""}
            code = subprocess.run(
                step.argv or ["true"], cwd=step.folder, env=env, stdout=log, stderr=log, check=False, timeout=LONGEST
            ).returncode
        if code:
            raise LabError(f"{peer.name}: its first push failed: {(self.folder / 'first.log').read_text()[-600:]}")

    def _put_site(self, right: Tree) -> None:
        script = f"cat > {right.site} && nginx -t -q && systemctl reload nginx"
        ran = on_host(self.host.container, script, right.files[right.site])
        if ran.returncode:
            raise LabError(f"{right.site} could not be put right: {ran.stderr.strip()[-300:]}")

    def remove(self, peer: Peer) -> None:
        """Everything of a peer, on the host and of its state here."""
        name = slug(peer.name)
        on_host(
            self.host.container,
            "cd /etc/systemd/system && "
            f"for unit in peer-{name}-*.service; do systemctl disable -q --now $unit 2>/dev/null; done; "
            f"rm -rf /etc/systemd/system/peer-{name}-*.service /etc/nginx/conf.d/peer-{name}.conf /opt/peers/{name} "
            f"/tmp/peers-{name}; systemctl daemon-reload; nginx -t -q && systemctl reload nginx",
        )
        run("rm", "-rf", str(self.folder / name))
        (self.folder / name).mkdir(parents=True)
        self.trees.pop(peer.name, None)

    def by_us(self, job: str, rendered: Rendered, with_up: bool) -> None:
        """A job by infra.deliver, then once more by `pulumi up`, from the same release."""
        serving = ours.serving_release(self.host.container)
        if job == "first":
            ours.wipe(self.host.container, rendered)
            serving = ""
        env = self.project.delivery(serving)
        deliver = Step(self.project.deliver, self.project.folder, env)
        self.measure(OURS, job, deliver, stdin=rendered.request, is_own=True)
        if job not in ("first", "failed", "unchanged") and with_up:
            # Pulumi knows of no other release than the one before
            self.project.bring(self.base, rendered.release)
        if job != "first" and with_up:
            self.measure(WHOLE, job, Step(ours.UP, self.project.folder, self.project.env), is_own=True)
        if job != "failed":
            self.base = rendered

    def end(self) -> None:
        """The release that the stack had at the beginning, and nothing of the peers."""
        serving = ours.serving_release(self.host.container)
        if serving != self.base.release:
            self.project.bring(self.base, serving)

    def begin(self) -> None:
        """The release that the stack has now, and what Pulumi knows of its delivery."""
        self.project.bring(self.base, ours.serving_release(self.host.container))
        self.measure_idle()


class Redirect:
    """What this machine sends to a public address' SSH port goes to a port of 127.0.0.1 meanwhile."""

    def __init__(self, address: str, port: int) -> None:
        self.rule = ["-d", address, "-p", "tcp", "--dport", "22", "-j", "REDIRECT", "--to-ports", str(port)]

    def __enter__(self) -> None:
        run("iptables", "-t", "nat", "-I", "OUTPUT", *self.rule)

    def __exit__(self, *_: object) -> None:
        run("iptables", "-t", "nat", "-D", "OUTPUT", *self.rule)
