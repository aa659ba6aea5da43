"""What no release brings, back onto a host: from a snapshot of the disk that it had, by way of a volume of its own.

What is there stays as it is. The volume goes whatever happens; one that a killed command left goes with the next.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

from agent import times
from agent.documents.answers import DiskAnswer
from agent.documents.manifest import Account
from agent.documents.requests import DiskPayload
from agent.quoting import count
from agent.restore import PURPOSE
from catalogue.data_disks import MOUNT, data_disk_name, has_disk, inside, is_on_disk
from catalogue.loading import Catalogue
from catalogue.shapes import AwsEntry
from catalogue.stack import Stack
from infra import aws, hosts, remote
from infra.aws import Filter
from infra.errors import InfraError
from infra.hosts import LastOutputs
from rendering.host import data, render

DEVICE = "/dev/sdz"
TAG = "restore"  # of a volume: the host that it is for
WAIT: Any = {"Delay": 2, "MaxAttempts": 150}


@dataclass(frozen=True)
class Snapshot:
    """`size` is in GiB; `is_of_data` says that the disk was a data disk, which has its own paths."""

    id: str
    at: datetime
    size: int
    is_of_data: bool = False

    def __str__(self) -> str:
        return f"{self.id} of {times.show(self.at)}, {self.size} GiB"


def snapshots(catalogue: Catalogue, host: str) -> list[Snapshot]:
    """Of the disks that a host had, newest first; there is one. Raises InfraError."""
    stack = catalogue.stack
    name, _, region = _data_of(catalogue, host, hosts.outputs(stack))
    with _in_words(region):
        return _snapshots(_client(region), stack, name, region)


def _data_of(catalogue: Catalogue, host: str, outputs: LastOutputs) -> tuple[str, list[str], str]:
    """A host's name, what it has of data, and where it is now, whatever the configuration says that comes next."""
    stack, name = catalogue.stack, host.partition("@")[0]
    if name not in stack.hosts:
        raise InfraError(f"stack {stack.name} has no host {name!r}; hosts: {', '.join(sorted(stack.hosts))}")
    if name not in stack.ec2_hosts:
        raise InfraError(f"{host} is its owner's machine (kind: ssh): infra takes no snapshots of its disks")
    paths = data(catalogue, name)
    if not paths:
        raise InfraError(
            f"no service on {host} has data directories (`data` in files/systems/): a release restores all of it"
        )
    return name, paths, host.partition("@")[2] or outputs.get("region", stack.region)


def restore(catalogue: Catalogue, host: str, id: str | None, say: Callable[[str], None]) -> DiskAnswer:
    """Brings a host its data from a snapshot, the newest where `id` is None: what came by path, and what was not
    there. Raises InfraError."""
    stack = catalogue.stack
    outputs = hosts.outputs(stack)
    name, paths, region = _data_of(catalogue, host, outputs)
    target = hosts.select_targets(stack, outputs, host, hosts.private_key(stack))[host]
    job = times.in_text(remote.ask(target, "status")["holder"] or "")
    if PURPOSE in job:
        raise InfraError(f"{host}: a restore is already running: {job}. Wait until it ends, then check what is missing")
    with _in_words(region):
        ec2 = _client(region)
        snapshot = _choose_snapshot(_snapshots(ec2, stack, name, region), id, name)
        instance = _instance(ec2, stack, name, region, target.address)
        say(f"creating a volume from {snapshot}")
        with _attach_volume(ec2, stack, name, snapshot, instance) as volume:
            accounts = [cast("Account", account.__dict__) for account in render(catalogue, name).accounts]
            payload: DiskPayload = {"volume": volume, "paths": paths, "accounts": accounts}
            if snapshot.is_of_data:
                payload["inside"] = {path: inside(path) for path in paths if is_on_disk(path)}
            if has_disk(stack, name):
                payload["onto"] = MOUNT
            answer: Any = {}
            for event in remote.stream(target, "restore", payload):
                if "say" in event:
                    say(times.in_text(event["say"]))
                else:
                    answer = event
            return answer


def lines(host: str, answer: DiskAnswer) -> Iterator[str]:
    for path, came in answer["brought"].items():
        present = f", {came['kept']} were already present" if came["kept"] else ""
        failed = f", {came['failed']} could not be restored (see above)" if came.get("failed") else ""
        size = f"{came['bytes'] // 1024**2} MiB"
        yield f"{host}: {path}: {count(came['files'], 'file')} restored, {size}{present}{failed}"
    for path in answer["absent"]:
        yield f"{host}: {path}: not in the snapshot"


def _client(region: str) -> Any:
    return aws.client("ec2", region)


@contextmanager
def _in_words(region: str) -> Generator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, WaiterError) as error:
        raise InfraError(f"AWS, {region}: {error}; fix that and run again: nothing is lost") from None


def _name_filters(stack: Stack, host: str) -> list[Filter]:
    """As the program names a host's machine and its disk, and a snapshot of it after them."""
    return [
        {"Name": "tag:stack", "Values": [stack.name]},
        {"Name": "tag:Name", "Values": [f"{stack.name}-{host}"]},
    ]


def _snapshots(ec2: Any, stack: Stack, host: str, region: str) -> list[Snapshot]:
    # Those of its root disk too, which had the data until there was a data disk
    names = [f"{stack.name}-{host}", *([data_disk_name(stack, host)] if has_disk(stack, host) else [])]
    filters = [{"Name": "tag:stack", "Values": [stack.name]}, {"Name": "tag:Name", "Values": names}]
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
    candidates = [
        Snapshot(
            entry["SnapshotId"],
            entry["StartTime"],
            entry["VolumeSize"],
            {"Key": "Name", "Value": data_disk_name(stack, host)} in entry.get("Tags", []),
        )
        for page in pages
        for entry in page["Snapshots"]
        if entry["State"] == "completed"
    ]
    if candidates:
        return sorted(candidates, key=lambda snapshot: snapshot.at, reverse=True)
    tags = f"(tags stack={stack.name}, Name={stack.name}-{host})"
    rule = f"{stack.keepSnapshots} are kept, one a day from the first night on" if stack.keepSnapshots else "makes none"
    raise InfraError(
        f"there is no snapshot of {host}'s disk in {region} {tags}: infra:keepSnapshots {rule}. Copy one with its "
        "tags from another region (aws ec2 copy-snapshot), or copy the files to the host by hand"
    )


def _choose_snapshot(candidates: list[Snapshot], id: str | None, host: str) -> Snapshot:
    matching = [snapshot for snapshot in candidates if id in (None, snapshot.id)]
    if not matching:
        raise InfraError(f"{id} is not a snapshot of {host}'s disk; snapshots: {'; '.join(map(str, candidates))}")
    return matching[0]


def _instance(ec2: Any, stack: Stack, host: str, region: str, address: str) -> AwsEntry:
    running = {"Name": "instance-state-name", "Values": ["running"]}
    reservations = ec2.describe_instances(Filters=[*_name_filters(stack, host), running])["Reservations"]
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    if len(instances) > 1:
        # A machine that is kept beside the one that serves has the same name
        instances = [instance for instance in instances if instance.get("PublicIpAddress") == address]
    if len(instances) != 1:
        raise InfraError(
            f"{len(instances)} machines of {host} run in {region}, and exactly one is needed: pulumi up --stack "
            f"{stack.name}"
        )
    return instances[0]


@contextmanager
def _attach_volume(ec2: Any, stack: Stack, host: str, snapshot: Snapshot, instance: AwsEntry) -> Generator[str]:
    """A volume made of a snapshot, at a machine, while it is needed. One that a killed command left is used."""
    zone = instance["Placement"]["AvailabilityZone"]
    filters = [
        {"Name": "tag:stack", "Values": [stack.name]},
        {"Name": f"tag:{TAG}", "Values": [host]},
        # One that is being deleted is listed for a while
        {"Name": "status", "Values": ["creating", "available", "in-use"]},
    ]
    volumes = ec2.describe_volumes(Filters=filters)["Volumes"]
    usable = [e["VolumeId"] for e in volumes if (e["SnapshotId"], e["AvailabilityZone"]) == (snapshot.id, zone)]
    for entry in volumes:
        if entry["VolumeId"] not in usable[:1]:
            _remove(ec2, entry["VolumeId"])
    volume = usable[0] if usable else _create_volume(ec2, stack, host, snapshot, zone)
    try:
        if not ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]:
            ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=WAIT)
            ec2.attach_volume(VolumeId=volume, InstanceId=instance["InstanceId"], Device=DEVICE)
        ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=WAIT)
        yield volume
    except BaseException as cause:
        try:
            _remove(ec2, volume)
        except (BotoCoreError, ClientError, WaiterError) as error:
            raise InfraError(f"{cause}; volume {volume} still exists, and the next run removes it: {error}") from cause
        raise
    _remove(ec2, volume)


def _create_volume(ec2: Any, stack: Stack, host: str, snapshot: Snapshot, zone: str) -> str:
    tags = {"project": "watchme-infra", "stack": stack.name, TAG: host}
    label = {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    volume = ec2.create_volume(
        SnapshotId=snapshot.id, AvailabilityZone=zone, VolumeType="gp3", TagSpecifications=[label]
    )
    return volume["VolumeId"]


def _remove(ec2: Any, volume: str) -> None:
    for attachment in ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]:
        ec2.detach_volume(VolumeId=volume, InstanceId=attachment["InstanceId"], Device=attachment["Device"])
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=WAIT)
    ec2.delete_volume(VolumeId=volume)
