"""Alarms and the budget under Pulumi's mocks: what is asked of AWS, and after what."""

import base64
import json
from typing import Any

import pytest

from agent.archive import members
from agent.monitor.conditions import ConditionResult
from agent.monitor.metrics import request, worst
from catalogue.loading import load
from components import budget
from infra.preview import mocks, recording
from rendering.alarms import alarms
from tests.components.program import DESKTOP, Mocks, opened, run_program
from tests.support import LAB, PROD, ROOT, stack

ALARM, TOPIC, BUDGET = "aws:cloudwatch/metricAlarm:MetricAlarm", "aws:sns/topic:Topic", "aws:budgets/budget:Budget"
DASHBOARD = "aws:cloudwatch/dashboard:Dashboard"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
KEYS = {
    "infra:hostPublicKeys": {"watchme": "ssh-ed25519 BBBB host", "services": "ssh-ed25519 CCCC host"},
    "infra:hostPrivateKeys": {"watchme": "PRIVATE-HOST-KEY", "services": "PRIVATE-HOST-KEY"},
}
HOSTS = {**PROD["infra:hosts"], "services": LAB["infra:hosts"]["services"]}
STANDBY = {"infra:standbyRegions": ["ap-southeast-2"], "infra:hosts": HOSTS, **KEYS}


@pytest.fixture
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def found(made: Mocks) -> dict[str, dict[str, Any]]:
    alarms = [resource.inputs for resource in made.of(ALARM)]
    names = {alarm["name"]: alarm for alarm in alarms}
    assert len(names) == len(alarms)
    return names


def test_every_alarm_of_every_host_is_asked_for_in_every_region(here):
    made = run_program(STANDBY)
    catalogue = load(ROOT, stack(lambda config: config.update(STANDBY)))
    asked, wanted = found(made), 0
    for region in ("ap-northeast-1", "ap-southeast-2"):
        for host in ("watchme", "services"):
            for alarm in alarms(catalogue, host):
                machine = {"InstanceId": f"{host}-{region}-instance-id"}
                topic = f"arn:alarms-{region}-topic"
                tags = {"project": "watchme-infra", "stack": "prod", "system": host}
                assert asked[f"prod/{region}/{host}/{alarm.alert}"] == {
                    "name": f"prod/{region}/{host}/{alarm.alert}", "alarmDescription": alarm.description,
                    "namespace": alarm.namespace, "metricName": alarm.metric,
                    "dimensions": alarm.dimensions or machine, "statistic": alarm.statistic,
                    "comparisonOperator": alarm.comparison, "threshold": alarm.threshold, "period": alarm.period,
                    "evaluationPeriods": alarm.periods, "treatMissingData": alarm.missing, "alarmActions": [topic],
                    "okActions": [topic], "tags": tags,
                }  # fmt: skip
                wanted += 1
    assert wanted == len(asked) == 2 * 2 * 6


def manifests(made: Mocks) -> dict[str, dict[str, Any]]:
    """Host → the manifest that its release carries."""
    found = {}
    for command in made.of("command:local:Command"):
        if command.name.endswith("-release-apply"):
            sent = json.loads(opened(command.inputs["stdin"]))
            manifest = json.loads(members(base64.b64decode(sent["archive"]))["manifest.json"])
            found[command.name.removesuffix("-release-apply")] = manifest
    return found


def test_alarms_match_the_metrics_of_the_releases(here):
    """From the manifest of the release that each host gets, by the agent that it gets."""
    made = run_program({"infra:hosts": HOSTS, **KEYS})
    for name, manifest in manifests(made).items():
        host = name.removesuffix("-ap-northeast-1")
        looked = [ConditionResult(a["alert"], "x", 1.0, False, "") for a in manifest["alerts"]]
        asked = request(manifest["metrics"], worst(manifest, looked))
        assert asked.region == "ap-northeast-1"
        own = [a for a in found(made).values() if a["namespace"] == manifest["metrics"]["namespace"]]
        own = [a for a in own if a["dimensions"] == manifest["metrics"]["dimensions"] == {"Host": host}]
        assert {alarm["metricName"] for alarm in own} == set(worst(manifest, looked)) and len(own) == 4
        bounds = {a["metric"]: a["above"] for a in manifest["alerts"] if a["metric"]}
        assert {alarm["metricName"]: alarm["threshold"] for alarm in own} == bounds
        assert {alarm["namespace"] for alarm in own} == {f"infra/prod/{host}"}
    policies = [json.loads(p.inputs["policy"])["Statement"] for p in made.of("aws:iam/rolePolicy:RolePolicy")]
    for statements in policies:
        (publishing,) = [s for s in statements if s["Action"] == "cloudwatch:PutMetricData"]
        assert publishing["Condition"]["StringEquals"]["cloudwatch:namespace"] in {
            alarm["namespace"] for alarm in found(made).values()
        }


def test_ssh_host_has_alarms_and_the_right_to_publish(here):
    made = run_program({"infra:hosts": {"desktop": DESKTOP}})
    assert {alarm["namespace"] for alarm in found(made).values()} == {"infra/prod/desktop"} and len(found(made)) == 4
    (policy,) = made.of("aws:iam/userPolicy:UserPolicy")
    assert "cloudwatch:PutMetricData" in policy.inputs["policy"]


def test_each_address_is_notified_by_each_region(here):
    made = run_program({**STANDBY, "infra:alarmEmails": ["a@example.com", "b@example.com"]})
    subscribed = {(s.inputs["topic"], s.inputs["endpoint"], s.inputs["protocol"]) for s in made.of(SUBSCRIPTION)}
    regions = ("ap-northeast-1", "ap-southeast-2")
    assert subscribed == {(f"arn:alarms-{r}-topic", f"{who}@example.com", "email") for r in regions for who in "ab"}
    assert len(made.of(TOPIC)) == 2


def test_without_an_address_nothing_is_made_and_nothing_sent(here):
    made = run_program({"infra:alarmEmails": [], "infra:creditsBudget": 0})
    assert not made.of(ALARM) and not made.of(TOPIC) and not made.of(BUDGET)
    (policy,) = made.of("aws:iam/rolePolicy:RolePolicy")
    assert "cloudwatch" not in policy.inputs["policy"]
    assert [manifest["metrics"] for manifest in manifests(made).values()] == [{}]


def test_alarm_is_created_after_and_deleted_before_the_release(here):
    """Before the host publishes anything its silence would be an alarm."""
    values = {**PROD, "infra:sshPublicKey": "ssh-ed25519 AAAA", "infra:sshPrivateKey": "K", **KEYS}
    graph = recording.run(ROOT, "prod", values, mocks.KnownFacts({}, {}))["resources"]
    alarmed = [resource for resource in graph if resource["type"] == ALARM]
    assert len(alarmed) == 6
    for resource in alarmed:
        assert any(urn.endswith("watchme-ap-northeast-1-release-apply") for urn in resource["dependencies"])


def test_each_region_has_a_dashboard_of_its_hosts_where_the_stack_wants_one(here):
    assert not run_program().of(DASHBOARD)
    made = run_program({**STANDBY, "infra:cloudwatchDashboard": True})
    dashboards = {resource.inputs["dashboardName"]: resource.inputs["dashboardBody"] for resource in made.of(DASHBOARD)}
    assert sorted(dashboards) == ["prod-ap-northeast-1", "prod-ap-southeast-2"]
    for region in ("ap-northeast-1", "ap-southeast-2"):
        body = dashboards[f"prod-{region}"]
        machines = {
            metric[3]
            for widget in json.loads(body)["widgets"]
            for metric in widget["properties"].get("metrics", [])
            if metric[2] == "InstanceId"
        }
        assert machines == {f"{host}-{region}-instance-id" for host in ("watchme", "services")}
        names = [arn.split(":alarm:")[1] for arn in json.loads(body)["widgets"][0]["properties"]["alarms"]]
        assert sorted(names) == sorted(name for name in found(made) if f"/{region}/" in name)


def test_budget_counts_costs_before_credits(here):
    (made,) = run_program().of(BUDGET)
    assert made.inputs["limitAmount"] == "300" and made.inputs["timeUnit"] == "ANNUALLY"
    assert made.inputs["costTypes"] == {"includeCredit": False, "includeRefund": False}
    subscribed = [(n["notificationType"], n["threshold"]) for n in made.inputs["notifications"]]
    assert subscribed == budget.NOTIFIED == [("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]
    assert all(n["subscriberEmailAddresses"] == ["ops@hey-watch.me"] for n in made.inputs["notifications"])


def test_a_stack_that_owns_no_budget_makes_none(here):
    assert not run_program({"infra:creditsBudget": 0}).of(BUDGET)
