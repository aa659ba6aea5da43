"""Records of the stack's zone. Their names in Pulumi hold no region: a move updates them in place, or not at all."""

import pulumi
import pulumi_aws as aws

from catalogue.stack import Stack
from components.naming import inside


class PublicName(pulumi.ComponentResource):
    """A public name's address."""

    fqdn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        stack: Stack,
        zone_id: pulumi.Input[str],
        address: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("infra:index:PublicName", name, None, opts)
        record = aws.route53.Record(
            name,
            zone_id=zone_id,
            name=name,
            type="A",
            ttl=stack.recordTtl,
            records=[address],
            opts=inside(self),
        )
        self.fqdn = record.fqdn
        self.register_outputs({})


class Records(pulumi.ComponentResource):
    """The zone's records of `infra:records`. One that is there already is another's: AWS refuses to create it."""

    def __init__(
        self, name: str, stack: Stack, zone_id: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("infra:index:Records", name, None, opts)
        for record in stack.records:
            aws.route53.Record(
                f"{record.name}-{record.type}",
                zone_id=zone_id,
                name=record.name,
                type=record.type,
                ttl=record.ttl,
                records=record.written,
                opts=inside(self),
            )
        self.register_outputs({})
