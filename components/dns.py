"""Records of the stack's zone, in Route 53 or elsewhere. Their names in Pulumi hold no region: a move updates them in
place, or not at all."""

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

PROGRAM = "infra.record"
# What part of a stack a record at Cloudflare is written by, in the comment beside it
OWNERS = {"PublicName": "site", "Records": "record", "Proofs": "proof"}


def refuse_to_leave(stack: Stack, kept_at: Iterable[str]) -> None:
    """Raises pulumi.RunError where records at another provider would be deleted, unless the stack says that they may
    be: names that still lead there would lead nowhere."""
    provider = stack.dns.provider
    for former in sorted({*kept_at} - {provider, stack.dns.leaves}):
        raise pulumi.RunError(
            f"nothing was touched: the zone is kept at {provider} now (infra:dns), and the last update left records at "
            f"{former}, which this one would delete. Once no one asks there any more: infra:dns {{provider: "
            f"{provider}, leaves: {former}}}. To have them stay as they are, and be the stack's no more: infra dns "
            f"leave --stack {stack.name}"
        )


@dataclass(frozen=True)
class RecordSet:
    """All values of one type that the zone has for a name; `ttl` is how many seconds others may remember them."""

    name: str
    type: str
    ttl: int
    values: Sequence[pulumi.Input[str]]


class PublicName(pulumi.ComponentResource):
    """A public name's address; of a zone that a person writes to none is made."""

    fqdn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        stack: Stack,
        zone: Zone,
        address: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("infra:index:PublicName", name, None, opts)
        self.fqdn = pulumi.Output.from_input(name)
        if stack.dns.is_ours:
            written = _record(self, name, stack, zone, RecordSet(name, "A", stack.recordTtl, [address]))
            self.fqdn = written.apply(lambda _: name)
        self.register_outputs({})


class Records(pulumi.ComponentResource):
    """The zone's records of `infra:records`. One that is there already is another's: it is not written over."""

    def __init__(self, name: str, stack: Stack, zone: Zone, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Records", name, None, opts)
        for record in stack.records if stack.dns.is_ours else []:
            values = record.provider_values if stack.dns.provider == "route53" else record.values
            wanted = RecordSet(record.name, record.type, record.ttl, values)
            _record(self, f"{record.name}-{record.type}", stack, zone, wanted)
        self.register_outputs({})


class Proofs(pulumi.ComponentResource):
    """What leads the names that prove certificates to the zone in which hosts write them (infra:dns.challenges)."""

    def __init__(self, name: str, catalogue: Catalogue, zone: Zone, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("infra:index:Proofs", name, None, opts)
        stack = catalogue.stack
        # One for all names below a domain may be on several hosts
        for public in dict.fromkeys(public for host in stack.hosts for public in proved_names(catalogue, host)):
            own, to = f"{CHALLENGE}.{public}", stack.dns.proof(public)
            _record(self, f"{own}-CNAME", stack, zone, RecordSet(own, "CNAME", stack.recordTtl, [to]))
        self.register_outputs({})


def _record(parent: pulumi.Resource, resource: str, stack: Stack, zone: Zone, wanted: RecordSet) -> pulumi.Output[str]:
    """What resolves once the record is there."""
    if stack.dns.provider == "route53":
        record = aws.route53.Record(
            resource,
            zone_id=zone.id,
            name=wanted.name,
            type=wanted.type,
            ttl=wanted.ttl,
            records=wanted.values,
            opts=inside(parent),
        )
        return record.fqdn
    # In plain: a preview shows what changes
    written = pulumi.Output.all(*wanted.values).apply(
        lambda addresses: json.dumps(
            {
                "zone": stack.zone,
                "name": wanted.name,
                "type": wanted.type,
                "ttl": wanted.ttl,
                "values": addresses,
                "owner": stack.dns_owner(OWNERS[parent.__class__.__name__]),
                "stack": stack.name,
            }
        )
    )
    writer = command.local.Command(
        f"{NAMED}{resource}",
        create=here(PROGRAM, "put"),
        delete=here(PROGRAM, "remove"),
        stdin=written,
        environment={API_TOKEN: pulumi.Output.secret(stack.dns_token)},
        logging=command.local.Logging.STDERR,
        add_previous_output_in_env=False,
        opts=inside(parent),
    )
    return writer.stdout
