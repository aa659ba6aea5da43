"""The stand-in's disks: what AWS refuses is refused, and a machine keeps the disk that the program forgets."""

import boto3
import pytest

from lab.fakes.plain import plain_map, property_map
from lab.fakes.plugin import PluginError
from tests.orphans.world import PREFIX, REGION, emulated_account

VOLUME, USE, INSTANCE = (
    "aws:ebs/volume:Volume",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:ec2/instance:Instance",
)


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        yield made


class Disk:
    """A disk, as the stand-in made it, and a machine."""

    def __init__(self, account) -> None:
        self.account, self.ec2 = account, boto3.client("ec2", region_name=REGION)
        self.id, self.machine = account.create_until(VOLUME), account.create_until(INSTANCE)
        self.inputs = account.inputs(VOLUME)
        self.use = {"deviceName": "/dev/sdf", "volumeId": self.id, "instanceId": self.machine, "skipDestroy": True}

    def call(self, type):
        return self.account.plugin._call(f"{PREFIX}{type}::x", 60)

    def do(self, type, what, *values):
        known = [plain_map(property_map(value)) if isinstance(value, dict) else value for value in values]
        return getattr(self.account.plugin.kinds[type], what)(self.call(type), *known)

    @property
    def state(self):
        return self.ec2.describe_volumes(VolumeIds=[self.id])["Volumes"][0]


@pytest.fixture
def disk(account) -> Disk:
    return Disk(account)


def test_volume_grows_but_does_not_shrink(disk):
    assert disk.state["Encrypted"] and disk.state["Size"] == 50
    disk.do(VOLUME, "update", disk.id, disk.inputs, disk.inputs | {"size": 80})
    assert disk.state["Size"] == 80
    with pytest.raises(PluginError, match="New size cannot be smaller than existing size"):
        disk.do(VOLUME, "update", disk.id, disk.inputs, disk.inputs | {"size": 60})


def test_volume_is_attached_to_one_machine(disk):
    id, _ = disk.do(USE, "create", disk.use)
    # An update that was killed in between asks once more
    assert disk.do(USE, "create", disk.use)[0] == id and len(disk.state["Attachments"]) == 1
    with pytest.raises(PluginError, match=f"VolumeInUse: {disk.machine} has it"):
        disk.do(USE, "create", disk.use | {"instanceId": "i-0000000000000000a"})
    with pytest.raises(PluginError, match="is currently attached"):
        disk.do(VOLUME, "delete", disk.id, disk.inputs)


def test_forgotten_attachment_stays_attached(disk):
    id, _ = disk.do(USE, "create", disk.use)
    disk.do(USE, "delete", id, disk.use)
    assert [entry["InstanceId"] for entry in disk.state["Attachments"]] == [disk.machine]
    disk.do(USE, "delete", id, disk.use | {"skipDestroy": False})
    assert disk.state["Attachments"] == [] and disk.do(USE, "read", id, disk.use) is None
