"""A WatchMe host as its document describes it: the document's own templates, filled in."""

from typing import Any

import yaml

from catalogue.masking import mask_secrets
from infra.adopt.host.documents import Facts
from infra.adopt.host.on_host import _compose_files
from tests.adopt.hosts import NGINX, containers_of, ours
from tests.support import GOLDEN

REGISTRY = "754724220380.dkr.ecr.ap-northeast-1.amazonaws.com"
NETWORK = """\
[Unit]
Description=WatchMe infrastructure
After=docker.service
Requires=docker.service
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/docker-compose -f /home/ubuntu/watchme-server-configs/docker-compose.infra.yml up -d

[Install]
WantedBy=multi-user.target
"""
INFRA = """\
version: '3.8'
networks:
  watchme-network:
    name: watchme-network
    driver: bridge
    ipam: {config: [{subnet: 172.27.0.0/16, gateway: 172.27.0.1}]}
"""


def watchme_by_hand() -> Facts:
    system = ours("watchme")
    template = (GOLDEN / "watchme/template.service").read_text()
    location = (GOLDEN / "watchme/template-location.conf").read_text()
    infra = "/home/ubuntu/watchme-server-configs/docker-compose.infra.yml"
    compose: dict[str, Any] = {infra: yaml.safe_load(INFRA)}
    units, locations = [_unit("watchme-infrastructure.service", NETWORK)], []
    addresses: dict[str, str] = {}
    for service in system.compose_services:
        # Manager and scheduler share a file and a unit there
        shared = service.container == "watchme-scheduler-prod"
        own = next(s for s in system.compose_services if s.name == "api-manager") if shared else service
        path = f"{own.directory}/{own.compose_file}"
        body = {
            "image": f"{REGISTRY}/{service.image.repository}:latest", "container_name": service.container,
            "ports": [f"127.0.0.1:{service.port}:{service.port}"],
            "networks": ["watchme-network"], "mem_limit": service.memory.limit,
        }  # fmt: skip
        addresses[service.container] = str(service.address)
        compose.setdefault(path, {"version": "3.8", "services": {}})["services"][service.compose_key] = body
        compose[path]["networks"] = {"watchme-network": {"external": True}}
        if not shared:
            text = template.replace("[docker-compose.prod.ymlへの絶対パス]", path)
            units.append(_unit(service.unit, text.replace("[サービスの説明]", service.purpose)))
        for route in service.routes:
            locations.append(_location(location, service.purpose, service.port, route))
    texts = {path: mask_secrets(path, yaml.safe_dump(body)) for path, body in compose.items()}
    site = f"server {{\n listen 443 ssl;\n server_name api.hey-watch.me;\n{''.join(locations)}}}\n"
    return {
        "hostname": "ip-172-31-0-7", "memory": 8 * 1024**3, "adopted": False, "accounts": [],
        "units": units, "compose": texts, "caddy": None, "journald": {}, "certificates": {"api.hey-watch.me": "nginx"},
        "containers": [
            container | {"networks": {"watchme-network": addresses[container["name"]]}}
            for path, text in texts.items() if path != infra for container in containers_of(path, text)
        ],
        "networks": [{"name": "watchme-network", "subnet": "172.27.0.0/16", "gateway": "172.27.0.1"}],
        "nginx": {**NGINX, "/etc/nginx/sites-enabled/api.hey-watch.me": site},
    }  # fmt: skip


def _unit(name: str, text: str) -> dict[str, Any]:
    path = f"/etc/systemd/system/{name}"
    return {
        "path": path, "name": name, "account": "", "text": mask_secrets(path, text), "drop_ins": {}, "enabled": True,
        "active": True, "instances": [], "ports": [], "compose": _compose_files(text),
    }  # fmt: skip


def _location(template: str, purpose: str, port: int, route: Any) -> str:
    text = template.replace("[サービス名] API", purpose).replace("[ポート番号]", str(port))
    text = text.replace("/[公開URLパス]/", route.public).replace("/[内部APIパス]/", route.inside)
    if route.methods:
        text = text.replace("GET, POST, OPTIONS", ", ".join(route.methods))
    extra = f"client_max_body_size {route.max_body};\n}}" if route.max_body else "}"
    return text.rstrip().removesuffix("}") + extra + "\n"
