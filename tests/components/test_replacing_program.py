"""The whole program under mocks when a host is to be another machine in the same region."""

import json
import re
from typing import Any

from tests.components.program import Mocks, opened, run_program
from tests.support import LAB, PROD, ROOT

TOKYO = "ap-northeast-1"
URN = "urn:pulumi:prod::infra::"


def stands(generation: int = 1, kept: list[int] | None = None, host: str = "watchme", **more: Any) -> dict[str, Any]:
    """What Pulumi knows of a stack that serves from a machine, with earlier ones that are kept."""
    outputs = {"region": TOKYO, "generations": {host: generation}, "kept": {host: kept or []}, **more}
    state: dict[str, Any] = {
        f"{URN}pulumi:pulumi:Stack::infra-prod": {"type": "pulumi:pulumi:Stack", "outputs": outputs}
    }
    for number in {generation, *(kept or [])}:
        name = f"{host}-{TOKYO}" + (f"-g{number}" if number > 1 else "")
        found = {"host": host, "region": TOKYO, "address": f"127.71.0.{10 + number}", "generation": float(number)}
        state[f"{URN}infra:index:Host::{name}"] = {"type": "infra:index:Host", "outputs": found}
    pointed = {"ttl": 60, "records": [f"127.71.0.{10 + generation}"]}
    return state | {f"{URN}aws:route53/record:Record::a": {"type": "aws:route53/record:Record", "outputs": pointed}}


def watchme(**more: Any) -> dict[str, Any]:
    return {"infra:hosts": {"watchme": {**PROD["infra:hosts"]["watchme"], **more}}}


def names(made: Mocks, type: str) -> list[str]:
    return [resource.name for resource in made.of(type)]


def steps(made: Mocks) -> list[str]:
    found = [name for name in names(made, "command:local:Command") if not name.endswith(("-apply", "-ready"))]
    return [re.sub(r"\d{8}T\d{6}Z", "AT", name) for name in found]


def request(made: Mocks, end: str) -> Any:
    return next(
        json.loads(opened(command.inputs["stdin"]))
        for command in made.of("command:local:Command")
        if command.name.endswith(end)
    )


def test_another_generation_is_a_machine_beside_the_old_one_in_the_same_network(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=2, instanceType="t4g.xlarge"), stands())
    (instance,) = made.of("aws:ec2/instance:Instance")
    assert instance.name == f"watchme-{TOKYO}-g2-instance" and instance.inputs["instanceType"] == "t4g.xlarge"
    assert names(made, "aws:ec2/vpc:Vpc") == [f"network-{TOKYO}-vpc"]
    # The images are in the region already, so that nobody copies any
    assert steps(made) == [f"gate-{TOKYO}-AT-gate", f"verified-{TOKYO}-AT-verify", f"drained-{TOKYO}-AT-drain"]
    assert not [name for name in names(made, "aws:iam/role:Role") if name.startswith("copier")]
    drained = request(made, "-drain")["hosts"]
    assert [(entry["region"], entry["target"]["address"]) for entry in drained] == [(TOKYO, "127.71.0.11")]
    # Of one name there would be one alarm, which went with the old machine
    alarms = [alarm.inputs["name"] for alarm in made.of("aws:cloudwatch/metricAlarm:MetricAlarm")]
    assert alarms and all(f"{TOKYO}-g2/" in name for name in alarms)


def test_what_an_update_changes_later_replaces_nothing(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=2), stands(2))
    assert steps(made) == []
    assert names(made, "aws:ec2/instance:Instance") == [f"watchme-{TOKYO}-g2-instance"]


def test_a_machine_that_is_kept_stays_as_it_is_and_gets_no_release(monkeypatch):
    monkeypatch.chdir(ROOT)
    wanted = watchme(generation=2, instanceType="t4g.xlarge", kept=[{"generation": 1, "instanceType": "t4g.large"}])
    first = stands()
    for state in (first, stands(2, kept=[1])):
        made = run_program(wanted, state)
        found = {entry.name: entry.inputs["instanceType"] for entry in made.of("aws:ec2/instance:Instance")}
        assert found == {f"watchme-{TOKYO}-instance": "t4g.large", f"watchme-{TOKYO}-g2-instance": "t4g.xlarge"}
        assert names(made, "infra:index:Release") == [f"watchme-{TOKYO}-g2-release"]
        # Nothing goes, but names are pointed to another machine only past its gate
        gone_through = [f"gate-{TOKYO}-AT-gate", f"verified-{TOKYO}-AT-verify"] if state is first else []
        assert steps(made) == gone_through


def test_a_kept_machine_that_is_not_there_is_not_made(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=3, kept=[{"generation": 2, "instanceType": "t4g.large"}]), stands())
    assert names(made, "aws:ec2/instance:Instance") == [f"watchme-{TOKYO}-g3-instance"]


def test_a_machine_that_is_kept_no_longer_is_drained_before_it_goes(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=2), stands(2, kept=[1]))
    assert [entry["target"]["address"] for entry in request(made, "-drain")["hosts"]] == ["127.71.0.11"]


def test_the_way_back_is_a_move_to_the_machine_that_was_kept(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(
        watchme(generation=1, kept=[{"generation": 2, "instanceType": "t4g.xlarge"}]), stands(2, kept=[1])
    )
    assert steps(made) == [f"gate-{TOKYO}-AT-gate", f"verified-{TOKYO}-AT-verify"]
    assert names(made, "infra:index:Release") == [f"watchme-{TOKYO}-release"]
    made = run_program(watchme(generation=1), stands(2, kept=[1]))
    assert [entry["target"]["address"] for entry in request(made, "-drain")["hosts"]] == ["127.71.0.12"]


def test_data_comes_from_the_machine_that_served(monkeypatch):
    monkeypatch.chdir(ROOT)
    keys = {
        "infra:hostPublicKeys": {"services": "ssh-ed25519 BBBB host"},
        "infra:hostPrivateKeys": {"services": "PRIVATE-HOST-KEY"},
    }
    hosts = {"infra:hosts": {"services": {**LAB["infra:hosts"]["services"], "generation": 2}}}
    made = run_program({**keys, **hosts}, stands(host="services"))
    asked = request(made, "-data")
    assert (asked["region"], asked["source"], [*asked["others"]]) == (f"{TOKYO}-g2", TOKYO, [TOKYO])
    assert asked["target"]["address"] == "127.71.0.2" and asked["others"][TOKYO]["address"] == "127.71.0.11"
