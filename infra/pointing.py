"""Where the stack's public names are to lead, and where they do: what a person writes who keeps the zone by hand."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_address, ip_network

from dnslib import QTYPE, RR, TXT

from agent.quoting import count
from catalogue.dns import CHALLENGE
from catalogue.loading import Catalogue
from catalogue.problems import nearest
from catalogue.proxied import proxied_names
from catalogue.rules.records import issuer, proposed_records
from catalogue.stack import Stack
from infra import hosts, names
from infra.cloudflare import EXCLUSIVE, Zone, same_value, value_of
from infra.cloudflare_forms import Entry
from infra.errors import InfraError
from infra.foreign import one_line
from infra.zone_records import zone_of
from rendering.proofs import proved_names
from rendering.sites import serving_site

# Those that most people's questions go through, one of each operator
PUBLIC_RESOLVERS = ("1.1.1.1", "8.8.8.8", "9.9.9.9")
PAUSE = 5.0
AT_ONCE = 16

Say = Callable[[str], None]


@dataclass
class ExpectedRecord:
    """A record as it is to be, and what was found: server → its values, or why there are none. `stray` are addresses of
    IPv6, to which clients would go instead. `cdn` are networks of a CDN, which the name may lead to, and where it
    `is_proxied` has to."""

    name: str
    type: str
    values: list[str]
    ttl: int
    found: dict[str, list[str] | str] = field(default_factory=dict[str, list[str] | str])
    stray: list[str] = field(default_factory=list[str])
    cdn: list[str] = field(default_factory=list[str])
    is_proxied: bool = False

    @property
    def wrong(self) -> list[str]:
        """Each server that says something else, and what; those that do not answer aside."""
        others = {server: answer for server, answer in self.found.items() if isinstance(answer, list)}
        mismatches = [
            f"{server} gives {', '.join(one_line(value) for value in answer) or 'nothing'}"
            for server, answer in others.items()
            if not self.is_said_by(answer)
        ]
        return mismatches + [
            f"there is an AAAA {one_line(address)} too: clients with IPv6 go there" for address in self.stray
        ]

    @property
    def silent(self) -> list[str]:
        """The servers that do not answer."""
        return [server for server, answer in self.found.items() if isinstance(answer, str)]

    @property
    def is_right(self) -> bool:
        return not self.wrong and len(self.silent) < len(self.found)

    def is_said_by(self, answer: list[str]) -> bool:
        """Is what a server gives what is wanted."""
        if self.cdn and answer and all(self.is_cdns(value) for value in answer):
            return True
        if self.is_proxied:
            return False
        # Of an address another one would be asked as well; of a text or a mail server others may have their own
        have, want = {*answer}, {_normal(self.type, value) for value in self.values}
        return have == want if self.type in ("A", "AAAA", "CNAME") else want <= have

    def is_cdns(self, address: str) -> bool:
        try:
            return any(ip_address(address) in ip_network(text) for text in self.cdn)
        except ValueError:
            return False


def expected_records(catalogue: Catalogue) -> list[ExpectedRecord]:
    """The records of the stack: of its sites, of what proves them, and of infra:records. Raises InfraError before the
    first update."""
    stack = catalogue.stack
    outputs = hosts.outputs(stack)
    addresses = outputs["addresses"]
    records, proxied = list[ExpectedRecord](), proxied_names(catalogue)
    if outputs.get("region", stack.region) != stack.region:
        # A move that is under way: names are to lead to the hosts of its new region, as far as there are any
        addresses = hosts.addresses_from_state(stack)
    for host in [host for host in stack.hosts if host in addresses]:
        for system in catalogue.systems_on(host):
            for site in system.sites:
                front = serving_site(system, site).cdn
                record = ExpectedRecord(stack.public_name(site.name), "A", [addresses[host]], stack.recordTtl)
                is_proxied = record.name in proxied
                records.append(replace(record, cdn=front.networks if front else [], is_proxied=is_proxied))
        if stack.dns.challenges:
            proved = proved_names(catalogue, host)
            records += [
                ExpectedRecord(f"{CHALLENGE}.{name}", "CNAME", [stack.dns.proof(name)], stack.recordTtl)
                for name in proved
            ]
    return records + [
        ExpectedRecord(record.name, record.type, list(record.values), record.ttl) for record in stack.records
    ]


def look(stack: Stack, records: Sequence[ExpectedRecord], resolvers: Sequence[str]) -> None:
    """Asks the zone's own servers, and these resolvers."""
    own: list[names.Server] = []
    fault = ""
    try:
        own = names.servers(stack.zone, stack.nameServers, stack.dns.provider)
    except InfraError as error:
        fault = str(error)
    others = [names.server_of(name) for name in resolvers]

    def ask_server(work: tuple[ExpectedRecord, names.Server]) -> list[str] | str:
        try:
            return _values(names.ask(work[0].name, work[0].type, work[1]), work[0].type)
        except InfraError as error:
            return str(error)

    pairs = [(record, server) for record in records for server in (*(own if _is_in(stack, record) else []), *others)]
    for record in records:
        # Of an earlier look
        record.found, record.stray = {}, []
    six = {record.name for record in records if record.type == "AAAA"}
    led = [record for record in records if record.type == "A" and record.name not in six]
    strays = [
        (ExpectedRecord(r.name, "AAAA", [], 0), server) for r in led for server in (own if _is_in(stack, r) else others)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [*pool.map(ask_server, pairs)]
        stray_answers = [*pool.map(ask_server, strays)]
    for (record, server), answer in zip(pairs, answers, strict=True):
        record.found[_server_label(server)] = answer
    for (stray, _), answer in zip(strays, stray_answers, strict=True):
        for record in [record for record in led if record.name == stray.name and isinstance(answer, list)]:
            record.stray = sorted({*record.stray, *(one for one in answer if not record.is_cdns(one))})
    if fault:
        for record in records:
            record.found[stack.zone] = fault


def _is_in(stack: Stack, record: ExpectedRecord) -> bool:
    return stack.in_zone(record.name.removeprefix("*."))


def _server_label(server: names.Server) -> str:
    return server[0] if server[1] == 53 else f"{server[0]}:{server[1]}"


def _values(records: Sequence[RR], kind: str) -> list[str]:
    return sorted(_normal(kind, _text_of(record)) for record in records if QTYPE.get(record.rtype) == kind)


def _text_of(record: RR) -> str:
    # Of a text the bytes: as dnslib writes it, quotes in it would be taken for its end
    if isinstance(record.rdata, TXT):
        return b"".join(record.rdata.data).decode(errors="replace")
    return str(record.rdata)


def _normal(kind: str, value: str) -> str:
    return value if kind == "TXT" else same_value(kind, value)


def lines(stack: Stack, records: Sequence[ExpectedRecord]) -> list[str]:
    """One for each record, and what is wrong below it."""
    output: list[str] = []
    for record in records:
        answered = len(record.found) - len(record.silent)
        servers = count(answered, "server") + (f", {', '.join(record.silent)} silent" if record.silent else "")
        right = sum(record.is_said_by(answer) for answer in record.found.values() if isinstance(answer, list))
        late = f"not yet: {right} of {servers} have it" if answered else "not known: none answers"
        state = f"correct: {servers}" if record.is_right else late
        state += "" if _is_in(stack, record) else f" (not in {stack.zone}: its owner writes it)"
        how = ", proxied" if record.is_proxied else ""
        output += [f"{record.name}  {record.type}  {', '.join(record.values)}{how}  {state}"]
        output += [f"  {line}" for line in record.wrong]
    return output


def closing(stack: Stack, records: Sequence[ExpectedRecord]) -> str:
    """What there is to do."""
    late = [record for record in records if not record.is_right and _is_in(stack, record)]
    if not late and any(not record.is_right for record in records):
        return f"all records of {stack.zone} are correct; records in other zones are written by their owners"
    if not late:
        return f"{count(len(records), 'record')} correct"
    if stack.dns.is_ours:
        again = "infra dns restore" if stack.dns.provider == "cloudflare" else "pulumi up --refresh"
        return (
            f"{len(late)} of {count(len(records), 'record')} missing or changed: pulumi up writes missing ones, "
            f"{again} restores changed ones (--stack {stack.name})"
        )
    return (
        f"{len(late)} of {count(len(records), 'record')} to be written where {stack.zone} is kept: the values above, "
        f"with a TTL of {stack.recordTtl} s; then run infra dns show --wait 10m --stack {stack.name}"
    )


def proposals(catalogue: Catalogue) -> list[str]:
    """CAA records to add to infra:records, a line each, for names that have none in the zone either; none where its
    servers do not answer."""
    stack = catalogue.stack

    def has_one(name: str, server: names.Server) -> bool:
        parts = name.removesuffix(stack.zone).count(".")
        above = [".".join(name.split(".")[number:]) for number in range(parts + 1)]
        return any(QTYPE.get(record.rtype) == "CAA" for one in above for record in names.ask(one, "CAA", server))

    try:
        server = next(iter(names.servers(stack.zone, stack.nameServers, stack.dns.provider)))
        records = [record for record in proposed_records(catalogue) if not has_one(record.name, server)]
    except (InfraError, StopIteration):
        return []
    if not records:
        return []
    head = (
        f"no CAA record says who issues certificates of these names; infra:records of {stack.file} can let "
        f"{issuer(catalogue)} alone:"
    )
    entries = [f"  - {{name: {record.name}, type: CAA, values: {_yaml_list(record.values)}}}" for record in records]
    return [head, *entries]


def _yaml_list(values: Sequence[str]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


def as_json(records: Sequence[ExpectedRecord]) -> str:
    return json.dumps([{**asdict(record), "right": record.is_right} for record in records], indent=2)


def wait(stack: Stack, records: list[ExpectedRecord], resolvers: Sequence[str], seconds: float, say: Say) -> None:
    """Looks until all are right, or the time is over."""
    end = time.monotonic() + seconds
    before = None
    while True:
        look(stack, records, resolvers)
        late = [record.name for record in records if not record.is_right]
        if not late or time.monotonic() > end:
            return
        if late != before:
            say(f"waiting for {', '.join(late)}")
            before = late
        time.sleep(PAUSE)


def adoptable(catalogue: Catalogue, wished: Sequence[str]) -> tuple[Zone, list[tuple[Entry, str]]]:
    """The records of these names at Cloudflare that are in the way of what the stack wants there, and whose they are
    then. Raises InfraError."""
    stack = catalogue.stack
    zone, parts = zone_of(stack), _parts(catalogue)
    adoptable_entries: list[tuple[Entry, str]] = []
    for name in wished:
        if not (own := parts.get(name)):
            raise InfraError(
                f"stack {stack.name} has no A, AAAA or CNAME record for {name}: {nearest(name, sorted(parts), 'names')}"
            )
        entries = [e for e in zone.records(name) if e["type"] in own and e.get("comment") != own[e["type"]]]
        if not entries:
            kinds = ", ".join(sorted(own))
            raise InfraError(f"{name} has no record {kinds} at Cloudflare that this stack does not own yet")
        adoptable_entries += [(entry, own[entry["type"]]) for entry in entries]
    names_so = {entry["name"] for entry, _ in adoptable_entries if entry.get("proxied")} - proxied_names(catalogue)
    if names_so:
        raise InfraError(
            f"{', '.join(sorted(names_so))}: proxied by Cloudflare; switch the proxy off there first (DNS only): "
            "names lead to the hosts themselves, but for sites with cdn: {proxied: true}"
        )
    return zone, adoptable_entries


def _parts(catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Name → type of its record → by what part of the stack it is written. Of texts, mail servers and the like others
    may have their own beside them: they are in no one's way."""
    stack = catalogue.stack
    owners: dict[str, dict[str, str]] = {}
    for system in catalogue.running.values():
        for name in [stack.public_name(site.name) for site in system.sites]:
            if stack.in_zone(name):
                owners.setdefault(name, {})["A"] = stack.dns_owner("site")
    if stack.dns.challenges:
        for name in [name for host in stack.hosts for name in proved_names(catalogue, host)]:
            owners.setdefault(f"{CHALLENGE}.{name}", {})["CNAME"] = stack.dns_owner("proof")
    for record in stack.records:
        if record.type in EXCLUSIVE:
            owners.setdefault(record.name, {})[record.type] = stack.dns_owner("record")
    return owners


def record_line(entry: Entry) -> str:
    """A record as a person reads it."""
    text = f"{entry['name']}  {entry['type']}  {value_of(entry)}"
    comment = entry.get("comment")
    return one_line(text + (f"  ({comment})" if comment else ""))
