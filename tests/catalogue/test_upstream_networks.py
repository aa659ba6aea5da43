"""Networks and volumes of an upstream compose file, and what of its top level a catalogue leaves out."""

import pytest

from catalogue.problems import CatalogueError
from tests.catalogue.upstream import OWN, UPSTREAM, read, services

FRONT_AND_BACK = (
    UPSTREAM.replace("    mem_limit: 512m\n", "    mem_limit: 512m\n    networks: [front, back]\n")
    .replace("    image: postgres:16\n", "    image: postgres:16\n    networks: {back: {aliases: [database, pg]}}\n")
    .replace("    volumes: [redisdata:/data]\n", "    volumes: [redisdata:/data]\n    networks: {front: }\n")
)
TOP = "networks: {front: , back: {driver: bridge, internal: false}}\nvolumes:\n  pgdata:"
SEVERAL = FRONT_AND_BACK.replace("volumes:\n  pgdata:", TOP)


def without(*paths):
    return {"compose": OWN["compose"] | {"without": [*paths]}}


def test_networks_of_a_file_become_the_systems_one_and_what_they_held_apart_is_said(tmp_path):
    system = read(tmp_path, SEVERAL)
    assert system.compose.apart == ["broker and db"]
    assert services(system)["db"]["aliases"] == ["database", "pg"]


def test_separation_is_accepted_by_leaving_the_networks_out(tmp_path):
    assert read(tmp_path, SEVERAL, **without("networks")).compose.apart == []


def test_file_whose_services_share_a_network_holds_none_apart(tmp_path):
    assert read(tmp_path).compose.apart == []


TAKEN = {
    "a volume's driver by its name": ("  redisdata:\n", "  redisdata: {driver: local}\n"),
    "a volume's empty options": ("  redisdata:\n", "  redisdata: {driver: local, driver_opts: {}, x-backup: daily}\n"),
    "a network's driver": ("volumes:\n  pgdata:", "networks: {default: {driver: bridge, attachable: true}}\nvolumes:\n  pgdata:"),
    "a network of another project": ("volumes:\n  pgdata:", "networks: {proxy: {external: true}}\nvolumes:\n  pgdata:"),
    "a key of the file's own": ("volumes:\n  pgdata:", "x-more: {a: b}\nvolumes:\n  pgdata:"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), TAKEN.values(), ids=TAKEN)
def test_top_level_that_means_the_same_here_is_taken(tmp_path, old, new):
    assert (
        services(read(tmp_path, UPSTREAM.replace(old, new)))["broker"]["volumes"][0]["source"] == "paperless_redisdata"
    )


REFUSED = {
    "labels of a volume": ("  redisdata:\n", "  redisdata: {labels: {a: b}}\n", "volumes.redisdata.labels"),
    "a disk of the network": ("  redisdata:\n", "  redisdata: {driver: nfs}\n", "volumes.redisdata.driver"),
    "options of a driver": ("  redisdata:\n", "  redisdata: {driver_opts: {o: bind, type: none, device: /x}}\n", "volumes.redisdata.driver_opts"),
    "a closed network": ("volumes:\n  pgdata:", "networks: {back: {internal: true}}\nvolumes:\n  pgdata:", "networks.back.internal"),
    "addresses of a network": ("volumes:\n  pgdata:", "networks: {a.b: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\nvolumes:\n  pgdata:", "networks.a.b.ipam"),
    "another driver of networks": ("volumes:\n  pgdata:", "networks: {back: {driver: macvlan}}\nvolumes:\n  pgdata:", "networks.back.driver"),
    "another file": ("volumes:\n  pgdata:", "include: [other.yml]\nvolumes:\n  pgdata:", "include"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place"), REFUSED.values(), ids=REFUSED)
def test_top_level_with_another_meaning_is_refused_until_it_is_left_out(tmp_path, old, new, place):
    assert old in UPSTREAM
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, UPSTREAM.replace(old, new))
    line = str(raised.value)
    assert f"docker-compose.yml: {place}: " in line and f"compose: {{without: [{place}]}}" in line
    assert services(read(tmp_path, UPSTREAM.replace(old, new), **without(place)))


def test_path_at_which_nothing_is_left_out_is_named(tmp_path):
    with pytest.raises(CatalogueError, match=r"compose\.without: networks\.back: is nothing that the file sets"):
        read(tmp_path, UPSTREAM, **without("networks.back"))


PARTS = {
    "a part of a check": ("healthcheck: {test: x, start_interval: 1s}", "healthcheck.start_interval"),
    "an address": ("networks: {default: {ipv4_address: 10.0.0.2}}", "networks.default.ipv4_address"),
    "an option of an attachment": ("networks: {default: {driver_opts: {a: b}}}", "networks.default.driver_opts"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "path"), PARTS.values(), ids=PARTS)
def test_part_of_a_key_is_left_out_by_its_path(tmp_path, text, path):
    given = UPSTREAM.replace("    mem_limit: 512m\n", f"    mem_limit: 512m\n    {text}\n")
    with pytest.raises(CatalogueError) as raised:
        read(tmp_path, given)
    assert f"without: [{path}] for the service" in str(raised.value)
    own = [OWN["services"][0] | {"without": [path]}, *OWN["services"][1:]]
    assert services(read(tmp_path, given, services=own))


def test_fixed_address_of_the_catalogue_takes_the_place_of_the_files(tmp_path):
    given = UPSTREAM.replace(
        "    mem_limit: 512m\n", "    mem_limit: 512m\n    networks: {default: {ipv4_address: 10.0.0.2}}\n"
    )
    own = [OWN["services"][0] | {"address": "172.30.9.5"}, *OWN["services"][1:]]
    assert str(services(read(tmp_path, given, services=own))["webserver"]["address"]) == "172.30.9.5"
