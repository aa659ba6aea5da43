"""The stand-in of the `aws` plugin, held against the emulator: replacements, refusals, previews without effects."""

import asyncio
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pulumi.provider.experimental import provider as api

from lab.fakes.aws import services
from lab.fakes.aws.cloud import connect
from lab.fakes.aws.kinds import KINDS
from lab.fakes.plain import UNKNOWN, plain_map, property_map
from lab.fakes.plugin import Plugin, PluginError

REGION = "ap-northeast-1"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
VPC = "aws:ec2/vpc:Vpc"
REPOSITORY = "aws:ecr/repository:Repository"


def urn(type: str, name: str = "x") -> str:
    return f"urn:pulumi:s::p::infra:index:Network${type}::{name}"


@pytest.fixture
def plugin(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with mock_aws():
        made = Plugin(KINDS, connect, services.INVOKES)
        made.cloud = connect({"region": REGION})
        yield made


def check(plugin: Plugin, type: str, inputs: dict[str, Any], old: dict[str, Any] | None = None) -> api.CheckResponse:
    request = api.CheckRequest(urn(type), property_map(old or {}), property_map(inputs), b"1234567")
    return asyncio.run(plugin.check(request))


def create(plugin: Plugin, type: str, inputs: dict[str, Any], preview: bool = False) -> tuple[str, dict[str, Any]]:
    response = asyncio.run(plugin.create(api.CreateRequest(urn(type), property_map(inputs), 60, preview)))
    return response.resource_id or "", plain_map(response.properties or {})


def diff(plugin: Plugin, type: str, state: dict[str, Any], inputs: dict[str, Any]) -> api.DiffResponse:
    return asyncio.run(plugin.diff(api.DiffRequest(urn(type), "id", property_map(state), property_map(inputs), [])))


def delete(plugin: Plugin, type: str, id: str, state: dict[str, Any]) -> None:
    asyncio.run(plugin.delete(api.DeleteRequest(urn(type), id, property_map(state), 60)))


def update(plugin: Plugin, type: str, id: str, state: dict[str, Any], news: dict[str, Any]) -> None:
    request = api.UpdateRequest(urn(type), id, property_map(state), property_map(news), 60, [], False)
    asyncio.run(plugin.update(request))


def is_there(plugin: Plugin, type: str, id: str, state: dict[str, Any]) -> bool:
    """By what a refresh finds."""
    request = api.ReadRequest(urn(type), id, property_map(state), property_map(state))
    return asyncio.run(plugin.read(request)).resource_id == id


def test_unknown_resource_type_is_refused(plugin):
    with pytest.raises(PluginError, match="does not know the resource type aws:sqs/queue:Queue"):
        check(plugin, "aws:sqs/queue:Queue", {})


def test_unknown_input_is_refused(plugin):
    (failure,) = check(plugin, VPC, {"cidrBlock": "10.0.0.0/16", "cidrBlok": "x"}).failures or []
    assert failure.property == "cidrBlok" and "no input of this name" in failure.reason


def test_missing_required_input_is_refused(plugin):
    (failure,) = check(plugin, VPC, {}).failures or []
    assert (failure.property, failure.reason) == ("cidrBlock", "is required")


def test_unknown_function_is_refused(plugin):
    with pytest.raises(PluginError, match="does not know the function"):
        asyncio.run(plugin.invoke(api.InvokeRequest("aws:ec2/getAmi:getAmi", {})))


def test_an_unnamed_role_gets_a_name_and_keeps_it(plugin):
    role = "aws:iam/role:Role"
    first = plain_map(check(plugin, role, {"assumeRolePolicy": "{}"}).inputs or {})
    assert first["name"].startswith("x-")
    again = plain_map(check(plugin, role, {"assumeRolePolicy": "{}"}, first).inputs or {})
    assert again["name"] == first["name"]


def test_create_only_inputs_replace_and_others_update(plugin):
    state = {"name": "a", "tags": {"a": "1"}, "imageTagMutability": "MUTABLE", "arn": "arn"}
    renamed = diff(plugin, REPOSITORY, state, {"name": "b", "tags": {"a": "1"}, "imageTagMutability": "MUTABLE"})
    assert renamed.changes and renamed.replaces == ["name"]
    tagged = diff(plugin, REPOSITORY, state, {"name": "a", "tags": {"a": "2"}, "imageTagMutability": "MUTABLE"})
    assert tagged.changes and tagged.replaces == [] and tagged.diffs == ["tags"]
    same = diff(plugin, REPOSITORY, state, {"name": "a", "tags": {"a": "1"}, "imageTagMutability": "MUTABLE"})
    assert same.changes is False


def test_a_preview_makes_nothing_and_knows_no_outputs(plugin):
    id, state = create(plugin, REPOSITORY, {"name": "previewed"}, preview=True)
    assert id == "" and state["repositoryUrl"] is UNKNOWN
    assert boto3.client("ecr", region_name=REGION).describe_repositories()["repositories"] == []


def test_a_second_repository_of_one_name_is_refused_as_ecr_refuses_it(plugin):
    create(plugin, REPOSITORY, {"name": "twice"})
    with pytest.raises(PluginError, match="RepositoryAlreadyExistsException"):
        create(plugin, REPOSITORY, {"name": "twice"})


def test_a_repository_with_images_is_not_deleted_without_force(plugin):
    id, state = create(plugin, REPOSITORY, {"name": "full"})
    client = boto3.client("ecr", region_name=REGION)
    manifest = '{"schemaVersion": 2, "config": {"digest": "sha256:1", "size": 1, "mediaType": "x"}, "layers": []}'
    client.put_image(repositoryName="full", imageManifest=manifest, imageTag="1", imageManifestMediaType=MANIFEST)
    with pytest.raises(PluginError, match="RepositoryNotEmptyException"):
        delete(plugin, REPOSITORY, id, state)
    delete(plugin, REPOSITORY, id, {**state, "forceDelete": True})


def test_deleting_a_missing_resource_is_no_error(plugin):
    for type, inputs in ((REPOSITORY, {"name": "gone"}), (VPC, {"cidrBlock": "10.0.0.0/16"})):
        id, state = create(plugin, type, inputs)
        delete(plugin, type, id, state)
        delete(plugin, type, id, state)


def test_a_lost_repository_is_noticed_by_a_refresh(plugin):
    id, state = create(plugin, REPOSITORY, {"name": "lost"})
    request = api.ReadRequest(urn(REPOSITORY), id, property_map(state), property_map({"name": "lost"}))
    assert asyncio.run(plugin.read(request)).resource_id == id
    delete(plugin, REPOSITORY, id, state)
    assert asyncio.run(plugin.read(request)).resource_id == ""


def test_a_record_is_not_made_over_another_and_is_updated_in_place(plugin):
    client = boto3.client("route53", region_name="us-east-1")
    zone = client.create_hosted_zone(Name="hey-watch.me.", CallerReference="x")["HostedZone"]["Id"].rsplit("/", 1)[1]
    record = "aws:route53/record:Record"
    inputs = {"zoneId": zone, "name": "api.hey-watch.me", "type": "A", "ttl": 60, "records": ["127.0.0.1"]}
    id, state = create(plugin, record, inputs)
    with pytest.raises(PluginError, match="but it already exists"):
        create(plugin, record, inputs)
    news = {**inputs, "records": ["127.0.0.2"]}
    assert diff(plugin, record, state, news).replaces == []
    update(plugin, record, id, state, news)
    sets = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = [entry for entry in sets if entry["Type"] == "A"]
    assert [entry["ResourceRecords"] for entry in found] == [[{"Value": "127.0.0.2"}]]


def test_a_provider_for_another_account_is_refused(plugin):
    with pytest.raises(PluginError, match="AWS account ID not allowed: 123456789012"):
        connect({"region": REGION, "allowedAccountIds": '["754724220380"]'})


def test_a_missing_zone_or_parameter_is_said_in_one_line(plugin):
    with pytest.raises(PluginError, match=r"no matching Route 53 Hosted Zone found: nowhere\.example"):
        services.zone(plugin.cloud, {"name": "nowhere.example"})
    with pytest.raises(PluginError, match="ParameterNotFound"):
        services.parameter(plugin.cloud, {"name": "/nothing"})


def test_unsupported_update_in_place_is_refused(plugin):
    no_one = '{"Version": "2012-10-17", "Statement": []}'
    id, state = create(plugin, "aws:iam/role:Role", {"name": "r", "assumeRolePolicy": no_one})
    news = {"name": "r", "assumeRolePolicy": "{}"}
    assert diff(plugin, "aws:iam/role:Role", state, news).replaces == []
    with pytest.raises(PluginError, match="the stand-in cannot change assumeRolePolicy in place"):
        update(plugin, "aws:iam/role:Role", id, state, news)


def test_a_changed_provider_setting_is_a_change(plugin):
    old, new = {"region": REGION, "allowedAccountIds": "a"}, {"region": REGION, "allowedAccountIds": "b"}
    request = api.DiffRequest(
        "urn:pulumi:s::p::pulumi:providers:aws::x", "id", property_map(old), property_map(new), []
    )
    assert asyncio.run(plugin.diff_config(request)).changes == 2


DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
ALARM, TOPIC = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:sns/topic:Topic"
SUBSCRIPTION, BUDGET = "aws:sns/topicSubscription:TopicSubscription", "aws:budgets/budget:Budget"


def test_an_alarm_is_as_it_is_asked_for_and_is_changed_in_place(plugin):
    topic, _ = create(plugin, TOPIC, {"name": "t"})
    inputs = {
        "name": "prod/x/disk", "namespace": "infra/prod", "metricName": "DiskUsed", "dimensions": {"Host": "x"},
        "statistic": "Maximum", "comparisonOperator": "GreaterThanThreshold", "threshold": 85, "period": 300,
        "evaluationPeriods": 2, "treatMissingData": "breaching", "alarmActions": [topic], "okActions": [topic],
        "alarmDescription": "full",
    }  # fmt: skip
    create(plugin, ALARM, {**inputs, "threshold": 10})
    # An update that was killed in the middle goes on: what is there already is written over
    id, state = create(plugin, ALARM, inputs)
    news = {**inputs, "threshold": 90}
    assert diff(plugin, ALARM, state, news).replaces == []
    update(plugin, ALARM, id, state, news)
    client = boto3.client("cloudwatch", region_name=REGION)
    (found,) = client.describe_alarms()["MetricAlarms"]
    assert (found["Threshold"], found["TreatMissingData"], found["EvaluationPeriods"]) == (90.0, "breaching", 2)
    assert found["Dimensions"] == [{"Name": "Host", "Value": "x"}] and found["AlarmDescription"] == "full"
    assert found["AlarmActions"] == found["OKActions"] == [topic] and found["AlarmArn"] == state["arn"]
    delete(plugin, ALARM, id, state)
    delete(plugin, ALARM, id, state)
    assert not is_there(plugin, ALARM, id, state) and client.describe_alarms()["MetricAlarms"] == []


def test_a_dashboard_is_put_over_what_is_there_and_goes_once(plugin):
    inputs = {"dashboardName": "prod-x", "dashboardBody": '{"widgets": []}'}
    create(plugin, DASHBOARD, inputs)
    id, state = create(plugin, DASHBOARD, inputs)
    news = {**inputs, "dashboardBody": '{"widgets": [{"type": "text"}]}'}
    assert diff(plugin, DASHBOARD, state, news).replaces == []
    assert diff(plugin, DASHBOARD, state, {**news, "dashboardName": "y"}).replaces == ["dashboardName"]
    update(plugin, DASHBOARD, id, state, news)
    client = boto3.client("cloudwatch", region_name=REGION)
    assert client.get_dashboard(DashboardName="prod-x")["DashboardBody"] == news["dashboardBody"]
    assert is_there(plugin, DASHBOARD, id, state)
    delete(plugin, DASHBOARD, id, state)
    delete(plugin, DASHBOARD, id, state)
    assert not is_there(plugin, DASHBOARD, id, state)


def test_a_topic_writes_to_its_addresses(plugin):
    topic, state = create(plugin, TOPIC, {"name": "t", "tags": {"stack": "prod"}})
    inputs = {"topic": topic, "protocol": "email", "endpoint": "ops@example.com"}
    id, subscription = create(plugin, SUBSCRIPTION, inputs)
    found = boto3.client("sns", region_name=REGION).list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [(entry["Protocol"], entry["Endpoint"]) for entry in found] == [("email", "ops@example.com")]
    assert diff(plugin, SUBSCRIPTION, subscription, {**inputs, "endpoint": "a@example.com"}).replaces == ["endpoint"]
    assert is_there(plugin, TOPIC, topic, state) and is_there(plugin, SUBSCRIPTION, id, subscription)
    for type, gone, values in ((SUBSCRIPTION, id, subscription), (TOPIC, topic, state)):
        delete(plugin, type, gone, values)
        delete(plugin, type, gone, values)
        assert not is_there(plugin, type, gone, values)


def test_a_budget_is_changed_in_place(plugin):
    notice = {
        "comparisonOperator": "GREATER_THAN",
        "notificationType": "ACTUAL",
        "threshold": 50,
        "thresholdType": "PERCENTAGE",
    }
    inputs = {
        "name": "credits", "budgetType": "COST", "timeUnit": "ANNUALLY", "limitAmount": "300", "limitUnit": "USD",
        "costTypes": {"includeCredit": False, "includeRefund": False},
        "notifications": [{**notice, "subscriberEmailAddresses": ["ops@example.com"]}],
    }  # fmt: skip
    id, state = create(plugin, BUDGET, inputs)
    with pytest.raises(PluginError, match="DuplicateRecordException"):
        create(plugin, BUDGET, inputs)
    news = {**inputs, "limitAmount": "200"}
    assert diff(plugin, BUDGET, state, news).replaces == []
    update(plugin, BUDGET, id, state, news)
    client, account = boto3.client("budgets", region_name="us-east-1"), plugin.cloud.account
    found = client.describe_budget(AccountId=account, BudgetName="credits")["Budget"]
    assert (found["BudgetLimit"], found["TimeUnit"]) == ({"Amount": "200", "Unit": "USD"}, "ANNUALLY")
    assert found["CostTypes"]["IncludeCredit"] is False
    (notification,) = client.describe_notifications_for_budget(AccountId=account, BudgetName="credits")["Notifications"]
    assert (notification["Threshold"], notification["NotificationType"]) == (50.0, "ACTUAL")
    delete(plugin, BUDGET, id, state)
    delete(plugin, BUDGET, id, state)
    assert not is_there(plugin, BUDGET, id, state)
