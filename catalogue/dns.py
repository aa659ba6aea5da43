"""Where the stack's public names are kept, and how they are proved to a certificate authority."""

from typing import Annotated, Literal

from pydantic import Field

from catalogue.fields import HostName, Model

CHALLENGE = "_acme-challenge"
# What providers take as a record's time to live, in seconds; of the others any (Cloudflare's documentation, "TTL")
LIVES = {"cloudflare": (60, 86400)}
# What a record is to Pulumi: a resource of Route 53's, or a command whose name begins so
RECORD, COMMAND, NAMED = "aws:route53/record:Record", "command:local:Command", "record-"


def keeper(kind: str, urn: str) -> str:
    """The provider that keeps the record which a resource of Pulumi's (its type and URN) is; "" where it is none."""
    if kind == RECORD:
        return "route53"
    return "cloudflare" if kind == COMMAND and urn.rsplit("::", 1)[-1].startswith(NAMED) else ""


def domain_above(name: str) -> str:
    """The domain whose names `*.` stands for, of a public name: shop.example.com is below example.com."""
    return name.partition(".")[2]


class Dns(Model):
    """Where the records of `infra:zone` are kept."""

    provider: Literal["route53", "cloudflare", "external"] = "route53"
    """Who keeps the records of `infra:zone`; `external` is a zone that a person writes to."""
    challenges: HostName | Literal[""] = ""
    """A zone in Route 53 to which the `_acme-challenge` names lead by CNAME, so that no host needs rights in
    `infra:zone`."""
    leaves: Literal["route53", "cloudflare"] | None = None
    """The provider that kept the zone before, whose records the stack may delete now."""
    wait: Annotated[int, Field(ge=10, le=86400, strict=False)] = 3600
    """Seconds that a person may take to point names elsewhere, with `external`."""

    @property
    def is_ours(self) -> bool:
        """Does the program write the records."""
        return self.provider != "external"

    def proof(self, name: str) -> str:
        """The record that proves a public name."""
        return f"{name}.{self.challenges}" if self.challenges else f"{CHALLENGE}.{name}"
