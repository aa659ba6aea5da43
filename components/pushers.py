"""Roles for workflows of products' own repositories on GitHub: each pushes the images of its services, without a key
that anyone has to keep, and can do nothing else."""

import hashlib
import json
import re
from collections.abc import Iterable

import pulumi
import pulumi_aws as aws

from catalogue.iam import PolicyDocument
from catalogue.loading import Catalogue
from catalogue.pushers import AUDIENCE, ISSUER, Pusher
from catalogue.rules.pushers import own_repositories
from components import copier
from components.naming import inside, tags


def trust(account: str, repository: str, pusher: Pusher) -> PolicyDocument:
    """Workflows of that repository, by the tokens that GitHub gives them."""
    conditions: dict[str, str | list[str]] = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": pusher.subject(repository)}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": conditions},
            }
        ],
    }


class Pushers(pulumi.ComponentResource):
    """`roles`: repository on GitHub → its role's ARN."""

    roles: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, catalogue: Catalogue, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Pushers", name, None, opts)
        stack = catalogue.stack
        services = {service.name: service for system in catalogue.running.values() for service in system.active}
        self.roles = {}
        for repository, pusher in sorted(stack.pushers.items()):
            own = _once(repo for service in pusher.services for repo in own_repositories(services[service]))
            # Of a role's name AWS takes 64 characters, with those that Pulumi adds
            mark = hashlib.sha256(repository.encode()).hexdigest()[:6]
            label = f"pusher-{re.sub('[^a-z0-9]+', '-', repository.lower())[:24].strip('-')}-{mark}"
            role = aws.iam.Role(
                f"{label}-role",
                assume_role_policy=json.dumps(trust(stack.accountId, repository, pusher)),
                tags=tags(stack, "registry", f"{stack.name}-{label}"[:128]),
                opts=inside(self),
            )
            document = json.dumps(copier.policy(stack.accountId, own))
            rights = aws.iam.RolePolicy(f"{label}-policy", role=role.id, policy=document, opts=inside(self))
            self.roles[repository] = pulumi.Output.all(role.arn, rights.id).apply(lambda args: args[0])
        self.register_outputs({})


def _once(names: Iterable[str]) -> list[str]:
    return sorted(set(names))
