"""What must be there before anything is made: the zone and the machine images. A missing one stops the program."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from catalogue.sizes import INSTANCE_TYPES
from catalogue.stack import Stack


@dataclass(frozen=True)
class Zone:
    """A Route 53 zone: the id for records, the ARN for permissions."""

    id: str
    arn: str


def zone(stack: Stack, options: pulumi.InvokeOptions) -> Zone:
    """The zone of the stack's names. Raises pulumi.RunError."""
    with _one_line(f"infra:zone {stack.zone}", "make the zone in Route 53, or name one of this account"):
        found = aws.route53.get_zone(name=stack.zone, opts=options)
        return Zone(found.zone_id, found.arn)


def machine_image(stack: Stack, host: str, options: pulumi.InvokeOptions) -> str:
    """The image that a new machine of this host would get. Raises pulumi.RunError."""
    parameter = stack.ami_parameter(INSTANCE_TYPES[stack.ec2_hosts[host].instanceType].architecture)
    with _one_line(f"infra:amiParameter {parameter}", f"name a parameter that exists in {stack.region}"):
        return aws.ssm.get_parameter(name=parameter, opts=options).value


@contextmanager
def _one_line(what: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # The SDK raises a bare Exception: its text's last part is the provider's own
        reason = str(error).rsplit("returned an error: ", 1)[-1].strip()
        raise pulumi.RunError(f"nothing was touched: {what}: {reason}; {remedy}") from None
