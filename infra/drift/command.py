"""Everything that AWS has otherwise than the stack's last update left it, and who is notified of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from agent import times
from catalogue.machines import of_instance
from catalogue.stack import Stack
from infra import aws, route53, zone_records
from infra.drift import looks, records, refresh, rights
from infra.drift.finding import Finding
from infra.drift.looks import Machine
from infra.errors import InfraError
from infra.orphans import state
from infra.orphans.command import export_state
from infra.orphans.state import State
from infra.pulumi import refresh_preview

MACHINE, GROUP, TOPIC = "aws:ec2/instance:Instance", "aws:ec2/securityGroup:SecurityGroup", "aws:sns/topic:Topic"
RULES = [f"aws:vpc/securityGroup{way}Rule:SecurityGroup{way}Rule" for way in ("Ingress", "Egress")]
SUBJECT = 100  # characters that SNS takes


@dataclass(frozen=True)
class Drift:
    """`findings` of a stack's `resources` in its `regions`; `unknown` says what could not be looked at. `topics` are
    those of the stack's alarms."""

    resources: int
    regions: list[str]
    topics: list[str] = field(default_factory=list[str])
    findings: list[Finding] = field(default_factory=list[Finding])
    unknown: list[str] = field(default_factory=list[str])

    def lines(self) -> list[str]:
        if self.findings or self.unknown:
            return [*(str(finding) for finding in self.findings), *self.unknown]
        places = ", ".join(self.regions)
        return [f"AWS matches the last update: {self.resources} resources in {places}"]


def look(stack: Stack) -> Drift:
    """Raises InfraError where the stack has nothing in AWS, or Pulumi cannot say what a refresh would find."""
    pulumi_state = export_state(stack.name)
    regions = sorted({region for region in state.providers(pulumi_state).values() if region})
    own = state.of_aws(pulumi_state)
    if not own:
        raise InfraError(f"stack {stack.name} has no resources in AWS yet: pulumi up --stack {stack.name}")
    topics = [entry["id"] for entry in own if entry["type"] == TOPIC]
    drift, words = Drift(len(own), regions, topics), refresh.Words(stack.name, stack.hosts)
    drift.findings.extend(refresh.findings(refresh_preview("--stack", stack.name), words))
    areas: list[tuple[str, str, Callable[[], Iterable[Finding]]]] = []
    if any(entry["type"] in rights.WORDS for entry in own):
        areas.append(
            ("rights of roles and users", "us-east-1", partial(rights.find_added, aws.client("iam", ""), pulumi_state))
        )
    if any(entry["type"] == records.RECORD for entry in own):
        keepable = {record.name for record in stack.records}
        areas.append(("records", "Route 53", partial(records.find_added, route53.client(), pulumi_state, keepable)))
    for region in regions:
        ec2, machines = aws.client("ec2", region), _machines(stack, pulumi_state, region)
        groups, rules = (
            state.ids(pulumi_state, GROUP, region),
            set[str]().union(*(state.ids(pulumi_state, t, region) for t in RULES)),
        )
        if machines:
            areas.append(("the state of machines", region, partial(looks.machines, ec2, machines)))
            areas.append(("snapshots", region, partial(looks.snapshots, ec2, machines, stack.keepSnapshots)))
        if machines or stack.keepSnapshots:
            now = datetime.now(UTC)
            areas.append(("old snapshots", region, partial(looks.lost_snapshots, ec2, stack.name, region, now)))
        if groups:
            own_rules = looks.OwnRules(stack.name, rules, stack.temporarySsh)
            openings = partial(looks.openings, ec2, region, sorted(groups), own_rules, datetime.now(UTC))
            areas.append(("rules of security groups", region, openings))
    for what, region, ask in areas:
        try:
            with aws.asking(what, region):
                drift.findings.extend(ask())
        except InfraError as error:
            drift.unknown.append(str(error))
    if stack.dns.provider == "cloudflare":
        try:
            drift.findings.extend(
                zone_records.findings(stack, zone_records.zone_of(stack), zone_records.records_in_state(pulumi_state))
            )
        except InfraError as error:
            drift.unknown.append(str(error))
    return drift


def _machines(stack: Stack, pulumi_state: State, region: str) -> list[Machine]:
    here = state.ids(pulumi_state, MACHINE, region)
    names = {entry["id"]: state.name(entry) for entry in state.of_aws(pulumi_state) if entry["type"] == MACHINE}
    hosts_by_id = {id: of_instance(names[id]) for id in sorted(here)}
    return [
        Machine(host_and_place[0] if host_and_place else names[id], id, region)
        for id, host_and_place in hosts_by_id.items()
    ]


def notify(stack: Stack, drift: Drift) -> str:
    """Sends what was found to those who get the stack's alarms, by its topic; says to whom. Raises InfraError."""
    # Where the stack is now, or, when its region was changed since, where it was
    arns = sorted(drift.topics, key=lambda arn: arn.split(":")[3] != stack.region)
    here = arns[0] if arns else ""
    region = here.split(":")[3] if here else ""
    if not here:
        raise InfraError(
            f"stack {stack.name} has no topic to notify: it is created when infra:alarmEmails is set and a host "
            "publishes its metrics"
        )
    number = len(drift.findings)
    what = f"AWS differs from the last update ({number} findings)" if number else "AWS could not be checked"
    subject, zone = f"{stack.name}: {what}"[:SUBJECT], times.zone_of(stack.timezone)
    with aws.asking("a notification", region):
        sns = aws.client("sns", region)
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=here)
        entries = [entry for page in pages for entry in page["Subscriptions"]]
        sns.publish(TopicArn=here, Subject=subject, Message=times.in_text("\n".join(drift.lines()), zone))
    # AWS writes only to those who followed the link in its first mail
    confirmed = sorted(e["Endpoint"] for e in entries if e["SubscriptionArn"].startswith("arn:"))
    waiting = sorted(e["Endpoint"] for e in entries if not e["SubscriptionArn"].startswith("arn:"))
    message = f"sent to {', '.join(confirmed)}" if confirmed else "sent, but no address has confirmed its subscription"
    return f"{message}; not confirmed: {', '.join(waiting)}" if waiting else message
