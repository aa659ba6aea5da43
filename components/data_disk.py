"""A host's disk for its data: a volume of its own, attached to its machine, and mounted there before any release."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_command as command

from agent import program
from catalogue.loading import Catalogue
from catalogue.stack import Stack
from components import access
from components.before import Disk
from components.naming import inside
from rendering.requests import MountRequest, TargetFields

# As EC2 calls the first further disk; a machine shows it by the volume's id, or (Xen) as xvdf
DEVICE = "/dev/sdf"


@dataclass(frozen=True)
class DataDisk:
    """What a host's data disk is to be: `size` in GiB, the `mounts` that it serves (catalogue/data_disks.py), further
    tags (`marks`), and the zone that the machine is in. That of a machine which `is_kept` stays as it is."""

    size: int
    mounts: list[str]
    marks: dict[str, str]
    zone: pulumi.Output[str]
    is_kept: bool = False


def attach(
    host: access.ReachableHost, name: str, stack: Stack, disk: DataDisk, label: dict[str, str]
) -> command.local.Command:
    """Makes the disk, attaches it, and mounts it once the host is ready. No step here deletes a volume, or detaches one
    that is mounted."""
    volume = aws.ebs.Volume(
        f"{name}-data-disk",
        availability_zone=disk.zone,
        type="gp3",
        size=disk.size,
        encrypted=True,
        tags={**label, "Name": f"{label['Name']}-data", **disk.marks},
        opts=inside(
            host,
            # It leaves the program with its machine, and stays in AWS: `infra orphans` lists it
            retain_on_delete=True,
            # What cannot change in place is never changed: another volume would be empty
            ignore_changes=["availabilityZone", "encrypted", *(["size"] if disk.is_kept else [])],
        ),
    )
    attachment = aws.ec2.VolumeAttachment(
        f"{name}-data-disk-use",
        device_name=DEVICE,
        volume_id=volume.id,
        instance_id=host.machine,
        # Only a machine's own end detaches it, after that machine has unmounted it
        skip_destroy=True,
        opts=inside(host, delete_before_replace=True),
    )

    def request(target: TargetFields, id: str, size: float) -> str:
        fields: MountRequest = {
            "target": target,
            "limit": stack.readyTimeout,
            "program": program("data_disk"),
            "payload": {"volume": id, "size": size, "device": DEVICE, "mounts": disk.mounts},
        }
        return json.dumps(fields, sort_keys=True)

    stdin = pulumi.Output.all(host.target, volume.id, volume.size).apply(lambda resolved: request(*resolved))
    return command.local.Command(
        f"{name}-data-disk-mounted",
        create=access.here("infra.data_disk"),
        stdin=pulumi.Output.secret(stdin),
        triggers=[host.machine, volume.id],
        logging=command.local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=inside(
            host,
            depends_on=[host.ready, attachment],
            ignore_changes=["create", "stdin"] if disk.is_kept else [],
        ),
    )


def refuse_loss(catalogue: Catalogue, disks: dict[str, dict[str, Disk]]) -> None:
    """What would part a host from its data, or what AWS refuses in the middle of an update. `disks` are those of the
    last one, by place and host. Raises pulumi.RunError."""
    stack = catalogue.stack
    for region in stack.regions:
        there = stack.at(region)
        for host, spec in there.ec2_hosts.items():
            disk = disks.get(there.place(host), {}).get(host)
            if disk is None:
                continue
            key = f"infra:hosts.{host}.dataDisk"
            if spec.dataDisk is None:
                raise pulumi.RunError(
                    f"nothing was touched: host {host} has its data on {disk.id} ({disk.size} GiB), and {key} is gone: "
                    f"write it again; to part with the disk: docs/data-disk.md"
                )
            if spec.dataDisk.size < disk.size:
                raise pulumi.RunError(
                    f"nothing was touched: {key}.size is {spec.dataDisk.size}, and the data disk of host {host} has "
                    f"{disk.size} GiB: AWS cannot shrink a disk; {disk.size} or more"
                )
            zone = stack.availabilityZones.get(region, "")
            if zone and disk.zone and zone != disk.zone:
                raise pulumi.RunError(
                    f"nothing was touched: the data disk of host {host} is in {disk.zone}, and the machine would be in "
                    f"{zone} (infra:availabilityZones), where no disk of another zone can be attached: "
                    f"{region}: {disk.zone} (docs/data-disk.md)"
                )
