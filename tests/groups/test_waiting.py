"""Requests wait while a service becomes one of a group, or of another host, and while it comes back."""

from functools import partial

import pytest

from agent import holding
from rendering.archive import build
from rendering.host import render
from tests.catalogue.shop import read_shop
from tests.groups.shop import HOST, spread_web

DIGESTS = {"shop-web:latest": "sha256:" + "a" * 64}


@pytest.fixture
def manifest(tmp_path):
    def of(hosts):
        shop = read_shop(tmp_path, "shop", change=spread_web, hosts=hosts)
        return build(render(shop, "box", DIGESTS)).manifest

    return partial(of)


ALONE = {"box": {**HOST, "kind": "ec2", "systems": ["shop"]}}
GROUP = {"box": {**ALONE["box"], "count": 3}}
PART = {"gpu": {**HOST, "kind": "ec2", "systems": [{"system": "shop", "services": ["web"]}]}}


@pytest.mark.parametrize(
    ("hosts", "relay"),
    [(GROUP, "web-on-box.service"), ({**ALONE, **PART}, "web-on-gpu.service")],
    ids=["group", "part"],
)
def test_requests_wait_while_a_relay_takes_a_containers_place(manifest, hosts, relay):
    container, apart = manifest(ALONE), manifest(hosts)
    for before, after, leaving, coming in (
        (container, apart, "web.service", relay),
        (apart, container, relay, "web.service"),
    ):
        (entry,) = holding.entries_to_hold(before, after, {leaving})
        assert (entry["service"], entry["unit"], entry["then"]) == ("web", leaving, coming)
        assert entry["to"] == 8040 and entry["limit"] == 45
        # The proxy leads to one place of both
        assert {link["path"] for link in after["links"]} >= {entry["link"]}
        assert [probe["service"] for probe in after["probes"] if probe["unit"] == coming]


def test_requests_wait_while_their_way_into_the_group_restarts(manifest):
    group = manifest(GROUP)
    (entry,) = holding.entries_to_hold(group, group, {"shop-entry.service"})
    assert (entry["service"], entry["then"]) == ("web", "web-on-box.service")
    assert holding.entries_to_hold(group, group, {"web-swarm.service"}) == []
