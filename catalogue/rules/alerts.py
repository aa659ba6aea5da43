"""Conditions, and who is notified of them."""

from collections import Counter
from collections.abc import Iterator

from catalogue.loading import ALERTS, Catalogue
from catalogue.problems import Problem


def alerts(catalogue: Catalogue) -> Iterator[Problem]:
    """Each has a name of its own, and a metric of its own where it has one."""
    names = Counter(alert.alert for alert in catalogue.alerts)
    metrics = Counter(alert.metric for alert in catalogue.host_alerts if alert.metric)
    for name in [name for name, count in names.items() if count > 1]:
        yield Problem(str(ALERTS), f"alert {name}", "is defined twice", "must be defined once")
    for name in [name for name, count in metrics.items() if count > 1]:
        alert_names = ", ".join(alert.alert for alert in catalogue.host_alerts if alert.metric == name)
        yield Problem(
            str(ALERTS),
            f"metric {name}",
            f"is already used by {alert_names}",
            "each condition needs a different metric",
        )


def alert_recipients(catalogue: Catalogue) -> Iterator[Problem]:
    """What only AWS can see has a recipient."""
    stack, file = catalogue.stack, catalogue.stack.file
    for address in [address for address, count in Counter(stack.alarmEmails).items() if count > 1]:
        yield Problem(file, "infra:alarmEmails", f"{address} is listed twice", "must be listed once")
    if stack.alarmEmails:
        return
    if stack.creditsBudget:
        fault = "no address, so infra:creditsBudget has no recipient"
        yield Problem(file, "infra:alarmEmails", fault, "list an address, or set infra:creditsBudget to 0")
    elif stack.ec2_hosts:
        fault = "no address: no one is notified when a machine fails"
        yield Problem(file, "infra:alarmEmails", fault, "list the addresses that AWS notifies", "warning")
