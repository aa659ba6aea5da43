"""A CloudWatch dashboard of a region's hosts: their alarms, what EC2 measures of their machines, and what their
monitors publish. The form: Amazon CloudWatch API Reference, Dashboard Body Structure and Syntax."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal, NotRequired, TypedDict

from catalogue.host import Ec2Host
from catalogue.loading import Catalogue
from rendering.alarms import alarm_name, alarms

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


class Line(TypedDict):
    """A horizontal line through a plot."""

    value: float


class Annotations(TypedDict):
    """Lines beside what is measured."""

    horizontal: list[Line]


class AlarmProperties(TypedDict):
    """Of a widget that shows alarms, by their ARNs."""

    title: str
    alarms: list[str]


class TextProperties(TypedDict):
    """Of a widget that is a text."""

    markdown: str


class PlotProperties(TypedDict):
    """Of a plot; each metric is its namespace, its name, and names and values of its dimensions in turn."""

    title: str
    region: str
    view: Literal["timeSeries"]
    stat: str
    period: int
    metrics: list[list[str]]
    annotations: NotRequired[Annotations]


class Widget(TypedDict):
    """A widget with its place in the grid."""

    type: Literal["alarm", "text", "metric"]
    x: int
    y: int
    width: int
    height: int
    properties: AlarmProperties | TextProperties | PlotProperties


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
        alarm_list: AlarmProperties = {"title": texts["alarms"], "alarms": arns}
        widgets.append({"type": "alarm", "x": 0, "y": top, "width": 24, "height": height, "properties": alarm_list})
        top += height
    for host, machine in machines.items():
        plots = list(_plots(catalogue, host, machine))
        if not plots:
            continue
        title: TextProperties = {"markdown": f"## {host}"}
        widgets.append({"type": "text", "x": 0, "y": top, "width": 24, "height": 1, "properties": title})
        for number, plot in enumerate(plots):
            row, column = divmod(number, COLUMNS)
            widgets.append(
                {
                    "type": "metric", "x": column * WIDTH, "y": top + 1 + row * HEIGHT, "width": WIDTH,
                    "height": HEIGHT, "properties": plot,
                }
            )  # fmt: skip
        top += 1 + -(-len(plots) // COLUMNS) * HEIGHT
    return json.dumps({"widgets": widgets}, sort_keys=True) if widgets else ""


def _plots(catalogue: Catalogue, host: str, machine: str) -> Iterator[PlotProperties]:
    stack, spec = catalogue.stack, catalogue.stack.hosts[host]
    texts = TEXTS[stack.language]

    def plot(title: str, metrics: list[list[str]], statistic: str) -> PlotProperties:
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
