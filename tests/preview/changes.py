"""Real changes, each made in a temporary clone, and what the report must say of it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.support import ROOT, execute

WATCHME, PROD = "files/systems/watchme.yaml", "Pulumi.prod.yaml"
Change = Callable[[Path], None]
SECRET = "AAABAK9b+planted/ciphertext=="
PLANTED = "sk_live_planted"
ROTATED = "AAABAM3f+another/ciphertext=="


def clone(target: Path) -> Path:
    """What git tracks or would track of the working tree."""
    for name in execute("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).stdout.splitlines():
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def replaced(file: str, old: str, new: str) -> Change:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text, f"{old!r} is not in {file}"
        (root / file).write_text(text.replace(old, new, 1))

    return change


def added(file: str, text: str) -> Change:
    return lambda root: (root / file).write_text(f"{(root / file).read_text().rstrip()}\n{text}")


def both(*changes: Change) -> Change:
    def change(root: Path) -> None:
        for one in changes:
            one(root)

    return change


def retired(name: str) -> Change:
    """The service's entry becomes that of one whose images stay."""

    def change(root: Path) -> None:
        text = (root / WATCHME).read_text()
        begin = text.index(f"  - name: {name}\n")
        end = text.index("\n\n", begin)
        entry = yaml.safe_load(text[begin:end])[0]
        gone = {key: entry[key] for key in ("name", "purpose", "purpose_ja", "port")}
        gone |= {"retired": True, "repository": entry["image"]["repository"], "replaced_by": "ast-api"}
        (root / WATCHME).write_text(text.replace(text[begin:end], f"  - {json.dumps(gone, ensure_ascii=False)}"))

    return change


def nothing(root: Path) -> None:
    pass


KEPT = "instanceType: t4g.large\n      generation: 2\n      kept: [{generation: 1, instanceType: t4g.large}]"
SERVICE = """
  - name: summary-api
    kind: compose
    purpose: Summaries
    purpose_ja: 要約
    role: api
    image: {repository: watchme-api-summary, tag: latest}
    container: summary-api
    port: 8040
    address: 172.27.0.40
    routes: [{public: /summary/}]
    memory: {limit: 64m}
    directory: /home/ubuntu/api_summary
    unit: watchme-summary-api.service
"""
AST = "    directory: /home/ubuntu/api_ast\n"
WITH_SECRET = both(
    replaced(WATCHME, AST, f"{AST}    secrets: [HF_TOKEN]\n"),
    added(PROD, f'  infra:secrets:\n    ast-api:\n      HF_TOKEN:\n        secure: "{SECRET}"\n'),
)


UPSTREAM = "files/static/feeds/compose.yml"
COMPOSE = """services:
  queue:
    image: docker.io/library/redis:7.2
    mem_limit: 64m
    command: [redis-server, --save, ""]
    tmpfs: /data
"""
FEEDS = """system: feeds
document: https://feeds.example.com/
compose: {file: feeds/compose.yml}
services:
  - {name: queue, purpose: Queue of the feeds, health: running}
"""


def with_upstream(root: Path) -> None:
    """A product of others by its makers' compose file, on the host that there is."""
    for path, text in ((UPSTREAM, COMPOSE), ("files/systems/feeds.yaml", FEEDS)):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
    replaced(PROD, "systems: [watchme]", "systems: [watchme, feeds]")(root)


def in_a_group(root: Path) -> None:
    """Two hosts, and a service that both run."""
    added(WATCHME, SERVICE.replace("    address: 172.27.0.40\n", "    spread: 2\n"))(root)
    replaced(PROD, "reserve: 1g", "reserve: 900m\n      count: 2")(root)


@dataclass(frozen=True)
class Row:
    """`change` is made, `before` first where the base needs something; the report then has these lines (of the terminal's
    form, all of it shown) and none of `never`."""

    change: Change
    says: list[str]
    verdict: str
    never: list[str] = field(default_factory=list)
    before: Change = nothing
    code: int = 0


ROWS = {
    "nothing": Row(nothing, ["cost per month: $69.60, unchanged"], "no change", ["host watchme"]),
    "new service": Row(
        added(WATCHME, SERVICE),
        [
            "created: repository registry-ap-northeast-1-watchme-api-summary",
            "summary-api starts; interruption: none, it is new",
            "total memory limit of the services: 7032 of 7168 MiB → 7096 of 7168 MiB",
            "port 8040: free → summary-api",
            "address 172.27.0.40: free → summary-api",
            "/etc/systemd/system/watchme-summary-api.service new",
            "+    location /summary/ {",
            "systemctl try-reload-or-restart nginx reloads; interruption: none",
        ],
        "1 service starts: summary-api",
        [" restarts;", "replaced", "deleted"],
    ),
    "port changed": Row(
        replaced(WATCHME, "port: 8017", "port: 8047"),
        ["port 8017: ast-api → free", "port 8047: free → ast-api", "-    - 127.0.0.1:8017:8017", "+    - 127.0.0.1:8047:8047"],
        "1 service restarts while its requests wait: ast-api",
        ["superb-api restarts", " starts;"],
    ),
    "nginx header changed": Row(
        replaced(WATCHME, "    cors: [GET, POST, OPTIONS]", "    cors: [GET, POST, OPTIONS]\n    headers: {X-Frame-Options: DENY}"),
        ["X-Frame-Options", "reloads; interruption: none"],
        "on hosts, no service restarts",
        ["restarts;", "starts;"],
    ),
    "public path changed": Row(
        replaced(WATCHME, "public: /behavior-features/", "public: /behaviour-features/"),
        ["no longer public: api.hey-watch.me/behavior-features/", "now public: api.hey-watch.me/behaviour-features/"],
        "no longer public: api.hey-watch.me/behavior-features/",
        ["restarts;", "starts;"],
    ),
    "health path changed": Row(
        replaced(WATCHME, "    routes: [{public: /behavior-features/}]", "    routes: [{public: /behavior-features/}]\n    health: /nowhere"),
        ["health check of ast-api: /health → /nowhere (200 is healthy)"],
        "the health check of 1 service changes: ast-api",
        ["restarts;", "no longer public"],
    ),
    "memory limit beyond the budget": Row(
        replaced(WATCHME, "memory: {limit: 1g, observed: 1536m}", "memory: {limit: 2g, observed: 1536m}"),
        ["infra:hosts.watchme: the services' memory limits add up to 8056 MiB", "at most 7168 MiB on t4g.large"],
        "does not validate",
        code=1,
    ),
    "service retired": Row(
        retired("avatar-uploader"),
        ["avatar-uploader stops permanently; interruption: permanent", "port 8014: avatar-uploader → free", "docker-compose", "removed"],
        "1 service stops permanently: avatar-uploader",
        ["deleted: repository", "superb-api restarts"],
    ),
    "image digest bumped": Row(
        replaced(WATCHME, "a" * 64, "b" * 64),
        ["+    image: 754724220380.dkr.ecr.ap-northeast-1.amazonaws.com/watchme-api-ast@sha256:" + "b" * 64, "ast-api restarts"],
        "1 service restarts while its requests wait: ast-api",
        ["superb-api restarts"],
        before=replaced(
            WATCHME, "{repository: watchme-api-ast, tag: latest}", "{repository: watchme-api-ast, digest: sha256:" + "a" * 64 + "}"
        ),
    ),
    "secret rotated": Row(
        replaced(PROD, SECRET, ROTATED),
        ["/home/ubuntu/api_ast/ast-api.env changed", "-HF_TOKEN=[secret ", "+HF_TOKEN=[secret ", "ast-api restarts"],
        "1 service restarts while its requests wait: ast-api",
        [SECRET, ROTATED],
        before=WITH_SECRET,
    ),
    "a secret in plain text": Row(
        replaced(WATCHME, AST, f"{AST}    environment: {{STRIPE_API_KEY: {PLANTED}, COLOUR: red}}\n"),
        ["+STRIPE_API_KEY=[secret ", "+COLOUR=red", "ast-api restarts", "list it under secrets:"],
        "refused by policy (1): watchme:/home/ubuntu/api_ast/ast-api.env: STRIPE_API_KEY is in plain text",
        [PLANTED],
        code=1,
    ),
    "a smaller disk": Row(
        replaced(PROD, "volume: 30", "volume: 20"),
        ["its disk would shrink from 30 to 20 GiB, which AWS refuses"],
        "refused by policy (1): watchme-ap-northeast-1-instance: its disk would shrink",
        code=1,
    ),
    "other administrators": Row(
        replaced(PROD, "203.0.113.10/32", "198.18.0.0/24"),
        ["created: inbound rule network-ap-northeast-1-in-22-198.18.0.0/24"],
        "closes SSH to 203.0.113.10/32; opens SSH to 198.18.0.0/24",
    ),
    "a region that is none": Row(
        replaced(PROD, "aws:region: ap-northeast-1", "aws:region: ap-northest-1"),
        ["did you mean ap-northeast-1,"],
        "does not validate: Pulumi.prod.yaml: aws:region: 'ap-northest-1' is not an AWS region",
        code=1,
    ),
    "instance type changed": Row(
        replaced(PROD, "instanceType: t4g.large", "instanceType: t4g.xlarge"),
        [
            "changed: machine watchme-ap-northeast-1-instance (instanceType): the machine is stopped and started",
            "7032 of 7168 MiB → 7032 of 15360 MiB",
            "cost per month: $69.60 → $132.67",
        ],
        "the machine is stopped and started, with a few minutes of outage; +$63.07 per month",
        ["replaced"],
    ),
    "another processor": Row(
        replaced(PROD, "instanceType: t4g.large", "instanceType: t3.large"),
        ["replaced: machine watchme-ap-northeast-1-instance (another processor (arm64 → amd64))", "its disk is lost"],
        "replaces the machine: its disk is lost with everything on it",
    ),
    "another availability zone": Row(
        added(PROD, "  infra:availabilityZones: {ap-northeast-1: ap-northeast-1c}\n"),
        ["replaced: subnet network-ap-northeast-1-subnet (availabilityZone)", "replaced: machine watchme-ap-northeast-1-instance"],
        "replaces the machine: its disk is lost with everything on it",
    ),
    "aws:region changed": Row(
        replaced(PROD, "aws:region: ap-northeast-1", "aws:region: ap-southeast-2"),
        [
            "network ap-southeast-2: ", "images ap-southeast-2: 1 created", "gate ap-southeast-2", "switch: 1 updated",
            "verify ap-southeast-2", "drain: 1 created", "host watchme: a new machine beside the old one", "retire ap-northeast-1",
        ],
        "moves from ap-northeast-1 to ap-southeast-2 in 16 steps, the last of which deletes 1 machine with its "
        "disks, 15 repo",
        ["services restart", "services start"],
    ),
    "another machine in the same region": Row(
        replaced(PROD, "instanceType: t4g.large", "instanceType: t4g.large\n      generation: 2"),
        [
            "host ap-northeast-1-g2", "release ap-northeast-1-g2", "gate ap-northeast-1: 1 created", "switch: 1 updated",
            "host watchme: a new machine beside the old one", "retire machine ap-northeast-1: ",
        ],
        "another machine for watchme in 10 steps, the last of which deletes 1 machine with its disks",
        ["services restart", "services start", "images ap-northeast-1", "repositories"],
    ),
    "another machine, and the old one kept": Row(
        replaced(
            PROD, "instanceType: t4g.large", "instanceType: t4g.xlarge\n      generation: 2\n      kept: [{generation: 1, instanceType: t4g.large}]"
        ),
        ["host ap-northeast-1-g2", "gate ap-northeast-1: 1 created", "switch: 1 updated"],
        "another machine for watchme in 8 steps; ",
        ["retire"],
    ),
    "an earlier machine is kept no more": Row(
        replaced(PROD, "\n      kept: [{generation: 1, instanceType: t4g.large}]", ""),
        ["gate ap-northeast-1: 1 created", "drain: 1 created", "retire machine ap-northeast-1: "],
        "deletes the machine: its disk is lost",
        ["host watchme: a new machine", "created: machine"],
        before=replaced(PROD, "instanceType: t4g.large", KEPT),
    ),
    "the way back to an earlier machine": Row(
        both(
            replaced(PROD, "generation: 2", "generation: 1"),
            replaced(PROD, "kept: [{generation: 1, ", "kept: [{generation: 2, "),
        ),
        ["release ap-northeast-1", "gate ap-northeast-1: 1 created", "switch: 1 updated"],
        "another machine for watchme in",
        ["created: machine", "deleted: machine", "retire machine"],
        before=replaced(PROD, "instanceType: t4g.large", KEPT),
    ),
    "a system goes to another host": Row(
        both(
            replaced(PROD, "systems: [watchme]", "systems: [ ]"),
            replaced(PROD, "systems: []", "systems: [watchme]"),
        ),
        [
            "gate ap-northeast-1: 1 created", "switch: 1 updated", "drain: 1 created",
            "ast-api goes to another host", "ast-api comes from another host",
        ],
        "watchme from watchme to box in 10 steps",
        ["ast-api stops permanently", "retire", "nginx.service comes"],
        before=added(PROD, "    box: {kind: ec2, systems: [], instanceType: t4g.large, reserve: 1g}\n"),
    ),
    "a later compose file of a product's makers": Row(
        both(
            replaced(UPSTREAM, "redis:7.2", "redis:7.4"),
            replaced(UPSTREAM, '--save, ""]', '--save, "", --maxmemory, 32mb]'),
            added(UPSTREAM, "    environment: {LEVEL: quiet}\n"),
        ),
        [
            "/opt/queue/docker-compose.prod.yml changed +5 −1", "-    image: 754", "+    image: 754", "+    - --maxmemory",
            "+    - 32mb", "+LEVEL=quiet", "image-ap-northeast-1-docker.io/library/redis:7.4", "queue restarts",
        ],
        "1 service restarts with a gap: queue",
        ["ast-api restarts"],
        before=with_upstream,
    ),
    "a group of hosts grows": Row(
        both(replaced(PROD, "count: 2", "count: 3"), replaced(WATCHME, "spread: 2", "spread: 3")),
        [
            "group watchme: watchme, watchme-2 → watchme, watchme-2, watchme-3", "new in the group: watchme-3",
            "summary-api: 2 copies on any of watchme, watchme-2 → 3 copies on any of watchme, watchme-2, watchme-3; image",
            "no copy is replaced, only their number changes", "summary-api another number of copies; interruption: none",
            "what the hosts have for them: 192 of 7360 MiB → 256 of 14652 MiB", "host is down: 128 of 68 MiB → 192 of 7360 MiB",
        ],
        "1 service runs in another number of copies: summary-api",
        ["summary-api restarts"],
        before=in_a_group,
    ),
    "it does not validate": Row(
        replaced(WATCHME, "port: 8017", "port: eight"),
        ["files/systems/watchme.yaml", "service ast-api", "port"],
        "does not validate",
        code=1,
    ),
    "ssh for the world": Row(
        replaced(PROD, "203.0.113.10/32", "0.0.0.0/0"), ["0.0.0.0/0 is all of the internet"], "does not validate", code=1
    ),
    "beyond the budget": Row(
        both(replaced(PROD, "volume: 30", "volume: 4000")),
        ["error: budget: prod: $450.72 per month is above the budget of $300.00", "gets its larger disk while it runs"],
        "refused by policy (1): prod: $450.72 per month",
        code=1,
    ),
}  # fmt: skip
