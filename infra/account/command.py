"""`infra check --live`: what an update of a stack would lack in AWS, before anything is created."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from catalogue.loading import Catalogue
from catalogue.machines import of_data_disk
from catalogue.problems import Problem
from infra import aws, sources
from infra.account import limits, networks, rights
from infra.account.region import Region
from infra.errors import InfraError
from infra.orphans.command import export_state
from infra.orphans.state import AwsResource, of_aws
from infra.paths import project_root
from infra.preview.commits import snapshots
from infra.preview.documents import ResourceRecord

VOLUME = "aws:ebs/volume:Volume"


def problems(catalogue: Catalogue) -> list[Problem]:
    """Raises InfraError where AWS or Pulumi cannot be asked at all."""
    stack = catalogue.stack
    with aws.asking("the account", stack.region):
        account = aws.client("sts", stack.region).get_caller_identity()["Account"]
    if account != stack.accountId:
        whose = f"these credentials are of account {account}"
        return [
            Problem(
                "AWS",
                "infra:accountId",
                whose,
                f"the stack uses {stack.accountId}: use its credentials",
            )
        ]
    planned, existing = _planned_resources(stack.name), _state_resources(stack.name)
    created, larger = limits.new(planned, existing), limits.growth(planned, existing)
    findings: list[Problem] = [*sources.problems(stack), *shrinking_disks(stack.file, planned, existing)]
    for role in ("plan", "deploy"):
        findings += _collect_problems(f"rights of {role}", stack.region, partial(rights.missing, catalogue, role))
    for region in [stack.region, *stack.standbyRegions]:
        findings += _collect_problems(
            "limits", region, partial(_in_region, catalogue, region, created, larger[region], existing)
        )
    # What cannot be asked is the same of several
    return list(dict.fromkeys(findings))


def shrinking_disks(file: str, planned: list[ResourceRecord], existing: list[AwsResource]) -> Iterator[Problem]:
    """Data disks of the state that the configuration would make smaller. Pure."""
    size_of = {entry["urn"]: int(entry["inputs"].get("size") or 0) for entry in planned if entry["type"] == VOLUME}
    for entry in existing:
        host_and_place = of_data_disk(entry["urn"].rsplit("::", 1)[-1]) if entry["type"] == VOLUME else None
        inputs = entry.get("inputs") or {}
        size = int(inputs.get("size") or 0)
        if host_and_place and entry["urn"] in size_of and size_of[entry["urn"]] < size:
            fault = f"{size_of[entry['urn']]} GiB, and the data disk has {size}: AWS cannot shrink a disk"
            yield Problem(file, f"infra:hosts.{host_and_place[0]}.dataDisk.size", fault, f"{size} or more")


def _collect_problems(what: str, region: str, ask: Callable[[], Iterable[Problem]]) -> list[Problem]:
    """What was found until AWS refused an answer, and a warning then: who may ask little still learns the rest."""
    findings: list[Problem] = []
    try:
        with aws.asking(what, region):
            for problem in ask():
                findings.append(problem)  # what came before an error is kept
    except InfraError as error:
        findings.append(Problem("AWS", what, str(error), "this was not checked", "warning"))
    return findings


def _in_region(
    catalogue: Catalogue, region: str, created: list[ResourceRecord], larger: int, existing: list[AwsResource]
) -> Iterator[Problem]:
    if Region(catalogue.stack.region).is_enabled(region) is False:
        remedy = f"enable it: aws account enable-region --region-name {region} (minutes to hours)"
        yield Problem(region, "region", "is not enabled in this account", remedy)
    else:
        account_region = Region(region)
        yield from limits.findings(created, region, account_region, larger, existing)
        yield from networks.findings(catalogue, region, account_region)


def _planned_resources(stack: str) -> list[ResourceRecord]:
    head = snapshots(None, project_root(), [stack])[stack]["head"]
    if head["error"]:
        raise InfraError(head["error"])
    return head["resources"]


def _state_resources(stack: str) -> list[AwsResource]:
    """What the state has; nothing of a stack that Pulumi does not know yet."""
    try:
        return of_aws(export_state(stack))
    except InfraError as error:
        if "no stack named" in str(error):
            return []
        raise
