"""What the dashboard shows: every host of some stacks, all asked at the same time, with what they cost."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from catalogue import prices
from catalogue.problems import CatalogueError
from catalogue.stack import Stack
from infra import status
from infra.errors import InfraError
from infra.status import HostStatus

STACKS_AT_ONCE = 4  # each is two runs of Pulumi's own command


@dataclass(frozen=True)
class StackFacts:
    """The hosts of a stack, or why nothing is known of them (`error`). `costs` are US dollars a month by host, without
    those whose price is not known or not AWS's."""

    name: str
    hosts: Sequence[HostStatus] = ()
    costs: Mapping[str, float] = field(default_factory=dict[str, float])
    error: str = ""


@dataclass(frozen=True)
class Dashboard:
    """All that the page shows, as it was `at` that time. `language` and `timezone` are those of its readers,
    `prices_of` is the day of the prices."""

    at: float
    stacks: Sequence[StackFacts]
    language: str
    timezone: str
    prices_of: date


def collect(names: Sequence[str], read_stack: Callable[[str], Stack], now: float) -> Dashboard:
    """Of stacks by their names; the first one's language and time zone are the page's. A stack or a host that cannot
    be asked is reported, and holds up no other."""
    with ThreadPoolExecutor(STACKS_AT_ONCE) as pool:
        pairs = list(pool.map(partial(_of_stack, read_stack), names))
    first = next((stack for stack, _ in pairs if stack), None)
    language, timezone = (first.language, first.timezone) if first else ("en", "UTC")
    return Dashboard(now, [facts for _, facts in pairs], language, timezone, prices.table().as_of)


def _of_stack(read_stack: Callable[[str], Stack], name: str) -> tuple[Stack | None, StackFacts]:
    stack = None
    try:
        stack = read_stack(name)
        hosts = status.of_stack(stack, with_overview=True)
        return stack, StackFacts(name, hosts, costs(stack, hosts))
    except (InfraError, CatalogueError) as error:
        return stack, StackFacts(name, error=str(error))


def costs(stack: Stack, hosts: Sequence[HostStatus]) -> dict[str, float]:
    """Host → US dollars a month of its machines, their disks and addresses, by the dated table of prices."""
    machines = prices.machines_of(stack)
    by_host: dict[str, float] = {}
    for host in hosts:
        own = {name: machine for name, machine in machines.items() if name.split(" ")[0] == host.host.partition("@")[0]}
        if "@" in host.host:
            # A machine that is kept beside its successor is where the stack serves
            own = {name: machine for name, machine in own.items() if " " not in name}
        price = prices.monthly(own, prices.table().regions.get(host.region)) if own else None
        by_host |= {host.host: price} if price is not None else {}
    return by_host


def silent(dashboard: Dashboard) -> Iterator[str]:
    """A line for each stack and each host that could not be asked."""
    for stack in dashboard.stacks:
        if stack.error:
            yield f"{stack.name}: {stack.error}"
        for host in stack.hosts:
            if host.error:
                yield f"{stack.name}: {host.host}: {host.error}"
