"""Services on another host than their system: the program under mocks."""

import base64
import io
import json
import re
import tarfile
from dataclasses import replace

import pulumi
import pytest

from catalogue.loading import load
from catalogue.parts import release_order
from catalogue.stack import stack_from
from components.before import Before
from components.move import Move
from components.network import Passage
from components.parts import former_callers, former_passages, refuse_lost_data, waiting_callers
from infra.preview.snapshot import hosts_of
from tests.catalogue.shop import read_shop
from tests.components.program import KEYS, Mocks, opened, run_program
from tests.support import PROD, ROOT

TOKYO = "ap-northeast-1"
HOST = PROD["infra:hosts"]["watchme"]
PART = {"system": "watchme", "services": ["ast-api"]}
OF_BOTH = {
    "infra:hostPublicKeys": {**KEYS["infra:hostPublicKeys"], "gpu": "ssh-ed25519 DDDD host"},
    "infra:hostPrivateKeys": {**KEYS["infra:hostPrivateKeys"], "gpu": "PRIVATE-HOST-KEY"},
}
HOSTS = {"watchme": HOST, "gpu": {**HOST, "systems": [PART]}}


class Addressed(Mocks):
    """Machines have private addresses."""

    def new_resource(self, args):
        id, outputs = super().new_resource(args)
        address = "10.20.1.77" if args.name.startswith("gpu") else "10.20.1.5"
        return id, {**outputs, "privateIp": address}


@pytest.fixture
def made(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("tests.components.program.Mocks", Addressed)
    return run_program({**OF_BOTH, "infra:hosts": HOSTS})


def files_of(made, host):
    """Path → text, of a host's release."""
    apply = next(r for r in made.of("command:local:Command") if r.name == f"{host}-{TOKYO}-release-apply")
    request = json.loads(opened(apply.inputs["stdin"]))
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(request["archive"]))) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        return {member.name: archive.extractfile(member).read().decode() for member in members}


def test_only_the_calling_host_reaches_the_port_of_the_service(made):
    groups = {r.name: r for r in made.of("aws:ec2/securityGroup:SecurityGroup")}
    assert {f"network-{TOKYO}-of-watchme", f"network-{TOKYO}-of-gpu"} < set(groups)
    rules = [r.inputs for r in made.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    (rule,) = [rule for rule in rules if rule.get("referencedSecurityGroupId")]
    assert rule["securityGroupId"] == f"network-{TOKYO}-of-gpu-id" and "cidrIpv4" not in rule
    assert rule["referencedSecurityGroupId"] == f"network-{TOKYO}-of-watchme-id"
    assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (8017, 8017, "tcp")
    machines = {r.name: r.inputs["vpcSecurityGroupIds"] for r in made.of("aws:ec2/instance:Instance")}
    assert machines[f"gpu-{TOKYO}-instance"] == [f"network-{TOKYO}-hosts-id", f"network-{TOKYO}-of-gpu-id"]


def test_host_that_serves_is_released_first_and_files_have_its_private_address(made):
    names = [r.name for r in made.of("command:local:Command") if r.name.endswith("-release-apply")]
    assert names == [f"gpu-{TOKYO}-release-apply", f"watchme-{TOKYO}-release-apply"]
    for host in ("gpu", "watchme"):
        texts = files_of(made, host).values()
        assert any("10.20.1.77:8017" in text for text in texts)
        assert not any("private-address" in text for text in texts)


def test_preview_of_hosts_has_private_addresses_where_they_are_known():
    stack = load(ROOT, stack_from("prod", {**PROD, "infra:hosts": HOSTS}, "Pulumi.prod.yaml"))
    known = {"gpu": "10.20.1.77", "gpu@ap-southeast-2": "10.20.1.9"}
    there = replace(stack, addresses=known, stack=stack.stack.model_copy(update={"standbyRegions": ["ap-southeast-2"]}))
    hosts = hosts_of(there, {}, b"key")
    relays = {name: host["files"].get("/etc/systemd/system/ast-api-on-gpu.service", "") for name, host in hosts.items()}
    assert "10.20.1.77:8017" in relays["watchme"] and "10.20.1.9:8017" in relays["watchme@ap-southeast-2"]
    # Under mocks no address is known
    assert "gpu.private-address.invalid:8017" in hosts_of(stack, {}, b"key")["watchme"]["files"][
        "/etc/systemd/system/ast-api-on-gpu.service"
    ]  # fmt: skip


def test_standby_region_has_groups_and_addresses_of_its_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program({**OF_BOTH, "infra:hosts": HOSTS, "infra:standbyRegions": ["ap-southeast-2"]})
    names = [r.name for r in made.of("command:local:Command") if r.name.endswith("-release-apply")]
    assert names == [
        f"gpu-{TOKYO}-release-apply", f"watchme-{TOKYO}-release-apply", "gpu-ap-southeast-2-release-apply",
        "watchme-ap-southeast-2-release-apply",
    ]  # fmt: skip
    groups = [r.name for r in made.of("aws:ec2/securityGroup:SecurityGroup")]
    assert "network-ap-southeast-2-of-gpu" in groups


def test_stack_without_parts_has_one_group_and_no_output_of_them(monkeypatch):
    monkeypatch.chdir(ROOT)
    plain = run_program()
    assert [r.name for r in plain.of("aws:ec2/securityGroup:SecurityGroup")] == [f"network-{TOKYO}-hosts"]


APART = Before(region=TOKYO, systems={"box": ["shop"], "gpu": ["shop-shop-db"]}, parts={"shop-shop-db": ["shop-db"]})


@pytest.mark.parametrize(
    ("before", "line"),
    [
        (Before(region=TOKYO, systems={"box": ["shop"], "gpu": []}), "shop-db would go from host box to gpu without"),
        (APART, ""),
        (Before(), ""),
    ],
    ids=["new part", "existing part", "first update"],
)
def test_part_with_data_is_refused_once_its_system_runs(tmp_path, before, line):
    gpu = {**HOST, "systems": [{"system": "shop", "services": ["shop-db"]}]}
    shop = read_shop(tmp_path, "shop", hosts={"gpu": gpu})
    if not line:
        return refuse_lost_data(shop, before)
    with pytest.raises(pulumi.RunError, match=line):
        refuse_lost_data(shop, before)
    refuse_lost_data(read_shop(tmp_path, "shop", hosts={"gpu": gpu}, moveData=False), before)


def test_service_with_data_that_comes_back_is_refused(tmp_path):
    with pytest.raises(pulumi.RunError, match="shop-db would go from host gpu to box without its data"):
        refuse_lost_data(read_shop(tmp_path, "shop", hosts={"gpu": {**HOST, "systems": []}}), APART)


def placed(*services, **more):
    return {**HOST, "systems": [{"system": "shop", "services": [*services], **more}]}


ALL_APART = replace(APART, parts={"shop-shop-db": ["shop-db", "web", "worker"]})


@pytest.mark.parametrize(
    ("hosts", "before", "line"),
    [
        ({"gpu": placed("shop-db", "web", "worker")}, APART, "web would go from host box to gpu without its data"),
        ({"gpu": placed("shop-db")}, ALL_APART, "web would go from host gpu to box without its data"),
        ({"gpu": placed("shop-db", **{"as": "store"})}, APART, ""),
        ({"gpu": {**HOST, "systems": []}, "next": placed("shop-db")}, APART, ""),
        (
            {"gpu": {**HOST, "systems": []}, "next": placed("shop-db", "web", "worker")}, APART,
            "web would go from host box to next without its data",
        ),
    ],
    ids=["grown", "shrunk", "renamed", "on another host", "grown on another host"],
)  # fmt: skip
def test_service_with_data_that_changes_its_part_stays_on_its_host(tmp_path, hosts, before, line):
    shop = read_shop(tmp_path, "shop", hosts=hosts)
    if not line:
        return refuse_lost_data(shop, before)
    with pytest.raises(pulumi.RunError, match=line):
        refuse_lost_data(shop, before)


def test_data_of_a_part_is_not_replaced_by_that_of_a_system_that_comes_to_its_host(tmp_path):
    gpu = {**HOST, "systems": ["shop"]}
    shop = read_shop(tmp_path, hosts={"gpu": gpu})
    with pytest.raises(pulumi.RunError, match="would become part of shop, whose data comes there from box: make one"):
        refuse_lost_data(shop, APART)


def state_of(systems, parts):
    """Of a stack whose last update left these systems on its hosts, and these parts."""
    urn = "urn:pulumi:prod::infra::"
    outputs = {"region": TOKYO, "systems": systems, "parts": parts}
    state = {f"{urn}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": outputs}}
    for number, host in enumerate(systems, 2):
        facts = {"host": host, "region": TOKYO, "address": f"127.71.0.{number}"}
        state[f"{urn}infra:index:Host::{host}-{TOKYO}"] = {"type": "infra:index:Host", "outputs": facts}
    return state


def test_former_server_keeps_its_way_in_until_its_callers_have_their_release(monkeypatch):
    """A service that comes back: the caller's old relay leads to the other host until then."""
    monkeypatch.chdir(ROOT)
    hosts = {"gpu": {**HOST, "systems": []}, "watchme": HOST}
    state = state_of({"gpu": ["watchme-ast-api"], "watchme": ["watchme"]}, {"watchme-ast-api": ["ast-api"]})
    made = run_program({**OF_BOTH, "infra:hosts": hosts}, state)
    rules = [r.inputs for r in made.of("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    (rule,) = [rule for rule in rules if rule.get("referencedSecurityGroupId")]
    assert (rule["securityGroupId"], rule["fromPort"]) == (f"network-{TOKYO}-of-gpu-id", 8017)
    machines = {r.name: r.inputs["vpcSecurityGroupIds"] for r in made.of("aws:ec2/instance:Instance")}
    for host in hosts:
        assert f"network-{TOKYO}-of-{host}-id" in machines[f"{host}-{TOKYO}-instance"]
    names = [r.name for r in made.of("command:local:Command") if r.name.endswith("-release-apply")]
    assert names == [f"watchme-{TOKYO}-release-apply", f"gpu-{TOKYO}-release-apply"]
    # The update after has none of it
    later = run_program({**OF_BOTH, "infra:hosts": hosts}, state_of({"gpu": [], "watchme": ["watchme"]}, {}))
    assert [r.name for r in later.of("aws:ec2/securityGroup:SecurityGroup")] == [f"network-{TOKYO}-hosts"]


@pytest.mark.parametrize(
    ("others", "order"),
    [({}, ["box", "gpu"]), ({"next": placed("shop-db", "web", "worker")}, ["next", "box", "gpu"])],
    ids=["comes back", "goes to another host"],
)
def test_former_servers_are_released_after_their_callers(tmp_path, others, order):
    change = lambda text: text.replace("    health: {command: pg_isready}\n", "    port: 5432\n")  # noqa: E731
    shop = read_shop(tmp_path, "shop", change=change, hosts={"gpu": {**HOST, "systems": []}, **others})
    ways = former_passages(shop, APART)
    assert ways == [Passage("box", "gpu", 5432)]
    assert release_order(shop.stack, former_callers(ways, shop.stack)) == order


def test_region_move_takes_both_hosts_along_in_their_order(monkeypatch):
    monkeypatch.chdir(ROOT)
    state = state_of({"watchme": ["watchme"], "gpu": ["watchme-ast-api"]}, {"watchme-ast-api": ["ast-api"]})
    made = run_program({**OF_BOTH, "infra:hosts": HOSTS, "aws:region": "ap-southeast-2"}, state)
    names = [r.name for r in made.of("command:local:Command")]
    order = ["gpu-ap-southeast-2-release-apply", "watchme-ap-southeast-2-release-apply"]
    assert [name for name in names if name.endswith("-release-apply")] == order
    assert names.index(order[1]) < next(number for number, name in enumerate(names) if name.endswith("-gate"))


def with_port(text):
    """The database as a service of the stack's own registry, which is asked for its health by HTTP."""
    return text.replace("    health: {command: pg_isready}\n", "    port: 8054\n").replace(
        '{repository: docker.io/library/postgres, tag: "16.4"}', "{repository: shop-db}"
    )


def commands(monkeypatch, root, hosts, state):
    """The releases and steps of an update of the shop, in their order."""
    read_shop(root, change=with_port)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("catalogue.loading.load", lambda _, stack: load(root, stack))
    keys = {f"infra:host{kind}Keys": dict.fromkeys(hosts, "ssh-ed25519 DDDD host") for kind in ("Public", "Private")}
    made = run_program({**keys, "infra:hosts": hosts, "infra:secrets": SECRETS}, state)
    names = [r.name for r in made.of("command:local:Command") if not r.name.endswith(("-ready", "-mounted"))]
    return [re.sub(r"\d{8}T\d{6}Z", "AT", name) for name in names]


SECRETS = {"shop": {"POSTGRES_PASSWORD": "x"}}
BOX = {**HOST, "systems": ["shop"]}
STEPS = [f"box-{TOKYO}-release-apply", f"verified-{TOKYO}-AT-verify", f"drained-{TOKYO}-AT-drain"]


@pytest.mark.parametrize(
    ("hosts", "first", "last"),
    [
        (
            {"box": BOX, "gpu": {**placed("shop-db"), "generation": 2}},
            [f"gpu-{TOKYO}-g2-release-apply", f"gate-{TOKYO}-AT-gate", f"data-gpu-{TOKYO}-AT-data"], [],
        ),
        (
            {"box": BOX, "gpu": {**HOST, "systems": []}, "next": placed("shop-db")},
            [f"next-{TOKYO}-release-apply", f"gate-{TOKYO}-AT-gate", f"data-system-shop-shop-db-{TOKYO}-AT-data"],
            [f"gpu-{TOKYO}-release-apply"],
        ),
    ],
    ids=["another machine", "another host"],
)  # fmt: skip
def test_callers_are_led_to_a_service_with_data_once_that_has_come(monkeypatch, tmp_path, hosts, first, last):
    state = state_of({"box": ["shop"], "gpu": ["shop-shop-db"]}, {"shop-shop-db": ["shop-db"]})
    assert commands(monkeypatch, tmp_path, hosts, state) == [*first, *STEPS, *last]


IN_TOKYO = replace(APART, hosts={TOKYO: {"box": "127.71.0.2", "gpu": "127.71.0.3"}})
MOVED = Move("now", data=["gpu"])


@pytest.mark.parametrize(
    ("before", "attempt", "config", "callers"),
    [
        (IN_TOKYO, MOVED, {}, ["box"]),
        (IN_TOKYO, Move("now", systems={"shop-shop-db": ["old"]}), {}, ["box"]),
        (IN_TOKYO, Move("now", data=["box"]), {}, []),
        (IN_TOKYO, MOVED, {"moveData": False}, []),
        # The caller's machine is not there yet, and serves no one
        (replace(IN_TOKYO, region="ap-southeast-2"), Move("now", data=["box", "gpu"]), {}, []),
        (replace(IN_TOKYO, generations={"box": 2}), MOVED, {}, []),
    ],
    ids=["another machine", "another host", "other data", "no data", "region move", "the caller's own"],
)
def test_callers_wait_for_data_only_where_they_serve(tmp_path, before, attempt, config, callers):
    shop = read_shop(tmp_path, "shop", hosts={"gpu": placed("shop-db")}, **config)
    assert waiting_callers(shop, attempt, before) == callers


def test_caller_that_waits_for_data_and_takes_a_system_is_refused(tmp_path):
    shop = read_shop(tmp_path, "shop", hosts={"gpu": placed("shop-db")})
    attempt = Move("now", systems={"shop-shop-db": ["old"], "shop": ["old"]})
    with pytest.raises(pulumi.RunError, match="box calls a service whose data moves to another machine, and itself"):
        waiting_callers(shop, attempt, IN_TOKYO)
