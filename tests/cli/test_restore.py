"""`infra restore` in an AWS in memory: which snapshot, by which volume, and that none is left."""

from dataclasses import replace
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from infra import restore
from infra.errors import InfraError
from tests.support import any_image, changed, whole

REGION = "ap-northeast-1"
CATALOGUE = whole()
STACK = CATALOGUE.stack


@pytest.fixture
def ec2(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(restore.hosts, "outputs", lambda stack: {"region": REGION})
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def tags(kind: str, host: str, of: str = STACK.name) -> list[dict]:
    given = {"project": "watchme-infra", "stack": of, "Name": f"{of}-{host}"}
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in given.items()]}]


def machine(ec2, host: str = "services") -> str:
    made = ec2.run_instances(ImageId=any_image(ec2), MinCount=1, MaxCount=1, TagSpecifications=tags("instance", host))
    return made["Instances"][0]["InstanceId"]


def snapshot(ec2, host: str = "services", of: str = STACK.name) -> str:
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=20)["VolumeId"]
    made = ec2.create_snapshot(VolumeId=volume, TagSpecifications=tags("snapshot", host, of))["SnapshotId"]
    ec2.delete_volume(VolumeId=volume)
    return made


def volumes(ec2) -> list[str]:
    """But for machines' own."""
    return [
        v["VolumeId"]
        for v in ec2.describe_volumes()["Volumes"]
        if v.get("SnapshotId") and {"Key": "restore", "Value": "services"} in v.get("Tags", [])
    ]


def test_the_newest_of_the_hosts_own_snapshots(ec2):
    snapshot(ec2, "watchme")
    snapshot(ec2, "services", "dev")
    mine = {snapshot(ec2), snapshot(ec2)}
    found = restore.snapshots(CATALOGUE, "services")
    assert {entry.id for entry in found} == mine and found == sorted(found, key=lambda s: s.at, reverse=True)
    assert restore._choose_snapshot(found, None, "services") == found[0]
    assert restore._choose_snapshot(found, found[1].id, "services") == found[1]
    with pytest.raises(
        InfraError, match=r"snap-9 is not a snapshot of services's disk; snapshots: snap-.*20 GiB; snap-"
    ):
        restore._choose_snapshot(found, "snap-9", "services")


def test_missing_snapshot_is_reported_with_the_remedy(ec2):
    with pytest.raises(InfraError, match=r"no snapshot of services's disk in ap-northeast-1 .*infra:keepSnapshots"):
        restore._snapshots(ec2, STACK, "services", REGION)
    with pytest.raises(InfraError, match="no snapshot of services's disk"):
        restore.snapshots(CATALOGUE, "services")


WRONG = {
    "nosuch": "stack lab has no host 'nosuch'; hosts: home, services, watchme",
    "home": "home is its owner's machine",
    "watchme": "no service on watchme has data",
}


@pytest.mark.parametrize(("host", "said"), WRONG.items())
def test_host_without_data_is_refused_with_the_reason(ec2, host, said):
    with pytest.raises(InfraError, match=said):
        restore.snapshots(CATALOGUE, host)
    with pytest.raises(InfraError, match=said):
        restore.restore(CATALOGUE, host, None, print)


def test_restore_volume_is_deleted_afterwards(ec2):
    instance, snapped = machine(ec2), snapshot(ec2)
    (chosen,) = restore.snapshots(CATALOGUE, "services")
    found = restore._instance(ec2, STACK, "services", REGION, "192.0.2.1")
    assert found["InstanceId"] == instance and chosen.id == snapped
    with pytest.raises(ZeroDivisionError), restore._attach_volume(ec2, STACK, "services", chosen, found) as volume:
        (made,) = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
        assert made["SnapshotId"] == snapped and made["Attachments"][0]["InstanceId"] == instance
        raise ZeroDivisionError
    assert volumes(ec2) == []


def test_volumes_of_a_killed_restore_are_reused_or_deleted(ec2):
    machine(ec2)
    snapshot(ec2), snapshot(ec2)
    new, old = restore.snapshots(CATALOGUE, "services")
    found = restore._instance(ec2, STACK, "services", REGION, "192.0.2.1")
    left = [
        restore._create_volume(ec2, STACK, "services", chosen, found["Placement"]["AvailabilityZone"])
        for chosen in (old, new)
    ]
    ec2.attach_volume(VolumeId=left[1], InstanceId=found["InstanceId"], Device=restore.DEVICE)
    with restore._attach_volume(ec2, STACK, "services", new, found) as volume:
        assert volume == left[1] and volumes(ec2) == [left[1]]
    assert volumes(ec2) == []


def test_volume_under_deletion_is_not_reused(ec2, monkeypatch):
    machine(ec2)
    snapshot(ec2)
    (chosen,) = restore.snapshots(CATALOGUE, "services")
    found = restore._instance(ec2, STACK, "services", REGION, "192.0.2.1")
    asked = []
    describe = ec2.describe_volumes
    monkeypatch.setattr(ec2, "describe_volumes", lambda **given: asked.append(given) or describe(**given))
    with restore._attach_volume(ec2, STACK, "services", chosen, found):
        pass
    assert {"Name": "status", "Values": ["creating", "available", "in-use"]} in asked[0]["Filters"]


def test_failure_is_reported_before_the_failed_cleanup(ec2, monkeypatch):
    machine(ec2)
    snapshot(ec2)
    (chosen,) = restore.snapshots(CATALOGUE, "services")
    found = restore._instance(ec2, STACK, "services", REGION, "192.0.2.1")
    with (
        pytest.raises(
            InfraError, match=r"the host said no; volume vol-\w+ still exists, and the next run removes it: .*denied"
        ),
        restore._attach_volume(ec2, STACK, "services", chosen, found),
    ):
        error = restore.ClientError({"Error": {"Code": "denied", "Message": "denied"}}, "DetachVolume")
        monkeypatch.setattr(ec2, "detach_volume", lambda **_: (_ for _ in ()).throw(error))
        raise InfraError("the host said no")


def test_restore_uses_the_current_region_of_the_host(ec2):
    moved = STACK.model_copy(update={"region": "ap-southeast-2"})
    mine = snapshot(ec2)
    assert [entry.id for entry in restore.snapshots(replace(CATALOGUE, stack=moved), "services")] == [mine]


def test_restore_without_a_running_machine_is_refused(ec2):
    with pytest.raises(
        InfraError, match="0 machines of services run in ap-northeast-1, and exactly one is needed: pulumi up"
    ):
        restore._instance(ec2, STACK, "services", REGION, "192.0.2.1")


def test_serving_machine_gets_the_restored_data(ec2):
    """One that is kept has the same name."""
    serving, kept = machine(ec2), machine(ec2)
    address = ec2.describe_instances(InstanceIds=[serving])["Reservations"][0]["Instances"][0]["PublicIpAddress"]
    assert restore._instance(ec2, STACK, "services", REGION, address)["InstanceId"] == serving != kept


def test_refusal_of_aws_is_one_line(ec2):
    with pytest.raises(InfraError, match=r"AWS, ap-northeast-1: .*vol-1.*run again"), restore._in_words(REGION):
        restore._remove(ec2, "vol-1")


def test_restored_files_are_reported():
    answer = {"brought": {"/opt/whisper": {"files": 3, "bytes": 7 * 1024**2, "kept": 2}}, "absent": ["/srv/recall"]}
    assert list(restore.lines("services", answer)) == [
        "services: /opt/whisper: 3 files restored, 7 MiB, 2 were already present",
        "services: /srv/recall: not in the snapshot",
    ]


def on_a_data_disk():
    def config(values):
        values["infra:hosts"]["services"]["dataDisk"] = {"size": 50}

    return changed(whole(config), "whisper", lambda data: data.update(data=["/srv/whisper/uploads"]))


def test_snapshots_of_a_data_disk_have_its_paths(ec2, monkeypatch):
    made = on_a_data_disk()
    of_root, of_data = snapshot(ec2), snapshot(ec2, "services-data")
    machine(ec2)
    assert {entry.id: entry.is_of_data for entry in restore.snapshots(made, "services")} == {
        of_root: False, of_data: True,
    }  # fmt: skip
    # A host without one has nothing of it
    assert {entry.id for entry in restore.snapshots(CATALOGUE, "services")} == {of_root}
    sent = []
    monkeypatch.setattr(restore.hosts, "select_targets", lambda *_: {"services": SimpleNamespace(address="")})
    monkeypatch.setattr(restore.hosts, "private_key", lambda stack: "")
    monkeypatch.setattr(restore.remote, "ask", lambda *_: {"holder": None})
    monkeypatch.setattr(restore.remote, "stream", lambda target, verb, payload: sent.append(payload) or iter([{}]))
    for id in (of_data, of_root):
        restore.restore(made, "services", id, print)
    assert sent[0]["inside"]["/srv/whisper/uploads"] == "/whisper/uploads" and sent[0]["onto"] == "/srv"
    assert "inside" not in sent[1] and sent[1]["onto"] == "/srv"
