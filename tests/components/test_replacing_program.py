"""The whole program under mocks when a host is to be another machine in the same region."""

import json
import re
from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor

from tests.components.program import Mocks, opened, run_program
from tests.support import LAB, PROD, ROOT

TOKYO = "ap-northeast-1"
URN, INSTANCE = "urn:pulumi:prod::infra::", "aws:ec2/instance:Instance"


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
        machine = {"arn": f"arn:aws:ec2:{TOKYO}:1:instance/i-{number}"}
        state[f"{URN}aws:ec2/instance:Instance::{name}-instance"] = {"type": INSTANCE, "outputs": machine}
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


def test_new_generation_is_created_beside_the_old_machine(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=2, instanceType="t4g.xlarge"), stands())
    (instance,) = made.of("aws:ec2/instance:Instance")
    assert instance.name == f"watchme-{TOKYO}-g2-instance" and instance.inputs["instanceType"] == "t4g.xlarge"
    assert names(made, "aws:ec2/vpc:Vpc") == [f"network-{TOKYO}-vpc"]
    # The images are in the region already, so that none are copied
    assert steps(made) == [f"gate-{TOKYO}-AT-gate", f"verified-{TOKYO}-AT-verify", f"drained-{TOKYO}-AT-drain"]
    assert not [name for name in names(made, "aws:iam/role:Role") if name.startswith("copier")]
    drained = request(made, "-drain")["hosts"]
    assert [(entry["region"], entry["target"]["address"]) for entry in drained] == [(TOKYO, "127.71.0.11")]
    # Of one name there would be one alarm, which went with the old machine
    alarms = [alarm.inputs["name"] for alarm in made.of("aws:cloudwatch/metricAlarm:MetricAlarm")]
    assert alarms and all(f"{TOKYO}-g2/" in name for name in alarms)


def test_later_update_does_not_replace_the_new_generation(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=2), stands(2))
    assert steps(made) == []
    assert names(made, "aws:ec2/instance:Instance") == [f"watchme-{TOKYO}-g2-instance"]


def test_kept_machine_is_unchanged_and_gets_no_release(monkeypatch):
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


def test_unknown_kept_machine_is_not_created(monkeypatch):
    monkeypatch.chdir(ROOT)
    made = run_program(watchme(generation=3, kept=[{"generation": 2, "instanceType": "t4g.large"}]), stands())
    assert names(made, "aws:ec2/instance:Instance") == [f"watchme-{TOKYO}-g3-instance"]


def test_machine_no_longer_kept_is_drained_before_deletion(monkeypatch):
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


def test_a_checkout_from_before_a_replacement_takes_nothing_back(monkeypatch):
    monkeypatch.chdir(ROOT)
    stale = {"generation": 3, "kept": [{"generation": 1, "instanceType": "t4g.large"}]}
    with pytest.raises(
        pulumi.RunError, match=r"generation is 3 in Pulumi.prod.yaml, and by the last update machine 2 serves"
    ):
        run_program(watchme(**stale), stands(2, kept=[3]))
    for kept in ([], [1]):
        with pytest.raises(
            pulumi.RunError, match=r"generation is 1 in Pulumi.prod.yaml, and by the last update machine 2 serves"
        ):
            run_program(watchme(), stands(2, kept=kept))


def test_cancelled_machine_is_drained_before_deletion(monkeypatch):
    monkeypatch.chdir(ROOT)
    state = stands(1)
    state |= {urn: entry for urn, entry in stands(2).items() if "-g2" in urn}
    passed = {"region": TOKYO, "at": "2", "ttl": 0, "machines": {"watchme": f"{TOKYO}-g2"}}
    state[f"{URN}infra:index:Gate::gate-{TOKYO}-2"] = {"type": "infra:index:Gate", "outputs": passed}
    made = run_program(watchme(), state)
    assert [entry["target"]["address"] for entry in request(made, "-drain")["hosts"]] == ["127.71.0.12"]


def test_settings_of_the_new_machine_do_not_change_the_kept_one(monkeypatch):
    monkeypatch.chdir(ROOT)
    ignored: dict[str, list[str]] = {}
    register = MockMonitor.RegisterResource

    def noted(self, request):
        ignored[request.name] = list(request.ignoreChanges)
        return register(self, request)

    monkeypatch.setattr(MockMonitor, "RegisterResource", noted)
    kept = [{"generation": 1, "instanceType": "t4g.large"}]
    run_program(watchme(generation=2, volume=20, kept=kept), stands(2, kept=[1]))
    of_kept, of_new = (f"watchme-{TOKYO}", f"watchme-{TOKYO}-g2")
    assert {"instanceType", "rootBlockDevice.volumeSize"} <= {*ignored[f"{of_kept}-instance"]}
    assert not {"instanceType", "rootBlockDevice.volumeSize"} & {*ignored[f"{of_new}-instance"]}
    # It may be stopped, or broken, which is no other's concern
    assert ignored[f"{of_kept}-ready"] == ["create", "stdin"] and ignored[f"{of_new}-ready"] == []


def test_missing_kept_machine_is_reported_and_not_created(monkeypatch):
    monkeypatch.chdir(ROOT)
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_, **__: warnings.append(text))
    state = stands(2, kept=[1])
    del state[f"{URN}aws:ec2/instance:Instance::watchme-{TOKYO}-instance"]
    made = run_program(watchme(generation=2, kept=[{"generation": 1, "instanceType": "t4g.large"}]), state)
    assert names(made, "aws:ec2/instance:Instance") == [f"watchme-{TOKYO}-g2-instance"]
    assert "watchme: machine 1 of infra:hosts.watchme.kept does not exist" in warnings


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


VOLUME = "aws:ebs/volume:Volume"


def test_new_machine_gets_a_data_disk_beside_a_kept_one_without(monkeypatch):
    monkeypatch.chdir(ROOT)
    kept = [{"generation": 1, "instanceType": "t4g.large"}]
    made = run_program(watchme(generation=2, dataDisk={"size": 50}, kept=kept), stands(2, kept=[1]))
    assert names(made, VOLUME) == [f"watchme-{TOKYO}-g2-data-disk"]


def test_both_machines_keep_their_data_disks(monkeypatch):
    monkeypatch.chdir(ROOT)
    kept, state = [{"generation": 1, "instanceType": "t4g.large"}], stands(2, kept=[1])
    for name in (f"watchme-{TOKYO}", f"watchme-{TOKYO}-g2"):
        outputs = {"arn": f"arn:aws:ec2:{TOKYO}:1:volume/vol-{name}", "size": 50, "availabilityZone": f"{TOKYO}a"}
        state[f"{URN}infra:index:Host${VOLUME}::{name}-data-disk"] = {"type": VOLUME, "outputs": outputs}
    made = run_program(watchme(generation=2, dataDisk={"size": 80}, kept=kept), state)
    assert sorted(names(made, VOLUME)) == [f"watchme-{TOKYO}-data-disk", f"watchme-{TOKYO}-g2-data-disk"]
    uses = {
        use.inputs["volumeId"]: use.inputs["instanceId"] for use in made.of("aws:ec2/volumeAttachment:VolumeAttachment")
    }
    assert uses == {
        f"{name}-data-disk-id": f"{name}-instance-id" for name in (f"watchme-{TOKYO}", f"watchme-{TOKYO}-g2")
    }
