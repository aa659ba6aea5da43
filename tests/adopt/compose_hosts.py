"""A host with one compose file that a person wrote, and what is read of it."""

from typing import Any

import yaml

from infra.adopt.host import understanding
from infra.adopt.host.remarks import Remark
from tests.adopt.hosts import NGINX, containers_of
from tests.support import stack

REGISTRY = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com"
PATH = "/srv/shop/docker-compose.prod.yml"
UNIT = {
    "path": "/etc/systemd/system/shop.service", "name": "shop.service", "account": "", "drop_ins": {}, "enabled": True,
    "text": f"[Unit]\nDescription=The shop\n[Service]\nExecStart=/usr/bin/docker-compose -f {PATH} up\n", "active": True,
    "instances": [], "ports": [], "compose": [PATH],
}  # fmt: skip
BODY = {
    "image": f"{REGISTRY}/shop:latest", "container_name": "shop", "ports": ["127.0.0.1:8001:8001"], "mem_limit": "1g",
    "networks": {"shop-network": {"ipv4_address": "172.28.0.9"}},
}  # fmt: skip


def host(body: dict[str, Any], **container: Any) -> dict[str, Any]:
    text = yaml.safe_dump({"services": {"api": body}})
    running = containers_of(PATH, text)
    running[0] |= {"networks": {"shop-network": "172.28.0.9"}, **container}
    return {
        "hostname": "Old.example", "accounts": [], "units": [UNIT], "containers": running, "compose": {PATH: text},
        "networks": [{"name": "shop-network", "subnet": "172.28.0.0/16", "gateway": "172.28.0.1"}], "nginx": NGINX,
        "caddy": None, "certificates": {}, "journald": {},
    }  # fmt: skip


def read(
    body: dict[str, Any], entries: dict[str, Any] | None = None, **container: Any
) -> tuple[dict[str, Any], list[Remark]]:
    found = understanding.derive_system(host(body, **container), entries or {}, stack(), "shop")
    return found.system.model_dump(exclude_defaults=True)["services"][0], found.remarks
