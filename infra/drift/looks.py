"""What a refresh does not see, asked of EC2: machines that are stopped or will be, openings that were made by hand,
snapshots that pile up."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent import times
from catalogue.networks import too_wide
from catalogue.shapes import AwsEntry
from infra import temporary_ssh
from infra.drift.finding import Finding

# Of a scheduled event → what AWS does then, and what a person can do before
EVENTS = {
    "instance-retirement": ("retires its hardware", "stop it and start it before then: {stop} && {start}"),
    "instance-stop": ("stops it", "stop it and start it before then: {stop} && {start}"),
    "instance-reboot": ("reboots it", "or reboot it before then: aws ec2 reboot-instances {one}"),
    "system-reboot": ("reboots its hardware", "stop it and start it before then: {stop} && {start}"),
    "system-maintenance": ("maintains its network or power", "it may be unreachable for minutes; no action needed"),
}
PARTS = {"SystemStatus": "hardware", "InstanceStatus": "operating system", "AttachedEbsStatus": "disk"}
OVER = ("[Completed]", "[Canceled]")
# Snapshots of a disk beside those that the stack keeps, before they are reported
SPARE = 5
OLD = timedelta(days=30)


@dataclass(frozen=True)
class Machine:
    """A machine that Pulumi's state has."""

    host: str
    id: str
    region: str

    @property
    def where(self) -> str:
        return f"machine of {self.host} ({self.id}, {self.region})"

    def command(self, verb: str) -> str:
        return f"aws ec2 {verb} {self.one}"

    @property
    def one(self) -> str:
        return f"--instance-ids {self.id} --region {self.region}"


def machines(ec2: Any, own_machines: list[Machine]) -> Iterator[Finding]:
    """Those that do not run, that AWS sees trouble with, or has announced something for. One that is gone is a
    refresh's to find."""
    instances = _describe_instances(ec2, own_machines)
    there = [machine for machine in own_machines if machine.id in instances]
    for machine in there:
        entry = instances[machine.id]
        if (state := entry["State"]["Name"]) in ("stopped", "stopping"):
            yield Finding(machine.where, f"is {state}", f"start it: {machine.command('start-instances')}")
        if entry.get("InstanceLifecycle") == "spot":
            yield Finding(
                machine.where, "is a Spot instance, which AWS may reclaim at any time",
                "replace it by an on-demand machine of the stack: docs/runbooks/lost-host.md",
            )  # fmt: skip
    if there:
        yield from _instance_events(ec2, there)


def _describe_instances(ec2: Any, own_machines: list[Machine]) -> dict[str, AwsEntry]:
    filters = [
        {"Name": "instance-id", "Values": [machine.id for machine in own_machines]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    pages = ec2.get_paginator("describe_instances").paginate(Filters=filters)
    instances = [entry for page in pages for reservation in page["Reservations"] for entry in reservation["Instances"]]
    return {entry["InstanceId"]: entry for entry in instances}


def _instance_events(ec2: Any, there: list[Machine]) -> Iterator[Finding]:
    by_id = {machine.id: machine for machine in there}
    statuses = ec2.describe_instance_status(InstanceIds=sorted(by_id), IncludeAllInstances=True)["InstanceStatuses"]
    for entry in statuses:
        machine = by_id[entry["InstanceId"]]
        stop, start = machine.command("stop-instances"), machine.command("start-instances")
        words = {"one": machine.one, "stop": stop, "start": start}
        for event in entry.get("Events") or ():
            if event.get("Description", "").startswith(OVER):
                continue
            what, remedy = EVENTS.get(
                event["Code"], (f"announces {event['Code']}", "see its events in the AWS console")
            )
            when = f" on {times.show(event['NotBefore'])}" if event.get("NotBefore") else ""
            yield Finding(machine.where, f"AWS {what}{when}", remedy.format(**words))
        for part, remedy in (
            (
                "AttachedEbsStatus",
                "see its disk's status checks in the AWS console; if they fail again: {stop} && {start}",
            ),
            ("SystemStatus", "move it to other hardware: {stop} && {start}"),
            ("InstanceStatus", "see its console: aws ec2 get-console-output --instance-id " + machine.id),
        ):
            if entry.get(part, {}).get("Status") == "impaired":
                what = PARTS[part]
                yield Finding(machine.where, f"AWS reports its {what} as impaired", remedy.format(**words))


@dataclass(frozen=True)
class OwnRules:
    """What a stack lets through by its last update; `temporary`: whether SSH may be opened for a time beside that."""

    stack: str
    ids: set[str]
    temporary: bool = False


def openings(ec2: Any, region: str, groups: list[str], own: OwnRules, now: datetime) -> Iterator[Finding]:
    """What security groups of the stack let through beside its own rules."""
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": groups}]
    )
    for rule in (rule for page in pages for rule in page["SecurityGroupRules"]):
        if rule["SecurityGroupRuleId"] in own.ids:
            continue
        opening = temporary_ssh.opening_of(rule, region, own.stack)
        if opening and opening.is_over(now):
            yield _overdue(opening, own.stack)
            continue
        if opening and own.temporary:
            continue
        way = "egress" if rule["IsEgress"] else "ingress"
        out = f"allows its machines to reach {_ports(rule)} of {_peer(rule)}"
        what = out if rule["IsEgress"] else f"allows {_peer(rule)} to reach {_ports(rule)}"
        group = rule["GroupId"]
        one = f"--group-id {group} --security-group-rule-ids {rule['SecurityGroupRuleId']} --region {region}"
        close = f"close it: aws ec2 revoke-security-group-{way} {one}"
        keep = "; to keep it, add the network to infra:adminCidrs" if _may_be_an_operators(rule) else ""
        yield Finding(f"security group {group} ({region})", f"{what}, which the stack does not define", close + keep)


def _overdue(opening: temporary_ssh.Opening, stack: str) -> Finding:
    until = times.show(opening.expires) if opening.expires else times.UNKNOWN
    return Finding(
        f"security group {opening.group} ({opening.region})",
        f"still allows {opening.cidr} to reach port 22, opened for {opening.by or 'unknown'} until {until}",
        f"close it: infra access close --expired --stack {stack}",
    )


def _may_be_an_operators(rule: AwsEntry) -> bool:
    """Does it open SSH for a network that infra:adminCidrs can have: one of IPv4, and no part of the world."""
    network = rule.get("CidrIpv4", "")
    is_of_ssh = not rule["IsEgress"] and (rule.get("FromPort"), rule.get("ToPort")) == (22, 22)
    return is_of_ssh and bool(network) and not too_wide([network])


def _peer(rule: AwsEntry) -> str:
    other = rule.get("ReferencedGroupInfo", {}).get("GroupId") or rule.get("PrefixListId")
    return rule.get("CidrIpv4") or rule.get("CidrIpv6") or other or "?"


def _ports(rule: AwsEntry) -> str:
    """`port 22`, `ports 1000–2000 of UDP`, `every port`."""
    first, last, protocol = rule.get("FromPort", -1), rule.get("ToPort", -1), rule["IpProtocol"]
    if protocol == "-1" or first == -1:
        return "every port" if protocol in ("-1", "tcp", "udp") else f"it by {protocol}"
    ports = f"port {first}" if first == last else f"ports {first}–{last}"
    return ports if protocol == "tcp" else f"{ports} ({protocol})"


def lost_snapshots(ec2: Any, stack: str, region: str, now: datetime) -> Iterator[Finding]:
    """Snapshots of disks that are gone, once they are old: no schedule deletes them any more."""
    filters = [{"Name": "tag:stack", "Values": [stack]}]
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
    old_snapshots = [entry for page in pages for entry in page["Snapshots"] if now - entry["StartTime"] > OLD]
    ids = sorted({entry["VolumeId"] for entry in old_snapshots})
    if not ids:
        return
    volumes = ec2.get_paginator("describe_volumes").paginate(Filters=[{"Name": "volume-id", "Values": ids}])
    there = {entry["VolumeId"] for page in volumes for entry in page["Volumes"]}
    lost = [entry for entry in old_snapshots if entry["VolumeId"] not in there]
    if lost:
        oldest = min(entry["StartTime"] for entry in lost)
        one = lost[0]["SnapshotId"]
        yield Finding(
            f"snapshots of deleted disks ({region})",
            f"{len(lost)} are older than {OLD.days} days, the oldest of {times.show(oldest, form=times.DATE)}; nothing "
            "deletes them",
            f"if none is needed for a restore, delete each: aws ec2 delete-snapshot --snapshot-id {one} "
            f"--region {region}",
        )


def snapshots(ec2: Any, own_machines: list[Machine], keep: int) -> Iterator[Finding]:
    """Disks with more snapshots than the stack keeps, and some."""
    instances = _describe_instances(ec2, own_machines)
    disks = {
        mapping["Ebs"]["VolumeId"]: machine
        for machine in own_machines
        for mapping in instances.get(machine.id, {}).get("BlockDeviceMappings", ())
        if "Ebs" in mapping
    }
    if not disks:
        return
    filters = [{"Name": "volume-id", "Values": sorted(disks)}]
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
    by_volume: dict[str, list[AwsEntry]] = {}
    for entry in (entry for page in pages for entry in page["Snapshots"]):
        by_volume.setdefault(entry["VolumeId"], []).append(entry)
    for disk, entries in sorted(by_volume.items()):
        if len(entries) <= keep + SPARE:
            continue
        machine, oldest = disks[disk], min(entry["StartTime"] for entry in entries)
        filter = f"--owner-ids self --filters Name=volume-id,Values={disk} --region {machine.region}"
        yield Finding(
            f"disk of {machine.host} ({disk}, {machine.region})",
            f"has {len(entries)} snapshots since {times.show(oldest, form=times.DATE)}, the stack keeps {keep}; each "
            "costs money",
            f"delete what is not needed: aws ec2 describe-snapshots {filter}",
        )
