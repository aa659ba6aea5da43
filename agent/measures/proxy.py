"""The proxy: does it run, how many of its answers are errors, how long are its certificates good."""

from __future__ import annotations

from agent import lineages, units
from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.wording import phrase

FAILED = 500  # an answer with this status or a higher one is an error of the server's


def down(look: HostFacts, _: Alert) -> Measures:
    if look.proxy:
        name = look.proxy.unit
        yield Measured(name, 0 if units.states(look.world, [name])[name]["active"] else 1)


def server_errors(look: HostFacts, condition: Alert) -> Measures:
    """The share of answers, in percent, that the proxy gave with a 5xx."""
    if not look.proxy:
        return
    statuses = [status for at, status in look.answers if at >= look.world.wall() - condition["within"]]
    failed = sum(status >= FAILED for status in statuses)
    share = round(100 * failed / len(statuses), 1) if len(statuses) >= condition["least"] else 0.0
    yield Measured(look.proxy.unit, share, phrase(" ({failed} of {all})", failed=failed, all=len(statuses)))


def renewals(look: HostFacts, _: Alert) -> Measures:
    """1 for a certificate that certbot cannot renew, long before that matters."""
    for item in look.manifest["certificates"]:
        fault = lineages.fault(look.world, item["name"])
        yield Measured(item["name"], 1 if fault else 0, fault)


def certificates_left(look: HostFacts, _: Alert) -> Measures:
    """Minus the days that are left: the more, the worse."""
    for name, days, wrong in look.certificates:
        yield Measured(name, -days, phrase(": {wrong}", wrong=wrong) if wrong else "")
