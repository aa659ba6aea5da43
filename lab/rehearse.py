"""`make rehearse-move`: a whole region move to watch, from a stack in Sydney to one in Tokyo."""

import subprocess
import threading
import time
from pathlib import Path

from lab import up, workspace
from lab.run import LONGEST, run
from lab.say import LabError
from lab.settings import ROOT, Lab
from lab.table import PublicClient

SYDNEY, TOKYO = "ap-southeast-2", "ap-northeast-1"
NAME = "api.hey-watch.me"
# A person does not want to wait as long as resolvers do
QUICK = {"recordTtl": "5", "drainQuiet": "3", "confirmDeadline": "10"}


def in_sydney(lab: Lab, project: Path = ROOT) -> None:
    """A lab whose stack is going to be in Sydney, WatchMe alone; Tokyo is as empty as its owners found it."""
    up.start(lab, filled=[SYDNEY])
    up.prepare(lab, project, home=False)
    env = workspace.process_environment(lab)
    run("pulumi", "config", "set", "--stack", "lab", "aws:region", SYDNEY, cwd=project, env=env)
    run("pulumi", "config", "rm", "--stack", "lab", "--path", "infra:hosts.services", cwd=project, env=env)
    for key, value in QUICK.items():
        run("pulumi", "config", "set", "--stack", "lab", f"infra:{key}", value, cwd=project, env=env)


def rehearse(lab: Lab) -> int:
    """From nothing to Tokyo; the lab stays, so that the way back can be tried."""
    up.clear(lab)
    in_sydney(lab)
    up.pulumi_up(lab)
    env = workspace.full_environment(lab)
    command = ["infra", "move", TOKYO, "--retire", "--stack", "lab", "--yes", "--report", str(lab.path("move.md"))]
    print(f"\n$ {' '.join(command)}\n", flush=True)
    asked = Asked(lab)
    with asked:
        code = subprocess.run(command, cwd=ROOT, env=env, check=False, timeout=LONGEST).returncode
    if code:
        raise LabError("the move stopped; its last lines say why, and how to go on (first: . .lab-move/env)")
    print(f"\n{lab.path('move.md').read_text()}")
    print(f"{asked.count} requests to https://{NAME} meanwhile, {asked.failed} without an answer of 200")
    print("the lab stays: . .lab-move/env, then for instance infra move ap-southeast-2 --keep --stack lab")
    print("`make rehearse-down` removes it")
    return 0 if asked.failed == 0 else 1


class Asked:
    """A client that asks the public name all the time."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.count, self.failed = lab, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(15)

    def _ask(self) -> None:
        while not self.over.is_set():
            self.count += 1
            try:
                client = PublicClient(NAME, self.lab.dns, self.lab.path("ca.pem"))
                self.failed += client.ask("GET", "/health")[0] != 200
                client.close()
            except (OSError, LookupError) as error:
                print(f"  a request failed: {error}", flush=True)
                self.failed += 1
            time.sleep(0.2)
