"""Systems that go from one host to another: what is worked out, what is refused, and the program under mocks."""

import json
import re
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from catalogue.host import KeptMachine
from components.before import Before, read
from components.move import Move, plan_move
from components.transfers import demand_possible, transfers, with_givers
from tests.components.program import DESKTOP, Mocks, opened, run_program
from tests.support import LAB, PROD, ROOT, catalogue, stack

TOKYO, SYDNEY, NOW = "ap-northeast-1", "ap-southeast-2", "20261121T200000Z"
URN = "urn:pulumi:prod::infra::"
OTHER = {"kind": "ec2", "systems": [], "instanceType": "t4g.large", "volume": 30}


def placed(**systems: list[str]):
    """A stack with hosts of these systems."""

    def change(values: dict[str, Any]) -> None:
        values["infra:hosts"] = {name: {**OTHER, "systems": found} for name, found in systems.items()}

    return stack(change)


def was(begun: dict[str, list[str]] | None = None, **systems: list[str]) -> Before:
    hosts = {TOKYO: {name: f"127.71.0.{n}" for n, name in enumerate(systems, 10)}}
    gated = frozenset((TOKYO, name) for name in systems)
    return Before(region=TOKYO, hosts=hosts, gated=gated, systems=systems, pending_hosts=begun or {})


def test_system_assigned_to_another_host_is_transferred():
    now = placed(a=[], b=["watchme"])
    assert transfers(now, was(a=["watchme"], b=[])) == {"watchme": ["a"]}
    homes = {"system:watchme": f"a@{TOKYO}"}
    expected = Move(NOW, "", {}, 60, homes=homes, systems={"watchme": ["a"]})
    assert plan_move(now, was(a=["watchme"], b=[]), NOW) == expected


@pytest.mark.parametrize(
    "before",
    [
        was(a=[], b=["watchme"]),
        was(a=["other"], b=[]),
        Before(),
        # A machine of its owner's that was given another name
        Before(region=TOKYO, systems={"desktop": ["watchme"]}),
        # Of an earlier version, which did not note it
        was(),
    ],
    ids=["it is there already", "it is new", "the first update", "its host is not the stack's", "not known"],
)
def test_system_on_the_same_host_is_not_transferred(before):
    assert transfers(placed(a=[], b=["watchme"]), before) == {}


def test_begun_transfer_continues_and_cancelled_one_returns():
    begun = was({"watchme": ["b"]}, a=["watchme"], b=[])
    assert transfers(placed(a=[], b=["watchme"]), begun) == {"watchme": ["a"]}
    assert transfers(placed(a=["watchme"], b=[]), begun) == {"watchme": ["b"]}
    # Given up twice: whatever the later attempt was about, the earlier one may have brought it there
    assert transfers(placed(a=["watchme"], b=[]), was({"watchme": ["b", "a"]}, a=["watchme"], b=[])) == {
        "watchme": ["b"]
    }


def test_redirected_transfer_has_two_possible_sources():
    begun = was({"watchme": ["b"]}, a=["watchme"], b=[], c=[])
    now = placed(a=[], b=[], c=["watchme"])
    assert transfers(now, begun) == {"watchme": ["a", "b"]}
    assert plan_move(now, begun, NOW).homes == {"system:watchme": f"a@{TOKYO}"}


def test_cancelled_transfer_copies_nothing_unless_the_data_was_given_away():
    """The other host began with data of its own, which is empty."""
    begun = was({"watchme": ["b"]}, a=["watchme"], b=[])
    assert plan_move(placed(a=["watchme"], b=[]), begun, NOW).homes == {}


def test_removed_host_with_transferred_data_is_refused():
    begun = was({"watchme": ["desktop"]}, a=["watchme"])
    with pytest.raises(pulumi.RunError, match="desktop was removed from infra:hosts but still has it"):
        plan_move(placed(a=["watchme"]), begun, NOW)


def test_lost_region_is_left_without_its_begun_transfers():
    begun = was({"watchme": ["b"]}, a=["watchme"], b=[])
    lost = placed(a=[], b=["watchme"]).model_copy(update={"region": SYDNEY, "moveData": False})
    assert transfers(lost, begun) == {}


@pytest.mark.parametrize(
    ("now", "before", "why"),
    [
        (placed(b=["watchme"]), was(a=["watchme"], b=[]), "a was removed from infra:hosts but still has it"),
        (placed(a=["y"], b=["watchme"]), was(a=["watchme"], b=["y"]), "a, b gives up a system and receives one"),
    ],
)
def test_impossible_transfer_is_refused(now, before, why):
    with pytest.raises(
        pulumi.RunError, match=r"nothing was touched: .*cannot go to another host in this update"
    ) as refusal:
        demand_possible(now, before, transfers(now, before))
    assert why in str(refusal.value)


def test_transfer_and_region_move_in_one_update_are_refused():
    found = {"watchme": ["a"]}
    moved = placed(a=[], b=["watchme"]).model_copy(update={"region": SYDNEY})
    with pytest.raises(pulumi.RunError, match=f"the stack moves from {TOKYO} to {SYDNEY}: make one update for each"):
        demand_possible(moved, was(a=["watchme"], b=[]), found)
    now = placed(a=[], b=["watchme"])
    other = {"b": now.hosts["b"].model_copy(update={"generation": 2})}
    with pytest.raises(pulumi.RunError, match="b is being replaced, or its last replacement did not finish"):
        demand_possible(now.model_copy(update={"hosts": now.hosts | other}), was(a=["watchme"], b=[]), found)
    # A replacement that was given up in the same edit: its machine may have the data
    hosts = {TOKYO: {"a": "127.71.0.10", "b": "127.71.0.11"}, f"{TOKYO}-g2": {"a": "127.71.0.12"}}
    half = Before(region=TOKYO, hosts=hosts, systems={"a": ["watchme"], "b": []}, unfinished=True)
    with pytest.raises(pulumi.RunError, match="a is being replaced, or its last replacement did not finish"):
        demand_possible(now, half, found)
    # One that is kept, or stands by, is no such machine
    spec = now.hosts["a"].model_copy(update={"kept": [KeptMachine(generation=2, instanceType="t4g.large")]})
    demand_possible(now.model_copy(update={"hosts": now.hosts | {"a": spec}}), half, found)
    demand_possible(now, Before(region=TOKYO, hosts={**hosts, f"{TOKYO}-g2": {}}, systems=half.systems), found)


def test_source_host_keeps_its_rights_until_its_release():
    made = catalogue()
    without = made.stack.model_copy(
        update={"hosts": made.stack.hosts | {"old": made.stack.hosts["watchme"].model_copy(update={"systems": []})}}
    )
    given = with_givers(replace(made, stack=without), {"watchme": ["old", "watchme"]})
    assert given.stack.hosts["watchme"].runs == ["watchme"]
    assert [system.system for system in given.systems_on("old")] == ["watchme"]
    assert [system.system for system in given.systems_on("watchme")] == ["watchme"]


def state(host: str, systems: list[str], others: dict[str, list[str]]) -> dict[str, Any]:
    """What Pulumi knows of a stack whose system is on a host of EC2."""
    outputs = {"region": TOKYO, "systems": {host: systems, **others}}
    found = {"host": host, "region": TOKYO, "address": "127.71.0.2"}
    return {
        f"{URN}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": outputs},
        f"{URN}infra:index:Host::{host}-{TOKYO}": {"type": "infra:index:Host", "outputs": found},
    }


def names(made: Mocks, type: str) -> list[str]:
    return [re.sub(r"\d{8}T\d{6}Z", "AT", resource.name) for resource in made.of(type)]


KEYS = {
    "infra:hostPublicKeys": {"services": "ssh-ed25519 BBBB host", "box": "ssh-ed25519 CCCC host"},
    "infra:hostPrivateKeys": {"services": "PRIVATE-HOST-KEY", "box": "PRIVATE-HOST-KEY"},
}
SERVICES = LAB["infra:hosts"]["services"]


def test_transfer_copies_data_before_names_and_releases_the_source_last(monkeypatch):
    monkeypatch.chdir(ROOT)
    hosts = {"services": {**SERVICES, "systems": ["recall"]}, "box": {**SERVICES, "systems": ["whisper"]}}
    made = run_program({**KEYS, "infra:hosts": hosts}, state("services", ["whisper", "recall"], {"box": []}))
    commands = names(made, "command:local:Command")
    order = [
        f"box-{TOKYO}-release-apply", f"gate-{TOKYO}-AT-gate", f"data-system-whisper-{TOKYO}-AT-data",
        f"verified-{TOKYO}-AT-verify", f"drained-{TOKYO}-AT-drain", f"services-{TOKYO}-release-apply",
    ]  # fmt: skip
    assert [name for name in commands if name in order] == order
    step = next(command for command in made.of("command:local:Command") if command.name.endswith("-data"))
    request = json.loads(opened(step.inputs["stdin"]))
    assert request["entry"]["name"] == "system:whisper" and request["entry"]["what"] == "whisper"
    assert (request["region"], request["source"]) == (f"box@{TOKYO}", f"services@{TOKYO}")
    assert request["target"]["host"] == "box" and request["others"][f"services@{TOKYO}"]["host"] == "services"
    gate = next(command for command in made.of("command:local:Command") if command.name.endswith("-gate"))
    asked = [url for urls in json.loads(opened(gate.inputs["stdin"]))["urls"].values() for url in urls]
    assert asked and not any("recall" in url for url in asked), "the host that gives has its release last"


def test_transfer_to_an_ssh_host_has_the_same_steps(monkeypatch):
    monkeypatch.chdir(ROOT)
    hosts = {"watchme": {**PROD["infra:hosts"]["watchme"], "systems": []}, "desktop": DESKTOP}
    made = run_program({"infra:hosts": hosts}, state("watchme", ["watchme"], {"desktop": []}))
    commands = names(made, "command:local:Command")
    order = [
        "desktop-release-apply", f"gate-{TOKYO}-AT-gate", f"verified-{TOKYO}-AT-verify", f"drained-{TOKYO}-AT-drain",
        f"watchme-{TOKYO}-release-apply",
    ]  # fmt: skip
    assert [name for name in commands if name in order] == order


def test_steps_of_a_completed_transfer_stay_unchanged(monkeypatch):
    monkeypatch.chdir(ROOT)
    hosts = {"services": {**SERVICES, "systems": ["recall"]}, "box": {**SERVICES, "systems": ["whisper"]}}
    before = state("services", ["recall"], {"box": ["whisper"]})
    before[f"{URN}pulumi:pulumi:Stack::infra-prod"]["outputs"]["move"] = {
        "at": "20260101T000000Z", "source": "", "leaving": {}, "ttl": 60, "systems": {"whisper": ["services"]},
    }  # fmt: skip
    made = run_program({**KEYS, "infra:hosts": hosts}, before)
    steps = [name for name in names(made, "command:local:Command") if name.endswith(("-gate", "-data", "-drain"))]
    assert steps == [f"gate-{TOKYO}-AT-gate", f"data-system-whisper-{TOKYO}-AT-data", f"drained-{TOKYO}-AT-drain"]
    assert "20260101T000000Z" in next(name for name in [r.name for r in made.made] if name.startswith("gate-"))
    # The host that gave may go, and so may what came
    del hosts["services"]
    hosts["box"] = {**SERVICES, "systems": ["recall"]}
    before[f"{URN}pulumi:pulumi:Stack::infra-prod"]["outputs"]["systems"] = {"box": ["recall", "whisper"]}
    run_program({**KEYS, "infra:hosts": hosts}, before)


def test_begun_transfers_are_read_from_the_state():
    found = state("a", ["watchme"], {"b": []})
    found[f"{URN}infra:index:Gate::gate-{TOKYO}-2"] = {
        "type": "infra:index:Gate",
        "outputs": {"region": TOKYO, "at": "2", "ttl": 0, "machines": {}, "systems": {"watchme": "b"}},
    }
    assert read(found).pending_hosts == {"watchme": ["b"]} and read(found).systems == {"a": ["watchme"], "b": []}
    found[f"{URN}pulumi:pulumi:Stack::infra-prod"]["outputs"]["move"] = {"at": "2"}
    assert read(found).pending_hosts == {}
