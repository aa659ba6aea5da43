"""Every host of a stack at a glance, all asked at the same time."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from agent.documents.answers import Status
from catalogue.host import Ec2Host
from catalogue.machines import FIRST
from catalogue.stack import Stack
from infra import hosts, releases, remote
from infra.errors import InfraError


@dataclass(frozen=True)
class HostStatus:
    """What a host said (`answer`), or why it said nothing (`error`). `wanted` is the release that the stack brought
    last, "" where none is known, `deployed` what was deployed for a service alone: image → digest, `kept` are earlier
    machines that stay beside it; `under_way` says what was begun with its machine and did not come to its end."""

    stack: str
    host: str
    region: str
    wanted: str
    answer: Status | None = None
    error: str = ""
    deployed: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    kept: list[str] = field(default_factory=list[str])
    under_way: str = ""

    @property
    def summary(self) -> tuple[list[str], bool]:
        """Lines for people, and whether all is in order."""
        if self.error or self.answer is None:
            return [f"{self.host}: {self.error}"], False
        lines, orderly = releases.state(self.stack, self.host, self.answer, self.wanted)
        digests_by_service = {
            service: ", ".join(d[:19] for d in images.values()) for service, images in self.deployed.items()
        }
        lines += [
            f"  {service} is pinned to {digests} (infra deploy), whatever its tag points to"
            for service, digests in digests_by_service.items()
        ]
        lines += [f"  keeps {machine}: infra host retire {self.host} deletes it" for machine in self.kept]
        lines += [f"  {self.under_way}"] if self.under_way else []
        return [lines[0].replace(f"{self.host}:", f"{self.host} ({self.region}):", 1), *lines[1:]], orderly

    @property
    def as_value(self) -> dict[str, object]:
        """The status as JSON."""
        return {
            "region": self.region, "orderly": self.summary[1], "error": self.error, "wanted": self.wanted,
            "kept": self.kept, "under_way": self.under_way, "deployed": self.deployed,
            "is_the_stacks": self.answer is not None and self.answer["release"] == self.wanted,
            **(self.answer or {}),
        }  # fmt: skip


def of_stack(stack: Stack, host: str | None = None) -> list[HostStatus]:
    """Of every host, or of one. A host that does not answer is reported, and holds up no other. Raises InfraError."""
    # Each is a run of Pulumi's own command
    with ThreadPoolExecutor(2) as pool:
        pending_outputs, key = pool.submit(hosts.outputs, stack), pool.submit(hosts.private_key, stack)
        outputs = pending_outputs.result()
        targets = hosts.select_targets(stack, outputs, host, key.result())
    release_ids = {name: release["id"] or "" for name, release in outputs["releases"].items()}

    def of(name: str) -> HostStatus:
        spec = stack.hosts.get(name.partition("@")[0])
        region = name.partition("@")[2] or (
            outputs.get("region", stack.region) if spec in stack.ec2_hosts.values() else ""
        )
        common = (stack.name, name, region or "its owner's", release_ids.get(name, ""))
        try:
            deployed = outputs.get("deployed", {}).get(name, {})
            # Since the last whole update, in the configuration's words
            types = spec.kept_types if isinstance(spec, Ec2Host) else {}
            numbers = [int(number) for number in outputs.get("kept", {}).get(name, [])]
            machines = [f"machine {number} ({types[number]})" for number in numbers if number in types]
            wanted_machine = spec.generation if isinstance(spec, Ec2Host) and "@" not in name else FIRST
            is_other = isinstance(spec, Ec2Host) and wanted_machine != outputs.get("generations", {}).get(name, FIRST)
            under_way = (
                f"machine {wanted_machine} is to take over: infra host replace {name} continues" if is_other else ""
            )
            answer = remote.ask(targets[name], "status")
            return HostStatus(*common, answer=answer, deployed=deployed, kept=machines, under_way=under_way)
        except InfraError as error:
            return HostStatus(*common, error=str(error))

    # One whose every update has failed so far has no address in the stack's outputs
    unknown = [name for name in stack.hosts if name not in targets and host is None]
    never = "is in the configuration, but no update with it has succeeded yet: pulumi up"
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(of, targets))
    return [*statuses, *(HostStatus(stack.name, name, "", "", error=never) for name in unknown)]


def lines(statuses: list[HostStatus]) -> Iterator[str]:
    for entry in statuses:
        yield from entry.summary[0]


def as_json(stack: str, statuses: list[HostStatus]) -> str:
    orderly = all(entry.summary[1] for entry in statuses)
    by_host = {entry.host: entry.as_value for entry in statuses}
    return json.dumps({"stack": stack, "orderly": orderly, "hosts": by_host}, ensure_ascii=False)
