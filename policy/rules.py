"""The policy rules. Each is a generator of findings over the facts; tests/policy/ has examples that fail and pass."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from catalogue.networks import too_wide
from policy.containers import exceptions, ports
from policy.facts import Facts, Finding, Inputs, Resource
from policy.host_rules import hardening, plain_secrets

INSTANCE = "aws:ec2/instance:Instance"
OPENING = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
GROUPS = (
    "aws:ec2/securityGroup:SecurityGroup",
    # A network's own group, which every machine without another one is in
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
)
REPOSITORY = "aws:ecr/repository:Repository"
TAGS = {"project", "stack", "system"}
# AWS has no tags for these, or the provider does not
UNTAGGED = {
    "aws:cloudwatch/dashboard:Dashboard", "aws:ec2/eipAssociation:EipAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:iam/accessKey:AccessKey", "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicy:UserPolicy", "aws:route53/record:Record", "aws:sns/topicSubscription:TopicSubscription",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "aws:s3/bucketVersioning:BucketVersioning",
}  # fmt: skip

# * and ? stand for any text in IAM, wherever they are
EVERY_ACTION = re.compile(r"[*?]*\*[*?]*|[\w*?-]+:[*?]*\*[*?]*")
EVERY_RESOURCE = re.compile(r"[*?]*\*[*?]*|arn:[^:]*(?::[^:]*){0,3}:[*?:/]*\*[*?:/]*")
MANAGED = re.compile(r"^arn:aws[\w-]*:iam::aws:policy/(?:[\w-]+/)?(AdministratorAccess|PowerUserAccess|\w*FullAccess)$")


def ssh_open(facts: Facts) -> Iterator[Finding]:
    """SSH is open to administrators' networks only."""
    entries = [(_group_of(r), r.inputs) for r in facts.of(OPENING)]
    entries += [(_group_of(r), r.inputs) for r in facts.of(OLD_RULE) if r.inputs.get("type") == "ingress"]
    entries += [(r.name, rule) for kind in GROUPS for r in facts.of(kind) for rule in r.inputs.get("ingress") or []]
    networks: dict[str, list[Any]] = {}
    for owner, rule in entries:
        blocks = [*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])]
        if _opens(rule, 22):
            networks[owner] = [*networks.get(owner, []), rule.get("cidrIpv4"), rule.get("cidrIpv6"), *blocks]
    # A machine can be in several groups, each of which lets in a part
    together = [network for open_networks in networks.values() for network in open_networks]
    alone = {
        owner: too_open for owner, open_networks in networks.items() if (too_open := too_wide(_texts(open_networks)))
    }
    wide = alone or {" and ".join(networks): too_open for too_open in [too_wide(_texts(together))] if too_open}
    for owner, too_open in wide.items():
        yield Finding("ssh-open", owner, f"SSH is open to {too_open}", "infra:adminCidrs: your own networks")


def _texts(networks: Sequence[Any]) -> list[str]:
    return [str(network) for network in networks if network]


def _group_of(rule: Resource) -> str:
    """The security group that a rule opens, where it names one, so that rules of one group are judged together."""
    return str(rule.inputs.get("securityGroupId") or rule.name)


def _opens(rule: Inputs, port: int) -> bool:
    """Whether a rule lets TCP in at a port. Protocols have names and numbers; -1 is all of them, at all ports."""
    protocol = str(rule.get("ipProtocol", rule.get("protocol", "-1"))).lower()
    if protocol not in ("-1", "all", "tcp", "6"):
        return False
    first, last = rule.get("fromPort"), rule.get("toPort")
    if first is None or last is None or protocol in ("-1", "all"):
        return True
    return int(first) <= port <= int(last)


def imdsv1(facts: Facts) -> Iterator[Finding]:
    """IMDSv1 is off, so that a request which makes a machine fetch a URL does not get the machine's credentials."""
    for machine in facts.of(INSTANCE):
        if (machine.inputs.get("metadataOptions") or {}).get("httpTokens") != "required":
            yield Finding(
                "imdsv1", machine.name, "the metadata service answers without a token", "httpTokens: required"
            )


def volumes(facts: Facts) -> Iterator[Finding]:
    """Disks are encrypted, and large enough for the images of two releases."""
    for volume in facts.of("aws:ebs/volume:Volume"):
        if volume.inputs.get("encrypted") is not True:
            yield Finding("volume-encrypted", volume.name, "is not encrypted", "encrypted: true")
    for machine in facts.of(INSTANCE):
        for device in machine.inputs.get("ebsBlockDevices") or []:
            if device.get("encrypted") is not True:
                fault = f"its disk {device.get('deviceName', '')} is not encrypted"
                yield Finding("volume-encrypted", machine.name, fault, "encrypted: true")
        disk = machine.inputs.get("rootBlockDevice") or {}
        if disk.get("encrypted") is not True:
            yield Finding("volume-encrypted", machine.name, "its disk is not encrypted", "encrypted: true")
        size = int(disk.get("volumeSize") or 0)
        if size < facts.limits.volume:
            fault = f"its disk has {size} GiB" if size else "its disk has the size of its image"
            yield Finding("volume-size", machine.name, fault, f"use at least {facts.limits.volume} GiB")


def shrinking(facts: Facts) -> Iterator[Finding]:
    """No disk shrinks: AWS would refuse that in the middle of an update."""
    for machine, (before, after) in facts.shrinking.items():
        fault = f"its disk would shrink from {before} to {after} GiB, which AWS refuses"
        yield Finding("volume-shrinks", machine, fault, "keep its size, or replace the machine")


def public_registry(facts: Facts) -> Iterator[Finding]:
    """Container registries are private."""
    for resource in facts.resources:
        is_public = resource.type == "aws:ecr/repositoryPolicy:RepositoryPolicy" and _for_all(
            str(resource.inputs.get("policy"))
        )
        if resource.type.startswith("aws:ecrpublic/") or is_public:
            yield Finding("public-registry", resource.name, "anyone can pull from it", "use a private repository")


def _for_all(policy: str) -> bool:
    return re.search(r'"(Principal|AWS)"\s*:\s*(\[[^\]]*)?"\*"', policy) is not None


def permissions(facts: Facts) -> Iterator[Finding]:
    """No policy allows every action, or all of a service, on every resource, and no role can be assumed by anyone."""
    for resource in facts.resources:
        if not resource.type.startswith("aws:iam/"):
            continue
        documents = [
            resource.inputs.get("policy"),
            *(one.get("policy") for one in resource.inputs.get("inlinePolicies") or []),
        ]
        for wide in filter(None, map(_unlimited_actions, documents)):
            yield Finding("permissions", resource.name, f"allows {wide} on all resources", "name actions and resources")
        attached = [resource.inputs.get("policyArn"), *(resource.inputs.get("managedPolicyArns") or [])]
        for name in filter(None, map(_wide_managed, attached)):
            remedy = "write a policy of your own that names actions and resources"
            yield Finding("permissions", resource.name, f"has AWS's policy {name}", remedy)
        if _for_all(_as_json(resource.inputs.get("assumeRolePolicy"))):
            yield Finding("permissions", resource.name, "anyone can assume it", "name those who may in its Principal")


def _as_json(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)


def _wide_managed(policy: Any) -> str:
    """The name of an AWS managed policy that allows everything, or everything of a service; "" for any other."""
    match = MANAGED.search(str(policy or ""))
    return match[1] if match else ""


def _unlimited_actions(policy: Any) -> str:
    """The actions that a policy allows without a limit, as it writes them; "" for none."""
    try:
        document = json.loads(policy) if isinstance(policy, str) else policy
    except ValueError:
        return ""
    statements = _as_list(document.get("Statement")) if isinstance(document, dict) else []
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") != "Allow":
            continue
        every = "NotResource" in statement or any(
            EVERY_RESOURCE.fullmatch(str(r)) for r in _as_list(statement.get("Resource"))
        )
        actions = [str(action) for action in _as_list(statement.get("Action"))]
        if "NotAction" in statement and every:
            return "all actions but some"
        if every and (wide := next((action for action in actions if EVERY_ACTION.fullmatch(action)), None)):
            return wide
    return ""


# How many characters AWS allows for all inline policies of a role or a user together, white space not counted
SIZES = {"aws:iam/rolePolicy:RolePolicy": ("role", 10240), "aws:iam/userPolicy:UserPolicy": ("user", 2048)}


def policy_sizes(facts: Facts) -> Iterator[Finding]:
    """Inline policies are within AWS's limit: it would refuse a longer one in the middle of an update."""
    for type, (owner, limit) in SIZES.items():
        sizes: dict[str, int] = {}
        for resource in facts.of(type):
            if isinstance(text := resource.inputs.get("policy"), str):
                whose = str(resource.inputs.get(owner) or resource.name)
                sizes[whose] = sizes.get(whose, 0) + sum(not character.isspace() for character in text)
        for whose, size in sizes.items():
            if size > limit:
                fault = f"its inline policies have {size} characters; AWS allows {limit} for a {owner}"
                yield Finding(
                    "policy-size", whose, fault, "put fewer systems on that host: each repository adds a line"
                )


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def unscanned(facts: Facts) -> Iterator[Finding]:
    """ECR scans pushed images for known vulnerabilities."""
    for repository in facts.of(REPOSITORY):
        if (repository.inputs.get("imageScanningConfiguration") or {}).get("scanOnPush") is not True:
            yield Finding("unscanned", repository.name, "its images are not scanned", "scanOnPush: true")


def tags(facts: Facts) -> Iterator[Finding]:
    """Every resource has the tags by which the bill names its project, stack and system."""
    for resource in facts.resources:
        if not resource.type.startswith("aws:") or resource.type in UNTAGGED:
            continue
        if missing := sorted(TAGS - set(resource.inputs.get("tags") or {})):
            yield Finding("tags", resource.name, f"no tag {', '.join(missing)}", "set it with components.naming.tags")


def protection(facts: Facts) -> Iterator[Finding]:
    """Machines of a protected stack have termination protection."""
    for machine in facts.of(INSTANCE):
        if facts.limits.protected and machine.inputs.get("disableApiTermination") is not True:
            yield Finding("protection", machine.name, "can be terminated by mistake", "infra:protected: true")


def instance_types(facts: Facts) -> Iterator[Finding]:
    """Instance types are ones whose memory, processor and price the program knows."""
    allowed = facts.limits.instance_types
    for machine in facts.of(INSTANCE):
        if (instance_type := machine.inputs.get("instanceType")) not in allowed:
            yield Finding(
                "instance-type", machine.name, f"{instance_type} is not supported", f"use one of {', '.join(allowed)}"
            )


def budget(facts: Facts) -> Iterator[Finding]:
    """The stack's monthly cost is within infra:budget."""
    limit = facts.limits.budget
    if facts.monthly is None:
        yield Finding(
            "budget", facts.stack, "its monthly cost is unknown", "add its prices to catalogue/prices.yaml", "warning"
        )
    if facts.monthly is not None and facts.monthly > limit:
        fault = f"${facts.monthly:.2f} per month is above the budget of ${limit:.2f}"
        yield Finding("budget", facts.stack, fault, "use a smaller instanceType or disk, or raise infra:budget")


Rule = Callable[[Facts], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    ssh_open, imdsv1, volumes, public_registry, unscanned, tags, protection, instance_types, budget, ports, exceptions,
    hardening, shrinking, plain_secrets, permissions, policy_sizes,
)  # fmt: skip


def findings(facts: Facts) -> list[Finding]:
    """The findings of all rules, errors first."""
    in_any_order = [finding for rule in RULES for finding in rule(facts)]
    return sorted(in_any_order, key=lambda finding: finding.level)
