"""What a host may do in AWS: pull from these repositories, answer its own names' ACME challenges, publish its own
metrics, nothing else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from catalogue.iam import Condition, PolicyDocument, Statement, allow
from catalogue.stack import Stack
from components.naming import inside, tags
from rendering.host import CREDENTIALS

ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)
PULL = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def policy(
    repository_arns: list[str],
    proofs: Mapping[str, list[str]],
    watched: str = "",
    namespace: str = "",
    backups: str = "",
) -> PolicyDocument:
    """The role's policy: `proofs` are the TXT records that it may write (by their zone's ARN), which prove its public
    names; `watched` is the ARN of the zone in which it reads where they point; under `namespace` it may publish
    metrics; `backups` is the bucket and, after a /, the host's own part of it."""
    statements: list[Statement] = []
    if namespace:
        own: Condition = {"StringEquals": {"cloudwatch:namespace": namespace}}
        statements.append(allow("cloudwatch:PutMetricData", "*", own))
    if watched:
        statements.append(allow("route53:ListHostedZonesByName", "*"))
        statements.append(allow("route53:ListResourceRecordSets", watched))
    if repository_arns:
        statements += [allow("ecr:GetAuthorizationToken", "*"), allow(PULL, repository_arns)]
    if backups:
        bucket, _, host = backups.partition("/")
        # Of the whole bucket: else S3 says of an object that is not there that it is forbidden, and restic asks whether
        # there is a bucket. Names of objects say nothing but a host's name
        statements.append(allow(["s3:GetBucketLocation", "s3:ListBucket"], f"arn:aws:s3:::{bucket}"))
        # What it deletes stays for a while as an earlier version, which it cannot delete
        changes = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        statements.append(allow(changes, f"arn:aws:s3:::{bucket}/{host}/*"))
    if proofs:
        statements.append(allow(["route53:ListHostedZones", "route53:GetChange"], "*"))
    for zone_arn, records in sorted(proofs.items()):
        challenges: dict[str, str | list[str]] = {
            "route53:ChangeResourceRecordSetsNormalizedRecordNames": records,
            "route53:ChangeResourceRecordSetsRecordTypes": ["TXT"],
        }
        condition: Condition = {"ForAllValues:StringEquals": challenges}
        statements.append(allow("route53:ChangeResourceRecordSets", zone_arn, condition))
    return {"Version": "2012-10-17", "Statement": statements}


@dataclass(frozen=True)
class HostPermissionsArgs:
    """What the `host` of a stack may do: pull from these repositories, and what `policy` says of the other fields."""

    stack: Stack
    host: str
    repository_arns: pulumi.Input[list[str]]
    proofs: Mapping[str, list[str]]
    watched: str = ""
    namespace: str = ""
    backups: str = ""


class HostPermissions(pulumi.ComponentResource):
    """The AWS identity of one host. An instance has a role, by its `profile`; a machine elsewhere has a user, whose key
    comes to it with each release as `credentials` (empty for an instance)."""

    profile: pulumi.Output[str]
    credentials: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, args: HostPermissionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:HostPermissions", name, None, opts)
        label = tags(args.stack, "host", name)
        document = pulumi.Output.from_input(args.repository_arns).apply(
            lambda arns: json.dumps(policy(arns, args.proofs, args.watched, args.namespace, args.backups))
        )
        self.profile, self.credentials = pulumi.Output.from_input(""), pulumi.Output.from_input({})
        if args.host in args.stack.ec2_hosts:
            self._role(name, document, label)
        elif args.proofs or args.watched or args.backups or isinstance(args.repository_arns, pulumi.Output):
            self._user(name, document, label)
        self.register_outputs({"profile": self.profile})

    def _role(self, name: str, document: pulumi.Output[str], label: dict[str, str]) -> None:
        role = aws.iam.Role(f"{name}-role", assume_role_policy=ASSUME, tags=label, opts=inside(self))
        rights = aws.iam.RolePolicy(f"{name}-policy", role=role.id, policy=document, opts=inside(self))
        profile = aws.iam.InstanceProfile(f"{name}-profile", role=role.name, tags=label, opts=inside(self))
        self.profile = pulumi.Output.all(profile.name, rights.id).apply(lambda args: args[0])

    def _user(self, name: str, document: pulumi.Output[str], label: dict[str, str]) -> None:
        user = aws.iam.User(f"{name}-user", tags=label, opts=inside(self))
        rights = aws.iam.UserPolicy(f"{name}-policy", user=user.name, policy=document, opts=inside(self))
        key = aws.iam.AccessKey(f"{name}-key", user=user.name, opts=inside(self, depends_on=[rights]))
        self.credentials = pulumi.Output.secret(
            pulumi.Output.all(key.id, key.secret).apply(
                lambda key_parts: dict(zip(CREDENTIALS, key_parts, strict=True))
            )
        )
