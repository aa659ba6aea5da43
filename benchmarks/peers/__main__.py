"""`python -m benchmarks.peers`: the same work by this program and by its peers on a lab's host, interleaved."""

import argparse
import hashlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.peers.ours import Project
from benchmarks.peers.peers import Login, Peer, all_peers
from benchmarks.peers.results import about, versions, write
from benchmarks.peers.session import HostOfLab, Session
from benchmarks.peers.table import JOBS, details, summary
from benchmarks.peers.work import HOST
from infra.writing import put
from lab import table, tools, up, workspace
from lab.run import run
from lab.say import LabError, step
from lab.settings import CACHE, HOST_LABEL, LABEL, Lab, default_lab

PINS = Path(__file__).with_name("requirements.txt")
FOLDER = CACHE / "peers"


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-trips", default="0,50,150", help="milliseconds, separated by commas")
    parser.add_argument("--loss", type=float, default=0.0, help="per cent of segments that are sent again")
    parser.add_argument("--jobs", default=",".join(JOBS), help=f"of {', '.join(JOBS)}")
    parser.add_argument("--peers", default="", help="names of peers, separated by commas; without it all")
    parser.add_argument("--no-up", action="store_true", help="without a column for the whole of pulumi up")
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/peers.{json,md,svg}")
    parser.add_argument("--hosts", type=int, default=1, help="a lab has one host with WatchMe: others are refused")
    options = parser.parse_args(words)
    if options.hosts != 1:
        parser.error("a lab has one host with WatchMe's services: several hosts are not measured")
    if unknown := set(options.jobs.split(",")) - set(JOBS):
        parser.error(f"no job {', '.join(sorted(unknown))}; there are {', '.join(JOBS)}")
    return options


def environment() -> Path:
    """The peers' own environment, made once for its pins."""
    digest = hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]
    venv = FOLDER / f"venv-{digest}"
    if not (venv / "whole").exists():
        with step("installing the peers"):
            tools.environment(venv, "--require-hashes", "--requirement", str(PINS))
            (venv / "whole").touch()
    return venv


def host_of(lab: Lab, target: dict[str, Any]) -> HostOfLab:
    filters = ["--filter", f"label={LABEL}={lab.name}", "--filter", f"label={HOST_LABEL}=lab-{HOST}"]
    container = run("docker", "ps", "-q", "--no-trunc", *filters).strip()
    if not container or "\n" in container:
        raise LabError(f"the lab has not one host {HOST}")
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return HostOfLab(container, target["address"], run("docker", "inspect", "-f", form, container).strip())


def login_of(target: dict[str, Any], folder: Path) -> Login:
    """A port of 127.0.0.1 that stays the same, so that peers see one host, and the stack's own key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key, known_hosts = folder / "key", folder / "known_hosts"
    put(key, target["private_key"].strip() + "\n", 0o600)
    put(known_hosts, f"[127.0.0.1]:{port} {target['host_key'].strip()}\n")
    return Login(port, target["user"], key, known_hosts)


def client(lab: Lab, project: Path) -> Callable[[], bool]:
    """Asks one public health address of the host after the other, each on a connection of its own."""
    public = [url.removeprefix("https://") for _, url in table.public(lab, project)]
    urls = cycle([url.partition("/") for url in public if url.startswith("api.")])

    def ask() -> bool:
        name, _, path = next(urls)
        connection = table.PublicClient(name, lab.dns, lab.path("ca.pem"))
        try:
            return connection.ask("GET", f"/{path}")[0] == 200
        finally:
            connection.close()

    return ask


def prepare(lab: Lab, options: argparse.Namespace) -> tuple[Session, list[Peer]]:
    env = workspace.full_environment(lab)
    venv = environment()
    work = FOLDER / "work"
    work.mkdir(parents=True, exist_ok=True)
    project = Project(FOLDER / "project", env)
    project.copy()
    base = project.render()
    target = json.loads(base.request)["target"]
    host, login = host_of(lab, target), login_of(target, work)
    names = [name for name in options.peers.split(",") if name]
    peers = [peer for peer in all_peers(venv, env) if not names or peer.name in names]
    return Session(host, base, project, login, work, client(lab, project.folder)), peers


def measure(session: Session, peers: list[Peer], options: argparse.Namespace, keep: Callable[[], None]) -> None:
    """Every line in every round, so that what else the machine does meets all alike; `keep` is called after each."""
    jobs = [job for job in JOBS if job in options.jobs.split(",")]
    original = session.base
    try:
        session.begin()
        change = 0
        for session.number in range(1, options.rounds + 1):
            for session.round_trip in map(int, options.round_trips.split(",")):
                session.loss = options.loss
                for job in jobs:
                    change += 1
                    by_all(session, peers, job, change, not options.no_up)
            keep()
    finally:
        for peer in peers:
            session.remove(peer)
        session.project.copy()
        session.base = original
        session.end()


def by_all(session: Session, peers: list[Peer], job: str, change: int, with_up: bool) -> None:
    session.project.edit(job, change)
    with session.project.refused_line() if job == "failed" else nullcontext():
        rendered = session.project.render()
        session.by_peers(peers, job, rendered)
        session.by_us(job, rendered, with_up)


def main(words: list[str]) -> int:
    options = parse(words)
    lab = default_lab()
    if not up.is_running(lab):
        raise LabError("no lab is running; start it with make lab")
    if os.geteuid() != 0:
        raise LabError("root is needed to lead connections through the measured line")
    # However it is ended, the firewall's rule and the peers' files go; a shell's background job ignores SIGINT
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, signal.default_int_handler)
    load = f"{os.getloadavg()[0]:.1f}"
    session, peers = prepare(lab, options)
    files = session.base.files
    size = sum(len(text.encode()) for text in files.values())

    def keep() -> None:
        if options.write:
            write(session.runs, about(len(files), size, load, versions(environment())))

    try:
        measure(session, peers, options, keep)
    finally:
        print(summary(session.runs), details(session.runs), sep="\n\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"bench: {error}")
