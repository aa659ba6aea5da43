"""A budget that watches how much of the account's credits is spent; one for the whole account, outside any region."""

import pulumi
import pulumi_aws as aws

from catalogue.stack import Stack
from components.naming import tags

NOTIFIED = [("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]  # percent


def credits(stack: Stack, options: pulumi.ResourceOptions) -> aws.budgets.Budget:
    """Notifies infra:alarmEmails at each of NOTIFIED. AWS counts a calendar year; what credits pay for counts as if
    they did not, since with them nothing would ever be spent."""
    return aws.budgets.Budget(
        "credits",
        name=f"{stack.name}-credits",
        budget_type="COST",
        time_unit="ANNUALLY",
        limit_amount=f"{stack.creditsBudget:g}",
        limit_unit="USD",
        cost_types=aws.budgets.BudgetCostTypesArgs(include_credit=False, include_refund=False),
        notifications=[
            aws.budgets.BudgetNotificationArgs(
                comparison_operator="GREATER_THAN",
                notification_type=kind,
                threshold=percent,
                threshold_type="PERCENTAGE",
                subscriber_email_addresses=stack.alarmEmails,
            )
            for kind, percent in NOTIFIED
        ],
        tags=tags(stack, "budget"),
        opts=options,
    )
