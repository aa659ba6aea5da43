"""Services that run on another host than their system: what each host has, and what is refused."""

from dataclasses import replace
from functools import partial

import pytest
import yaml

from catalogue.checks import check
from catalogue.parts import neighbours, release_order
from catalogue.problems import errors
from infra.deploying import host_of
from infra.logs import services_of
from policy.containers import exceptions, ports
from policy.facts import Facts
from policy.of_stack import exceptions as granted
from rendering.host import render
from rendering.neighbours import names_unknown_address
from tests.catalogue.shop import blue_green, in_a_circle, lines, read_shop
from tests.support import HOME, PROD

HOST = PROD["infra:hosts"]["watchme"]


def part(*services, **more):
    return {**HOST, "systems": [{"system": "shop", "services": [*services], **more}]}


def without_waits(text):
    return text.replace("    depends_on: {shop-db: {condition: service_healthy}}\n", "")


def stateless(text):
    """A web service without data."""
    lines = [line for line in without_waits(text).splitlines() if "/srv/shop/media" not in line]
    return "\n".join(lines)


def guarded(text):
    """Beside the shop a service that its worker's place asks first."""
    return without_waits(text).replace(
        "routes: [{public: /, site: shop.hey-watch.me}]",
        "routes: [{public: /, site: shop.hey-watch.me, forward_auth: {service: gate, path: /ask}}]",
    ).replace(
        "variants:",
        "  - {name: gate, kind: compose, purpose: Gate, image: {repository: gate}, port: 8041, memory: {limit: 64m}}\n"
        "variants:",
    )  # fmt: skip


@pytest.fixture
def project(tmp_path):
    return partial(read_shop, tmp_path, change=without_waits)


def test_each_host_has_its_services_and_the_proxy_leads_to_the_relay(project):
    shop = project("shop", hosts={"gpu": part("web", "worker")}, change=stateless)
    assert errors(check(shop)) == [], lines(shop)
    box, gpu = render(shop, "box"), render(replace(shop, addresses={"gpu": "10.20.1.77"}), "gpu")
    assert {probe.service: (probe.url, probe.public) for probe in box.probes}["web-on-gpu"] == (
        "http://127.0.0.1:8040/health", "https://shop.hey-watch.me/health",
    )  # fmt: skip
    assert {container.name for container in box.containers} == {"shop-db"}
    assert {container.name for container in gpu.containers} == {"web", "shop_worker_1"}
    assert not gpu.certificates and [c.name for c in box.certificates] == ["shop.hey-watch.me"]
    composed = next(f.content for f in gpu.files if f.path == "/opt/web/docker-compose.prod.yml")
    assert (gpu.private, box.private) == (["10.20.1.77:8080"], [])
    assert yaml.safe_load(composed)["services"]["web"]["ports"] == ["127.0.0.1:8040:8080", "10.20.1.77:8080:8080"]
    assert shop.file_of(shop.systems["shop-web"]) == "files/systems/shop.yaml"


def test_data_goes_with_its_service_and_its_relay_is_not_asked_over_the_network(project):
    """In a move its data comes after the gate: a caller that waited for it would never pass."""
    shop = project("shop", hosts={"gpu": part("web", "worker")})
    assert shop.systems["shop-web"].data == ["/srv/shop/media"] and shop.systems["shop"].data == []
    (relay,) = [probe for probe in render(shop, "box").probes if probe.service == "web-on-gpu"]
    assert (relay.url, relay.public, relay.unit) == (None, None, "web-on-gpu.service")
    assert "http://127.0.0.1:8040/health" in {probe.url for probe in render(shop, "gpu").probes}


def test_containers_and_relay_know_the_private_address(project):
    shop = replace(project("shop", hosts={"gpu": part("web", "worker")}), addresses={"gpu": "10.20.1.77"})
    box = render(shop, "box")
    text = {file.path: file.content.decode() for file in box.files}
    relay = text["/etc/systemd/system/web-on-gpu.service"]
    assert "systemd-socket-proxyd --connections-max=4096 10.20.1.77:8080" in relay
    assert "ListenStream=127.0.0.1:8040" in text["/etc/systemd/system/web-on-gpu.socket"]
    database = yaml.safe_load(text["/opt/shop-db/docker-compose.prod.yml"])["services"]["shop-db"]
    assert database["extra_hosts"] == ["web:10.20.1.77"]


def test_release_step_of_a_service_that_stays_knows_the_private_address(project):
    def change(text):
        own = "    port: 8050\n    directory: /opt/worker\n    unit: worker.service\n"
        text = stateless(text).replace("    directory: /opt/web\n    unit: web.service\n", own)
        return text.replace("    release: {command: migrate}\n", "").replace(
            own, f"{own}    release: {{command: fill}}\n"
        )

    shop = project("shop", hosts={"gpu": part("web")}, change=change)
    assert errors(check(shop)) == [], lines(shop)
    box = render(replace(shop, addresses={"gpu": "10.20.1.77"}), "box")
    (step,) = box.steps
    assert yaml.safe_load(step.document)["services"][step.name]["extra_hosts"] == ["web:10.20.1.77"]
    assert not names_unknown_address(box) and names_unknown_address(render(shop, "box"))


def test_without_the_entry_nothing_differs(project):
    whole, apart = project("shop"), project("shop", hosts={"gpu": {**HOST, "systems": []}})
    assert render(whole, "box").files == render(apart, "box").files


def test_gates_and_shared_secrets_go_with_a_service(project, tmp_path):
    shop = project("shop", hosts={"gpu": part("gate")}, change=guarded)
    assert errors(check(shop)) == [], lines(shop)
    site = next(f.content.decode() for f in render(shop, "box").files if f.path.endswith("shop.hey-watch.me"))
    assert "service_gate" in site
    database = project("shop", hosts={"gpu": part("shop-db")}, secrets={"shop": {"POSTGRES_PASSWORD": "x"}})
    assert database.secrets["shop-db"] == {"POSTGRES_PASSWORD": "x"}
    assert errors(check(database)) == [], lines(database)
    assert "is not used" not in lines(database)


def test_part_of_an_instance_and_its_network(project):
    staging = {"system": "shop", "as": "blue", "names": {"shop.hey-watch.me": "blue.hey-watch.me"}}
    entry = {"system": "blue", "services": ["blue-web", "blue-worker"], "as": "far", "subnet": "172.30.9.0/24"}
    shop = project(staging, hosts={"gpu": {**HOST, "systems": [entry]}}, secrets={"blue": {"POSTGRES_PASSWORD": "x"}})
    assert errors(check(shop)) == [], lines(shop)
    network = shop.systems["far"].network
    assert network and (network.name, str(network.subnet)) == ("far", "172.30.9.0/24")
    assert shop.file_of(shop.systems["far"]) == "files/systems/shop.yaml"


def test_host_that_is_called_is_released_first(project):
    shop = project("shop", hosts={"gpu": part("web", "worker"), "spare": {**HOST, "systems": []}})
    assert release_order(shop.stack) == ["gpu", "box", "spare"]
    assert neighbours(shop.stack, "box") == ["gpu"] == neighbours(shop.stack, "gpu")
    assert neighbours(shop.stack, "spare") == []


def test_commands_about_a_service_go_to_the_host_that_runs_it(project):
    shop = project("shop", hosts={"gpu": part("shop-db")}, secrets={"shop": {"POSTGRES_PASSWORD": "x"}})
    assert services_of(shop, ["shop-db"]) == {"gpu": ["shop-db"]}
    assert services_of(shop, ["shop"]) == {"box": ["web", "worker"]}
    assert host_of(shop, ["shop-db"], None)[0] == "gpu" and host_of(shop, ["web", "worker"], None)[0] == "box"


def test_owners_machine_serves_at_its_private_address(project):
    desk = {**HOME, "privateAddress": "10.8.0.4", "systems": part("web", "worker")["systems"]}
    shop = project("shop", hosts={"desk": desk})
    assert errors(check(shop)) == [], lines(shop)
    composed = next(f.content.decode() for f in render(shop, "desk").files if f.path.startswith("/opt/web/docker"))
    assert "10.8.0.4:8080:8080" in composed


def test_containers_network_does_not_cover_a_private_address(project):
    desk = {**HOME, "privateAddress": "10.8.0.4", "systems": part("web", "worker", subnet="10.8.0.0/24")["systems"]}
    assert "overlaps the private address 10.8.0.4 of host desk" in lines(project("shop", hosts={"desk": desk}))


def test_policy_takes_a_private_port_only_of_a_service_that_runs_apart(project):
    shop = project("shop", hosts={"gpu": part("web", "worker")})
    files = {"gpu": {f.path: f.content.decode(errors="replace") for f in render(shop, "gpu").files}}
    allowed = {f"gpu:{place}": reasons for place, reasons in granted(shop, "gpu").items()}
    facts = Facts("prod", files=files, exceptions=allowed)
    assert list(ports(facts)) == [] and list(exceptions(facts)) == []
    assert [finding.rule for finding in ports(Facts("prod", files=files))] == ["loopback"]


WEB = "    image: {repository: shop-web}\n    port: 8040\n"
TWICE = {"system": "shop", "as": "twice", "names": {"shop.hey-watch.me": "twice.hey-watch.me"}}
PUBLISHED = """    health: {command: pg_isready}
    publish: ["8080:5432"]
    exceptions: {public-ports: "A partner asks it"}
"""
UNIT = """  - name: shop-unit
    kind: unit
    purpose: Unit
    port: 8080
    memory: {limit: 64m}
    unit: shop-unit.service
    directives: {Service: {ExecStart: /bin/true}}
"""
REFUSED = {
    "no such system": (part("x") | {"systems": [{"system": "shap", "services": ["x"]}]}, None, "system 'shap'; did you mean 'shop'?"),
    "no such service": (part("wep"), None, "shop has no running service wep; did you mean 'web'?"),
    "a variant of its own": (part("web", "worker", variant="small"), None, "variant beside services; write it where the rest"),
    "one unit": (part("web"), None, "service web is in one unit with worker, web.service; add worker to services:"),
    "a wait": (part("web", "worker"), lambda text: text, "service web depends on shop-db, which stays on the other host; add shop-db"),
    "single": (
        part("web", "worker"), lambda text: without_waits(text).replace(WEB, f"{WEB}    single: true\n"),
        "service web is single; leave it where its system is",
    ),
    "replicas": (
        part("web", "worker"), lambda text: without_waits(text).replace(WEB, f"{WEB}    replicas: 2\n"), "service web has 2 replicas; leave",
    ),
    "no port": (
        part("shop-db"), lambda text: text.replace("    health: {command: pg_isready}\n", "    container_port: 5432\n"),
        "service shop-db has a container_port and no port; write a port",
    ),
    "no HTTP": (
        part("web", "worker"), lambda text: without_waits(text).replace(WEB, f"{WEB}    health: tcp\n"),
        "the health of service web is not asked by HTTP; write health: /PATH for web",
    ),
    "shared data": (
        part("web", "worker"), lambda text: without_waits(text).replace('["shop-data:', '["/srv/shop/media/db:/x", "shop-data:'),
        "service web shares /srv/shop/media with shop-db; add shop-db to services:",
    ),
    "SSH's port": (
        part("web", "worker"), lambda text: without_waits(text).replace("container_port: 8080", "container_port: 22"),
        "infra:hosts.gpu: web listens on port 22 in its container",
    ),
    "a port that another publishes": (
        part("web", "worker") | {"systems": [*part("web", "worker")["systems"], TWICE]},
        lambda text: without_waits(text).replace("    health: {command: pg_isready}\n", PUBLISHED),
        "and so at the host's private address: twice-db has that port at all addresses; write another port or",
    ),
    "a port of a unit": (
        part("web", "worker") | {"systems": [*part("web", "worker")["systems"], TWICE]},
        lambda text: without_waits(text).replace("variants:", f"{UNIT}variants:"),
        "and so at the host's private address: twice-unit has that port at all addresses",
    ),
    "SSH's own port": (
        {**HOME, "privateAddress": "10.8.0.4", "port": 8080, "systems": part("web", "worker")["systems"]}, None,
        "infra:hosts.gpu: web listens on port 8080 in its container",
    ),
    "a machine without a private network": (
        {**HOME, "systems": part("web", "worker")["systems"]}, None, "host gpu of kind ssh has no privateAddress; write privateAddress: 10.0.0.5",
    ),
    "a public address": (
        {**HOME, "privateAddress": "203.0.113.9", "systems": part("web", "worker")["systems"]}, None,
        "privateAddress 203.0.113.9 of host gpu is a public one",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("host", "change", "line"), REFUSED.values(), ids=REFUSED)
def test_unsupported_placement_is_refused(project, host, change, line):
    shop = project("shop", hosts={"gpu": host}, **({"change": change} if change else {}))
    assert line in lines(shop)


def test_entry_without_a_rest_or_beside_it_is_refused(project):
    assert "no host runs the rest of system shop" in lines(project(hosts={"gpu": part("web", "worker")}))
    both = {"system": "shop", "services": ["web", "worker"]}
    assert "host box runs all of shop; remove this entry" in lines(project("shop", both))
    twice = lines(project("shop", hosts={"gpu": part("shop-db"), "two": part("shop-db", **{"as": "two"})}))
    assert "service shop-db is already placed on host gpu" in twice or "no running service shop-db" in twice


def test_blue_green_service_is_restarted_there_with_a_warning(project):
    shop = project("shop", hosts={"gpu": part("web")}, change=lambda text: blue_green(without_waits(text)))
    assert errors(check(shop)) == [], lines(shop)
    assert "rollout: blue-green of web has no effect there: a release restarts it" in lines(shop)
    assert {c.name for c in render(shop, "gpu").containers} == {"web"}


def test_hosts_that_call_each_other_are_refused(tmp_path):
    assert "infra:hosts.box: box and second each run services of the other's systems" in lines(in_a_circle(tmp_path))
