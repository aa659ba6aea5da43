"""Miniflux with PostgreSQL in a lab, as the tutorial writes it down, on a host of its own."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.product import Product, Published, on_own_host
from tests.support import ROOT
from tests.system.conftest import System

NAME, YAML = "reader.hey-watch.me", "files/systems/reader.yaml"
SPARE = "files/systems/spare.yaml"
POSTGRES, MINIFLUX = "library/postgres", "miniflux/miniflux"
# The tutorial's own, under a name of the lab's zone
PAGE = (ROOT / "docs/tutorial.md").read_text()
CATALOGUE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0].replace("reader.example.com", NAME)


def staying(name: str) -> str:
    """What stays on a host when the product leaves it."""
    return f"""
system: {name}
document: x
services:
  - {{name: {name}, kind: unit, purpose: Stays, unit: {name}.service, memory: {{limit: 16m}},
     directives: {{Service: {{ExecStart: /usr/bin/sleep infinity}}, Install: {{WantedBy: multi-user.target}}}}}}
"""


@dataclass
class Reader(Product):
    """The product in the lab, as its owner sees it."""

    def query(self, text: str) -> str:
        return self.on("docker", "exec", "reader-db", "psql", "-U", "reader", "-tAc", text)

    def ticks(self) -> int:
        return int(self.query("select count(*) from ticks"))


@contextmanager
def in_lab(system: System) -> Iterator[Reader]:
    """It runs on a host of its own, which goes with it."""
    password = secrets.token_urlsafe(12)
    values = {
        "reader-db.POSTGRES_PASSWORD": password,
        "reader.DATABASE_URL": f"postgres://reader:{password}@reader-db/reader?sslmode=disable",
        "reader-web.ADMIN_PASSWORD": secrets.token_urlsafe(12),
    }
    images = [Published("postgres", POSTGRES, "15.1"), Published("miniflux", MINIFLUX, "2.3.5")]
    with on_own_host(system, ["spare", "reader"], {YAML: CATALOGUE, SPARE: staying("spare")}, images, values):
        yield Reader(system, NAME)
