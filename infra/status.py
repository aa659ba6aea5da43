"""Every host of a stack at a glance, all asked at the same time."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from agent.documents.answers import Overview, Status
from agent.wording import phrase
from catalogue.host import Ec2Host
from catalogue.machines import FIRST
from catalogue.stack import Stack
from infra import hosts, releases, remote
from infra.errors import InfraError
from infra.ssh import Target

TO_TAKE_OVER = "machine {number} is to take over: infra host replace {host} continues"
NEVER_MADE = "is in the configuration, but no update with it has succeeded yet: pulumi up"
EARLIER_AGENT = "its agent is of an earlier version: pulumi up updates it"


@dataclass(frozen=True)
class HostStatus:
    """What a host said (`answer`), or why it said nothing (`error`). `target` is the release that the stack brought
    last, "" where none is known, `deployed` what was deployed for a service alone: image → digest, `kept_machines` are
    earlier ones that stay beside it; `under_way` says what was begun with its machine and did not come to its end. The
    `overview` is there where it was asked for; `overview_error` says why it is not."""

    stack: str
    host: str
    region: str
    target: str
    answer: Status | None = None
    error: str = ""
    deployed: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    kept_machines: list[str] = field(default_factory=list[str])
    under_way: str = ""
    overview: Overview | None = None
    overview_error: str = ""

    @property
    def summary(self) -> tuple[list[str], bool]:
        """Lines for people, and whether all is in order."""
        if self.error or self.answer is None:
            return [f"{self.host}: {self.error}"], False
        lines, orderly = releases.state(self.stack, self.host, self.answer, self.target)
        digests_by_service = {
            service: ", ".join(d[:19] for d in images.values()) for service, images in self.deployed.items()
        }
        lines += [
            f"  {service} is pinned to {digests} (infra deploy), whatever its tag points to"
            for service, digests in digests_by_service.items()
        ]
        lines += [f"  keeps {machine}: infra host retire {self.host} deletes it" for machine in self.kept_machines]
        lines += [f"  {self.under_way}"] if self.under_way else []
        return [lines[0].replace(f"{self.host}:", f"{self.host} ({self.region}):", 1), *lines[1:]], orderly

    @property
    def is_orderly(self) -> bool:
        return self.summary[1]

    @property
    def as_value(self) -> dict[str, object]:
        """The status as JSON."""
        return {
            "region": self.region, "orderly": self.is_orderly, "error": self.error, "wanted": self.target,
            "kept": self.kept_machines, "under_way": self.under_way, "deployed": self.deployed,
            "is_the_stacks": self.answer is not None and self.answer["release"] == self.target,
            **(self.answer or {}),
        }  # fmt: skip


def of_stack(stack: Stack, host: str | None = None, with_overview: bool = False) -> list[HostStatus]:
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
            machines = [
                phrase("machine {number} ({type})", number=number, type=types[number])
                for number in numbers
                if number in types
            ]
            wanted_machine = spec.generation if isinstance(spec, Ec2Host) and "@" not in name else FIRST
            is_other = isinstance(spec, Ec2Host) and wanted_machine != outputs.get("generations", {}).get(name, FIRST)
            under_way = phrase(TO_TAKE_OVER, number=wanted_machine, host=name) if is_other else ""
            answer = remote.ask(targets[name], "status")
            host_status = HostStatus(
                *common, answer=answer, deployed=deployed, kept_machines=[*machines], under_way=under_way
            )
            return _with_overview(host_status, targets[name]) if with_overview else host_status
        except InfraError as error:
            return HostStatus(*common, error=str(error))

    # One whose every update has failed so far has no address in the stack's outputs
    unknown = [name for name in stack.hosts if name not in targets and host is None]
    never = phrase(NEVER_MADE)
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(of, targets))
    return [*statuses, *(HostStatus(stack.name, name, "", "", error=never) for name in unknown)]


def _with_overview(status: HostStatus, target: Target) -> HostStatus:
    """With what the dashboard shows beside the status. An agent of an earlier version does not know it."""
    try:
        return replace(status, overview=remote.ask(target, "overview"))
    except InfraError as error:
        is_earlier = "KeyError: 'overview'" in str(error)
        return replace(status, overview_error=phrase(EARLIER_AGENT) if is_earlier else str(error))


def lines(statuses: list[HostStatus]) -> Iterator[str]:
    for entry in statuses:
        yield from entry.summary[0]


def as_json(stack: str, statuses: list[HostStatus]) -> str:
    orderly = all(entry.summary[1] for entry in statuses)
    by_host = {entry.host: entry.as_value for entry in statuses}
    return json.dumps({"stack": stack, "orderly": orderly, "hosts": by_host}, ensure_ascii=False)
