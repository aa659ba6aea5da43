"""Miniflux with PostgreSQL in a lab, as the tutorial writes it down, on a host of its own."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab import elsewhere
from tests.support import ROOT
from tests.system.conftest import System

HOST, NAME, YAML = "box", "reader.hey-watch.me", "files/systems/reader.yaml"
SPARE = "files/systems/spare.yaml"
POSTGRES, MINIFLUX = "library/postgres", "miniflux/miniflux"
# The tutorial's own, under a name of the lab's zone
PAGE = (ROOT / "docs/tutorial.md").read_text()
CATALOGUE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0].replace("reader.example.com", NAME)


# What stays on the host when the product leaves it
OTHER = """
system: spare
document: x
services:
  - {name: spare, kind: unit, purpose: Stays, unit: spare.service, memory: {limit: 16m},
     directives: {Service: {ExecStart: /usr/bin/sleep infinity}, Install: {WantedBy: multi-user.target}}}
"""


@dataclass
class Reader:
    """The product in the lab, as its owner sees it."""

    system: System

    def on(self, *argv: str) -> str:
        ran = self.system.on_host(*argv, host=HOST)
        assert ran.code == 0, ran.output
        return ran.output

    def query(self, text: str) -> str:
        return self.on("docker", "exec", "reader-db", "psql", "-U", "reader", "-tAc", text)

    def ticks(self) -> int:
        return int(self.query("select count(*) from ticks"))

    def started(self, container: str) -> str:
        return self.on("docker", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", container)

    def ask(self, path: str) -> tuple[int, bytes]:
        status, _, body = self.system.ask("GET", path, name=NAME)
        return status, body


@contextmanager
def in_lab(system: System) -> Iterator[Reader]:
    """It runs on a host of its own, which goes with it."""
    elsewhere.start(system.lab)
    elsewhere.publish(system.lab, "postgres", POSTGRES, "15.1")
    elsewhere.publish(system.lab, "miniflux", MINIFLUX, "2.3.5")
    config = system.lab.config_file
    before = config.read_text()
    password = secrets.token_urlsafe(12)
    system.add(YAML, CATALOGUE)
    url = f"postgres://reader:{password}@reader-db/reader?sslmode=disable"
    values = {
        "reader-db.POSTGRES_PASSWORD": password, "reader.DATABASE_URL": url,
        "reader-web.ADMIN_PASSWORD": secrets.token_urlsafe(12),
    }  # fmt: skip
    for name, value in values.items():
        key = f"infra:secrets.{name}"
        ran = system.command("pulumi", "config", "set", "--stack", "lab", "--secret", "--path", key, stdin=value)
        assert ran.code == 0, ran.output
    system.add(SPARE, OTHER)
    for key, value in {"systems[0]": "spare", "systems[1]": "reader", "instanceType": "t4g.small"}.items():
        system.set(f"infra:hosts.{HOST}.{key}", value)
    system.set("infra:backupRegion", "ap-southeast-2")
    made = system.command("infra", "init", "--stack", "lab")
    assert made.code == 0 and "made the password that backups are encrypted with" in made.output, made.output
    try:
        yield Reader(system)
    finally:
        config.write_text(before)
        system.restore_all()
