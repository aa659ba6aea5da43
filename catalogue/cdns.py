"""CDNs in front of sites: from where they ask, and how they name the client. What is published: cdns.yaml."""

from datetime import date
from functools import cache
from ipaddress import IPv4Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import yaml
from pydantic import BeforeValidator, Field, model_validator

from catalogue.fields import AnyNetwork, HeaderName, Model


class PublishedList(TypedDict):
    as_of: date
    header: str
    ranges: list[str]


@cache
def published_lists() -> dict[str, PublishedList]:
    """CDN → what it publishes."""
    return yaml.safe_load((Path(__file__).parent / "cdns.yaml").read_text(encoding="utf-8"))


class Cdn(Model):
    """A CDN that asks a site in its clients' place. The client's address is then the one that the CDN names."""

    provider: Literal["cloudflare"] | None = None
    """`cloudflare`: its ranges and its header are in the program. Any other CDN is described by `ranges`."""
    ranges: Annotated[list[AnyNetwork], Field(max_length=200)] = []
    """The networks that it asks from, beside those of the `provider`. What another address says of its client is not
    believed."""
    header: HeaderName | None = None
    """The header that names the client: the provider's own, else `X-Forwarded-For`."""
    only: bool = False
    """Whether others than the CDN get 403, but for this host, `infra:adminCidrs` and `infra:statusCidrs`."""
    proxied: bool = False
    """Whether the stack's record of the name leads to Cloudflare's proxy instead of the host. It needs the provider
    `cloudflare`, here and in `infra:dns`."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Cdn":
        if self.proxied and self.provider != "cloudflare":
            raise ValueError("provider: cloudflare, where it is proxied")
        if not self.provider and not self.ranges:
            raise ValueError("cloudflare, or ranges: the networks that the CDN asks from")
        return self

    @property
    def networks(self) -> list[str]:
        own = published_lists()[self.provider]["ranges"] if self.provider else list[str]()
        return list(dict.fromkeys([*own, *self.ranges]))

    @property
    def networks_of_ipv4(self) -> list[IPv4Network]:
        return [network for text in self.networks if isinstance(network := ip_network(text), IPv4Network)]

    @property
    def client_header(self) -> str:
        return self.header or (published_lists()[self.provider]["header"] if self.provider else "X-Forwarded-For")


def _by_name(value: Any) -> Any:
    return {"provider": value} if isinstance(value, str) else value


AnyCdn = Annotated[Cdn, BeforeValidator(_by_name)]
