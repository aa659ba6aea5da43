"""What the policy's tests allow a stack."""

from policy.facts import Limits

LIMITS = Limits(300.0, ("t4g.large",), 20, protected=True)
