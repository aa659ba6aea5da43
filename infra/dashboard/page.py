"""The dashboard as one HTML file that asks for nothing: no script, no address elsewhere. Pure."""

from collections.abc import Iterator, Mapping, Sequence

from agent import times
from agent.monitor import markup
from agent.monitor.markup import Markup
from infra.dashboard import host as host_parts
from infra.dashboard.facts import Dashboard, StackFacts
from infra.dashboard.readers import COMMA, NONE, Reader
from infra.dashboard.style import STYLE
from infra.dashboard.words import speaker
from infra.status import HostStatus

# Heads of the table of all hosts
HOSTS = (
    "host",
    "region",
    "state",
    "release",
    "deployed",
    "services",
    "alerts",
    "certificates",
    "backups",
    "costs a month",
)
HEAD = (
    '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="robots" content="noindex">'
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'\">"
)


def html(dashboard: Dashboard) -> str:
    say = speaker(dashboard.language)
    reader = Reader(say, times.zone_of(dashboard.timezone), dashboard.at)
    title = say("Dashboard: {stacks}", stacks=", ".join(stack.name for stack in dashboard.stacks) or NONE)
    return "\n".join(
        [
            f'<!doctype html><html lang="{markup.cell(dashboard.language)}"><head>{HEAD}',
            f"<title>{markup.cell(title)}</title><style>{STYLE}</style></head>",
            f"<body><header><h1>{markup.cell(title)}</h1>",
            f'<p role="status">{_status_line(dashboard, reader)}</p></header><main>',
            *(part for number, stack in enumerate(dashboard.stacks, 1) for part in _stack(stack, number, reader)),
            *_prices(dashboard, reader),
            "</main></body></html>\n",
        ]
    )


def _status_line(dashboard: Dashboard, reader: Reader) -> Markup:
    hosts = [host for stack in dashboard.stacks for host in stack.hosts]
    silent = sum(host.answer is None for host in hosts) + sum(bool(stack.error) for stack in dashboard.stacks)
    unhealthy = sum(host.answer is not None and not host.is_orderly for host in hosts)
    counts = [
        reader.say("1 host") if len(hosts) == 1 else reader.say("{count} hosts", count=len(hosts)),
        markup.state(reader.say("{count} need attention", count=unhealthy), False) if unhealthy else "",
        markup.state(reader.say("{count} did not answer", count=silent), False) if silent else "",
    ]
    if hosts and not unhealthy and not silent:
        counts.append(markup.state(reader.say("All healthy"), True))
    line = Markup(reader.say.word(COMMA).join(markup.cell(text) for text in counts if text))
    return markup.fill(reader.say, "{seen}, as of {at}.", seen=line, at=reader.time(dashboard.at))


def _stack(stack: StackFacts, number: int, reader: Reader) -> Iterator[str]:
    say = reader.say
    heading = say("Stack {name}", name=stack.name)
    yield f'<section aria-labelledby="s{number}"><h2 id="s{number}">{markup.cell(heading)}</h2>'
    if stack.error:
        yield f"<p>{markup.state(stack.error, False)}</p></section>"
        return
    if not stack.hosts:
        yield f"<p>{markup.cell(say('no hosts'))}</p></section>"
        return
    rows = [_row(host, f"s{number}h{place}", stack.costs, reader) for place, host in enumerate(stack.hosts, 1)]
    yield markup.table([say.word(head) for head in HOSTS], rows, say("Hosts of {name}", name=stack.name), True)
    for place, host in enumerate(stack.hosts, 1):
        id = f"s{number}h{place}"
        name = say("{host} in {region}", host=host.host, region=say.word(host.region)) if host.region else host.host
        yield f'<article class="host" aria-labelledby="{id}"><h3 id="{id}">{markup.cell(name)}</h3>'
        yield from host_parts.parts(host, reader)
        yield "</article>"
    yield "</section>"


def _row(host: HostStatus, id: str, costs: Mapping[str, float], reader: Reader) -> tuple[str, ...]:
    """A host at a glance."""
    say, answer = reader.say, host.answer
    name = Markup(f'<a href="#{id}">{markup.cell(host.host)}</a>')
    cost = f"{costs[host.host]:,.2f} USD" if host.host in costs else NONE
    region = say.word(host.region) or NONE
    if answer is None:
        return name, region, markup.state(say.of(host.error), False), *[NONE] * 6, cost
    delivery = answer["brought"]
    good = sum(status == 200 for status in answer["services"].values())
    services = say("{good} of {all} healthy", good=good, all=len(answer["services"]))
    return (
        name,
        region,
        markup.state(say("healthy") if host.is_orderly else say("needs attention"), host.is_orderly),
        (answer["release"] or NONE)[: host_parts.releases.SHORT],
        reader.time(delivery.get("began", "?")) if delivery else NONE,
        services if good == len(answer["services"]) else markup.state(services, False),
        markup.state(str(len(answer["alerts"])), False) if answer["alerts"] else "0",
        _certificates(answer["certificates"], reader),
        _backups(host, reader),
        cost,
    )


def _certificates(entries: Sequence[Sequence[str | int]], reader: Reader) -> str:
    """The one that ends first."""
    if not entries:
        return NONE
    days = min((entry[1] for entry in entries if isinstance(entry[1], (int, float))), default=0)
    is_good = days >= host_parts.EXPIRES_SOON and not any(entry[2] for entry in entries)
    text = reader.say("{days} days left", days=days)
    return text if is_good else markup.state(text, False)


def _backups(host: HostStatus, reader: Reader) -> str:
    """The oldest of the services' last ones."""
    entries = host.overview["backups"] if host.overview else []
    ages = [good["at"] if (good := entry.get("good")) else None for entry in entries]
    if not ages:
        return NONE
    times_known = [at for at in ages if at is not None]
    is_good = len(times_known) == len(ages) and not any(entry.get("failed") for entry in entries)
    text = reader.ago(min(times_known)) if len(times_known) == len(ages) else reader.say("one is missing")
    return text if is_good else markup.state(text, False)


def _prices(dashboard: Dashboard, reader: Reader) -> Iterator[str]:
    if any(stack.costs for stack in dashboard.stacks):
        text = reader.say(
            "Costs are AWS's on-demand prices of {date} for machines, disks and addresses, without tax, traffic, "
            "snapshots, logs and alarms.",
            date=dashboard.prices_of,
        )
        yield f'<p class="quiet">{markup.cell(text)}</p>'
