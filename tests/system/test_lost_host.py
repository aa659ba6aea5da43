"""Machines that a person destroyed in AWS: one update replaces them, one command brings their data back."""

import time

import pytest

from tests.system.conftest import System
from tests.system.on import REGION, destroy, ec2, instance, sh, wait_until_well

pytestmark = pytest.mark.lab
UPLOADS = "/opt/whisper/uploads"


def take_snapshot(system: System, host: str) -> str:
    """What Data Lifecycle Manager does every night: with the disk's own tags."""
    (disk,) = instance(system, host)["BlockDeviceMappings"]
    volume = ec2(system, REGION).describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"][0]
    label = [{"ResourceType": "snapshot", "Tags": volume["Tags"]}]
    return ec2(system, REGION).create_snapshot(VolumeId=volume["VolumeId"], TagSpecifications=label)["SnapshotId"]


def owner(system: System, path: str) -> str:
    return system.on_host("stat", "-c", "%U %a", path, host="services").output


def infra(system: System, *argv: str):
    return system.command("infra", "restore", "services", "--stack", "lab", *argv)


@pytest.mark.nightly
def test_a_lost_machine_is_replaced_by_one_update(system):
    wait_until_well(system, 60)
    addresses = system.output("addresses")
    lost = destroy(system, "watchme")
    shown = system.pulumi("preview")
    assert f"its machine {lost} is gone in {REGION}: a new one replaces it" in shown.output, shown.output
    assert "watchme-ap-northeast-1-instance replace" in shown.output, shown.output
    preview = system.command("infra", "preview", "--stack", "lab")
    assert f"its machine {lost} is gone in {REGION}: a new one replaces it" in preview.output, preview.output
    assert "watchme did not answer, its files are shown as new" in preview.output, preview.output
    began = time.monotonic()
    system.must_up()
    wait_until_well(system, 120)
    print(f"WatchMe serves again {time.monotonic() - began:.0f} s after `pulumi up`")
    assert instance(system, "watchme")["InstanceId"] != lost
    assert system.output("addresses") == addresses, "the names still lead there"
    settled = system.pulumi("preview", "--diff", "--expect-no-changes")
    assert settled.code == 0 and "is gone" not in settled.output, settled.output


@pytest.mark.nightly
def test_uploaded_files_are_restored_from_a_snapshot(system):
    """What its owner built comes with the release; what people brought, by one command."""
    said = "a talk of Tuesday"
    put = f"install -o whisper -m 640 /dev/null {UPLOADS}/talk.wav; printf '{said}' > {UPLOADS}/talk.wav"
    assert system.on_host("sh", "-ec", put, host="services").code == 0
    assert owner(system, f"{UPLOADS}/talk.wav") == "whisper 640"
    snapshot = take_snapshot(system, "services")
    destroy(system, "services")
    began = time.monotonic()
    assert "applied on services" in system.must_up()
    wait_until_well(system, 60)
    assert system.on_host("ls", UPLOADS, host="services").output == ""
    assert snapshot in infra(system, "--list").output
    ran = infra(system)
    assert ran.code == 0, ran.output
    assert "services: /opt/whisper/uploads: 1 file restored" in ran.output, ran.output
    print(f"Whisper has its uploads again {time.monotonic() - began:.0f} s after the first of the two commands")
    assert system.on_host("cat", f"{UPLOADS}/talk.wav", host="services").output == said
    assert owner(system, f"{UPLOADS}/talk.wav") == "whisper 640"
    assert ec2(system, REGION).describe_volumes(Filters=[{"Name": "tag:restore", "Values": ["*"]}])["Volumes"] == []
    assert system.on_host("findmnt", "/run/infra/restore", host="services").code == 1

    newer = system.on_host("sh", "-ec", f"printf newer > {UPLOADS}/talk.wav", host="services")
    again = infra(system, "--snapshot", snapshot)
    assert newer.code == 0 and "/opt/whisper/uploads: 0 files restored" in again.output, again.output
    assert system.on_host("cat", f"{UPLOADS}/talk.wav", host="services").output == "newer"


@pytest.mark.nightly
def test_impossible_restore_gives_its_reason(system):
    wrong = system.command("infra", "restore", "home", "--stack", "lab")
    assert wrong.code == 1 and "home is its owner's machine" in wrong.output, wrong.output
    wrong = system.command("infra", "restore", "watchme", "--stack", "lab")
    assert wrong.code == 1 and "no service on watchme has data" in wrong.output, wrong.output
    wrong = infra(system, "--snapshot", "snap-9")
    assert wrong.code == 1 and "snap-9 is not a snapshot of services's disk; snapshots: snap-" in wrong.output, (
        wrong.output
    )


@pytest.mark.nightly
def test_an_update_without_a_change_asks_and_changes_nothing(system):
    """What is asked of AWS at each update is no change."""
    ran = system.pulumi("preview", "--diff", "--expect-no-changes")
    assert ran.code == 0, ran.output
    assert sh(system, "cat /var/lib/infra/current/manifest.json")
