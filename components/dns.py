"""Records of the stack's zone, in Route 53 or elsewhere. Their names in Pulumi contain no region, so that a move
updates them in place."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_command as command

from catalogue.dns import CHALLENGE, NAMED
from catalogue.loading import Catalogue
from catalogue.stack import API_TOKEN, Stack
from components.access import here
from components.lookup import Zone
from components.naming import inside
from rendering.proofs import proved_names
from rendering.requests import RecordRequest

PROGRAM = "infra.record"
# Which part of a stack owns a record at Cloudflare, as the record's comment names it
OWNERS = {"PublicName": "site", "Records": "record", "Proofs": "proof"}


def refuse_to_leave(stack: Stack, record_providers: Iterable[str]) -> None:
    """Raises pulumi.RunError if records at another provider would be deleted and `infra:dns.leaves` does not allow it:
    clients that still resolve names there would get no answer."""
    provider = stack.dns.provider
    for former in sorted({*record_providers} - {provider, stack.dns.leaves}):
        raise pulumi.RunError(
            f"nothing was touched: the zone is now at {provider} (infra:dns), and the last update left records at "
            f"{former}, which this one would delete. Once no resolver asks {former} any more: infra:dns {{provider: "
            f"{provider}, leaves: {former}}}. To keep the records there without managing them: infra dns "
            f"leave --stack {stack.name}"
        )


@dataclass(frozen=True)
class RecordSet:
    """All values of one type that the zone has for a name; `ttl` is how many seconds resolvers may cache them. Where
    `is_proxied`, the name leads to Cloudflare's proxy, which asks there."""

    name: str
    type: str
    ttl: int
    values: Sequence[pulumi.Input[str]]
    is_proxied: bool = False


@dataclass(frozen=True)
class PublicNameArgs:
    """A name of a stack's `zone`, and the `address` of its host."""

    stack: Stack
    zone: Zone
    address: pulumi.Input[str]
    is_proxied: bool = False


class PublicName(pulumi.ComponentResource):
    """The address record of a public name; none is created in a zone that a person maintains."""

    fqdn: pulumi.Output[str]

    def __init__(self, name: str, args: PublicNameArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:PublicName", name, None, opts)
        self.fqdn = pulumi.Output.from_input(name)
        stack = args.stack
        if stack.dns.is_ours:
            record_set = RecordSet(name, "A", stack.recordTtl, [args.address], args.is_proxied)
            record = _record(self, name, stack, args.zone, record_set)
            self.fqdn = record.apply(lambda _: name)
        self.register_outputs({})


class Records(pulumi.ComponentResource):
    """The zone's records of `infra:records`. An existing record is not overwritten: it has another owner."""

    def __init__(self, name: str, stack: Stack, zone: Zone, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Records", name, None, opts)
        for record in stack.records if stack.dns.is_ours else []:
            values = record.provider_values if stack.dns.provider == "route53" else record.values
            record_set = RecordSet(record.name, record.type, record.ttl, values)
            _record(self, f"{record.name}-{record.type}", stack, zone, record_set)
        self.register_outputs({})


class Proofs(pulumi.ComponentResource):
    """CNAME records from the ACME challenge names to the zone in which hosts write the challenges
    (infra:dns.challenges)."""

    def __init__(self, name: str, catalogue: Catalogue, zone: Zone, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Proofs", name, None, opts)
        stack = catalogue.stack
        # One for all names below a domain may be on several hosts
        for public in dict.fromkeys(public for host in stack.hosts for public in proved_names(catalogue, host)):
            own, to = f"{CHALLENGE}.{public}", stack.dns.proof(public)
            _record(self, f"{own}-CNAME", stack, zone, RecordSet(own, "CNAME", stack.recordTtl, [to]))
        self.register_outputs({})


def _record(
    parent: pulumi.Resource, resource: str, stack: Stack, zone: Zone, record_set: RecordSet
) -> pulumi.Output[str]:
    """Creates a record; the output resolves once it exists."""
    if stack.dns.provider == "route53":
        record = aws.route53.Record(
            resource,
            zone_id=zone.id,
            name=record_set.name,
            type=record_set.type,
            ttl=record_set.ttl,
            records=record_set.values,
            opts=inside(parent),
        )
        return record.fqdn

    def request(values: list[str]) -> str:
        fields: RecordRequest = {
            "zone": stack.zone,
            "name": record_set.name,
            "type": record_set.type,
            "ttl": record_set.ttl,
            "values": values,
            "owner": stack.dns_owner(OWNERS[parent.__class__.__name__]),
            "stack": stack.name,
        }
        if record_set.is_proxied:
            fields["proxied"] = True
        return json.dumps(fields)

    writer = command.local.Command(
        f"{NAMED}{resource}",
        create=here(PROGRAM, "put"),
        delete=here(PROGRAM, "remove"),
        # In plain: a preview shows what changes
        stdin=pulumi.Output.all(*record_set.values).apply(request),
        environment={API_TOKEN: pulumi.Output.secret(stack.dns_token)},
        logging=command.local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=inside(parent),
    )
    return writer.stdout
