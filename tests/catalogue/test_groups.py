"""Groups of hosts: who is in one, what each host gets, and what is refused."""

import json
from functools import partial

import pytest
import yaml

from catalogue.checks import check
from catalogue.groups import managers
from catalogue.parts import members, release_order
from catalogue.problems import CatalogueError, errors
from catalogue.stack import Stack
from rendering.host import render
from tests.catalogue.shop import lines, read_shop
from tests.groups.shop import HOST, KEY, own_machines, spread_web


def composed(files, directory):
    return next(file.content for file in files.files if file.path == f"{directory}/docker-compose.prod.yml")


@pytest.fixture
def project(tmp_path):
    box = {**HOST, "kind": "ec2", "systems": ["shop"], "count": 3}
    return partial(read_shop, tmp_path, "shop", change=spread_web, hosts={"box": box})


def test_count_makes_hosts_of_a_group(project):
    shop = project()
    assert errors(check(shop)) == [], lines(shop)
    assert members(shop.stack) == {"box": ["box", "box-2", "box-3"]}
    assert release_order(shop.stack) == ["box-2", "box-3", "box"]
    assert [shop.stack.hosts[name].runs for name in shop.stack.hosts] == [["shop"], [], []]


@pytest.mark.parametrize(("count", "managing"), [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5), (9, 5)])
def test_an_odd_number_of_hosts_keeps_the_state(count, managing):
    assert len(managers([f"box-{number}" for number in range(count)])) == managing


def test_first_host_brings_spread_services_up_to_date(project):
    shop = project()
    files = render(shop, "box", {"shop-web:latest": "sha256:" + "a" * 64})
    units = {unit.name: unit for unit in files.units}
    stack = "/opt/web/swarm-stack.json"
    assert stack in units["web-swarm.service"].files and len(units["web-swarm.service"].images) == 1
    said = json.loads(next(file.content for file in files.files if file.path == stack))
    (web,) = said["services"].values()
    assert web["deploy"]["replicas"] == 3 and web["deploy"]["endpoint_mode"] == "dnsrr"
    (database,) = yaml.safe_load(composed(files, "/opt/shop-db"))["services"].values()
    assert {*database["networks"]} == {"shop", "shop-group"} and [*web["networks"]] == ["group"]
    assert {probe.service: probe.url for probe in files.probes}["web-on-box"] == "http://127.0.0.1:8040/health"
    assert "web" not in {container.name for container in files.containers}


def test_each_host_has_the_images_beforehand(project):
    shop = project()
    images = [
        {image for unit in render(shop, host, {"shop-web:latest": "sha256:" + "a" * 64}).units for image in unit.images}
        for host in ("box-2", "box-3")
    ]
    assert images[0] == images[1] and len(images[0]) == 1


def test_without_a_group_it_is_a_container(tmp_path):
    shop = read_shop(tmp_path, "shop", change=spread_web)
    assert errors(check(shop)) == [], lines(shop)
    assert "web" in {container.name for container in render(shop, "box").containers}


def test_configuration_with_the_hosts_of_a_group_can_be_read_again(project):
    """A preview does so."""
    stack = project().stack
    assert Stack.model_validate(stack.model_dump(mode="json")).hosts == stack.hosts


def test_a_host_that_count_makes_is_not_written_too(tmp_path):
    box = {**HOST, "kind": "ec2", "systems": ["shop"], "count": 2}
    with pytest.raises(CatalogueError, match="box-2 is written, and count of box makes it too"):
        read_shop(tmp_path, "shop", change=spread_web, hosts={"box": box, "box-2": {**HOST, "systems": []}})


def with_web(line):
    """The web service with a line more."""

    def change(text):
        return spread_web(text).replace("    spread: 3\n", f"    spread: 3\n    {line}\n")

    return change


REFUSED = {
    "volumes": ('volumes: ["/srv/x:/x"]', "is spread, and has volumes (/x)"),
    "files": ("secret_files: {/run/secrets/key: KEY}", "is spread, and has files of its host"),
    "single": ("single: true", "is spread, and single: true"),
    "address": ("address: 10.128.0.9", "is spread, and has a fixed address"),
    "release": ("release: {command: migrate}", "is spread, and has release steps"),
    "watch": ("deploy: {watch: latest}", "is spread, and follows a tag by itself"),
    "replicas": ("replicas: 2", "is spread, and has replicas or a rollout of one host"),
    "health": ("health: tcp", "is spread, and its health is not asked by HTTP"),
    "option": ("shm_size: 64m", "is spread, and has shm_size"),
    "publish": ('publish: ["2525"]', "is spread, and publishes ports past the proxy"),
    "gateway": ('extra_hosts: ["db:host-gateway"]', "is spread, and reaches its host by host-gateway"),
}


@pytest.mark.parametrize(("line", "fault"), REFUSED.values(), ids=REFUSED)
def test_what_one_host_alone_has_is_refused(project, line, fault):
    assert fault in lines(project(change=with_web(line)))


HOSTS = {
    "unknown": ({"more": {**HOST, "systems": [], "group": "nothing"}}, "infra:hosts.more.group: host 'nothing'"),
    "itself": ({"more": {**HOST, "systems": [], "group": "more"}}, "infra:hosts.more.group: host 'more'"),
    "chain": ({"more": {**HOST, "systems": [], "group": "box-2"}}, "box-2 is in the group of box"),
    "two": ({"box": {**HOST, "systems": ["shop"], "count": 2}}, "of which one alone keeps the Swarm's state"),
    "caddy": ({"box": {**HOST, "systems": ["shop"], "count": 3, "proxy": "caddy"}}, "proxy caddy cannot lead to"),
    "small": (
        {"box": {**HOST, "systems": ["shop"], "count": 3, "instanceType": "t4g.micro"}},
        "and its group has 0 MiB for them",
    ),
}


@pytest.mark.parametrize(("hosts", "fault"), HOSTS.values(), ids=HOSTS)
def test_group_that_cannot_be_is_refused(project, hosts, fault):
    box = {**HOST, "kind": "ec2", "systems": ["shop"], "count": 3}
    assert fault in lines(project(hosts={"box": box, **hosts}))


def test_hosts_of_a_group_without_a_spread_service_are_a_warning(tmp_path):
    box = {**HOST, "kind": "ec2", "systems": ["shop"], "count": 2}
    shop = read_shop(tmp_path, "shop", hosts={"box": box})
    assert "count is 2, and none of its services is spread" in lines(shop) and not errors(check(shop))


def test_machine_of_ones_own_in_a_group_needs_its_private_address(tmp_path):
    own = {
        "kind": "ssh", "systems": [], "address": "192.0.2.7", "hostKey": KEY, "memory": "8g", "group": "box",
    }  # fmt: skip
    box = {**own, "systems": ["shop"], "privateAddress": "10.0.0.5"}
    del box["group"]
    shop = read_shop(tmp_path, "shop", change=spread_web, hosts={"box": box, "more": own})
    assert "is in the group of box and has no privateAddress" in lines(shop)


@pytest.mark.parametrize(
    ("memory", "fault"),
    [
        # Three copies of 256 MiB, and one more while they are replaced; box runs services of 704 MiB besides
        ({"box": "961m", "two": "513m", "three": "257m"}, ""),
        ({"box": "961m", "two": "257m", "three": "257m"},
         "need 1024 MiB, with 256 MiB for the copy that starts before another one ends, and its group has 770 MiB"),
        ({"box": "700m", **{f"own{n}": "128m" for n in range(9)}}, "a copy of web needs 256 MiB, and no host of its group"),
    ],
)  # fmt: skip
def test_group_has_the_memory_for_one_copy_more(tmp_path, memory, fault):
    found = lines(read_shop(tmp_path, "shop", change=spread_web, hosts=own_machines(**memory)))
    assert fault in found if fault else "error: Pulumi.prod.yaml: infra:hosts.box: its spread" not in found
    assert fault or "without its largest host the group has 513 MiB" in found


def test_copies_stay_off_hosts_without_the_memory_for_them(tmp_path):
    shop = read_shop(tmp_path, "shop", change=spread_web, hosts=own_machines(box="900m", two="2g", three="200m"))
    files = render(shop, "box", {"shop-web:latest": "sha256:" + "a" * 64}).files
    (stack,) = [json.loads(file.content) for file in files if file.path.endswith("swarm-stack.json")]
    constraints = stack["services"]["web"]["deploy"]["placement"]["constraints"]
    assert constraints == ["node.labels.infra.host!=box", "node.labels.infra.host!=three"]
