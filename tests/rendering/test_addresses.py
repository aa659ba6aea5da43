"""Containers whose addresses Docker chooses."""

from types import SimpleNamespace

import pytest
import yaml

from agent.measures.containers import attachment, resolution
from catalogue.checks import check
from rendering.host import render
from tests.support import catalogue, digests, service


def without_address(name, **more):
    def change(data):
        service(data, name).pop("address")
        service(data, name).update(more)

    return change


def compose_files(change):
    made = render(catalogue(change), "watchme", digests())
    found = {file.path: yaml.safe_load(file.content) for file in made.files if file.path.endswith((".yml", ".yaml"))}
    return found, {entry.name: entry for entry in made.containers}


def test_docker_chooses_an_address_when_none_is_given():
    files, containers = compose_files(without_address("web"))
    (entry,) = [
        e for file in files.values() for e in file["services"].values() if e["container_name"] == "watchme-web-prod"
    ]
    assert entry["networks"] == {"watchme-network": {}} and containers["watchme-web-prod"].address == ""


def test_two_slots_need_no_addresses_either():
    change = without_address("vault-api", rollout="blue-green", spare_port=8090)
    assert not [problem for problem in check(catalogue(change)) if "service vault-api" in str(problem)]
    files, _ = compose_files(change)
    entries = [e for file in files.values() for e in file["services"].values() if "vault" in e["container_name"]]
    assert [list(entry["networks"]["watchme-network"]) for entry in entries] == [["aliases"], ["aliases"]]


def test_a_spare_address_beside_none_is_refused():
    change = without_address("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90")
    lines = [str(problem) for problem in check(catalogue(change))]
    assert any(
        "service vault-api: has rollout: blue-green, but no address; must have spare_port alone" in line
        for line in lines
    )


@pytest.mark.parametrize(("at", "met"), [({"net": "172.27.0.3"}, 0), ({}, 1), ({"other": "172.27.0.3"}, 1)])
def test_monitor_checks_the_network_of_a_container(at, met):
    container = SimpleNamespace(running=True, addresses=at, pid=1)
    wanted = {"name": "web", "network": "net", "address": ""}
    look = SimpleNamespace(manifest={}, expected_containers=[wanted], containers={"web": container})
    (measured,) = attachment(look, {})
    assert measured.value == met


@pytest.mark.parametrize(("given", "met"), [("172.27.0.3", 0), ("172.27.0.4", 1), ("", 1)])
def test_container_name_must_resolve_to_its_address(given, met):
    container = SimpleNamespace(running=True, addresses={"net": "172.27.0.3"}, pid=1)
    wanted = {"name": "web", "network": "net", "address": "", "aliases": []}
    world = SimpleNamespace(resolve_inside=lambda pairs: [given])
    look = SimpleNamespace(manifest={}, expected_containers=[wanted], containers={"web": container}, world=world)
    (measured,) = resolution(look, {})
    assert measured.value == met


@pytest.mark.parametrize(("given", "met"), [("172.27.0.3", 0), ("10.1.0.9", 0), ("10.1.0.8", 1)])
def test_name_resolves_to_an_address_in_the_groups_network_too(given, met):
    container = SimpleNamespace(running=True, addresses={"net": "172.27.0.3", "net-group": "10.1.0.9"}, pid=1)
    wanted = {"name": "web", "network": "net", "address": "172.27.0.3", "aliases": []}
    world = SimpleNamespace(resolve_inside=lambda pairs: [given])
    manifest = {"group_networks": ["net-group"]}
    look = SimpleNamespace(manifest=manifest, expected_containers=[wanted], containers={"web": container}, world=world)
    (measured,) = resolution(look, {})
    assert measured.value == met


@pytest.mark.parametrize(("given", "met"), [("172.27.0.3", 0), ("172.27.0.4", 0), ("172.27.0.5", 1)])
def test_name_of_replicas_resolves_to_any_of_them(given, met):
    names = {"web": "172.27.0.3", "web-2": "172.27.0.4", "other": "172.27.0.5"}
    containers = {n: SimpleNamespace(running=True, addresses={"net": at}, pid=1) for n, at in names.items()}
    expected = [{"name": n, "network": "net", "address": "", "aliases": []} for n in names]
    expected[1]["aliases"] = ["web"]
    asked = {"web": given, "web-2": "172.27.0.4", "other": "172.27.0.5"}
    world = SimpleNamespace(resolve_inside=lambda pairs: [asked[name] for _, name in pairs])
    found = resolution(
        SimpleNamespace(manifest={}, expected_containers=expected, containers=containers, world=world), {}
    )
    assert {entry.subject: entry.value for entry in found} == {"web": met, "web-2": 0, "other": 0}
