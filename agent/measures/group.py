"""The group that this host leads: are its hosts there, does its Docker Swarm run all that it is to run."""

from agent.documents.manifest import Alert
from agent.monitor.look import HostFacts, Measured, Measures
from agent.wording import phrase


def hosts_away(look: HostFacts, _: Alert) -> Measures:
    """1 for a host of the group that takes no containers."""
    for host, state in sorted(look.group["hosts"].items()) if look.group else []:
        yield Measured(host, 0 if state == "ready" else 1, phrase(" ({state})", state=state))


def copies_missing(look: HostFacts, _: Alert) -> Measures:
    """How many of a spread service are not healthy."""
    for service, copies in sorted(look.group["services"].items()) if look.group else []:
        healthy, places = len(copies["hosts"]), ", ".join(sorted({*copies["hosts"]}))
        values = {"healthy": healthy, "replicas": copies["replicas"], "hosts": places or "-"}
        yield Measured(service, copies["replicas"] - healthy, phrase(" ({healthy} of {replicas}: {hosts})", **values))


def quorum_lost(look: HostFacts, _: Alert) -> Measures:
    """1 where too few of the hosts that manage the Swarm see each other."""
    if look.group:
        error = look.group["error"]
        yield Measured("Docker Swarm", 1 if error else 0, f" ({error})" if error else "")
