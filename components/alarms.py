"""CloudWatch alarms: the topic of a region, and the alarms of one host."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from catalogue.stack import Stack
from components.naming import inside, tags
from rendering.alarms import Alarm, alarm_name


class Topic(pulumi.ComponentResource):
    """The recipients of a region's alarms: an alarm can only notify a topic of its own region. AWS writes to each
    address first, and only those that confirm get more."""

    arn: pulumi.Output[str]

    def __init__(self, name: str, stack: Stack, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Topic", name, None, opts)
        topic = aws.sns.Topic(f"{name}-topic", tags=tags(stack, "alarms"), opts=inside(self))
        for address in stack.alarmEmails:
            aws.sns.TopicSubscription(
                f"{name}-to-{address}", topic=topic.arn, protocol="email", endpoint=address, opts=inside(self)
            )
        self.arn = topic.arn
        self.register_outputs({"arn": self.arn})


@dataclass(frozen=True)
class HostAlarmsArgs:
    """The `alarms` of a stack's `host`; `machine` is its id in EC2, where it has one, `topic` the ARN of who is
    notified."""

    stack: Stack
    host: str
    alarms: list[Alarm]
    machine: pulumi.Input[str]
    topic: pulumi.Input[str]


class HostAlarms(pulumi.ComponentResource):
    """A host's alarms."""

    def __init__(self, name: str, args: HostAlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:HostAlarms", name, None, opts)
        stack, host = args.stack, args.host
        after = list(opts.depends_on) if opts and isinstance(opts.depends_on, list) else []
        for alarm in args.alarms:
            aws.cloudwatch.MetricAlarm(
                f"{name}-{alarm.alert}",
                name=alarm_name(stack, host, alarm.alert),
                alarm_description=alarm.description,
                namespace=alarm.namespace,
                metric_name=alarm.metric,
                dimensions=alarm.dimensions or {"InstanceId": args.machine},
                statistic=alarm.statistic,
                comparison_operator=alarm.comparison,
                threshold=alarm.threshold,
                period=alarm.period,
                evaluation_periods=alarm.periods,
                treat_missing_data=alarm.missing,
                alarm_actions=[args.topic],
                ok_actions=[args.topic],
                tags=tags(stack, host),
                opts=inside(self, depends_on=after),
            )
        self.register_outputs({})
