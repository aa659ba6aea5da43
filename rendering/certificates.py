"""The certificate of a site: which one it is, and where its files are."""

from dataclasses import dataclass

from catalogue.dns import domain_above
from catalogue.loading import Catalogue
from catalogue.sites import CertificateFiles, Site
from rendering.files import Certificate, HostFiles, Requirement

LIVE = "/etc/letsencrypt/live"


@dataclass(frozen=True)
class Pair:
    """Where a proxy finds a certificate with its chain, and the key."""

    chain: str
    key: str


def name_of(catalogue: Catalogue, site: Site) -> str:
    """The name of a site's certificate in certbot: a wildcard certificate is named after its domain, not after a
    site."""
    public = catalogue.stack.public_name(site.name)
    return f"_wildcard.{domain_above(public)}" if site.certificate == "wildcard" else public


def pair(catalogue: Catalogue, site: Site) -> Pair:
    """Where a site's certificate is."""
    if isinstance(site.certificate, CertificateFiles):
        return Pair(site.certificate.chain, site.certificate.key)
    place = f"{LIVE}/{name_of(catalogue, site)}"
    return Pair(f"{place}/fullchain.pem", f"{place}/privkey.pem")


def needed_files(catalogue: Catalogue, site: Site, group: str = "root") -> HostFiles:
    """What a host needs for a site's certificate: a certbot certificate whose key `group` may read, or existing
    files."""
    stack, dns = catalogue.stack, catalogue.stack.dns
    if isinstance(site.certificate, CertificateFiles):
        reason = f"the certificate of {stack.public_name(site.name)}"
        files = [site.certificate.chain, site.certificate.key]
        return HostFiles("", requirements=[Requirement(path, reason) for path in files])
    name = name_of(catalogue, site)
    domain = f"*.{domain_above(stack.public_name(site.name))}" if site.certificate == "wildcard" else ""
    certificate = Certificate(
        name, site.challenge, stack.acmeDirectory, stack.acmeEmail, group, dns.provider, dns.challenges, domain
    )
    return HostFiles("", certificates=[certificate])
