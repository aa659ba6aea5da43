"""A CloudWatch dashboard of a region's hosts: their alarms, what EC2 measures of their machines, and what their
monitors publish. The form: Amazon CloudWatch API Reference, Dashboard Body Structure and Syntax."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from rendering.alarms import alarm_name, alarms

Widget = dict[str, Any]
WIDTH, HEIGHT = 6, 6  # of a plot; a dashboard is 24 wide
COLUMNS = 24 // WIDTH
PERIOD = 300  # seconds of a point
MOST_ALARMS = 100  # that one widget shows
TEXTS = {
    "en": {
        "alarms": "Alarms", "cpu": "CPU (%)", "network": "Network (bytes)", "disk": "EBS (bytes)",
        "status": "Failed status checks", "credits": "CPU credits",
    },
    "ja": {
        "alarms": "アラーム", "cpu": "CPU（%）", "network": "ネットワーク（バイト）", "disk": "EBS（バイト）",
        "status": "ステータスチェックの失敗", "credits": "CPUクレジット",
    },
}  # fmt: skip
# Text → metrics of AWS/EC2, and how a period is summed up
OF_MACHINE = {
    "cpu": (("CPUUtilization",), "Average"),
    "network": (("NetworkIn", "NetworkOut"), "Sum"),
    "disk": (("EBSReadBytes", "EBSWriteBytes"), "Sum"),
    "status": (("StatusCheckFailed",), "Maximum"),
}


def dashboard_name(catalogue: Catalogue) -> str:
    """Names of dashboards are the account's, whatever region they were made in."""
    return f"{catalogue.stack.name}-{catalogue.stack.region}"


def dashboard(catalogue: Catalogue, machines: Mapping[str, str]) -> str:
    """The dashboard's body; `machines` are the hosts of the region with their ids in EC2, "" for one that is none of
    EC2's. "" where CloudWatch has nothing of any host."""
    stack = catalogue.stack
    texts = TEXTS[stack.language]
    arns = [
        f"arn:aws:cloudwatch:{stack.region}:{stack.accountId}:alarm:{alarm_name(stack, host, alarm.alert)}"
        for host in machines
        for alarm in alarms(catalogue, host)
    ][:MOST_ALARMS]
    widgets: list[Widget] = []
    top = 0
    if arns:
        height = 2 + -(-len(arns) // 4)
        place = {"x": 0, "y": top, "width": 24, "height": height}
        widgets.append({"type": "alarm", **place, "properties": {"title": texts["alarms"], "alarms": arns}})
        top += height
    for host, machine in machines.items():
        plots = list(_plots(catalogue, host, machine))
        if not plots:
            continue
        head = {"x": 0, "y": top, "width": 24, "height": 1}
        widgets.append({"type": "text", **head, "properties": {"markdown": f"## {host}"}})
        for number, plot in enumerate(plots):
            row, column = divmod(number, COLUMNS)
            place = {"x": column * WIDTH, "y": top + 1 + row * HEIGHT, "width": WIDTH, "height": HEIGHT}
            widgets.append({"type": "metric", **place, "properties": plot})
        top += 1 + -(-len(plots) // COLUMNS) * HEIGHT
    return json.dumps({"widgets": widgets}, sort_keys=True) if widgets else ""


def _plots(catalogue: Catalogue, host: str, machine: str) -> Iterator[dict[str, Any]]:
    stack, spec = catalogue.stack, catalogue.stack.hosts[host]
    texts = TEXTS[stack.language]

    def plot(title: str, metrics: list[list[str]], statistic: str) -> dict[str, Any]:
        return {
            "title": f"{host}: {title}", "region": stack.region, "view": "timeSeries", "stat": statistic,
            "period": PERIOD, "metrics": metrics,
        }  # fmt: skip

    if isinstance(spec, Ec2Host) and machine:
        kinds = OF_MACHINE | ({"credits": (("CPUCreditBalance",), "Minimum")} if spec.burstable else {})
        for kind, (names, statistic) in kinds.items():
            yield plot(texts[kind], [["AWS/EC2", name, "InstanceId", machine] for name in names], statistic)
    # What has an alarm of the host's own has a metric
    for alarm in alarms(catalogue, host):
        if alarm.dimensions:
            dimensions = [part for pair in alarm.dimensions.items() for part in pair]
            own = plot(alarm.alert, [[alarm.namespace, alarm.metric, *dimensions]], alarm.statistic)
            yield {**own, "annotations": {"horizontal": [{"value": alarm.threshold}]}}
