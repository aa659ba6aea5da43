"""`infra drift --cloud` as a whole: what it looks at, how it ends, and who is notified."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.backends import get_backend
from typer.testing import CliRunner

from infra import cli
from infra.drift import command, looks
from infra.main import app
from tests.orphans.world import INPUTS, PREFIX, PROVIDERS, REGION, emulated_account, kind, provider_of, state
from tests.support import stack

INSTANCE = "aws:ec2/instance:Instance"


@pytest.fixture
def account(monkeypatch):
    with emulated_account(monkeypatch) as made:
        yield made


def known(account, *types: str) -> dict:
    """A state that has what the account has of these kinds and of what they need."""
    entries = []
    for type in types:
        id = account.made.get(kind(type)) or account.create_until(type)
        name = f"web-{REGION}-instance" if type == INSTANCE else kind(type)
        inputs = account.inputs(type)
        entries.append(
            {"urn": f"{PREFIX}{type}::{name}", "type": type, "custom": True, "id": id, "inputs": inputs,
             "outputs": inputs, "provider": f"{PROVIDERS[provider_of(type)]}::id"}
        )  # fmt: skip
    return state(resources=entries)


@pytest.fixture
def asked(monkeypatch, account):
    """The stack's state, and what Pulumi says of a refresh."""

    def given(known: dict, *steps: dict) -> None:
        monkeypatch.setattr(command, "export_state", lambda stack: known)
        monkeypatch.setattr(command, "refresh_preview", lambda *_: list(steps))
        made = stack(lambda config: config.update({"infra:alarmEmails": ["ops@example.com"]}), "prod")
        monkeypatch.setattr(cli.hosts, "stack_of", lambda name: made)

    return given


def run(*words: str):
    return CliRunner().invoke(app, ["drift", "--cloud", "--stack", "prod", *words])


def test_unchanged_account_has_no_drift(account, asked):
    asked(known(account, INSTANCE))
    ran = run()
    assert (ran.exit_code, ran.stdout) == (0, f"AWS matches the last update: 1 resources in {REGION}, us-east-1\n")  # fmt: skip


def test_everything_is_looked_at_and_ends_with_2(account, asked):
    rule = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    made = known(account, "aws:ec2/securityGroup:SecurityGroup", rule, INSTANCE)
    record = {"urn": f"{PREFIX}aws:route53/record:Record::api.example.com", "op": "delete", "oldState": {"id": "r"}}
    asked(made, record)
    ec2 = boto3.client("ec2", region_name=REGION)
    ec2.stop_instances(InstanceIds=[account.made["Instance"]])
    world = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=account.made["SecurityGroup"], IpPermissions=[world])
    ran = run()
    assert ran.exit_code == 2
    first, second, third, egress, *more = ran.stdout.splitlines()
    assert first.startswith(
        "public name api.example.com (r): is gone from AWS; pulumi up --refresh --stack prod writes it again"
    )
    assert second.startswith("machine of web (i-") and ": is stopped; start it: aws ec2 start-instances" in second
    lines = [third, egress, *more]
    assert any("allows 0.0.0.0/0 to reach port 22" in line for line in lines)
    assert not any("port 443" in line for line in lines), "the stack's own rule"


def test_failed_look_is_not_reported_as_no_drift(account, asked, monkeypatch):
    asked(known(account, INSTANCE))
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeSnapshots")

    def refuse(*_):
        raise refused

    monkeypatch.setattr(looks, "snapshots", refuse)
    ran = run()
    assert ran.exit_code == 1 and f"AWS cannot be asked for snapshots in {REGION}: " in ran.stdout
    assert "AWS matches" not in ran.stdout


def test_stack_without_resources_is_reported(account, asked):
    asked(state())
    ran = run()
    assert ran.exit_code == 1 and "stack prod has no resources in AWS yet: pulumi up --stack prod" in str(ran.exception)


def test_drift_is_sent_to_the_alarm_topic(account, asked):
    made = known(account, INSTANCE, "aws:sns/topic:Topic")
    asked(made)
    assert run("--notify").exit_code == 0 and not sent()
    boto3.client("ec2", region_name=REGION).stop_instances(InstanceIds=[account.made["Instance"]])
    ran = run("--notify")
    assert ran.exit_code == 2 and "no address has confirmed its subscription" in ran.stderr
    ((_, text, subject, *_),) = sent()
    assert subject == "prod: AWS differs from the last update (1 findings)" and text == ran.stdout.rstrip("\n")


def test_confirmed_and_pending_subscribers_are_listed(account, asked, monkeypatch):
    asked(known(account, INSTANCE, "aws:sns/topic:Topic"))
    sns = boto3.client("sns", region_name=REGION)
    for address in ("ops@example.com", "new@example.com"):
        sns.subscribe(TopicArn=account.made["Topic"], Protocol="email", Endpoint=address)
    (topic,) = get_backend("sns")["123456789012"][REGION].topics.values()
    for subscription in get_backend("sns")["123456789012"][REGION].subscriptions.values():
        if subscription.endpoint == "new@example.com":
            subscription.arn = "PendingConfirmation"
    boto3.client("ec2", region_name=REGION).stop_instances(InstanceIds=[account.made["Instance"]])
    said = run("--notify").stderr
    assert "sent to ops@example.com; not confirmed: new@example.com" in said and topic.sent_notifications


def test_a_look_that_failed_is_sent_as_such(account, asked, monkeypatch):
    asked(known(account, INSTANCE, "aws:sns/topic:Topic"))
    refused = ClientError({"Error": {"Code": "UnauthorizedOperation", "Message": "no"}}, "DescribeSnapshots")
    monkeypatch.setattr(looks, "snapshots", lambda *_: (_ for _ in ()).throw(refused))
    assert run("--notify").exit_code == 1
    ((_, _, subject, *_),) = sent()
    assert subject == "prod: AWS could not be checked"


def sent() -> list:
    (topic,) = get_backend("sns")["123456789012"][REGION].topics.values()
    return topic.sent_notifications


def test_drift_is_not_sent_without_a_topic(account, asked):
    asked(known(account, INSTANCE))
    boto3.client("ec2", region_name=REGION).stop_instances(InstanceIds=[account.made["Instance"]])
    ran = run("--notify")
    assert ran.exit_code == 1 and "has no topic to notify" in str(ran.exception) and "is stopped" in ran.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--cloud", "--host", "web"], "leave out --host"), (["--notify"], "--notify needs --cloud")],
)
def test_options_that_do_not_go_together_are_refused(words, said):
    ran = CliRunner().invoke(app, ["drift", "--stack", "lab", *words])
    assert ran.exit_code == 1 and said in str(ran.exception)


def test_every_kind_of_the_table_can_be_in_a_state(account):
    """What the looks ask by type is named as the program names it."""
    assert {command.MACHINE, command.GROUP, command.TOPIC, *command.RULES} <= set(INPUTS)
    assert json.dumps(known(account, command.TOPIC))
