"""What a policy of AWS allows without a limit, and whom a security group lets in by SSH, in every way to write it."""

import pytest

from policy import rules
from tests.policy.resources import of, opening, policy_for

# rule, facts that break it, what is said; facts that keep it
EXAMPLES = {
    "a permission for all of a service": (
        rules.permissions,
        of(
            "aws:iam/userPolicy:UserPolicy",
            {"policy": {"Statement": {"Effect": "Allow", "Action": ["s3:Get", "s3:*"], "Resource": ["*"]}}},
        ),
        "allows s3:* on all resources",
        of(
            "aws:iam/userPolicy:UserPolicy",
            {"policy": {"Statement": {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::a"]}}},
        ),
    ),
    "a permission for all but something": (
        rules.permissions,
        of(
            "aws:iam/policy:Policy",
            {"policy": {"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}},
        ),
        "allows all actions but some",
        of("aws:iam/policy:Policy", {"policy": "no JSON"}),
    ),
    "a permission for all of a service by another pattern": (
        rules.permissions,
        of(
            "aws:iam/policy:Policy",
            {"policy": {"Statement": {"Effect": "Allow", "Action": "iam:?*", "Resource": "arn:aws:iam::*:*"}}},
        ),
        "allows iam:?* on all resources",
        of(
            "aws:iam/policy:Policy",
            {"policy": {"Statement": {"Effect": "Allow", "Action": "iam:Get*", "Resource": "*"}}},
        ),
    ),
    "a permission for all services by a pattern": (
        rules.permissions,
        of(
            "aws:iam/policy:Policy",
            {"policy": {"Statement": {"Effect": "Allow", "Action": "*:*", "Resource": "arn:aws:s3:::*"}}},
        ),
        "allows *:* on all resources",
        of(
            "aws:iam/policy:Policy",
            {"policy": {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}}},
        ),
    ),
    "a role with a wide policy of AWS": (
        rules.permissions,
        of("aws:iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/job-function/PowerUserAccess"]}),
        "has AWS's policy PowerUserAccess",
        of("aws:iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]}),
    ),
    "a wide policy of AWS that is attached": (
        rules.permissions,
        of(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"policyArn": "arn:aws-cn:iam::aws:policy/AmazonS3FullAccess"},
        ),
        "has AWS's policy AmazonS3FullAccess",
        of("aws:iam/rolePolicyAttachment:RolePolicyAttachment", {"policyArn": "arn:aws:iam::1:policy/OurFullAccess"}),
    ),
    "a policy inside a role": (
        rules.permissions,
        of(
            "aws:iam/role:Role",
            {"inlinePolicies": [{"policy": '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'}]},
        ),
        "allows * on all resources",
        of("aws:iam/role:Role", {"inlinePolicies": [{"name": "none"}]}),
    ),
    "a role for anyone": (
        rules.permissions,
        of("aws:iam/role:Role", {"assumeRolePolicy": policy_for('{"AWS": "*"}')}),
        "anyone can assume it",
        of("aws:iam/role:Role", {"assumeRolePolicy": policy_for('{"Service": "ec2.amazonaws.com"}')}),
    ),
    "ssh in a network's own group": (
        rules.ssh_open,
        of(rules.GROUPS[1], {"ingress": [{"protocol": "all", "cidrBlocks": ["0.0.0.0/0"]}]}),
        "open to all of the internet",
        of(rules.GROUPS[1], {"ingress": [{"protocol": "all", "self": True}]}),
    ),
    "a range of ports for TCP by its number": (
        rules.ssh_open,
        opening("0.0.0.0/0", 0, toPort=65535, ipProtocol="6"),
        "open to all of the internet",
        opening("0.0.0.0/0", 0, toPort=65535, ipProtocol="udp"),
    ),
    "any protocol, where none is named": (
        rules.ssh_open,
        of(rules.OPENING, {"cidrIpv4": "0.0.0.0/0"}),
        "open to all of the internet",
        opening("0.0.0.0/0", -1, toPort=-1, ipProtocol="icmp"),
    ),
}


@pytest.mark.parametrize(("rule", "broken", "said", "kept"), EXAMPLES.values(), ids=EXAMPLES)
def test_rule(rule, broken, said, kept):
    assert said in "\n".join(map(str, rule(broken)))
    assert list(rule(kept)) == []
