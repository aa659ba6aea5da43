"""The proxy: does it run, how many of its answers are errors, how long are its certificates good."""

from __future__ import annotations

from agent import lineages, managers, proxies, traffic, units
from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.proxy import Log
from agent.store import Release
from agent.wording import phrase
from agent.world import World

LOG_LINES = 20000


def proxy_unit(release: Release) -> str | None:
    return next((name for name in release.unit_names if proxies.by_unit(name)), None)


def down(look: HostFacts, _: Alert) -> Measures:
    name = proxy_unit(look.release)
    if name:
        yield Measured(name, 0 if units.states(look.world, [name])[name]["active"] else 1)


def server_errors(look: HostFacts, condition: Alert) -> Measures:
    """The share of answers, in percent, that the proxy gave with a 5xx."""
    name, world = proxy_unit(look.release), look.world
    proxy = proxies.by_unit(name or "")
    if not proxy:
        return
    answers = traffic.read_answers(_lines(world, proxy.log), proxy.log.document)
    statuses = [status for at, _, status in answers if at >= world.wall() - condition["within"]]
    failed = sum(status >= 500 for status in statuses)
    share = round(100 * failed / len(statuses), 1) if len(statuses) >= condition["least"] else 0.0
    yield Measured(proxy.unit, share, phrase(" ({failed} of {all})", failed=failed, all=len(statuses)))


def _lines(world: World, log: Log) -> list[str]:
    """The latest lines of a proxy's log."""
    if log.journal:
        return managers.journal(world, log.journal, LOG_LINES).output.splitlines()
    return world.run("tail", "-n", str(LOG_LINES), log.file).output.splitlines()


def renewals(look: HostFacts, _: Alert) -> Measures:
    """1 for a certificate that certbot cannot renew, long before that matters."""
    for item in look.manifest["certificates"]:
        fault = lineages.fault(look.world, item["name"])
        yield Measured(item["name"], 1 if fault else 0, fault)


def certificates_left(look: HostFacts, _: Alert) -> Measures:
    """Minus the days that are left: the more, the worse."""
    for name, days, wrong in look.certificates:
        yield Measured(name, -days, phrase(": {wrong}", wrong=wrong) if wrong else "")
