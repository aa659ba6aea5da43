"""The certificate of a site: which one it is, and where its files are."""

from dataclasses import dataclass, replace

from catalogue.dns import domain_above
from catalogue.loading import Catalogue
from catalogue.models import System
from catalogue.sites import CertificateFiles, CertificateSecrets, Site
from rendering.environment import secret_file
from rendering.files import Certificate, EnvironmentFile, HostFiles, OwnCertificate, Requirement

LIVE = "/etc/letsencrypt/live"
# As in agent/desired_state.py: in a file of secrets, between the name and the value of its only one
WHOLE = "\n"


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


def pair(catalogue: Catalogue, system: System, site: Site, proxy: str) -> Pair:
    """Where a site's certificate is. `proxy` is the proxy's own directory, in which those from secrets lie."""
    if isinstance(site.certificate, CertificateSecrets):
        own = site.certificate
        return Pair(_path(proxy, system, own.chain_secret), _path(proxy, system, own.key_secret))
    if isinstance(site.certificate, CertificateFiles):
        return Pair(site.certificate.chain, site.certificate.key)
    place = f"{LIVE}/{name_of(catalogue, site)}"
    return Pair(f"{place}/fullchain.pem", f"{place}/privkey.pem")


def _path(proxy: str, system: System, secret: str) -> str:
    return f"{proxy}/certificates/{system.system}-{secret}.pem"


def own_certificate(catalogue: Catalogue, system: System, site: Site, proxy: str, group: str) -> HostFiles:
    """What a host has of a certificate that no authority is asked for: its files, where they come from secrets, and
    what the agent looks at before it switches. Several sites may have one."""
    if not site.has_own_certificate:
        return HostFiles("")
    place, own = pair(catalogue, system, site, proxy), site.certificate
    secrets = (
        [(place.chain, own.chain_secret), (place.key, own.key_secret)] if isinstance(own, CertificateSecrets) else []
    )
    return HostFiles(
        host="",
        environment_files=[_secret_text(catalogue, system, path, secret, group) for path, secret in secrets],
        own_certificates=[OwnCertificate(catalogue.stack.public_name(site.name), place.chain, place.key)],
    )


def _secret_text(catalogue: Catalogue, system: System, path: str, secret: str, group: str) -> EnvironmentFile:
    """A file that is one secret, below a line with its name, which readers of PEM pass over."""
    by_line = {f"# {secret} of {system.system}": secret}
    file = secret_file(path, system.system, by_line, catalogue.secrets, catalogue.stack)
    mode = 0o600 if group == "root" else 0o640
    return replace(file, between=WHOLE, mode=mode, group=group)


def needed_files(catalogue: Catalogue, site: Site, group: str = "root") -> HostFiles:
    """What a host needs for a site's certificate: a certbot certificate whose key `group` may read, or existing
    files."""
    stack, dns = catalogue.stack, catalogue.stack.dns
    if isinstance(site.certificate, CertificateFiles):
        reason = f"the certificate of {stack.public_name(site.name)}"
        files = [site.certificate.chain, site.certificate.key]
        return HostFiles("", requirements=[Requirement(path, reason) for path in files])
    if site.has_own_certificate:
        return HostFiles("")
    name = name_of(catalogue, site)
    domain = f"*.{domain_above(stack.public_name(site.name))}" if site.certificate == "wildcard" else ""
    certificate = Certificate(
        name, site.challenge, stack.acmeDirectory, stack.acmeEmail, group, dns.provider, dns.challenges, domain
    )
    return HostFiles("", certificates=[certificate])
