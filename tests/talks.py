"""pretalx, with a worker, a scheduler, Redis and PostgreSQL, in a lab: by its compose file, as the page writes it down."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.product import Product, Published, on_own_host
from tests.support import ROOT
from tests.system.conftest import System

NAME, YAML, COMPOSE = "talks.hey-watch.me", "files/systems/talks.yaml", "files/static/talks/compose.yml"
PAGE = (ROOT / "docs/tutorial-compose.md").read_text().replace("talks.example.com", NAME)
UPSTREAM, CATALOGUE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
(VARIABLES,) = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
FIRST, LATER = "2025.1.0", "2025.2.2"


def image(version: str) -> Published:
    return Published("pretalx", "pretalx/standalone", f"v{version}", version)


class Talks(Product):
    """The product in the lab, as its owner sees it."""

    def query(self, text: str) -> str:
        return self.on("docker", "exec", "db", "psql", "-U", "pretalx", "-tAc", text)

    def django(self, text: str) -> str:
        """What a line of Python says in the application."""
        whole = f"import django; django.setup(); {text}"
        return self.on("docker", "exec", "web", "python3", "-c", whole).strip()

    def people(self) -> list[str]:
        return self.query("select email from person_user order by email").split()


@contextmanager
def in_lab(system: System) -> Iterator[Talks]:
    """It runs on a host of its own, which goes with it."""
    password = secrets.token_urlsafe(12)
    values = {"db.POSTGRES_PASSWORD": password, "talks.PRETALX_DB_PASS": password}
    files = {YAML: CATALOGUE, COMPOSE: UPSTREAM, "files/static/talks/pretalx.env": VARIABLES}
    images = [
        image(FIRST),
        Published("postgres", "library/postgres", "15.1"),
        Published("redis", "library/redis", "7.0"),
    ]
    with on_own_host(system, ["talks"], files, images, values, "t4g.medium"):
        yield Talks(system, NAME)
