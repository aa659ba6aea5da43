"""The CloudWatch dashboard of a region: values in, its body out."""

import json

import pytest

from rendering.alarms import alarms
from rendering.cloudwatch import dashboard, dashboard_name
from tests.support import whole

MACHINES = {"watchme": "i-0123", "services": "i-4567"}


def widgets(config=lambda _: None, machines=MACHINES) -> list[dict]:
    return json.loads(dashboard(whole(config), machines) or '{"widgets": []}')["widgets"]


def test_every_alarm_is_on_it_and_every_metric_of_the_hosts_own():
    catalogue = whole()
    alarm_widget, *others = widgets()
    expected = [(host, alarm) for host in MACHINES for alarm in alarms(catalogue, host)]
    assert [arn.rsplit("/", 1)[1] for arn in alarm_widget["properties"]["alarms"]] == [
        alarm.alert for _, alarm in expected
    ]
    assert all(arn.startswith("arn:aws:cloudwatch:ap-northeast-1:") for arn in alarm_widget["properties"]["alarms"])
    metrics = [metric for widget in others for metric in widget["properties"].get("metrics", [])]
    for host, alarm in expected:
        if alarm.dimensions:
            assert [alarm.namespace, alarm.metric, "Host", host] in metrics
    for name in ("CPUUtilization", "NetworkIn", "NetworkOut", "EBSReadBytes", "EBSWriteBytes", "StatusCheckFailed"):
        assert {metric[3] for metric in metrics if metric[1] == name} == {*MACHINES.values()}


def test_widgets_lie_beside_each_other_and_on_no_other():
    cells: set[tuple[int, int]] = set()
    for widget in widgets():
        own = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not own & cells and widget["x"] + widget["width"] <= 24
        cells |= own


def test_every_plot_has_what_cloudwatch_demands():
    plots = [widget["properties"] for widget in widgets() if widget["type"] == "metric"]
    assert plots and all({"region", "metrics", "title", "stat", "period"} <= {*plot} for plot in plots)


def test_without_recipients_of_alarms_it_has_what_ec2_measures():
    shown = widgets(lambda config: config.update({"infra:alarmEmails": [], "infra:creditsBudget": 0}))
    assert {widget["type"] for widget in shown} == {"text", "metric"}
    assert {metric[0] for widget in shown for metric in widget["properties"].get("metrics", [])} == {"AWS/EC2"}


def test_of_a_host_that_aws_does_not_know_there_is_none():
    assert (
        dashboard(
            whole(lambda config: config.update({"infra:alarmEmails": [], "infra:creditsBudget": 0})), {"watchme": ""}
        )
        == ""
    )


@pytest.mark.parametrize(
    ("language", "title"), [("en", "watchme: Network (bytes)"), ("ja", "watchme: ネットワーク（バイト）")]
)
def test_its_titles_are_in_the_language_of_the_stack(language, title):
    shown = widgets(lambda config: config.update({"infra:language": language}))
    assert title in [widget["properties"].get("title") for widget in shown]


def test_it_is_the_same_as_long_as_nothing_changes():
    assert dashboard(whole(), MACHINES) == dashboard(whole(), MACHINES)
    assert dashboard_name(whole()) == "lab-ap-northeast-1"
