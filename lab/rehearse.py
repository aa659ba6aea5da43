"""`make rehearse-move`: a whole region move to watch, from another region into the one that stack `lab` is in."""

import subprocess
import threading
import time
from pathlib import Path

from catalogue.loading import load
from catalogue.stack import read_stack
from lab import table, up, workspace
from lab.run import LONGEST, run
from lab.say import LabError
from lab.settings import PROJECT, REGIONS, ROOT, Lab
from lab.table import PublicClient
from rendering.host import render
from rendering.moving import moving

HOME, AWAY = REGIONS[:2]
# A person does not want to wait as long as resolvers do
QUICK = {"recordTtl": "5", "drainQuiet": "3", "confirmDeadline": "10"}


def away(lab: Lab, project: Path = ROOT) -> None:
    """A lab whose stack is going to be in another region, with the hosts that lab.yaml names for it; the stack's own
    region is as empty as its owners found it."""
    up.start(lab, filled=[AWAY])
    up.prepare(lab, project, home=False)
    env = workspace.process_environment(lab)
    run("pulumi", "config", "set", "--stack", "lab", "aws:region", AWAY, cwd=project, env=env)
    for host in read_stack(project, "lab", lab.config_file).hosts:
        if PROJECT.extras.rehearse and host not in PROJECT.extras.rehearse:
            run("pulumi", "config", "rm", "--stack", "lab", "--path", f"infra:hosts.{host}", cwd=project, env=env)
    for key, value in QUICK.items():
        run("pulumi", "config", "set", "--stack", "lab", f"infra:{key}", value, cwd=project, env=env)


def rehearse(lab: Lab) -> int:
    """There and home; the lab stays, so that the way back can be tried."""
    up.clear(lab)
    away(lab)
    up.pulumi_up(lab)
    env = workspace.full_environment(lab)
    command = ["infra", "move", HOME, "--retire", "--stack", "lab", "--yes", "--report", str(lab.path("move.md"))]
    print(f"\n$ {' '.join(command)}\n", flush=True)
    requests = Requests(lab, next((url for _, url in table.public(lab)), ""))
    with requests:
        code = subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=LONGEST).returncode
    if code:
        raise LabError("the move failed; its last lines say why, and how to continue (first: . .lab-move/env)")
    print(f"\n{lab.path('move.md').read_text()}")
    if requests.url:
        outcome = f"{requests.failed} of them not answered with 200"
        print(f"{requests.count} requests to {requests.url} during the move, {outcome}")
    pauses = _moves_data(lab)
    if pauses and requests.failed:
        print("those fell into the pause in which data was copied; the report says how long it was")
    print(f"the lab keeps running: . .lab-move/env, then for example infra move {AWAY} --keep --stack lab")
    print("remove it with `make rehearse-down`")
    return 0 if pauses or not requests.failed else 1


def _moves_data(lab: Lab) -> bool:
    """Does a host have data, so that a move has seconds without the service."""
    catalogue = load(ROOT, read_stack(ROOT, "lab", lab.config_file))
    return any(moving(catalogue, host, render(catalogue, host)) for host in catalogue.stack.hosts)


class Requests:
    """A client that asks a public URL all the time; none where there is no URL."""

    def __init__(self, lab: Lab, url: str) -> None:
        self.lab, self.url, self.count, self.failed = lab, url, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(15)

    def _ask(self) -> None:
        name, _, path = self.url.removeprefix("https://").partition("/")
        while self.url and not self.over.is_set():
            self.count += 1
            try:
                client = PublicClient(name, self.lab.dns, self.lab.path("ca.pem"))
                self.failed += client.ask("GET", f"/{path}")[0] != 200
                client.close()
            except (OSError, LookupError) as error:
                print(f"  a request failed: {error}", flush=True)
                self.failed += 1
            time.sleep(0.2)
