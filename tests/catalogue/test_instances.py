"""A system that runs more than once: nothing of one is another's."""

from dataclasses import replace
from functools import partial

import pytest
import yaml

from catalogue.checks import check
from catalogue.network_defaults import PORTS, SUBNETS, port_of, subnet_of
from catalogue.problems import CatalogueError, errors
from rendering.host import render
from tests.catalogue.shop import SECOND, STAGING, lines, read_shop


@pytest.fixture
def project(tmp_path):
    """Reads a project with the shop."""
    return partial(read_shop, tmp_path)


def test_instances_share_nothing_on_a_host(project):
    made = project("shop", STAGING)
    assert errors(check(made)) == [], lines(made)
    both = render(made, "box")
    alone = render(replace(made, stack=project("shop").stack), "box")
    paths = [file.path for file in both.files]
    assert len(paths) == len(set(paths))
    # What is there for the first stays as it is
    assert {file.path: file.content for file in alone.files if "shop" in file.path or "/web" in file.path} == {
        file.path: file.content for file in both.files
        if ("shop" in file.path or "/web" in file.path) and "staging" not in file.path
    }  # fmt: skip
    for kind, name in (
        ("units", "name"), ("containers", "name"), ("networks", "name"), ("ports", "port"), ("steps", "container"),
        ("environment_files", "path"),
    ):  # fmt: skip
        names = [getattr(item, name) for item in getattr(both, kind)]
        assert len(names) == len(set(names)), kind


def test_names_of_an_instance_are_derived_from_its_name(project):
    system = project("shop", STAGING).systems["shop-staging"]
    database, web, worker = system.compose_services
    assert [service.name for service in (database, web, worker)] == [
        "shop-staging-db", "shop-staging-web", "shop-staging-worker",
    ]  # fmt: skip
    assert (web.unit, web.directory, worker.directory) == (
        "shop-staging-web.service", "/opt/shop-staging-web", "/opt/shop-staging-web",
    )  # fmt: skip
    assert database.volume_names == ["shop-staging-data"]
    assert [mount.source for mount in web.volumes] == ["/srv/shop-staging/media", "/opt/shop-staging-web/cache"]
    assert system.data == ["/srv/shop-staging/media"] and list(web.depends_on) == ["shop-staging-db"]
    assert worker.container == "shop-staging_worker_1"
    assert web.listens in PORTS and web.listens_inside == 8080 and database.listens is None
    assert [site.name for site in system.sites] == ["staging.hey-watch.me"] and system.site_of(web.routes[0])
    assert system.network and system.network.subnet == subnet_of("shop-staging")


def test_containers_of_an_instance_keep_their_network_aliases(project):
    """What the file says of other services (postgres://shop-db/shop) holds in each network."""
    both = render(project("shop", STAGING), "box")
    content = next(f.content for f in both.files if f.path == "/opt/shop-staging-db/docker-compose.prod.yml")
    services = yaml.safe_load(content)["services"]
    assert list(services) == ["shop-db"] and services["shop-db"]["container_name"] == "shop-staging-db"
    web = next(f.content for f in both.files if f.path == "/opt/shop-staging-web/docker-compose.prod.yml")
    assert "shop_worker_1" in yaml.safe_load(web)["services"]["worker"]["networks"]["shop-staging"]["aliases"]


def test_instance_has_its_own_secrets_variant_ports_and_subnet(project):
    entry = {**STAGING, "variant": "small", "ports": {"web": "8041"}, "subnet": "172.30.1.0/24"}
    made = project("shop", entry)
    assert errors(check(made)) == [], lines(made)
    web = made.systems["shop-staging"].compose_services[1]
    assert (web.port, web.memory.limit, made.systems["shop"].compose_services[1].memory.limit) == (8041, "128m", "256m")
    assert str(made.systems["shop-staging"].network.subnet) == "172.30.1.0/24"
    assert made.secrets["shop-staging-db"] == {"POSTGRES_PASSWORD": "x"}


def test_instances_on_two_hosts_are_independent(project):
    made = project("shop", hosts={"second": SECOND})
    assert errors(check(made)) == [], lines(made)
    assert "shop-staging-web.service" in {unit.name for unit in render(made, "second").units}


def test_single_system_may_have_other_public_names(project):
    made = project({"system": "shop", "names": {"shop.hey-watch.me": "www.hey-watch.me"}})
    assert errors(check(made)) == [], lines(made)
    (system,) = made.running.values()
    assert system.sites[0].name == "www.hey-watch.me" and system.compose_services[1].unit == "web.service"


REFUSED = {
    "no such system": (
        [{"system": "shap", "as": "xx"}], "infra:hosts.box.systems.xx: system 'shap'; did you mean 'shop'?",
    ),
    "the name of another system": (
        ["shop", STAGING, {**STAGING, "as": "other"}], "as: other is the system of files/systems/other.yaml; must be a name",
    ),
    "a name of the program's": (
        ["shop", {**STAGING, "as": "registries"}], "as: registries is reserved under infra:secrets",
    ),
    "no such site": (
        ["shop", {**STAGING, "names": {"shap.hey-watch.me": "a.hey-watch.me"}}],
        "infra:hosts.box.systems.shop-staging.names: shop has no site shap.hey-watch.me; did you mean 'shop.hey-watch.me'?",
    ),
    "no such container": (
        ["shop", {**STAGING, "ports": {"wep": 8041}}], "systems.shop-staging.ports: shop has no container wep with a p",
    ),
    "a container without a port": (
        ["shop", {**STAGING, "ports": {"worker": 8041}}], "shop has no container worker with a port; its containers",
    ),
    "the name of a service": (
        ["shop", {**STAGING, "as": "worker"}], "as: worker is the name of a service of shop, whose secrets have that name",
    ),
    "one site of two": (
        ["shop", {**STAGING, "names": {}}], "shop.hey-watch.me is the public name of two sites (on box); a public name has one site: of two instances, give one another name under names: (docs/catalogue.md)",
    ),
    "twice": (["shop", "shop"], "infra:hosts: system shop is listed twice: on host box and on host box; must have another name for each further one: {system: shop"),
    "one port of two": (
        ["shop", {**STAGING, "ports": {"web": 8040}}], "service shop-staging-web: port 8040 is already used by web",
    ),
    "one subnet of two": (
        ["shop", {**STAGING, "subnet": str(subnet_of("shop"))}], "network shop-staging: its subnet",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("systems", "line"), REFUSED.values(), ids=REFUSED)
def test_impossible_instances_are_refused(project, tmp_path, systems, line):
    (tmp_path / "files/systems").mkdir(parents=True)
    (tmp_path / "files/systems/other.yaml").write_text("system: other\ndocument: x\nservices: []\n")
    assert line in lines(project(*systems))


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"system": "shop", "named": "x"},
            "infra:hosts.box.systems.0.named: unknown field 'named'; did you mean 'names'?",
        ),
        ({"system": "shop", "as": "Shop!"}, "infra:hosts.box.systems.0.as: found 'Shop!'"),
        ({"as": "xx"}, "infra:hosts.box.systems.0.system"),
        ({"system": "shop", "as": "x"}, "a name such as shop-staging: 2 to 40 lower-case letters, digits, _ and -"),
        ({"system": "shop", "as": "shop-"}, "a name such as shop-staging: 2 to 40"),
        ({"system": "shop", "as": "shop.2"}, "a name such as shop-staging: 2 to 40"),
        ({"system": "shop", "as": "s" * 41}, "a name such as shop-staging: 2 to 40"),
        ({**STAGING, "subnet": "255.255.255.255/32"}, "a private subnet, /8 to /29"),
        ({**STAGING, "subnet": "8.8.8.0/24"}, "a private subnet, /8 to /29"),
        ({**STAGING, "ports": {"web": True}}, "infra:hosts.box.systems.0.ports.web"),
        ({**STAGING, "ports": {"web": 8041.0}}, "infra:hosts.box.systems.0.ports.web"),
        ({**STAGING, "ports": {"web": "x"}}, "infra:hosts.box.systems.0.ports.web"),
        (["shop"], "infra:hosts.box.systems.0"),
    ],
)
def test_a_wrong_entry_is_named(project, entry, line):
    with pytest.raises(CatalogueError) as error:
        project(entry)
    assert line in str(error.value)


def test_handmade_unit_name_of_two_instances_is_refused(project):
    def change(text):
        unit = "  - {name: shop-agent, kind: unit, purpose: x, unit: shop-agent.service, directives: {Service: {ExecStart: /usr/bin/true}}}\n"
        return text.replace("variants:\n", f"{unit}variants:\n")

    found = lines(project("shop", STAGING, change=change))
    assert (
        "shop has units of its own (shop-agent.service), but shop is on this host too; put one of the two on another host"
        in found
    )
    made = project("shop", hosts={"second": SECOND}, change=change)
    assert errors(check(made)) == [], lines(made)
    # Its unit says names, paths and ports of all that it uses: they are as in the file, but for its own name
    system, origin = made.systems["shop-staging"], made.systems["shop"]
    assert [service.name for service in system.native_services] == ["shop-staging-agent"]
    assert (system.data, system.directories, system.network) == (origin.data, origin.directories, origin.network)
    for now, was in zip(system.compose_services, origin.compose_services, strict=True):
        assert (now.unit, now.container, now.directory, now.port, now.volumes) == (
            was.unit, was.container, was.directory, was.port, was.volumes,
        )  # fmt: skip
    assert list(system.compose_services[1].depends_on) == ["shop-staging-db"]


def test_ports_and_networks_follow_from_names_alone(project):
    """Another system, or another service, changes none of them: a restart for nothing would be a surprise."""

    def without(text):
        return text.replace("    port: 8040\n", "")

    made = project("shop", change=without)
    assert errors(check(made)) == [], lines(made)
    web = made.systems["shop"].compose_services[1]
    assert web.port == port_of("shop", "web") and web.port in PORTS
    network = made.systems["shop"].network
    assert network and network.subnet == subnet_of("shop") and network.subnet.subnet_of(SUBNETS)
    assert (network.name, network.unit) == ("shop", "shop-network.service")
    # As they are, for good
    assert (web.port, str(network.subnet)) == (29861, "10.176.61.0/24")


def test_instances_of_a_stack_are_serialised_and_read_back(project):
    """A preview compares configurations that were written down."""
    stack = project("shop", {**STAGING, "ports": {"web": 8041}, "subnet": "172.30.1.0/24"}).stack
    assert type(stack).model_validate(stack.model_dump(mode="json")).hosts == stack.hosts
