"""Cloudflare's stand-in, on a port of this machine, and a host that the last update made."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from infra import cloudflare, hosts
from lab.cloud.cloudflare import Cloudflare
from tests.names.asking import ADDRESS

ZONE = "example.com"


@dataclass
class Kept:
    """`client` is the operator's; `there` what is kept now."""

    app: Cloudflare
    client: cloudflare.Zone
    address: str

    def there(self, name: str = "") -> list[dict]:
        return [entry for entry in self.app.entries.values() if name in ("", entry["name"])]

    def by_hand(self, kind: str, name: str, content: str, **more) -> str:
        """A record that a person wrote; its id."""
        body = {"type": kind, "name": name, "content": content, "ttl": 300, **more}
        return self.client._ask("POST", f"/zones/{self.client.id}/dns_records", body=body)["id"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    app = Cloudflare([ZONE, "other.example"], tmp_path / "cloudflare.json")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/client/v4"
    monkeypatch.setenv(cloudflare.BASE, address)
    monkeypatch.setattr(cloudflare, "RETRY", cloudflare.RETRY.new(backoff_factor=0))
    yield Kept(app, cloudflare.Zone(ZONE, app.tokens["operator"]), address)
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "outputs", lambda stack: {"addresses": {"watchme": ADDRESS}, "region": "ap-northeast-1"})
