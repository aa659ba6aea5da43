"""Where the stack's public names are kept, and how they are proved to a certificate authority."""

from typing import Annotated, Literal

from pydantic import Field

from catalogue.fields import HostName, Model

CHALLENGE = "_acme-challenge"
# What providers take as a record's time to live, in seconds; of the others any (Cloudflare's documentation, "TTL")
LIVES = {"cloudflare": (60, 86400)}


class Dns(Model):
    """`provider` keeps the records of infra:zone: `external` is one that a person writes to. `challenges` is a zone in
    Route 53 to which the `_acme-challenge` names lead by CNAME, so that no host needs rights in infra:zone. `wait` is
    for how many seconds a person may take to point names elsewhere. `leaves` is a provider that kept the zone before,
    whose records the stack may delete now."""

    provider: Literal["route53", "cloudflare", "external"] = "route53"
    challenges: HostName | Literal[""] = ""
    leaves: Literal["route53", "cloudflare"] | None = None
    wait: Annotated[int, Field(ge=10, le=86400, strict=False)] = 3600

    @property
    def is_ours(self) -> bool:
        """Does the program write the records."""
        return self.provider != "external"

    def proof(self, name: str) -> str:
        """The record that proves a public name."""
        return f"{name}.{self.challenges}" if self.challenges else f"{CHALLENGE}.{name}"
