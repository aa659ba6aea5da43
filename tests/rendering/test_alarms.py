"""Conditions as alarms: values in, values out."""

from catalogue.alerts import Alert, CloudAlert
from rendering.alarms import Alarm, alarms, metrics_destination
from rendering.files import File
from rendering.host import render
from rendering.monitor import EVERY
from tests.support import put_by_hand, whole


def by_name(host: str, config=lambda _: None) -> dict[str, Alarm]:
    found = alarms(whole(config), host)
    assert len({alarm.alert for alarm in found}) == len(found)
    return {alarm.alert: alarm for alarm in found}


def test_each_condition_of_an_instance_is_an_alarm_with_the_same_bound():
    conditions = [a for a in whole().alerts if isinstance(a, CloudAlert) or a.metric]
    found = by_name("watchme")
    assert list(found) == [condition.alert for condition in conditions]
    for condition in conditions:
        alarm = found[condition.alert]
        assert alarm.threshold == (condition.below if condition.above is None else condition.above)
        assert alarm.comparison == ("LessThanThreshold" if condition.above is None else "GreaterThanThreshold")
        if isinstance(condition, Alert):
            assert (alarm.namespace, alarm.metric, alarm.dimensions) == (
                "infra/lab/watchme",
                condition.metric,
                {"Host": "watchme"},
            )
            # The worst of what a run found; and a host that says nothing is unhealthy
            assert (alarm.statistic, alarm.missing, alarm.period) == ("Maximum", "breaching", 300)
        else:
            cloud = condition.cloud
            assert (alarm.namespace, alarm.metric, alarm.dimensions) == (cloud.namespace, cloud.metric, {})
            assert (alarm.statistic, alarm.period, alarm.periods) == (cloud.statistic, cloud.period, cloud.periods)
            assert alarm.missing == "missing"


def test_alarm_mail_names_its_subject_and_command():
    look = "; look: uv run infra status --stack lab --host services"
    found = {name: alarm.description for name, alarm in by_name("services").items()}
    assert found["disk"] == f"services: disk above 85, or its monitor reports nothing{look}"
    assert (
        found["status-check"]
        == f"services: the EC2 status check fails: the machine or its hardware does not respond{look}"
    )


def test_machine_without_cpu_credits_has_no_credit_alarm():
    def large(config):
        config["infra:hosts"]["watchme"]["instanceType"] = "m7g.large"

    assert set(by_name("watchme")) - set(by_name("watchme", large)) == {"cpu-credits"}


def desktop(config):
    """A machine of a person's own that pulls images, hence has a user's key."""
    config["infra:hosts"]["home"]["systems"] = ["watchme", "totton"]
    del config["infra:hosts"]["watchme"]


def test_machine_outside_aws_has_no_alarms_of_ec2():
    assert set(by_name("home", desktop)) == {"memory", "disk", "proxy-errors", "certificate"}


def test_host_without_a_proxy_has_no_proxy_alarm():
    def without_sites(config):
        config["infra:hosts"]["services"]["systems"] = ["vocoder"]
        config["infra:hosts"]["home"]["systems"] = ["totton"]

    found = by_name("services", without_sites)
    assert "memory" in found and not {"proxy-errors", "certificate"} & set(found)


def test_host_without_an_identity_publishes_nothing():
    made = put_by_hand(whole())
    assert not made.has_identity("home") and metrics_destination(made, "home") == {} == render(made, "home").metrics
    assert not alarms(made, "home")


def test_stack_without_alarm_addresses_publishes_nothing():
    def silent(config):
        config["infra:alarmEmails"] = []

    assert metrics_destination(whole(silent), "watchme") == {} and by_name("watchme", silent) == {}


def test_release_names_the_metrics_destination():
    files = render(whole(), "watchme")
    assert files.metrics == {
        "region": "ap-northeast-1",
        "namespace": "infra/lab/watchme",
        "dimensions": {"Host": "watchme"},
    }
    metrics = {alert["alert"]: alert["metric"] for alert in files.alerts if alert["metric"]}
    assert metrics == {alert.alert: alert.metric for alert in whole().host_alerts if alert.metric}


def test_an_alarm_looks_as_often_as_the_host_does():
    (timer,) = [f for f in render(whole(), "watchme").files if f.path.endswith("infra-monitor.timer")]
    assert isinstance(timer, File) and f"OnUnitActiveSec={EVERY}min" in timer.content.decode()
    assert by_name("watchme")["disk"].period == EVERY * 60


def test_alarm_mails_are_japanese_on_request():
    command = "確認：uv run infra status --stack lab --host services"
    said = {
        name: a.description for name, a in by_name("services", lambda v: v.update({"infra:language": "ja"})).items()
    }
    assert said["disk"] == f"services：diskがしきい値85を超えたか、監視からの報告が途絶えています。{command}"
    assert said["status-check"].startswith("services：EC2のステータスチェックに失敗") and said["status-check"].endswith(
        command
    )
