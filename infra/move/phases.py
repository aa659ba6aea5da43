"""A move in the steps that a person thinks in, out of the many resources that Pulumi works on. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from catalogue.machines import generation_of, of_instance, region_of
from infra.pulumi import UrnStep

PLACE = re.compile(r"(?<![a-z])[a-z]{2}(?:-[a-z]+)+-\d(?!\d)(?:-g\d+)?")
# What a region has beside machines, by how its names begin
OF_A_REGION = ("network-", "registry-")
# In the order in which they can happen; what each means to a person who watches
STEPS = {
    "network": "VPC, subnet and security group",
    "repositories": "for container images",
    "topic": "alarm notifications",
    "rights": "IAM roles of the hosts",
    "snapshots": "nightly, of disks with data",
    "host": "machine and address",
    "boot": "until it is ready for a release",
    "images": "copied by the new host itself",
    "release": "files, units, containers",
    "alarms": "CloudWatch alarms of the new host",
    "newest images": "images pushed meanwhile",
    "gate": "every public path, before names point there",
    "data": "copied while the old host serves; the rest while neither writes",
    "switch": "names point to the new host",
    "verify": "the zone's own servers, every public path",
    "drain": "until the old host gets no requests",
    "retire": "deleted at the end",
}
KINDS = (
    ("aws:ecr/", "repositories"), ("aws:iam/", "rights"), ("aws:route53/", "switch"), ("aws:vpc/", "network"),
    ("aws:ec2/instance", "host"), ("aws:ec2/eip", "host"), ("aws:ec2/volume", "host"), ("aws:ebs/", "host"),
    ("aws:ec2/", "network"),
    ("aws:sns/", "topic"), ("aws:cloudwatch/", "alarms"), ("aws:dlm/", "snapshots"),
)  # fmt: skip
COMMANDS = {
    "ready": "boot",
    "mounted": "boot",
    "images": "images",
    "apply": "release",
    "gate": "gate",
    "data": "data",
    "verify": "verify",
    "drain": "drain",
}
MACHINE_GOES, LEFTOVERS_GO = "retire machine", "clear up"
WAYS = {"create": "created", "update": "updated", "delete": "deleted", "replace": "replaced"}
NOTHING = {"same", "read", "refresh", "discard", "read-discard", "remove-pending-replace"}


@dataclass
class Phase:
    """A step in one place (catalogue/machines.py): what it touches, by the resources' names, and how: create, update or
    delete."""

    step: str
    region: str
    touches: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return " ".join(part for part in (self.title, self.region) if part)

    @property
    def title(self) -> str:
        """The step as people read it."""
        if self.step != "retire" or not self.touches or any(name.startswith(OF_A_REGION) for name in self.touches):
            return self.step
        # A region that keeps all else is not retired
        return MACHINE_GOES if any(name.endswith("-instance") for name in self.touches) else LEFTOVERS_GO

    @property
    def ways(self) -> dict[str, int]:
        """How many are `created`, `deleted`, …"""
        ways = list(self.touches.values())
        return {WAYS.get(way, way): ways.count(way) for way in dict.fromkeys(ways)}

    @property
    def what(self) -> str:
        """How many of what: `15 created`."""
        return ", ".join(f"{count} {way}" for way, count in self.ways.items())

    @property
    def deletions(self) -> list[str]:
        """What it deletes that people have a name for: its region, or machines of hosts in one that stays."""
        if self.step != "retire":
            return []
        if any(name.startswith(OF_A_REGION) for name in self.touches):
            return [self.region]
        machines = filter(None, map(of_instance, self.touches))
        return [f"machine {generation_of(place)} of {host} with its disk" for host, place in machines]


def phase_of(urn: str, op: str) -> tuple[str, str] | None:
    """(step, place) of a resource that is worked on; None of one that is not worth a line."""
    chain, name = urn.split("::")[2].split("$"), urn.split("::", 3)[3]
    kind = chain[-1]
    match = PLACE.search(name)
    region = match[0] if match else ""
    if op in NOTHING or not kind.startswith(("aws:", "command:")):
        return None
    if chain[-2:] == ["infra:index:PublicName", "command:local:Command"]:
        return None if op.startswith("delete") else ("switch", "")
    # Forgetting a command deletes nothing
    if op == "delete" and region and not kind.startswith("command:"):
        return "retire", region
    if op.startswith("delete"):
        return None
    if kind in ("command:local:Command", "command:remote:Command"):
        step = COMMANDS.get(name.rsplit("-", 1)[-1])
        if step == "drain":
            # The resource is named after the new region, and waits for the old one
            return step, ""
        newest = step == "images" and name.startswith("images-newest-")
        return ("newest images" if newest else step, region) if step else None
    return next(((step, region) for beginning, step in KINDS if kind.startswith(beginning)), None)


def phases(steps: Iterable[UrnStep]) -> list[Phase]:
    """The phases of a preview's steps, in the order in which they happen."""
    by_key: dict[tuple[str, str], Phase] = {}
    for entry in steps:
        if key := phase_of(entry["urn"], entry["op"]):
            by_key.setdefault(key, Phase(*key)).touches[entry["urn"].split("::", 3)[3]] = entry["op"]
    order = list(STEPS)
    serving = next((phase.region for phase in by_key.values() if phase.step == "gate"), "")

    def place(phase: Phase) -> tuple[int, str]:
        # What stands by is served last, once the names are where they are to be
        is_elsewhere = serving and phase.region and region_of(phase.region) != serving
        late = is_elsewhere and phase.step in ("images", "release", "alarms")
        return (order.index("verify" if late else phase.step), f"~{phase.region}" if late else phase.region)

    return sorted(by_key.values(), key=place)
