"""A public name's address record. Its name in Pulumi holds no region: a move updates it in place."""

import pulumi
import pulumi_aws as aws

from catalogue.stack import Stack
from components.naming import inside


class PublicName(pulumi.ComponentResource):
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
