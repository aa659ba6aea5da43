"""A compose file of a product's makers, and the system that takes it."""

from pathlib import Path
from typing import Any

import yaml

from catalogue.loading import read_system
from catalogue.models import System

# As Paperless-ngx and many others write theirs
UPSTREAM = """
version: "3.4"
x-common: &common
  restart: unless-stopped
services:
  broker:
    <<: *common
    image: docker.io/library/redis:7
    volumes: [redisdata:/data]
  db:
    image: postgres:16
    restart: unless-stopped
    volumes:
      - pgdata:/var/lib/postgresql/data
    environment:
      POSTGRES_DB: paperless
      POSTGRES_USER: paperless
      POSTGRES_PASSWORD: ${DB_PASS}
    healthcheck:
      test: ["CMD-SHELL", "pg_isready -U $$POSTGRES_USER"]
      interval: 5s
  webserver:
    image: ghcr.io/paperless-ngx/paperless-ngx:${PAPERLESS_TAG:-2.13}
    restart: unless-stopped
    depends_on:
      db: {condition: service_healthy}
      broker: {condition: service_started}
    ports: ["8000:8000"]
    volumes:
      - data:/usr/src/paperless/data
      - ./export:/usr/src/paperless/export
    mem_limit: 512m
    environment:
      PAPERLESS_REDIS: redis://broker:6379
      PAPERLESS_DBHOST: db
      PAPERLESS_DBPASS: ${DB_PASS}
      PAPERLESS_URL: ${URL}
  tika:
    profiles: [extra]
    image: docker.io/apache/tika:2.9
volumes:
  pgdata:
  redisdata:
  data: {name: paperless-files}
"""
OWN: dict[str, Any] = {
    "system": "paperless", "document": "x",
    "network": {"name": "paperless", "subnet": "172.30.9.0/24", "gateway": "172.30.9.1", "unit": "paperless.service"},
    "compose": {"file": "paperless/docker-compose.yml", "variables": {"URL": "https://docs.example.com"}},
    "sites": [{"name": "docs.example.com", "challenge": "http-01"}],
    "services": [
        {"name": "webserver", "purpose": "Documents", "port": 8050, "routes": [{"public": "/"}],
         "secrets": ["PAPERLESS_DBPASS"], "environment": {"PAPERLESS_OCR_LANGUAGE": "jpn"}},
        {"name": "db", "purpose": "Database", "memory": {"limit": "256m"}, "secrets": ["POSTGRES_PASSWORD"]},
        {"name": "broker", "purpose": "Queue", "memory": {"limit": "64m"}},
    ],
}  # fmt: skip


def read(tmp_path: Path, upstream: str = UPSTREAM, **own: Any) -> System:
    static = tmp_path / "files/static/paperless"
    static.mkdir(parents=True, exist_ok=True)
    (static / "docker-compose.yml").write_text(upstream)
    path = tmp_path / "files/systems/paperless.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(OWN | own))
    return read_system(path)


def services(system: System) -> dict[str, dict[str, Any]]:
    return {service.name: service.model_dump(exclude_defaults=True) for service in system.services}
