"""The rules. Each is a generator over the facts, with examples that fail and pass in tests/policy/."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from catalogue.files import parse_yaml
from policy.facts import Facts, Finding

INSTANCE = "aws:ec2/instance:Instance"
OPENING = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
REPOSITORY = "aws:ecr/repository:Repository"
WORLD = ("0.0.0.0/0", "::/0")
TAGS = {"project", "stack", "system"}
# AWS has no tags for these, or the provider does not
UNTAGGED = {
    "aws:ec2/eipAssociation:EipAssociation", "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy", "aws:iam/accessKey:AccessKey", "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:iam/userPolicy:UserPolicy", "aws:route53/record:Record", "aws:sns/topicSubscription:TopicSubscription",
}  # fmt: skip
SECRET = re.compile(
    r"SECRET|TOKEN|PASS(W|PHRASE|CODE|KEY)|PWD|CREDENTIAL|CREDS|WEBHOOK|BEARER|_DSN$"
    r"|(API|AUTH|PRIV|PRIVATE|SIGNING|ENCRYPTION|ACCESS|ACCOUNT|MASTER|SERVICE|SESSION|CLIENT|DATABASE|DB)_?KEY"
    # DB_PASS, dbPass; neither BYPASS nor PASSIVE
    r"|(?-i:(?<![bB]y)(?<![cC]om)[pP]ass(?![a-z])|(?<!BY)(?<!COM)PASS(?![A-Z]))"
    r"|(^|_)(SK|PAT|PW|HMAC|SEED)$",
    re.IGNORECASE,
)
LOOPBACK = re.compile(r"^(127\.\d+\.\d+\.\d+|\[::1\]):")


def ssh_open(facts: Facts) -> Iterator[Finding]:
    """SSH is for administrators' networks."""
    entries = [(r.name, r.inputs) for r in facts.of(OPENING)]
    entries += [(r.name, r.inputs) for r in facts.of(OLD_RULE) if r.inputs.get("type") == "ingress"]
    entries += [(r.name, rule) for r in facts.of(GROUP) for rule in r.inputs.get("ingress") or []]
    for name, rule in entries:
        blocks = [*(rule.get("cidrBlocks") or []), *(rule.get("ipv6CidrBlocks") or [])]
        networks = [rule.get("cidrIpv4"), rule.get("cidrIpv6"), *blocks]
        if _opens(rule, 22) and any(network in WORLD for network in networks):
            yield Finding("ssh-open", name, "SSH is open to the world", "infra:adminCidrs: your own networks")


def _opens(rule: dict[str, Any], port: int) -> bool:
    first, last = rule.get("fromPort"), rule.get("toPort")
    if first is None or last is None or str(rule.get("ipProtocol", rule.get("protocol"))) == "-1":
        return True
    return int(first) <= port <= int(last)


def imdsv1(facts: Facts) -> Iterator[Finding]:
    """Whoever can make a machine fetch a URL must not get its credentials."""
    for machine in facts.of(INSTANCE):
        if (machine.inputs.get("metadataOptions") or {}).get("httpTokens") != "required":
            yield Finding(
                "imdsv1", machine.name, "the metadata service answers without a token", "httpTokens: required"
            )


def volumes(facts: Facts) -> Iterator[Finding]:
    """Disks are encrypted, and as large as the images of a release and the one before need."""
    for volume in facts.of("aws:ebs/volume:Volume"):
        if volume.inputs.get("encrypted") is not True:
            yield Finding("volume-encrypted", volume.name, "is not encrypted", "encrypted: true")
    for machine in facts.of(INSTANCE):
        for device in machine.inputs.get("ebsBlockDevices") or []:
            if device.get("encrypted") is not True:
                found = f"its disk {device.get('deviceName', '')} is not encrypted"
                yield Finding("volume-encrypted", machine.name, found, "encrypted: true")
        disk = machine.inputs.get("rootBlockDevice") or {}
        if disk.get("encrypted") is not True:
            yield Finding("volume-encrypted", machine.name, "its disk is not encrypted", "encrypted: true")
        size = int(disk.get("volumeSize") or 0)
        if size < facts.limits.volume:
            found = f"a disk of {size or 'the image’s own number of'} GiB"
            yield Finding("volume-size", machine.name, found, f"at least {facts.limits.volume} GiB")


def shrinking(facts: Facts) -> Iterator[Finding]:
    """What AWS is going to refuse in the middle of an update is refused before it."""
    for machine, (before, after) in facts.shrinking.items():
        found = f"its disk would shrink from {before} to {after} GiB, which AWS refuses"
        yield Finding("volume-shrinks", machine, found, "keep its size, or let a new machine have the smaller one")


def plain_secrets(facts: Facts) -> Iterator[Finding]:
    """A secret in the catalogue is in git, for good."""
    for place, names in facts.plain.items():
        for name in names:
            if SECRET.search(name):
                rule = "name it under secrets:, its value with pulumi config set --secret, and take this one for known"
                yield Finding("plain-secret", place, f"{name} stands in plain text in the catalogue", rule)


def public_registry(facts: Facts) -> Iterator[Finding]:
    """Images are the team's own."""
    for made in facts.resources:
        everybody = made.type == "aws:ecr/repositoryPolicy:RepositoryPolicy" and _for_all(
            str(made.inputs.get("policy"))
        )
        if made.type.startswith("aws:ecrpublic/") or everybody:
            yield Finding("public-registry", made.name, "everybody can pull from it", "a private repository")


def _for_all(policy: str) -> bool:
    return re.search(r'"(Principal|AWS)"\s*:\s*(\[[^\]]*)?"\*"', policy) is not None


def unscanned(facts: Facts) -> Iterator[Finding]:
    """ECR looks for known holes in what is pushed."""
    for repository in facts.of(REPOSITORY):
        if (repository.inputs.get("imageScanningConfiguration") or {}).get("scanOnPush") is not True:
            yield Finding("unscanned", repository.name, "its images are not scanned", "scanOnPush: true")


def tags(facts: Facts) -> Iterator[Finding]:
    """Everything says whose it is, or the bill cannot."""
    for made in facts.resources:
        if not made.type.startswith("aws:") or made.type in UNTAGGED:
            continue
        if missing := sorted(TAGS - set(made.inputs.get("tags") or {})):
            yield Finding("tags", made.name, f"no tag {', '.join(missing)}", "components.naming.tags has them")


def protection(facts: Facts) -> Iterator[Finding]:
    """Nobody terminates a machine of a protected stack by a slip in AWS's console."""
    for machine in facts.of(INSTANCE):
        if facts.limits.protected and machine.inputs.get("disableApiTermination") is not True:
            yield Finding("protection", machine.name, "can be terminated by anybody's slip", "infra:protected: true")


def instance_types(facts: Facts) -> Iterator[Finding]:
    """Machines that the team knows the memory, processor and price of."""
    allowed = facts.limits.instance_types
    for machine in facts.of(INSTANCE):
        if (found := machine.inputs.get("instanceType")) not in allowed:
            yield Finding("instance-type", machine.name, f"{found} is not on the list", f"one of {', '.join(allowed)}")


def budget(facts: Facts) -> Iterator[Finding]:
    """The credits last as long as they are meant to."""
    limit = facts.limits.budget
    if facts.monthly is None:
        yield Finding(
            "budget", facts.stack, "what it costs is not known", "add its prices to catalogue/prices.yaml", "warning"
        )
    if facts.monthly is not None and facts.monthly > limit:
        found = f"${facts.monthly:.2f} a month is above the budget of ${limit:.2f}"
        yield Finding("budget", facts.stack, found, "a smaller instanceType or disk, or a larger infra:budget")


def ports(facts: Facts) -> Iterator[Finding]:
    """A container answers its host only: the proxy and the firewall stand before it. Docker opens the firewall for any
    other address."""
    for host, path, text in _files(facts, (".yml", ".yaml")):
        for service, body in ((_parsed(text) or {}).get("services") or {}).items():
            for port in body.get("ports") or []:
                if not LOOPBACK.match(_published(port)):
                    found = f"port {_published(port)} of {service} is bound off loopback"
                    yield Finding("loopback", f"{host}:{path}", found, "127.0.0.1:PORT:PORT")


def _published(port: Any) -> str:
    """A port as compose's short form has it."""
    if isinstance(port, dict):
        return f"{port.get('host_ip', '')}:{port.get('published', '')}:{port.get('target', '')}".lstrip(":")
    return str(port)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = parse_yaml(text)
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None


def hardening(facts: Facts) -> Iterator[Finding]:
    """A unit keeps what its document gives it."""
    for host, path, text in _files(facts, (".service",)):
        wanted = documented().get(path.rsplit("/", 1)[1])
        if wanted is None:
            continue
        drop_ins = [t for h, p, t in _files(facts, (".conf",)) if h == host and p.startswith(f"{path}.d/")]
        last = _last("\n".join([text, *drop_ins]))
        if missing := [line for line in wanted["directives"] if not _written(line) & last]:
            found = f"without {', '.join(missing)}"
            yield Finding("hardening", f"{host}:{path}", found, f"its document gives it ({wanted['document']})")


def _last(text: str) -> set[str]:
    """What holds in the end: a later line of a directive, in a drop-in too, takes the place of an earlier one."""
    pairs = (line.strip().split("=", 1) for line in text.splitlines() if "=" in line)
    return {f"{key}={value}" for key, value in {pair[0]: pair[1] for pair in pairs}.items()}


def _written(line: str) -> set[str]:
    """systemd takes a boolean in four ways."""
    key, _, value = line.partition("=")
    yes = ("yes", "true", "on", "1")
    return {f"{key}={way}" for way in yes} if value in yes else {line}


def _files(facts: Facts, endings: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for host, files in facts.files.items():
        for path, text in files.items():
            if path.endswith(endings):
                yield host, path, text


@cache
def documented() -> dict[str, Any]:
    return yaml.safe_load((Path(__file__).parent / "hardening.yaml").read_text())


Rule = Callable[[Facts], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    ssh_open, imdsv1, volumes, public_registry, unscanned, tags, protection, instance_types, budget, ports, hardening,
    shrinking, plain_secrets,
)  # fmt: skip


def findings(facts: Facts) -> list[Finding]:
    """Of all rules, errors first."""
    found = [finding for rule in RULES for finding in rule(facts)]
    return sorted(found, key=lambda finding: finding.level)
