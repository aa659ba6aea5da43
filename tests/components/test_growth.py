"""What an update does for each host does not grow with the other hosts of its stack."""

from dataclasses import replace
from typing import Any

import pytest
from pulumi.runtime.mocks import MockMonitor

import components.region
import components.serving
import rendering.host
from catalogue import loading
from catalogue.models import System
from tests.components.program import run_program
from tests.support import PROD, ROOT


def system(number: int) -> System:
    """A service with a repository of its own."""
    name = f"shop{number}"
    service = {
        "name": name, "kind": "compose", "purpose": "sells", "role": "api", "container": name, "port": 8050 + number,
        "image": {"repository": f"{name}-web", "tag": "latest"}, "address": f"172.{20 + number}.0.10",
        "memory": {"limit": "1g"}, "directory": f"/srv/{name}", "unit": f"{name}.service",
        "routes": [{"public": "/"}],
    }  # fmt: skip
    network = {"subnet": f"172.{20 + number}.0.0/16", "gateway": f"172.{20 + number}.0.1"}
    return System.model_validate({
        "system": name, "document": "none", "services": [service],
        "network": {"name": name, "unit": f"{name}-network.service", **network},
        "sites": [{"name": f"{name}.hey-watch.me", "challenge": "dns-01"}],
    })  # fmt: skip


def stack_of(count: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The configuration of as many hosts, each with a system of its own."""
    monkeypatch.chdir(ROOT)
    real = loading.load
    systems = {f"shop{number}": system(number) for number in range(count)}
    monkeypatch.setattr(loading, "load", lambda root, stack: replace(real(root, stack), systems=systems))
    hosts = {name: {**PROD["infra:hosts"]["watchme"], "systems": [name]} for name in systems}
    return {
        "infra:hosts": hosts,
        "infra:hostPublicKeys": dict.fromkeys(hosts, "ssh-ed25519 AAAA"),
        "infra:hostPrivateKeys": dict.fromkeys(hosts, "K"),
    }


def test_release_depends_only_on_the_repositories_of_its_host(monkeypatch):
    depends: dict[str, set[str]] = {}
    register = MockMonitor.RegisterResource

    def noted(self: MockMonitor, request: Any) -> Any:
        depends[request.name] = {*request.dependencies}
        return register(self, request)

    monkeypatch.setattr(MockMonitor, "RegisterResource", noted)
    run_program(stack_of(3, monkeypatch))
    for number in range(3):
        urns = depends[f"shop{number}-ap-northeast-1-release-apply"]
        names = {urn.rpartition("-registry-")[2] or urn for urn in urns if "ecr/repository:" in urn}
        assert len(names) == 1 and f"shop{number}-web" in names.pop()


def test_a_host_is_rendered_once_for_its_release(monkeypatch):
    """Without a move there is nothing to ask of its probes."""
    rendered: list[str] = []
    render = rendering.host.render

    def noted(catalogue: Any, host: str, *rest: Any) -> Any:
        rendered.append(host)
        return render(catalogue, host, *rest)

    monkeypatch.setattr(components.region, "render", noted)
    monkeypatch.setattr(components.serving, "render", noted)
    run_program(stack_of(3, monkeypatch))
    assert sorted(rendered) == ["shop0", "shop1", "shop2"]
