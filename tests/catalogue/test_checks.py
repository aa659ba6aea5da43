"""Every rule has an example that fails: what is changed, and what the one line must say."""

from dataclasses import replace

import pytest

from catalogue.checks import RULES, check, ensure_valid
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.problems import CatalogueError
from catalogue.rules.units import settings
from tests.catalogue import containers, data_disks, names, programs, pythons, reaching, records, regions, sites, units
from tests.catalogue import log_servers as logs
from tests.catalogue.changes import both, configured, hosted, networked, routed, setting
from tests.catalogue.shop import STAGING, leading_elsewhere, misplaced_catalogues, read_shop, with_a_name_of_anothers
from tests.serving import described
from tests.support import HOME, catalogue, changed, unchanged, whole

SUPERB = "warning: files/systems/watchme.yaml: service superb-api: memory limit 1g is below its observed use of 1536m"

SYSTEM_EXAMPLES = {
    "the hosts' network": (
        networked("10.20.0.0/16"),
        "network watchme-network: its subnet 10.20.0.0/16 overlaps the hosts' own network 10.20.0.0/16",
    ),
    "Docker's own network": (
        networked("172.17.0.0/16"),
        "network watchme-network: its subnet 172.17.0.0/16 overlaps Docker's own default network",
    ),
    "a part of the hosts' network": (
        networked("10.20.64.0/18"),
        "error: files/systems/watchme.yaml: network watchme-network",
    ),
    "name twice": (setting("admin", name="web"), "service web: 2 services have this name: entries"),
    "port clash": (setting("superb-api", port=8017), "service superb-api: port 8017 is already used by ast-api"),
    "SSH's port": (
        setting("admin", port=22, port_exception="x"),
        "service admin: port 22 is used by the host (SSH); must be another port",
    ),
    "the proxy's port": (
        setting("admin", port=443, port_exception="x"),
        "port 443 is used by the host (the proxy)",
    ),
    "the host's own path": (
        lambda data: data.update(directories=[{"path": "/etc/passwd", "owner": "root"}]),
        "directories: path /etc/passwd belongs to the host or the agent; accounts of the system",
    ),
    "plain and secret": (
        setting("admin", environment={"TOKEN": "x"}, secrets=["TOKEN"]),
        "service admin: TOKEN is both under environment and under secrets; must be under one of them",
    ),
    "retired port": (setting("superb-api", port=8011), "port 8011 belonged to the retired opensmile-api"),
    "container clash": (setting("admin", container="ast-api"), "container ast-api is already used by ast-api"),
    "address clash": (setting("admin", address="172.27.0.17"), "address 172.27.0.17 is already used by ast-api"),
    "path clash": (routed("admin", public="/vault/"), "api.hey-watch.me/vault/ is already used by vault-api"),
    "the host's own page": (routed("admin", public="/status/"), "public path '/status/' is the host's own page"),
    "directory clash": (
        setting("admin", directory="/home/ubuntu/api_ast"),
        "directory /home/ubuntu/api_ast already belongs to ast-api",
    ),
    "shared key": (
        setting("admin", directory="/home/ubuntu/watchme-docker", compose_key="api", unit="watchme-web-app.service"),
        "compose_key 'api' is already used by admin in the same compose file",
    ),
    "nginx's unit": (setting("web", unit="nginx.service"), "unit nginx.service belongs to another program"),
    "the network's unit": (setting("web", unit="watchme-infrastructure.service"), "belongs to another program"),
    "same end": (setting("web", directory="/srv/api_ast"), "/srv/api_ast has the same last part as /home/ubuntu/"),
    "broadcast": (setting("admin", address="172.27.255.255"), "address 172.27.255.255 is the network address"),
    "retired registry": (
        setting("sed-api", repository="a.amazonaws.com/x"),
        "service sed-api: image repository 'a.amaz",
    ),
    "escape": (
        setting("web", environment={"A": "a\x1bb"}),
        "the value of A cannot be written: it has a control character",
    ),
    "unit clash": (setting("web", unit="watchme-admin.service"), "watchme-admin.service is already used by admin"),
    "api port": (setting("ast-api", port=8100), "service ast-api: port 8100; api ports are 8000–8099"),
    "admin port": (setting("admin", port=8050), "service admin: port 8050; admin ports are 9000–9999"),
    "web without a reason": (setting("web", port_exception=None), "service web: port 3001; api ports are 8000–8099"),
    "outside the subnet": (
        setting("admin", address="172.28.0.14"),
        "address 172.28.0.14; must be inside 172.27.0.0/16",
    ),
    "gateway": (setting("admin", address="172.27.0.1"), "address 172.27.0.1 is the gateway"),
    "scheduler outage": (
        routed("scheduler", internal="/api/scheduler"),
        "public path '/scheduler/' with internal path '/api/scheduler'; must both end with / (all below it), or neither",
    ),
    "public path": (routed("scheduler", public="scheduler/"), "public path 'scheduler/'"),
    "health outside": (setting("scheduler", health="/health"), "such as health: /api/scheduler/health; or look: /"),
    "unknown site": (
        routed("admin", site="admin.hey-watch.me"),
        "names the site 'admin.hey-watch.me'; sites: api.hey-w",
    ),
    "registry in image": (
        setting("web", image={"repository": "754724220380.dkr.ecr.ap-southeast-2.amazonaws.com/watchme-web"}),
        "service web: image repository '754724220380.dkr.ecr.ap-southeast-2.amazonaws.com/watchme-web'; must be the name of an own repository",
    ),
    "tag and digest": (
        setting("web", image={"repository": "watchme-web", "tag": "1", "digest": "sha256:" + "0" * 64}),
        "service web: watchme-web has a tag and a digest; must have one of the two",
    ),
    "retired for nothing": (setting("sed-api", replaced_by="asd-api"), "service sed-api: replaced_by 'asd-api'"),
    "missing secret": (
        setting("web", secrets=["TOKEN"]),
        "Pulumi.prod.yaml: service web: secret TOKEN is missing; set it: infra secret set web.TOKEN --stack prod",
    ),
    "blue-green without a place": (
        setting("web", rollout="blue-green"),
        "service web: has rollout: blue-green, but not both spare_port and spare_address; must have both, such as spare_port: 8",
    ),
    "a place without blue-green": (setting("web", spare_port=8001), "both, or neither"),
    "blue-green of a single service": (
        setting("scheduler", rollout="blue-green", spare_port=8001, spare_address="172.27.0.99", single=True),
        "service scheduler: has rollout: blue-green with single: true",
    ),
    "blue-green in a shared project": (
        both(
            setting("admin", rollout="blue-green", spare_port=9002, spare_address="172.27.0.99"),
            setting("api-manager", directory="/home/ubuntu/watchme-admin"),
        ),
        "in a shared compose project",
    ),
    "a single service in another's unit": (
        both(
            setting("scheduler", directory="/home/ubuntu/watchme-api-manager", unit="watchme-api-manager.service"),
            setting("scheduler", compose_file="docker-compose.all.yml"),
        ),
        "service scheduler: has single: true in the unit of api-manager; must have its own unit and directory",
    ),
    "a single service without a name": (
        lambda data: data["sites"][0].update(name="api.example.com"),
        "service scheduler: has single: true, but no public name in the stack's zone; must have a site in hey-watch.me",
    ),
    "room made by what may not pause": (
        both(
            setting("web", rollout="blue-green", spare_port=8001, spare_address="172.27.0.99"),
            setting("web", stop_priority=1),
        ),
        "service web: has stop_priority: 1 with rollout: blue-green; must be a single container with rollout",
    ),
    "room made with another": (
        both(
            setting("scheduler", directory="/home/ubuntu/watchme-api-manager", unit="watchme-api-manager.service"),
            setting("api-manager", stop_priority=3),
        ),
        "service api-manager: has stop_priority: 3 in the unit of scheduler; must have its own unit and directory",
    ),
    "blue-green off the proxy": (
        setting("vault-api", rollout="blue-green", spare_port=8001, spare_address="172.27.0.99", routes=[]),
        "has rollout: blue-green, but no route",
    ),
    "spare port clash": (
        setting("vault-api", rollout="blue-green", spare_port=8017, spare_address="172.27.0.99"),
        "port 8017 is already used by ast-api",
    ),
    "spare address outside": (
        setting("vault-api", rollout="blue-green", spare_port=8001, spare_address="10.0.0.1"),
        "address 10.0.0.1; must be inside",
    ),
    "blue-green beyond the memory": (
        setting("ast-api", rollout="blue-green", spare_port=8001, spare_address="172.27.0.99"),
        "memory limits add up to 9080 MiB (ast-api twice, for rollout: blue-green)",
    ),
    "unwritable value": (setting("web", environment={"A": "x\ny"}), "service web: the value of A cannot be written"),
}
STACK_EXAMPLES = {
    "outside the zone": (
        configured(zone="example.com"),
        "a name in the zone, such as api.example.com: infra:names: {api.",
    ),
    "unused secret of a system": (
        configured(secrets={"watchme": {"OLD": "x"}}),
        "warning: Pulumi.prod.yaml: system watchme: secret OLD is not used",
    ),
    "a shared secret that cannot be written": (
        configured(secrets={"watchme": {"OLD": "a'b"}}),
        "infra:secrets.watchme.OLD: its value cannot be written: it has",
    ),
    "unused secret": (configured(secrets={"web": {"OLD": "x"}}), "warning: Pulumi.prod.yaml: service web: secret OLD"),
    "secret of no service": (
        configured(secrets={"wep": {"A": "x"}}),
        "infra:secrets.wep: no running service has this name",
    ),
    "unknown type": (hosted(instanceType="t4g.lage"), "infra:hosts.watchme: instanceType 't4g.lage'; known types: t4g"),
    "unknown system": (
        hosted(systems=["watchme", "wotch"]),
        "infra:hosts.watchme: system 'wotch'; did you mean 'watchme'?",
    ),
    "two hosts": (
        lambda config: config["infra:hosts"].update(second=dict(config["infra:hosts"]["watchme"])),
        "infra:hosts: system watchme is listed twice: on host watchme and on host second; must have another name for each further one: {system: watchme, as: watchme-2}",
    ),
    "small reserve": (
        hosted(reserve="512m"),
        "infra:hosts.watchme: reserve of 512m; at least 725 MiB: 400 for the system, Docker and Nginx, and 25",
    ),
    "memory": (hosted(instanceType="t4g.medium"), "memory limits add up to 7032 MiB; at most 3072 MiB on t4g.medium"),
    "administrators in the subnet": (
        configured(adminCidrs=["172.27.3.0/24"]),
        "error: files/systems/watchme.yaml: network watchme-network: its subnet 172.27.0.0/16 overlaps 172.27.3.0/24 of infra:adminCidrs",
    ),
    "some administrators in the subnet": (
        configured(adminCidrs=["172.16.0.0/12"]),
        "warning: files/systems/watchme.yaml: network watchme-network: its subnet 172.27.0.0/16 overlaps 172.16.0.0/12",
    ),
    "SSH at the proxy's port": (
        configured(hosts={"watchme": HOME | {"port": 443, "systems": ["watchme"]}}),
        "SSH listens on port 443, which the proxy uses",
    ),
    "a host in its own subnet": (
        configured(hosts={"watchme": HOME | {"address": "172.27.0.9", "systems": ["watchme"], "memory": "16g"}}),
        "overlaps the host's own address 172.27.0.9",
    ),
    "open to the world": (configured(adminCidrs=["0.0.0.0/0"]), "infra:adminCidrs: 0.0.0.0/0 is all of the internet"),
    "variant of nothing": (
        configured(variants={"whispr": "cpu"}),
        "Pulumi.prod.yaml: infra:variants.whispr: no system has this name; systems: watchme",
    ),
    "no recipient": (
        configured(alarmEmails=[], creditsBudget=0),
        "warning: Pulumi.prod.yaml: infra:alarmEmails: no address: no one is notified when a machine fails; list the addresses",
    ),
    "notified twice": (
        configured(alarmEmails=["a@example.com", "a@example.com"]),
        "error: Pulumi.prod.yaml: infra:alarmEmails: a@example.com is listed twice; must be listed once",
    ),
    "credits without a recipient": (
        configured(alarmEmails=[]),
        "error: Pulumi.prod.yaml: infra:alarmEmails: no address, so infra:creditsBudget has no recipient",
    ),
    "a name of no site": (
        configured(names={"old.hey-watch.me": "dev.hey-watch.me"}),
        "infra:names.old.hey-watch.me: no site has this name; sites: api.hey-watch.me",
    ),
    "one name on two hosts": (
        lambda config: config["infra:hosts"].update(second=dict(config["infra:hosts"]["watchme"])),
        "infra:hosts: system watchme is listed twice: on host watchme and on host second",
    ),
    "half of the world": (configured(adminCidrs=["128.0.0.0/1"]), "128.0.0.0/1 is all of the internet, or almost"),
    "example network": (configured(adminCidrs=["203.0.113.0/24"]), "203.0.113.0/24 is an example network of RFC 5737"),
}
ELSEWHERE = {**HOME, "port": 8017, "systems": ["watchme"]}
EXAMPLES = [
    (
        "an existing host's SSH port",
        unchanged,
        configured(hosts={"watchme": ELSEWHERE}),
        "service ast-api: port 8017 is used by the host (SSH)",
    ),
    *((name, system, unchanged, line) for name, (system, line) in SYSTEM_EXAMPLES.items()),
    *(
        (name, system, unchanged, line)
        for name, (system, line) in {**containers.EXAMPLES, **reaching.EXAMPLES, **sites.EXAMPLES}.items()
    ),
    *((name, *example) for name, example in names.SYSTEM_EXAMPLES.items()),
    *((name, unchanged, *example) for name, example in STACK_EXAMPLES.items()),
    *((name, *example) for name, example in data_disks.EXAMPLES.items()),
    *((name, unchanged, *e) for each in (records, names, regions, logs) for name, e in each.EXAMPLES.items()),
]


@pytest.mark.parametrize(("system", "config", "line"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_rule(system, config, line):
    assert line in "\n".join(str(problem) for problem in check(catalogue(system, config)))


DISK, MEMORY = (next(a for a in whole().host_alerts if a.alert == name) for name in ("disk", "memory"))
ALERT_EXAMPLES = {
    "twice": ([DISK, DISK], "files/alerts.yaml: alert disk: is defined twice"),
    "one metric of two": (
        [DISK, MEMORY.model_copy(update={"metric": DISK.metric})],
        "files/alerts.yaml: metric DiskUsed: is already used by disk, memory; each condition needs a different metric",
    ),
}


def with_alerts(alerts) -> Catalogue:
    return replace(catalogue(), alerts=alerts)


@pytest.mark.parametrize(("alerts", "line"), ALERT_EXAMPLES.values(), ids=ALERT_EXAMPLES)
def test_rule_of_alerts(alerts, line):
    assert line in "\n".join(map(str, check(with_alerts(alerts))))


def with_settings(text: str) -> Catalogue:
    """Whisper's own settings with a last line."""
    made, source = whole(), "whisper/config.toml"
    return replace(made, sources=made.sources | {source: made.sources[source] + f"\n{text}\n".encode()})


def test_a_services_own_settings_are_read():
    assert list(settings(with_settings("a = 1"))) == []
    (problem,) = settings(with_settings("a = "))
    lines = whole().sources["whisper/config.toml"].count(b"\n") + 2
    assert str(problem) == f"error: files/static/whisper/config.toml: line {lines}: invalid value; write valid TOML"


def with_two_of_one_volume() -> Catalogue:
    """Two systems of one host, each with a volume of the same name."""
    made = changed(whole(), "watchme", containers.with_database)
    other = {
        "system": "other", "document": "x", "services": [],
        "network": {"name": "other", "subnet": "172.29.0.0/24", "gateway": "172.29.0.1", "unit": "other.service"},
    }  # fmt: skip
    data: dict[str, list] = {"services": [{"name": "web"}]}
    containers.with_database(data)
    database = {**data["services"][1], "name": "other-db", "secrets": []}
    spec = made.stack.hosts["watchme"]
    hosts = made.stack.hosts | {"watchme": spec.model_copy(update={"systems": [*spec.systems, "other"]})}
    systems = made.systems | {"other": System.model_validate({**other, "services": [database]})}
    return replace(made, systems=systems, stack=made.stack.model_copy(update={"hosts": hosts}))


def test_every_rule_has_an_example(tmp_path):
    found = set()
    made = [catalogue(system, config) for _, system, config, _ in EXAMPLES]
    made += [with_alerts(alerts) for alerts, _ in ALERT_EXAMPLES.values()]
    made += [changed(whole(), *example[:2]) for example in units.EXAMPLES.values()]
    made += [programs.started_by(b"no program"), with_settings("a = "), with_two_of_one_volume(), pythons.built()]
    made += [read_shop(tmp_path, "shop", {"system": "shap", "as": "xx"}, STAGING, change=leading_elsewhere)]
    made += [read_shop(tmp_path, "shop", STAGING, change=with_a_name_of_anothers)]
    made += misplaced_catalogues(tmp_path)
    made += [*sites.by_configuration()]
    made += [described(tmp_path, "caddy", static={"shop/snippet.caddy": "bind 1.2.3.4"})]
    for each in made:
        found |= {rule.__name__ for rule in RULES if any(True for _ in rule(each))}
    assert found == {rule.__name__ for rule in RULES}


def test_catalogue_has_only_the_known_warnings():
    found = [str(problem) for problem in check(catalogue(config=configured(adminCidrs=["198.18.0.1/32"])))]
    assert len(found) == 1 and found[0].startswith(SUPERB)


def test_volume_belongs_to_one_system():
    found = [str(problem) for problem in check(with_two_of_one_volume()) if "volume" in str(problem)]
    assert len(found) == 1 and "service other-db: volume web-db is already used by watchme on host watchme" in found[0]


def test_all_problems_are_reported_at_once():
    def broken(data):
        setting("superb-api", port=8017)(data)
        setting("admin", address="172.27.0.1")(data)

    with pytest.raises(CatalogueError) as error:
        ensure_valid(catalogue(broken))
    assert "port 8017" in str(error.value) and "gateway" in str(error.value)
