"""A disk for data under Miniflux and PostgreSQL: a real block device, which outlives the machine."""

from collections.abc import Callable, Iterator

import pytest

from lab.cloud import confinement
from tests.product import HOST
from tests.reader import Reader, in_lab
from tests.system.conftest import System
from tests.system.on import REGION, destroy, ec2, instance, until

pytestmark = [pytest.mark.lab, pytest.mark.nightly]
SIZE = f"infra:hosts.{HOST}.dataDisk.size"
VOLUMES = "/var/lib/docker/volumes"


@pytest.fixture(scope="module")
def reader(system: System) -> Iterator[Reader]:
    with in_lab(system) as made:
        system.set(SIZE, "1")
        system.must_up()
        yield made


def disk_of(reader: Reader) -> str:
    """The id of the disk that the machine has beside its own."""
    mappings = instance(reader.system, HOST)["BlockDeviceMappings"]
    [volume] = [entry["Ebs"]["VolumeId"] for entry in mappings if entry["DeviceName"] == "/dev/sdf"]
    return volume


def serves(reader: Reader) -> bool:
    try:
        return reader.ask("/healthcheck") == (200, b"OK")
    except OSError:
        # The machine is off, or its proxy is not up yet
        return False


def test_named_volumes_lie_on_the_disk_that_ec2_attached(reader: Reader) -> None:
    link = f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{disk_of(reader).replace('-', '')}"
    device = reader.on("readlink", "-f", link).strip()
    assert reader.on("findmnt", "-no", "SOURCE,FSTYPE", "/srv").split() == [device, "ext4"]
    assert reader.on("findmnt", "-no", "SOURCE", VOLUMES).strip() == f"{device}[/.docker-volumes]"
    assert "reader-db" in reader.on("ls", "/srv/.docker-volumes").split()
    assert serves(reader) and reader.ticks() > 0


def test_second_update_changes_nothing(reader: Reader) -> None:
    previewed = reader.system.pulumi("preview", "--expect-no-changes")
    assert previewed.code == 0, previewed.output
    assert reader.system.command("infra", "drift", "--stack", "lab").code == 0


def restart(reader: Reader, while_off: Callable[[], object] = lambda: None) -> None:
    """Stops the machine and starts it, as a person does in the console."""
    machine, cloud = instance(reader.system, HOST)["InstanceId"], ec2(reader.system, REGION)
    wait = {"Delay": 1, "MaxAttempts": 120}
    cloud.stop_instances(InstanceIds=[machine])
    cloud.get_waiter("instance_stopped").wait(InstanceIds=[machine], WaiterConfig=wait)
    while_off()
    cloud.start_instances(InstanceIds=[machine])
    cloud.get_waiter("instance_running").wait(InstanceIds=[machine], WaiterConfig=wait)


def test_restarted_machine_mounts_its_data_disk(reader: Reader) -> None:
    counted = reader.ticks()
    restart(reader)
    until("the reader is back", lambda: serves(reader), 180)
    assert reader.ticks() >= counted
    assert reader.on("findmnt", "-no", "FSTYPE", "/srv").strip() == "ext4"


def test_machine_without_its_data_disk_starts_no_database(reader: Reader) -> None:
    counted, machine, volume = reader.ticks(), instance(reader.system, HOST)["InstanceId"], disk_of(reader)
    cloud = ec2(reader.system, REGION)
    restart(reader, lambda: cloud.detach_volume(VolumeId=volume, InstanceId=machine))
    until("the host answers", lambda: reader.system.on_host("true", host=HOST).code == 0, 120)
    until(
        "systemd is done with the boot",
        lambda: reader.system.on_host("systemctl", "list-jobs", host=HOST).output.startswith("No jobs"),
        180,
    )
    assert reader.system.on_host("systemctl", "is-active", "docker", host=HOST).output.strip() != "active"
    assert set(reader.on("ls", "-A", VOLUMES).split()) <= {"backingFsBlockDev", "metadata.db"}, "a new database began"
    assert not serves(reader)
    restart(reader, lambda: cloud.attach_volume(VolumeId=volume, InstanceId=machine, Device="/dev/sdf"))
    until("the reader is back", lambda: serves(reader), 180)
    assert reader.ticks() >= counted


def test_lost_machine_loses_no_data(reader: Reader) -> None:
    counted, volume = reader.ticks(), disk_of(reader)
    destroy(reader.system, HOST)
    reader.system.must_up()
    assert disk_of(reader) == volume
    until("the reader is back", lambda: serves(reader), 60)
    assert reader.ticks() >= counted and int(reader.query("select count(*) from users")) == 1
    growing = reader.ticks()
    until("the worker writes again", lambda: reader.ticks() > growing, 30)


def test_data_disk_grows_while_in_use(reader: Reader) -> None:
    """Where this machine's kernel lets no file system grow, the update says so, and all goes on as it was."""
    database, before = reader.started("reader-db"), int(reader.on("findmnt", "-nbo", "SIZE", "/srv"))
    reader.system.set(SIZE, "2")
    ran = reader.system.up()
    after = int(reader.on("findmnt", "-nbo", "SIZE", "/srv"))
    if confinement.may_grow(reader.on("cat", "/proc/self/status")):
        assert ran.code == 0 and "/srv has grown with its disk to 2 GiB" in ran.output, ran.output
        assert after > 1.8 * before
    else:
        assert ran.code != 0 and "Permission denied to resize filesystem" in ran.output, ran.output
        assert after == before
    assert reader.started("reader-db") == database and serves(reader)


def test_smaller_data_disk_is_refused(reader: Reader) -> None:
    reader.system.set(SIZE, "1")
    ran = reader.system.up()
    reader.system.set(SIZE, "2")
    assert ran.code != 0 and "nothing was touched" in ran.output and "AWS cannot shrink a disk" in ran.output, (
        ran.output
    )
    assert serves(reader)
