"""CloudWatch alarms from alert conditions: the metrics that a host publishes, and the alarms on them."""

from dataclasses import dataclass, replace
from typing import Literal

from agent.documents.manifest import Metrics
from catalogue.alerts import Alert, CloudAlert
from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from catalogue.stack import Stack
from rendering.monitor import EVERY

# One alone may be a moment's; and it may come a little late
RUNS = 2
# What a mail says of a host's own condition, and of any alarm, by the stack's language
CONDITION = {
    "en": "{measure} above {above}, or its monitor reports nothing",
    "ja": "{alert}がしきい値{above}を超えたか、監視からの報告が途絶えています",
}
DESCRIPTION = {"en": "{host}: {said}; look: {command}", "ja": "{host}：{said}。確認：{command}"}


@dataclass(frozen=True)
class Alarm:
    """An alarm of CloudWatch. `dimensions` are those of the host's own metrics; without any it is about a metric of
    AWS's, of the machine. `period` is in seconds, `missing` what it counts as when nothing comes."""

    alert: str
    description: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    statistic: str
    comparison: Literal["GreaterThanThreshold", "LessThanThreshold"]
    threshold: float
    period: int
    periods: int
    missing: Literal["breaching", "missing"]


def namespace(stack: Stack, host: str) -> str:
    """The CloudWatch namespace of one machine: AWS can restrict who writes metrics by namespace only."""
    number = stack.generations.get(host)
    return f"infra/{stack.name}/{host}" + (f"/{number}" if number else "")


def metrics_destination(catalogue: Catalogue, host: str) -> Metrics:
    """Where a host's monitor publishes what it measured; nothing for a host that AWS does not know, or without
    recipients."""
    stack = catalogue.stack
    if not stack.alarmEmails or not catalogue.has_identity(host):
        return {}
    return {"region": stack.region, "namespace": namespace(stack, host), "dimensions": {"Host": host}}


def alarm_name(stack: Stack, host: str, alert: str) -> str:
    """An alarm's name in AWS: people read it in the subject of a mail."""
    return f"{stack.name}/{stack.place(host) or stack.region}/{host}/{alert}"


def alarms(catalogue: Catalogue, host: str) -> list[Alarm]:
    """All alarms of a host: on its own metrics, then on the metrics of AWS."""
    stack, where = catalogue.stack, metrics_destination(catalogue, host)
    if not where:
        return []
    spec, serves = stack.hosts[host], any(system.sites for system in catalogue.systems_on(host))
    language = stack.language
    own = [
        _of_host(a, where, CONDITION[language])
        for a in catalogue.host_alerts
        if a.metric and (serves or not a.of_proxy)
    ]
    machines = [
        _of_machine(alert)
        for alert in catalogue.cloud_alerts
        if isinstance(spec, Ec2Host) and (spec.burstable or not alert.burstable)
    ]
    command = f"uv run infra status --stack {stack.name} --host {host}"
    return [
        replace(a, description=DESCRIPTION[language].format(host=host, said=a.description, command=command))
        for a in own + machines
    ]


def _of_host(alert: Alert, where: Metrics, text: str) -> Alarm:
    """Alarms on metrics that the host publishes. Missing metrics fire too."""
    return Alarm(
        alert.alert,
        text.format(alert=alert.alert, measure=alert.measure, above=alert.above),
        where.get("namespace", ""),
        alert.metric or "",
        where.get("dimensions", {}),
        statistic="Maximum",
        comparison="GreaterThanThreshold",
        threshold=alert.above,
        period=60 * EVERY,
        periods=RUNS,
        missing="breaching",
    )


def _of_machine(alert: CloudAlert) -> Alarm:
    """Alarms on AWS's metrics. They ignore missing data: a stopped machine already fires the alarm on its own
    metrics."""
    bound = alert.below if alert.above is None else alert.above
    assert bound is not None, "the model has one of them"
    return Alarm(
        alert.alert,
        alert.text,
        alert.cloud.namespace,
        alert.cloud.metric,
        dimensions={},
        statistic=alert.cloud.statistic,
        comparison="LessThanThreshold" if alert.above is None else "GreaterThanThreshold",
        threshold=bound,
        period=alert.cloud.period,
        periods=alert.cloud.periods,
        missing="missing",
    )
