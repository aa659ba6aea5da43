"""SSH for one address and for a limited time: a rule in the hosts' security groups beside those of Pulumi, with tags
that say whose it is and when it ends. Pulumi has its own rules as resources of their own: no update touches these."""

import getpass
import ipaddress
import os
import re
import socket
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent import times
from catalogue.shapes import AwsEntry
from catalogue.stack import Stack
from infra import aws
from infra.errors import InfraError
from infra.foreign import one_line
from infra.orphans import state
from infra.orphans.state import State

STACK, EXPIRES, BY = "infra:stack", "infra:expires", "infra:by"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
LONGEST = timedelta(hours=6)  # as long as a job of GitHub's runs at most
# Amazon's own, which answers with the address that asks
CHECKIP = "https://checkip.amazonaws.com/"
FORM = "%Y-%m-%dT%H:%M:%SZ"
# Between those who use one rule; characters that every tag of AWS may have
BETWEEN = " + "
UNTAGGABLE = re.compile(r"[^A-Za-z0-9 =._:/@-]")
MOST = 256  # characters of a tag's value
Say = Callable[[str], object]


@dataclass(frozen=True)
class Opening:
    """A rule of this kind: the one address `cidr`, until when (None where its tag cannot be read), and for whom."""

    id: str
    group: str
    region: str
    cidr: str
    expires: datetime | None
    by: str

    def is_over(self, now: datetime) -> bool:
        """One without a time that can be read, or with one later than any command sets, is over too."""
        return self.expires is None or not now < self.expires <= now + LONGEST

    @property
    def holders(self) -> list[str]:
        return self.by.split(BETWEEN)

    def __str__(self) -> str:
        until = times.show(self.expires.timestamp()) if self.expires else "an unknown time"
        return one_line(f"{self.cidr} in {self.group} ({self.region}), opened for {self.by or 'unknown'} until {until}")


def opening_of(rule: AwsEntry, region: str, stack: str) -> Opening | None:
    """A rule of a security group as AWS describes it, where it is one of these of a stack. Pure."""
    tags = {tag["Key"]: tag["Value"] for tag in rule.get("Tags") or ()}
    ports = (rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort"))
    cidr = rule.get("CidrIpv4", "")
    if tags.get(STACK) != stack or EXPIRES not in tags or rule.get("IsEgress"):
        return None
    if ports != ("tcp", 22, 22) or not cidr.endswith("/32"):
        return None
    try:
        expires = datetime.strptime(tags[EXPIRES], FORM).replace(tzinfo=UTC)
    except ValueError:
        expires = None
    return Opening(rule["SecurityGroupRuleId"], rule["GroupId"], region, cidr, expires, tags.get(BY, ""))


def groups(pulumi_state: State) -> list[tuple[str, str]]:
    """(region, id) of the group that all hosts of a region are in (components/network.py), wherever the stack has one.
    Pure."""
    regions = state.providers(pulumi_state)
    names = {f"network-{region}-hosts": region for region in regions.values()}
    entries = [entry for entry in state.of_aws(pulumi_state) if entry["type"] == GROUP]
    return sorted((names[name], entry["id"]) for entry in entries if (name := state.name(entry)) in names)


def holder() -> str:
    """Whose opening it is: a job of GitHub's with its run and attempt, or an account on this machine."""
    environment = os.environ
    if environment.get("GITHUB_RUN_ID"):
        run = f"{environment['GITHUB_RUN_ID']}.{environment.get('GITHUB_RUN_ATTEMPT', '1')}"
        where = f"{environment.get('GITHUB_REPOSITORY', '')} run {run} job {environment.get('GITHUB_JOB', '')}"
        text = f"{where} of {environment.get('GITHUB_ACTOR', '')}"
    else:
        text = f"{getpass.getuser()}@{socket.gethostname()}"
    return UNTAGGABLE.sub("-", text)[:120]


def own_address() -> str:
    """The address by which this machine reaches the internet, asked of CHECKIP. Raises InfraError."""
    hint = "name the address with --address"
    try:
        with urllib.request.urlopen(CHECKIP, timeout=10) as answer:
            text = answer.read(100).decode(errors="replace").strip()
    except OSError as error:
        raise InfraError(f"{CHECKIP} does not say this machine's address: {error}; {hint}") from None
    return parse_address(text, f"{CHECKIP} answers {text!r}")


def parse_address(text: str, fault: str) -> str:
    """One public address of IPv4. Raises InfraError."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise InfraError(f"{one_line(fault)}: must be one address of IPv4, such as 198.51.100.7") from None
    # An emulated AWS has its hosts on this machine
    if (address.is_private and not address.is_loopback) or address.is_unspecified or address.is_multicast:
        raise InfraError(f"{one_line(fault)}: no address that the internet knows; name the public one with --address")
    return str(address)


@dataclass(frozen=True)
class Gate:
    """The hosts' security groups of a stack, by (region, id)."""

    stack: str
    groups: list[tuple[str, str]]

    def openings(self) -> Iterator[Opening]:
        """All that there are now. Raises InfraError."""
        for region in dict.fromkeys(region for region, _ in self.groups):
            ids = [id for place, id in self.groups if place == region]
            filters = [{"Name": "group-id", "Values": ids}]
            with aws.asking("rules of security groups", region):
                pages = (
                    aws.client("ec2", region).get_paginator("describe_security_group_rules").paginate(Filters=filters)
                )
                rules = [rule for page in pages for rule in page["SecurityGroupRules"]]
            yield from (one for rule in rules if (one := opening_of(rule, region, self.stack)))

    def open(self, address: str, expires: datetime) -> list[Opening]:
        """Opens SSH for an address in each group; one that has it already is kept open for both. Raises InfraError."""
        return [self._open_in(region, group, f"{address}/32", expires) for region, group in self.groups]

    def _open_in(self, region: str, group: str, cidr: str, expires: datetime) -> Opening:
        ec2, tags = aws.client("ec2", region), self._tags(expires, holder())
        permission = {
            "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
            "IpRanges": [{"CidrIp": cidr, "Description": "infra: SSH for a limited time, see its tags"}],
        }  # fmt: skip
        try:
            answer = ec2.authorize_security_group_ingress(
                GroupId=group, IpPermissions=[permission],
                TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags}],
            )  # fmt: skip
        except ClientError as error:
            if aws.error_code(error) != "InvalidPermission.Duplicate":
                raise InfraError(f"SSH for {cidr} cannot be opened in {group} ({region}): {error}") from None
        except BotoCoreError as error:
            raise InfraError(f"SSH for {cidr} cannot be opened in {group} ({region}): {error}") from None
        else:
            rule = answer["SecurityGroupRules"][0]
            return Opening(rule["SecurityGroupRuleId"], group, region, cidr, expires, holder())
        return self._share(ec2, region, group, cidr, expires)

    def _share(self, ec2: Any, region: str, group: str, cidr: str, expires: datetime) -> Opening:
        """With whom it is open for already."""
        present = [one for one in self.openings() if (one.group, one.cidr) == (group, cidr)]
        if not present:
            raise InfraError(
                f"{group} ({region}) lets {cidr} in by a rule that infra did not make: nothing has to be opened, or "
                "close that rule first (infra drift --cloud names it)"
            )
        now = datetime.now(UTC)
        others = [] if present[0].is_over(now) else [one for one in present[0].holders if one != holder()]
        by = BETWEEN.join([*others, holder()])
        if len(by) > MOST:
            raise InfraError(f"SSH is already open for {present[0]}: wait until one of these has ended")
        latest = max(expires, present[0].expires or expires) if others else expires
        self._tag(ec2, region, present[0].id, self._tags(latest, by))
        return Opening(present[0].id, group, region, cidr, latest, by)

    def _tags(self, expires: datetime, by: str) -> list[dict[str, str]]:
        return [
            {"Key": STACK, "Value": self.stack},
            {"Key": EXPIRES, "Value": expires.strftime(FORM)},
            {"Key": BY, "Value": by},
        ]

    def _tag(self, ec2: Any, region: str, id: str, tags: list[dict[str, str]]) -> None:
        with aws.asking("a change of a rule's tags", region):
            ec2.create_tags(Resources=[id], Tags=tags)

    def close(self, openings: Iterable[Opening]) -> list[Opening]:
        """Removes them, and returns those that were still there. Raises InfraError."""
        closed: list[Opening] = []
        for one in openings:
            ec2 = aws.client("ec2", one.region)
            try:
                ec2.revoke_security_group_ingress(GroupId=one.group, SecurityGroupRuleIds=[one.id])
            except ClientError as error:
                # Another one was faster
                if aws.is_absence(error):
                    continue
                raise InfraError(f"SSH stays open for {one}: {error}") from None
            except BotoCoreError as error:
                raise InfraError(f"SSH may still be open for {one}: {error}") from None
            closed.append(one)
        return closed

    def close_own(self) -> list[Opening]:
        """Ends what was opened from here; where others use the same rule, it stays for them, and for what is over.
        Raises InfraError."""
        now, unused = datetime.now(UTC), list[Opening]()
        for one in self.openings():
            others = [name for name in one.holders if name != holder()]
            if one.is_over(now) or not others:
                unused.append(one)
            elif holder() in one.holders and one.expires:
                self._tag(
                    aws.client("ec2", one.region), one.region, one.id, self._tags(one.expires, BETWEEN.join(others))
                )
        return self.close(unused)

    def close_expired(self) -> list[Opening]:
        """Raises InfraError."""
        now = datetime.now(UTC)
        return self.close([one for one in self.openings() if one.is_over(now)])


def gate_of(stack: Stack, pulumi_state: State) -> Gate:
    """Raises InfraError where the stack has no group of its own, or lets SSH be opened by no one."""
    if not stack.ec2_hosts:
        raise InfraError(
            f"stack {stack.name} has no host of kind ec2: SSH is opened in security groups of AWS; its hosts' own "
            "network decides who reaches them"
        )
    if not (there := groups(pulumi_state)):
        raise InfraError(
            f"stack {stack.name} has no security group yet: run the first pulumi up --stack {stack.name} from a "
            "network of infra:adminCidrs"
        )
    return Gate(stack.name, there)


def demand_permission(stack: Stack) -> None:
    """Raises InfraError where the configuration does not let SSH be opened."""
    if not stack.temporarySsh:
        raise InfraError(
            f"stack {stack.name} does not let SSH be opened for a time: set infra:temporarySsh: true in {stack.file}, "
            "or run this from a network of infra:adminCidrs"
        )


def is_administrators(stack: Stack, address: str) -> bool:
    """Is it let in already."""
    return any(ipaddress.IPv4Address(address) in network for network in stack.adminCidrs)


def sweep(stack: str, pulumi_state: State, say: Say) -> None:
    """Before an update: removes what is over. An update does not depend on it: what AWS refuses is only said."""
    try:
        for one in Gate(stack, groups(pulumi_state)).close_expired():
            say(f"closed SSH for {one}")
    except InfraError as error:
        say(f"SSH that was opened for a time could not be looked at: {error}")
