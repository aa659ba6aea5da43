"""`infra check --live`: what an update of a stack would lack in AWS, before anything is created."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from catalogue.loading import Catalogue
from catalogue.problems import Problem
from infra import aws
from infra.account import limits, networks, rights
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
        whose = f"these credentials are of account {account}"
        return [Problem("AWS", "infra:accountId", whose, f"the stack is of {stack.accountId}: use its credentials")]
    wanted, known = _wanted(stack.name), _known(stack.name)
    created, larger = limits.new(wanted, known), limits.growth(wanted, known)
    found: list[Problem] = []
    for role in ("plan", "deploy"):
        found += _asked(f"rights of {role}", stack.region, partial(rights.missing, catalogue, role))
    for region in [stack.region, *stack.standbyRegions]:
        found += _asked("limits", region, partial(_in_region, catalogue, region, created, larger[region], known))
    # What cannot be asked is the same of several
    return list(dict.fromkeys(found))


def _asked(what: str, region: str, ask: Callable[[], Iterable[Problem]]) -> list[Problem]:
    """What was found until AWS refused an answer, and a warning then: who may ask little still learns the rest."""
    found: list[Problem] = []
    try:
        with aws.asking(what, region):
            for problem in ask():
                found.append(problem)  # what came before an error is kept
    except InfraError as error:
        found.append(Problem("AWS", what, str(error), "what could not be asked is not known", "warning"))
    return found


def _in_region(
    catalogue: Catalogue, region: str, created: list[dict], larger: int, known: list[dict]
) -> Iterator[Problem]:
    if Region(catalogue.stack.region).enabled(region) is False:
        remedy = f"enable it: aws account enable-region --region-name {region} (minutes to hours)"
        yield Problem(region, "region", "is not enabled in this account", remedy)
    else:
        asked = Region(region)
        yield from limits.findings(created, region, asked, larger, known)
        yield from networks.findings(catalogue, region, asked)


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
