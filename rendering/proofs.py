"""How a host proves its public names by ACME's DNS challenge: certbot's settings, and the records that it writes."""

from catalogue.dns import domain_above
from catalogue.loading import Catalogue
from catalogue.stack import DNS, PROOF_TOKEN, Stack
from rendering.environment import Secrets, secret_file
from rendering.files import HostFiles

TOKEN = "/etc/infra/cloudflare.env"


def proved_names(catalogue: Catalogue, host: str) -> list[str]:
    """The names that a host proves by DNS, each once: of a certificate for all names below a domain, that domain."""
    sites = [site for system in catalogue.systems_on(host) for site in system.sites if site.is_proved_by_dns]
    names = [(catalogue.stack.public_name(site.name), site.certificate == "wildcard") for site in sites]
    return list(dict.fromkeys(domain_above(name) if is_wildcard else name for name, is_wildcard in names))


def records(catalogue: Catalogue, host: str) -> list[str]:
    """The TXT records in Route 53 that a host may write."""
    stack = catalogue.stack
    if stack.dns.provider != "route53" and not stack.dns.challenges:
        return []
    return [stack.dns.proof(name) for name in proved_names(catalogue, host)]


def has_token(catalogue: Catalogue, host: str) -> bool:
    """Whether a host writes its challenge records at Cloudflare."""
    dns = catalogue.stack.dns
    return dns.provider == "cloudflare" and not dns.challenges and bool(proved_names(catalogue, host))


def packages(stack: Stack) -> list[str]:
    """What certbot needs beside itself; what Route 53 does not keep, the agent writes (agent/proofs.py)."""
    is_plain = stack.dns.provider == "route53" and not stack.dns.challenges
    return ["python3-certbot-dns-route53"] if is_plain else []


def token(catalogue: Catalogue, host: str, secrets: Secrets) -> HostFiles:
    """The file with the host's Cloudflare token, readable by root only."""
    if not has_token(catalogue, host):
        return HostFiles("")
    file = secret_file(TOKEN, DNS, [PROOF_TOKEN], secrets, catalogue.stack)
    return HostFiles("", environment_files=[file])
