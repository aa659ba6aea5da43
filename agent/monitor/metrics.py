"""The metrics that this host publishes: an alarm on them has the same bound as the condition here, and fires on silence
too."""

from urllib.parse import urlencode

from agent import aws
from agent.documents.manifest import Manifest, Metrics
from agent.monitor.conditions import UNSEEN, ConditionResult
from agent.monitor.names import current_alert
from agent.world import World

TIMEOUT = 5.0  # seconds, of each question: a run waits for it
VERSION = "2010-08-01"


def worst(manifest: Manifest, results: list[ConditionResult]) -> dict[str, float]:
    """Metric → the worst value of its condition's subjects; without those that could not be looked at. Pure."""
    metrics = {current_alert(condition["alert"]): condition.get("metric") for condition in manifest["alerts"]}
    unseen = {entry.alert for entry in results if entry.subject == UNSEEN}
    values: dict[str, float] = {}
    for entry in results:
        name = metrics.get(entry.alert)
        if name and entry.alert not in unseen:
            values[name] = max(entry.value, values.get(name, entry.value))
    return values


def request(where: Metrics, values: dict[str, float]) -> aws.Request:
    """PutMetricData of all in one, each with the host's dimensions."""
    fields = {"Action": "PutMetricData", "Version": VERSION, "Namespace": where.get("namespace", "")}
    for number, (name, value) in enumerate(values.items(), 1):
        datum = f"MetricData.member.{number}"
        fields |= {f"{datum}.MetricName": name, f"{datum}.Value": f"{value}"}
        for place, (key, part) in enumerate(where.get("dimensions", {}).items(), 1):
            dimension = f"{datum}.Dimensions.member.{place}"
            fields |= {f"{dimension}.Name": key, f"{dimension}.Value": part}
    region = where.get("region", "")
    headers = (("content-type", "application/x-www-form-urlencoded"),)
    host = f"monitoring.{region}.amazonaws.com"
    return aws.Request("POST", host, region, "monitoring", headers=headers, body=urlencode(fields))


def publish(world: World, manifest: Manifest, results: list[ConditionResult]) -> str:
    """Publishes what was found, where this host has recipients. Why it could not be published, "" when it was: the
    next run publishes how it is then. Raises Refused where the host has no identity in AWS."""
    where, values = manifest["metrics"], worst(manifest, results)
    if not where or not values:
        return ""
    metrics_request = request(where, values)
    status, _ = aws.ask(world, aws.identity(world, TIMEOUT), metrics_request, TIMEOUT)
    return "" if status == 200 else f"metrics were not published: {status or 'no answer'} from {metrics_request.host}"
