"""The rights to open SSH for a time, which a role has only where it is given them and the configuration says so."""

from catalogue.iam import Condition, PolicyDocument, allow
from catalogue.stack import Stack
from infra.temporary_ssh import STACK, demand_permission

ROLE = "access"
WORDS = (
    "Opening SSH for CI's own address, and closing it (`infra access`), where `infra:temporarySsh` is set. Attach it "
    "to who has `plan` alone: for previews from an address that `infra:adminCidrs` does not have, and for the workflow "
    "`drift`, which closes what is over. Who has `deploy` has these rights."
)
OPEN, CLOSE, TAG = "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress", "ec2:CreateTags"


def policy(stack: Stack) -> PolicyDocument:
    """Opens and closes ports in the security groups of the stack's hosts, and tags the rules that come of it: IAM knows
    no narrower words. Raises InfraError where the configuration does not let SSH be opened."""
    demand_permission(stack)
    own = f"arn:aws:ec2:*:{stack.accountId}"
    of_group: Condition = {
        "StringEquals": {"aws:ResourceTag/project": "watchme-infra", "aws:ResourceTag/stack": stack.name}
    }
    rules = f"{own}:security-group-rule/*"
    statements = [
        allow(["ec2:DescribeSecurityGroupRules"], ["*"]),
        allow([OPEN, CLOSE], [f"{own}:security-group/*"], of_group),
        # With tags AWS asks for the rule too, and for the right to tag it
        allow([OPEN], [rules], {"StringEquals": {f"aws:RequestTag/{STACK}": stack.name}}),
        allow([TAG], [rules], {"StringEquals": {"ec2:CreateAction": "AuthorizeSecurityGroupIngress"}}),
        allow([TAG], [rules], {"StringEquals": {f"aws:ResourceTag/{STACK}": stack.name}}),
    ]
    return {"Version": "2012-10-17", "Statement": statements}
