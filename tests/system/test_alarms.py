"""Alarms in the lab: what AWS would look at is there, and what the hosts really publish is what its alarms are about.

The emulator fires none: see docs/lab.md.
"""

import json
from datetime import UTC, datetime, timedelta

import pytest

from lab.settings import ACCOUNT
from tests.moves.on import client
from tests.system.conftest import System
from tests.system.on import looked, sh, wait_until_well

pytestmark = pytest.mark.lab
REGION = "ap-northeast-1"
HOSTS = ("watchme", "services")
OWN = {"memory": "MemoryUsed", "disk": "DiskUsed", "proxy-errors": "ServerErrors", "certificate": "CertificateDaysOver"}
OF_AWS = {"status-check": "StatusCheckFailed", "cpu-credits": "CPUCreditBalance"}


def alarms(system: System, host: str) -> dict[str, dict]:
    """Alert → alarm, as CloudWatch has it."""
    head = f"lab/{REGION}/{host}/"
    found = client(system, "cloudwatch").describe_alarms(AlarmNamePrefix=head)["MetricAlarms"]
    return {alarm["AlarmName"].removeprefix(head): alarm for alarm in found}


def ran(system: System, host: str) -> tuple[dict, datetime]:
    """The monitor's run by its own unit, and when it began."""
    begun = datetime.now(UTC)
    for _ in range(5):
        done = system.on_host("systemctl", "start", "infra-monitor.service", host=host)
        assert done.code == 0, done.output
        report = json.loads(system.on_host("cat", "/var/lib/infra/monitor/last.json", host=host).output)
        if report["at"] >= begun.timestamp():
            return report, begun
        # One that its timer had begun before has ended now
    raise AssertionError(f"the monitor of {host} has not run since {begun}")


def worst(report: dict, alert: str) -> float:
    return max(entry["value"] for entry in report["conditions"] if entry["alert"] == alert)


def newest(system: System, alarm: dict, begun: datetime) -> float:
    """The newest value of just what an alarm looks at, published since then."""
    metric = {key: alarm[key] for key in ("Namespace", "MetricName", "Dimensions")}
    cloudwatch = client(system, "cloudwatch")
    assert metric in cloudwatch.list_metrics(Namespace=metric["Namespace"])["Metrics"]
    found = cloudwatch.get_metric_statistics(
        **metric, Statistics=[alarm["Statistic"]], Period=1, StartTime=begun - timedelta(seconds=1),
        EndTime=datetime.now(UTC) + timedelta(seconds=5),
    )["Datapoints"]  # fmt: skip
    assert found, f"nothing was published of {alarm['AlarmName']}"
    return max(found, key=lambda point: point["Timestamp"])[alarm["Statistic"]]


@pytest.mark.parametrize("host", HOSTS)
def test_published_metrics_match_the_alarms(system, host):
    wait_until_well(system, 90)
    report, begun = ran(system, host)
    assert report["left"] == [], report["left"]
    print(f"a run on {host} took {report['took']} s")
    made = alarms(system, host)
    assert set(made) == {*OWN, *OF_AWS}
    for alert, metric in OWN.items():
        alarm = made[alert]
        assert alarm["MetricName"] == metric and alarm["TreatMissingData"] == "breaching"
        assert newest(system, alarm, begun) == worst(report, alert)


def test_full_disk_is_published_with_the_value_of_its_condition(system):
    """The worst one: an alarm's bound is that of the condition, which fires here at the same value."""
    alarm = alarms(system, "watchme")["disk"]
    sh(system, "mkdir -p /srv/t; mount -t tmpfs -o size=1m t /srv/t; head -c 1000000 /dev/zero > /srv/t/x")
    try:
        report, begun = ran(system, "watchme")
    finally:
        sh(system, "umount /srv/t")
    value = newest(system, alarm, begun)
    assert value == worst(report, "disk") > alarm["Threshold"]
    assert [e["met"] for e in report["conditions"] if (e["alert"], e["subject"]) == ("disk", "/srv/t")] == [True]


def test_alarms_notify_the_address_about_the_serving_machine(system):
    sns = client(system, "sns")
    (topic,) = [t["TopicArn"] for t in sns.list_topics()["Topics"] if "alarms" in t["TopicArn"]]
    (written,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (written["Protocol"], written["Endpoint"]) == ("email", "ops@hey-watch.me")
    for host in HOSTS:
        made = alarms(system, host)
        assert all(alarm["AlarmActions"] == alarm["OKActions"] == [topic] for alarm in made.values())
        running = client(system, "ec2").describe_instances(
            Filters=[{"Name": "tag:Name", "Values": [f"lab-{host}"]}, {"Name": "instance-state-name", "Values": ["running"]}]
        )["Reservations"]  # fmt: skip
        (machine,) = [instance["InstanceId"] for group in running for instance in group["Instances"]]
        for alert, metric in OF_AWS.items():
            assert made[alert]["Dimensions"] == [{"Name": "InstanceId", "Value": machine}]
            assert (made[alert]["Namespace"], made[alert]["MetricName"]) == ("AWS/EC2", metric)


def test_existing_machine_has_alarms_of_its_own_metrics(system):
    """It has a key of its own, and is no instance."""
    assert set(alarms(system, "home")) == {"memory", "disk"}


def test_the_credits_are_watched(system):
    budgets = client(system, "budgets", "us-east-1")
    found = budgets.describe_budget(AccountId=ACCOUNT, BudgetName="lab-credits")["Budget"]
    assert float(found["BudgetLimit"]["Amount"]) == 300 and found["CostTypes"]["IncludeCredit"] is False
    notifications = budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName="lab-credits")[
        "Notifications"
    ]
    assert sorted((n["NotificationType"], n["Threshold"]) for n in notifications) == [
        ("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100),
    ]  # fmt: skip


DEAF = "OUTPUT -p tcp -d {gateway} --dport 443 -j {how}"


@pytest.mark.nightly
@pytest.mark.parametrize("how", ["REJECT --reject-with tcp-reset", "DROP"])
def test_a_cloudwatch_that_does_not_answer_takes_nothing_along(system, how):
    rule = DEAF.format(gateway=system.lab.gateway, how=how)
    sh(system, f"iptables -I {rule}")
    try:
        report = looked(system)
    finally:
        sh(system, f"iptables -D {rule}")
    wrong = f"metrics were not published: no answer from monitoring.{REGION}.amazonaws.com"
    assert wrong in report["left"] and {e["alert"] for e in report["conditions"]} >= {"disk", "memory"}, report["left"]
    assert sh(system, "test -s /var/lib/infra/monitor/last.json && echo there") == "there"
    again, begun = ran(system, "watchme")
    assert again["left"] == []
    assert newest(system, alarms(system, "watchme")["memory"], begun) == worst(again, "memory")


@pytest.mark.nightly
def test_changed_bound_applies_on_the_host_and_in_the_cloud(system):
    path = "files/alerts.yaml"
    system.edit(path, "measure: memory\n  above: 92", "measure: memory\n  above: 91")
    try:
        system.must_up()
        held = json.loads(system.on_host("cat", "/var/lib/infra/current/manifest.json").output)["alerts"]
        assert [alert["above"] for alert in held if alert["alert"] == "memory"] == [91]
        assert alarms(system, "watchme")["memory"]["Threshold"] == 91
    finally:
        system.restore(path)
        system.must_up()
    assert alarms(system, "watchme")["memory"]["Threshold"] == 92
    preview = system.pulumi("preview", "--expect-no-changes")
    assert preview.code == 0, preview.output
