"""The release: is it whole, can the next one be brought."""

from agent import lock, tags, transaction
from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.wording import phrase


def unfinished_switch(look: HostFacts, _: Alert) -> Measures:
    """1 for a switch that was interrupted and that no job works on."""
    switch = transaction.load_unfinished(look.world)
    whose = phrase(" ({release}, by {who})", release=switch.release[:12], who=switch.who) if switch else ""
    yield Measured(phrase("the release"), 1 if switch and lock.holder() is None else 0, whose)


def overrides(look: HostFacts, _: Alert) -> Measures:
    """1 for a file, or a proxy, that is in force in the release's place."""
    for path, what in look.overrides:
        yield Measured(path, 1, what)
    if not look.overrides:
        yield Measured(phrase("the release"), 0)


def login(look: HostFacts, _: Alert) -> Measures:
    """1 for a registry that this host has no login for."""
    for host, wrong in look.logins.items():
        yield Measured(host, 1 if wrong else 0, wrong)


def tags_not_taken(look: HostFacts, _: Alert) -> Measures:
    """1 for a tag that services follow, and whose image is not the deployed one for a reason."""
    for name, why in tags.faults(look.world).items():
        yield Measured(name, 1 if why else 0, why)
