"""`pulumi preview --policy-pack policy`: the rules of `infra preview` as a policy pack of Pulumi."""

import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pulumi_policy import (  # type: ignore[import-not-found]
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError  # type: ignore[import-not-found]

from policy.facts import Facts, Resource
from policy.of_stack import facts
from policy.rules import RULES, Rule


def policy(rule: Rule) -> StackValidationPolicy:
    """A rule as a policy of Pulumi."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [Resource(r.resource_type, r.name, plain(r.props)) for r in args.resources]
        stack = next((r.urn.split("::")[0].removeprefix("urn:pulumi:") for r in args.resources), "")
        for finding in rule(replace(of_stack(stack), resources=resources)):
            if finding.level == "error":
                report(str(finding), None)

    description = " ".join((rule.__doc__ or "").split())
    return StackValidationPolicy(rule.__name__.replace("_", "-"), description, validate, EnforcementLevel.MANDATORY)


@cache
def of_stack(name: str) -> Facts:
    """The facts of a stack without resources; each stack is loaded once."""
    return facts(ROOT, name, [])


def plain(value: Any) -> Any:
    """A value of Pulumi as plain dictionaries and lists, without values that are known only after the update."""
    if hasattr(value, "items"):
        values = {}
        for key in value:
            with suppress(UnknownValueError):
                values[key] = plain(value[key])
        return values
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    PolicyPack("infra", [policy(rule) for rule in RULES])
