"""`infra check --live`: what an update of a stack would lack in AWS, before anything is created."""

from collections.abc import Iterator

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from infra import aws
from infra.account import limits, rights
from infra.account.region import Region
from infra.errors import InfraError
from infra.orphans.command import exported
from infra.orphans.state import of_aws
from infra.paths import project_root
from infra.preview.commits import snapshots


def problems(catalogue: Catalogue) -> list[Problem]:
    """Raises InfraError where AWS or Pulumi cannot be asked at all."""
    stack = catalogue.stack
    with aws.asking("the account", stack.region):
        account = aws.client("sts", stack.region).get_caller_identity()["Account"]
    if account != stack.accountId:
        found = f"these credentials are of account {account}"
        return [Problem("AWS", "infra:accountId", found, f"the stack is of {stack.accountId}: use its credentials")]
    created = limits.new(_wanted(stack.name), _known(stack.name))
    with aws.asking("rights and limits", stack.region):
        lacking = [problem for role in ("plan", "deploy") for problem in rights.missing(catalogue, role)]
        # What cannot be asked is the same of both
        return [*dict.fromkeys(lacking), *_in_regions(catalogue, created)]


def _in_regions(catalogue: Catalogue, created: list[dict]) -> Iterator[Problem]:
    stack = catalogue.stack
    for name in [stack.region, *stack.standbyRegions]:
        if Region(stack.region).enabled(name) is False:
            remedy = f"enable it: aws account enable-region --region-name {name} (minutes to hours)"
            yield Problem(name, "region", "is not enabled in this account", remedy)
        else:
            yield from limits.findings(created, name, Region(name))


def _wanted(stack: str) -> list[dict]:
    head = snapshots(None, project_root(), [stack])[stack]["head"]
    if head["error"]:
        raise InfraError(head["error"])
    return head["resources"]


def _known(stack: str) -> list[dict]:
    """What the state has; nothing of a stack that Pulumi does not know yet."""
    try:
        return of_aws(exported(stack))
    except InfraError as error:
        if "no stack named" in str(error):
            return []
        raise
