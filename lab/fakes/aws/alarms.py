"""CloudWatch's alarms and dashboards, SNS and Budgets."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from lab.fakes.aws.cloud import ensure_gone, is_gone, refusals, tag_list
from lab.fakes.plugin import Call, Kind, Values

ALARM = {
    "name": "AlarmName", "alarmDescription": "AlarmDescription", "namespace": "Namespace", "metricName": "MetricName",
    "statistic": "Statistic", "comparisonOperator": "ComparisonOperator", "threshold": "Threshold", "period": "Period",
    "evaluationPeriods": "EvaluationPeriods", "treatMissingData": "TreatMissingData", "alarmActions": "AlarmActions",
    "okActions": "OKActions",
}  # fmt: skip
COST_TYPES = {"includeCredit": "IncludeCredit", "includeRefund": "IncludeRefund"}
NOTIFICATION = {
    "comparisonOperator": "ComparisonOperator", "notificationType": "NotificationType", "threshold": "Threshold",
    "thresholdType": "ThresholdType",
}  # fmt: skip


def _of_aws(values: Values, names: dict[str, str]) -> dict[str, Any]:
    """Values under AWS's names."""
    return {theirs: values[ours] for ours, theirs in names.items() if ours in values}


def _put_alarm(call: Call, values: Values) -> None:
    dimensions = [{"Name": name, "Value": value} for name, value in (values.get("dimensions") or {}).items()]
    with refusals(f"putting CloudWatch Metric Alarm ({values['name']})"):
        call.cloud.client("cloudwatch").put_metric_alarm(
            **_of_aws(values, ALARM), Dimensions=dimensions, Tags=tag_list(values.get("tags"))
        )


def _alarm(call: Call, values: Values) -> tuple[str, Values]:
    """As the real plugin, over one of the same name too: CloudWatch only knows how to put."""
    _put_alarm(call, values)
    arn = f"arn:aws:cloudwatch:{call.cloud.region}:{call.cloud.account}:alarm:{values['name']}"
    return values["name"], {"arn": arn}


def _change_alarm(call: Call, id: str, old: Values, new: Values) -> Values:
    _put_alarm(call, new)
    return {}


def _delete_alarm(call: Call, id: str, state: Values) -> None:
    remove = call.cloud.client("cloudwatch").delete_alarms
    ensure_gone(f"deleting CloudWatch Metric Alarm ({id})", remove, AlarmNames=[id])


def _topic(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"creating SNS Topic ({values['name']})"):
        topic = call.cloud.client("sns").create_topic(Name=values["name"], Tags=tag_list(values.get("tags")))
    return topic["TopicArn"], {"arn": topic["TopicArn"]}


def _delete_topic(call: Call, id: str, state: Values) -> None:
    ensure_gone(f"deleting SNS Topic ({id})", call.cloud.client("sns").delete_topic, TopicArn=id)


def _subscription(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"creating SNS Topic Subscription ({values['endpoint']})"):
        subscription = call.cloud.client("sns").subscribe(
            TopicArn=values["topic"], Protocol=values["protocol"], Endpoint=values["endpoint"],
            ReturnSubscriptionArn=True,
        )  # fmt: skip
    return subscription["SubscriptionArn"], {"arn": subscription["SubscriptionArn"]}


def _delete_subscription(call: Call, id: str, state: Values) -> None:
    remove = call.cloud.client("sns").unsubscribe
    ensure_gone(f"deleting SNS Topic Subscription ({id})", remove, SubscriptionArn=id)


def _create_budget(call: Call, values: Values) -> None:
    budget = {
        "BudgetName": values["name"], "BudgetType": values["budgetType"], "TimeUnit": values["timeUnit"],
        "BudgetLimit": {"Amount": values["limitAmount"], "Unit": values["limitUnit"]},
        "CostTypes": _of_aws(values.get("costTypes") or {}, COST_TYPES),
    }  # fmt: skip
    notifications = [
        {
            "Notification": _of_aws(entry, NOTIFICATION),
            "Subscribers": [
                {"SubscriptionType": "EMAIL", "Address": address}
                for address in entry.get("subscriberEmailAddresses", [])
            ],
        }
        for entry in values.get("notifications", [])
    ]
    call.cloud.client("budgets").create_budget(
        AccountId=call.cloud.account, Budget=budget, NotificationsWithSubscribers=notifications
    )


def _budget(call: Call, values: Values) -> tuple[str, Values]:
    with refusals(f"creating Budget ({values['name']})"):
        _create_budget(call, values)
    return f"{call.cloud.account}:{values['name']}", {}


def _change_budget(call: Call, id: str, old: Values, new: Values) -> Values:
    """moto has no UpdateBudget."""
    with refusals(f"updating Budget ({id})"):
        call.cloud.client("budgets").delete_budget(AccountId=call.cloud.account, BudgetName=old["name"])
        _create_budget(call, new)
    return {}


def _delete_budget(call: Call, id: str, state: Values) -> None:
    account, name = id.split(":")
    remove = call.cloud.client("budgets").delete_budget
    ensure_gone(f"deleting Budget ({id})", remove, AccountId=account, BudgetName=name)


def _put_dashboard(call: Call, values: Values) -> None:
    with refusals(f"putting CloudWatch Dashboard ({values['dashboardName']})"):
        call.cloud.client("cloudwatch").put_dashboard(
            DashboardName=values["dashboardName"], DashboardBody=values["dashboardBody"]
        )


def _dashboard(call: Call, values: Values) -> tuple[str, Values]:
    """As the real plugin, over one of the same name too. Its ARN has no region."""
    _put_dashboard(call, values)
    name = values["dashboardName"]
    return name, {"dashboardArn": f"arn:aws:cloudwatch::{call.cloud.account}:dashboard/{name}"}


def _change_dashboard(call: Call, id: str, old: Values, new: Values) -> Values:
    _put_dashboard(call, new)
    return {}


def _delete_dashboard(call: Call, id: str, state: Values) -> None:
    remove = call.cloud.client("cloudwatch").delete_dashboards
    ensure_gone(f"deleting CloudWatch Dashboard ({id})", remove, DashboardNames=[id])


def _there(
    ask: Callable[[Call, str], Any], outputs: Callable[[str], Values] = lambda id: {}
) -> Callable[[Call, str, Values], Values | None]:
    """What a refresh finds: what follows from the id, or that it is gone."""

    def read(call: Call, id: str, state: Values) -> Values | None:
        try:
            return outputs(id) if ask(call, id) else None
        except ClientError as error:
            if is_gone(error):
                return None
            raise

    return read


def _find_alarm(call: Call, name: str) -> dict[str, Any] | None:
    alarms = call.cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarms[0] if alarms else None


def _find_dashboard(call: Call, name: str) -> Any:
    return call.cloud.client("cloudwatch").get_dashboard(DashboardName=name)


def _find_topic(call: Call, id: str) -> Any:
    return call.cloud.client("sns").get_topic_attributes(TopicArn=id)


def _find_subscription(call: Call, id: str) -> Any:
    return call.cloud.client("sns").get_subscription_attributes(SubscriptionArn=id)


def _find_budget(call: Call, id: str) -> Any:
    account, name = id.split(":")
    return call.cloud.client("budgets").describe_budget(AccountId=account, BudgetName=name)


KINDS = {
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        {**dict.fromkeys(ALARM, "update"), "name": "replace", "dimensions": "update", "tags": "refuse"},
        {"comparisonOperator", "evaluationPeriods"}, ["arn"], _alarm, _change_alarm, _delete_alarm,
        _there(_find_alarm), autonamed=True,
    ),
    "aws:cloudwatch/dashboard:Dashboard": Kind(
        {"dashboardName": "replace", "dashboardBody": "update"}, {"dashboardName", "dashboardBody"}, ["dashboardArn"],
        _dashboard, _change_dashboard, _delete_dashboard, _there(_find_dashboard),
    ),
    "aws:sns/topic:Topic": Kind(
        {"name": "replace", "tags": "refuse"}, set(), ["arn"], _topic, delete=_delete_topic,
        read=_there(_find_topic, lambda id: {"arn": id}), autonamed=True,
    ),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        {"topic": "replace", "protocol": "replace", "endpoint": "replace"}, {"topic", "protocol", "endpoint"}, ["arn"],
        _subscription, delete=_delete_subscription, read=_there(_find_subscription),
    ),
    "aws:budgets/budget:Budget": Kind(
        {"name": "replace", "budgetType": "update", "timeUnit": "update", "limitAmount": "update",
         "limitUnit": "update", "costTypes": "update", "notifications": "update", "tags": "refuse"},
        {"budgetType", "timeUnit"}, [], _budget, _change_budget, _delete_budget, _there(_find_budget), autonamed=True,
    ),
}  # fmt: skip
