"""files/alerts.yaml: what it may say, and what is reported of the rest."""

from typing import Any

import pytest
import yaml

from catalogue.alerts import Alert, CloudAlert
from catalogue.host import Ec2Host
from catalogue.loading import read_alerts
from catalogue.problems import CatalogueError
from tests.support import whole

HOST = {"alert": "disk", "measure": "disk", "above": 85, "text": "{subject}"}
CLOUD = {
    "alert": "status-check", "above": 0, "text": "broken",
    "cloud": {"namespace": "AWS/EC2", "metric": "StatusCheckFailed", "statistic": "Maximum", "period": 60, "periods": 3},
}  # fmt: skip


def read(tmp_path, *entries: dict[str, Any]):
    path = tmp_path / "alerts.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return read_alerts(path)


def test_entries_are_host_or_cloud_alerts(tmp_path):
    host, cloud = read(tmp_path, HOST, CLOUD)
    assert isinstance(host, Alert) and isinstance(cloud, CloudAlert) and cloud.cloud.periods == 3


def of_cloud(**changes: Any) -> dict[str, Any]:
    return {**CLOUD, "cloud": CLOUD["cloud"] | changes}


WRONG = {
    "without a name": ({"measure": "disk", "above": 85, "text": ""}, "alert number 1: alert: field 'alert' is missing"),
    "misspelt": ({**HOST, "metrik": "DiskUsed"}, "alert disk: metrik: unknown field 'metrik'; did you mean 'metric'?"),
    "a metric's name": ({**HOST, "metric": "disk used"}, "alert disk: metric: found 'disk used'"),
    "text of nothing": ({**HOST, "text": "{colour}"}, "it may name subject, value and the alert's own fields"),
    "a host's field": ({**CLOUD, "repair": "prune"}, "unknown field 'repair'; fields: alert, cloud, above, below, burstable, text"),
    "misspelt in the cloud": (of_cloud(perod=60), "unknown field 'perod'; did you mean 'period'?"),
    "no such statistic": (of_cloud(statistic="Median"), "alert status-check: cloud.statistic: found 'Median'"),
    "half a minute": (of_cloud(period=90), "alert status-check: cloud.period: found 90"),
    "another's namespace": (of_cloud(namespace="infra/prod"), "alert status-check: cloud.namespace: found 'infra/prod'"),
    "above and below": ({**CLOUD, "below": 3}, "a cloud condition has either above or below, not both"),
    "neither": ({**CLOUD, "above": None}, "a cloud condition has either above or below, not both"),
}  # fmt: skip


@pytest.mark.parametrize(("entry", "line"), WRONG.values(), ids=WRONG)
def test_invalid_alert_is_reported(tmp_path, entry, line):
    with pytest.raises(CatalogueError) as error:
        read(tmp_path, entry)
    assert line in str(error.value)


def test_alerts_file_without_a_list_is_refused(tmp_path):
    (tmp_path / "alerts.yaml").write_text("disk: 85\n")
    with pytest.raises(CatalogueError, match=r"files/alerts.yaml: file: found"):
        read_alerts(tmp_path / "alerts.yaml")


def test_only_the_expected_alerts_have_a_paid_alarm():
    """Status check, CPU credits, memory, disk, 5xx rate, certificate: what is paid for is not more than that."""
    made = whole()
    assert {alert.alert for alert in made.host_alerts if alert.metric} == {
        "memory", "disk", "proxy-errors", "certificate",
    }  # fmt: skip
    assert {alert.alert for alert in made.cloud_alerts} == {"status-check", "cpu-credits"}


@pytest.mark.parametrize(("type", "expected"), [("t4g.large", True), ("t3.small", True), ("m7g.large", False)])
def test_only_aws_t_families_have_credits(type, expected):
    assert Ec2Host(systems=[], instanceType=type).burstable is expected
