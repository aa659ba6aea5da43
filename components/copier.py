"""The IAM role that may copy images between regions, for this stack's repositories only. A host that copies gets a
login of that role, never one of the operator's."""

import json

import pulumi
import pulumi_aws as aws

from catalogue.iam import PolicyDocument, allow
from catalogue.stack import Stack
from components.naming import inside, tags
from components.permissions import PULL

PUSH = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"]


def trust(account: str) -> PolicyDocument:
    """Principals of the account that may assume roles, which no host may."""
    operators = {"AWS": f"arn:aws:iam::{account}:root"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": operators, "Action": "sts:AssumeRole"}],
    }


def policy(account: str, repositories: list[str]) -> PolicyDocument:
    """Pull and push of these repositories, in any region."""
    arns = [f"arn:aws:ecr:*:{account}:repository/{name}" for name in repositories]
    statements = [allow("ecr:GetAuthorizationToken", "*"), allow([*PULL, *PUSH], arns)]
    return {"Version": "2012-10-17", "Statement": statements}


class Copier(pulumi.ComponentResource):
    """`role` is the role's ARN, once it has its rights."""

    role: pulumi.Output[str]

    def __init__(
        self, name: str, stack: Stack, repositories: list[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("infra:index:Copier", name, None, opts)
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=json.dumps(trust(stack.accountId)),
            tags=tags(stack, "registry", f"{stack.name}-{name}"),
            opts=inside(self),
        )
        document = json.dumps(policy(stack.accountId, sorted(repositories)))
        rights = aws.iam.RolePolicy(f"{name}-policy", role=role.id, policy=document, opts=inside(self))
        self.role = pulumi.Output.all(role.arn, rights.id).apply(lambda args: args[0])
        self.register_outputs({"role": self.role})
