"""What commands about a spread service ask of the hosts of its group."""

import json
from functools import partial

import pytest

from agent import slots, store
from agent.outcome import Refused
from agent.reaching import _copy_here as copy_here
from agent.world import CommandResult
from catalogue.groups import hosts_of_services
from components import region
from infra import reaching
from infra.deploying import host_of
from infra.errors import InfraError
from infra.logs import services_of
from infra.quorum import attached_services
from infra.ssh import Target
from rendering.archive import build
from rendering.host import render
from tests.catalogue.shop import read_shop
from tests.components.program import run_program
from tests.groups.shop import HOST, OF_ALL, spread_web
from tests.support import PROD

DIGEST = "sha256:" + "a" * 64
SPREAD = [{"service": "web", "unit": "web-swarm.service", "name": "web-swarm_web", "entry": "shop-entry.service"}]


@pytest.fixture
def shop(tmp_path):
    box = {**HOST, "kind": "ec2", "systems": ["shop"], "count": 3}
    return read_shop(tmp_path, "shop", change=spread_web, hosts={"box": box})


def test_deploy_of_a_spread_service_concerns_all_hosts_of_its_group(shop):
    concerned = partial(hosts_of_services, shop.stack, shop.systems, "box")
    assert concerned(["web"]) == ["box-2", "box-3", "box"]
    assert concerned(["shop-db"]) == ["box"]
    assert host_of(shop, ["web"], None)[0] == "box"


def test_every_host_of_a_group_knows_its_spread_services(shop):
    for host in ("box", "box-2"):
        manifest = build(render(shop, host, {"shop-web:latest": DIGEST})).manifest
        assert manifest["spread"] == SPREAD
        # Its containers log for that unit on whichever host
        assert slots.units_of_service(manifest, "web") == ["web-swarm.service"]
    images = store.by_service(build(render(shop, "box", {"shop-web:latest": DIGEST})).manifest)["web"]
    assert len(images) == 1 and images[0].endswith(f"/shop-web@{DIGEST}")
    assert services_of(shop, ["web"]) == {"box": ["web"], "box-2": ["web"], "box-3": ["web"]}


def test_hosts_without_a_group_have_the_releases_that_they_had(tmp_path):
    shop = read_shop(tmp_path, "shop", change=spread_web)
    assert "spread" not in build(render(shop, "box", {"shop-web:latest": DIGEST})).manifest


def test_what_is_in_the_networks_of_a_swarm_is_restarted_with_it(shop):
    assert attached_services(shop, "box") == ["shop-entry", "shop-db", "worker"]


@pytest.mark.parametrize(
    ("of_status", "host", "target"),
    [
        (["box-2", "box-3"], None, "box-2"),
        (["box-2", "box-3"], "box-3", "box-3"),
        (["box-2"], "box-3", "no copy of web runs on box-3"),
        ([], None, "no copy of web runs on any host of its group"),
        (None, None, "box: where web runs is not known: it has no leader"),
    ],
)
def test_command_runs_where_a_copy_is(shop, monkeypatch, of_status, host, target):
    def targets(_, only=None):
        return {name: Target(name, "", 22, "", "", "") for name in shop.stack.hosts if only in (None, name)}

    services = {"web": {"replicas": 2, "hosts": of_status or []}}
    group = {"hosts": {}, "services": services, "error": "" if of_status is not None else "it has no leader"}
    monkeypatch.setattr(reaching.hosts, "targets", targets)
    monkeypatch.setattr(reaching.remote, "ask", lambda *_: {"group": group})
    if target in shop.stack.hosts:
        assert reaching.target_of(shop, "web", host).host == target
    else:
        with pytest.raises(InfraError, match=target):
            reaching.target_of(shop, "web", host)


def test_port_of_a_spread_service_is_that_of_its_relay(shop):
    assert reaching.port_of_relay(shop, "web", None) == ("web-on-box", "box")
    assert reaching.port_of_relay(shop, "shop-db", None) == ("shop-db", None)


class World:
    def __init__(self, output):
        self.output, self.words = output, ()

    def run(self, *words, **_):
        self.words = words
        return CommandResult(0, self.output)


def test_container_of_a_spread_service_is_the_one_of_this_host():
    world = World("c1\nc2\n")
    assert copy_here(world, {"spread": SPREAD}, "web") == "c1"
    assert "label=com.docker.swarm.service.name=web-swarm_web" in world.words
    assert copy_here(world, {"spread": SPREAD}, "shop-db") == "" == copy_here(world, {}, "web")
    with pytest.raises(Refused, match="no copy of web runs on this host"):
        copy_here(World(""), {"spread": SPREAD}, "web")


@pytest.mark.parametrize(
    ("request_fields", "compared"),
    [
        ({"basis": {}, "release": None}, {"watchme", "watchme-2", "watchme-3"}),
        # An update that is taken back: the others have what it brought
        ({}, {"watchme"}),
    ],
)
def test_deploy_of_a_spread_service_brings_nothing_else_to_its_group(monkeypatch, request_fields, compared):
    hosts = []

    def refuse_more(host, changes, before, after, served):
        hosts.append(host)
        return after

    monkeypatch.setattr(region, "refuse_more", refuse_more)
    monkeypatch.setattr(region, "hosts_of_services", lambda *_: ["watchme-2", "watchme-3", "watchme"])
    fields = {"host": "watchme", "services": ["web"], "deployed": {}, **request_fields}
    monkeypatch.setenv("INFRA_DEPLOYING", json.dumps(fields))
    run_program({**OF_ALL, "infra:hosts": {"watchme": {**PROD["infra:hosts"]["watchme"], "count": 3}}})
    assert {*hosts} == compared
