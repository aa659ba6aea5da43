"""A project with a shop, which runs more than once."""

import copy
from pathlib import Path

from catalogue.checks import check
from catalogue.loading import Catalogue, load
from catalogue.stack import stack_from
from tests.support import PROD

SHOP = """\
system: shop
document: README.md
data: [/srv/shop/media]
sites: [{name: shop.hey-watch.me}]
services:
  - name: shop-db
    kind: compose
    purpose: Database
    image: {repository: docker.io/library/postgres, tag: "16.4"}
    health: {command: pg_isready}
    volumes: ["shop-data:/var/lib/postgresql/data"]
    memory: {limit: 256m}
    secrets: [POSTGRES_PASSWORD]
  - name: web
    kind: compose
    purpose: What people see
    image: {repository: shop-web}
    port: 8040
    container_port: 8080
    routes: [{public: /, site: shop.hey-watch.me}]
    depends_on: {shop-db: {condition: service_healthy}}
    environment: {DATABASE_URL: postgres://shop-db/shop}
    volumes: ["/srv/shop/media:/media", "/opt/web/cache:/cache"]
    memory: {limit: 256m}
    release: {command: migrate}
  - name: worker
    kind: compose
    purpose: Work
    container: shop_worker_1
    image: {repository: shop-web}
    directory: /opt/web
    unit: web.service
    memory: {limit: 256m}
variants:
  large: {}
  small: {services: {web: {memory: {limit: 128m}}}}
"""
STAGING = {"system": "shop", "as": "shop-staging", "names": {"shop.hey-watch.me": "staging.hey-watch.me"}}
SECRETS = {name: {"POSTGRES_PASSWORD": "x"} for name in ("shop", "shop-staging")}
SECOND = {**PROD["infra:hosts"]["watchme"], "systems": [STAGING]}


def read_shop(root: Path, *systems, change=lambda text: text, hosts=(), **config) -> Catalogue:
    """The project below `root` with these `systems` on its host, further hosts, and the system's file changed."""
    (root / "files/systems").mkdir(parents=True, exist_ok=True)
    (root / "files/alerts.yaml").write_text("[]")
    (root / "files/systems/shop.yaml").write_text(change(SHOP))
    host = {**PROD["infra:hosts"]["watchme"], "systems": [*systems]}
    secrets = {name: values for name, values in SECRETS.items() if name in str([systems, hosts])}
    values = {**copy.deepcopy(PROD), "infra:hosts": {"box": host, **dict(hosts)}, "infra:secrets": secrets}
    values |= {f"infra:{name}": value for name, value in config.items()}
    return load(root, stack_from("prod", values, "Pulumi.prod.yaml"))


def lines(made: Catalogue) -> str:
    return "\n".join(str(problem) for problem in check(made))


def leading_elsewhere(text: str) -> str:
    """A service that knows its public name."""
    return text.replace("DATABASE_URL: postgres://shop-db/shop", "BASE_URL: https://shop.hey-watch.me/")


def with_a_name_of_anothers(text: str) -> str:
    """A service that is called as one of the second shop's, and has a secret as that has."""
    return text.replace("name: worker", "name: shop-staging-db").replace(
        "unit: web.service\n", "unit: web.service\n    secrets: [POSTGRES_PASSWORD]\n"
    )


def part(system: str, *services: str, **more) -> dict:
    """The entry of a host that runs only these services of a system."""
    return {"system": system, "services": [*services], **more}


def blue_green(text: str) -> str:
    """A web service of its own unit, in two slots that take turns."""
    own = "    rollout: blue-green\n    unit: shop-web.service\n    directory: /opt/shop-web\n"
    return text.replace("    port: 8040\n", f"    port: 8040\n{own}").replace("    release: {command: migrate}\n", "")


def apart_at_ssh(root: Path) -> Catalogue:
    """A service on another host, at SSH's port, that waits for one which stays."""
    gpu = {**SECOND, "systems": [part("shop", "web")]}
    change = lambda text: blue_green(text).replace("container_port: 8080", "container_port: 22")  # noqa: E731
    return read_shop(root, "shop", change=change, hosts={"gpu": gpu})


def in_a_circle(root: Path) -> Catalogue:
    """Two hosts, each of which runs a service of the other's system."""
    second = {**SECOND, "systems": [STAGING, part("shop", "shop-db")]}
    return read_shop(root, "shop", part("shop-staging", "shop-staging-db"), hosts={"second": second})


def in_a_group(root: Path, change=lambda text: text, of_box=(), **hosts) -> Catalogue:
    """The shop on three hosts, its web service spread over them as it is written."""
    box = {**SECOND, "systems": ["shop"], "count": 3, **dict(of_box)}
    spread = lambda text: change(text.replace("    port: 8040\n", "    port: 8040\n    spread: 2\n"))  # noqa: E731
    return read_shop(root, "shop", change=spread, hosts={"box": box, **hosts})


def misplaced_catalogues(root: Path) -> list[Catalogue]:
    """What is said against each way to place services apart, or on several hosts."""
    stray = in_a_group(root, other={**SECOND, "systems": [], "group": "nothing"})
    return [apart_at_ssh(root), in_a_circle(root), stray]
