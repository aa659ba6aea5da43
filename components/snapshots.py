"""Daily snapshots of disks with data, from which a lost machine's data is restored."""

import json

import pulumi
import pulumi_aws as aws

from catalogue.stack import Stack
from components.naming import inside, tags

# Data Lifecycle Manager takes every disk that has one of a policy's tags: this one is the stack's own
TAG = "snapshots"
AT = "18:00"  # UTC: the night in Japan
MANAGED = "arn:aws:iam::aws:policy/service-role/AWSDataLifecycleManagerServiceRole"
ASSUME = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "dlm.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def snapshot_tags(stack: Stack) -> dict[str, str]:
    """The tag of a disk that is to have snapshots."""
    return {TAG: stack.name}


class Snapshots(pulumi.ComponentResource):
    """A region's policy: `infra:keepSnapshots` of each marked disk, with the disk's own tags."""

    def __init__(self, name: str, stack: Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Snapshots", name, None, opts)
        label = tags(stack, "snapshots", name)
        role = aws.iam.Role(f"{name}-role", assume_role_policy=ASSUME, tags=label, opts=inside(self))
        rights = aws.iam.RolePolicyAttachment(f"{name}-rights", role=role.name, policy_arn=MANAGED, opts=inside(self))
        schedule = aws.dlm.LifecyclePolicyPolicyDetailsScheduleArgs(
            name="daily",
            create_rule=aws.dlm.LifecyclePolicyPolicyDetailsScheduleCreateRuleArgs(
                interval=24, interval_unit="HOURS", times=AT
            ),
            retain_rule=aws.dlm.LifecyclePolicyPolicyDetailsScheduleRetainRuleArgs(count=stack.keepSnapshots),
            copy_tags=True,
        )
        aws.dlm.LifecyclePolicy(
            f"{name}-policy",
            description=f"Data of the machines of stack {stack.name}",
            execution_role_arn=role.arn,
            state="ENABLED",
            policy_details=aws.dlm.LifecyclePolicyPolicyDetailsArgs(
                resource_types=["VOLUME"], target_tags=snapshot_tags(stack), schedules=[schedule]
            ),
            tags=label,
            opts=inside(self, depends_on=[rights]),
        )
        self.register_outputs({})
