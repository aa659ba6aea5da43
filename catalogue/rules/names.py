"""Who keeps the stack's zone: what each way needs, and what it cannot."""

import re
from collections.abc import Iterator

from catalogue.dns import LIVES, domain_above
from catalogue.encrypted_values import ENCRYPTED, is_sealed
from catalogue.loading import Catalogue
from catalogue.problems import Problem, nearest
from catalogue.stack import API_TOKEN, DNS, DNS_SECRETS, PROOF_TOKEN, Stack

TOKEN = re.compile(r"[A-Za-z0-9_-]+")


def zone(catalogue: Catalogue) -> Iterator[Problem]:
    stack = catalogue.stack
    proved = [
        (catalogue.file_of(system), site.name)
        for system in catalogue.running.values()
        for site in system.sites
        if site.is_proved_by_dns and stack.in_zone(stack.public_name(site.name))
    ]
    if stack.dns.provider == "external" and not stack.dns.challenges:
        for file, name in proved:
            fault = "is to be proved by DNS, but the records of infra:zone are written by hand (infra:dns)"
            rule = "must be challenge: http-01; or infra:dns {challenges: ZONE}, a zone in Route 53 (docs/names.md)"
            yield Problem(file, f"site {name}", fault, rule)
    yield from _secrets(stack, bool(proved))
    yield from _wildcards(catalogue)
    shortest, longest = LIVES.get(stack.dns.provider, (1, 172800))
    lives = {"infra:recordTtl": stack.recordTtl}
    lives |= {f"infra:records: {record.name} {record.type}": record.ttl for record in stack.records}
    for where, seconds in lives.items():
        if not shortest <= seconds <= longest:
            fault = f"{seconds} s, but {stack.dns.provider} allows {shortest} to {longest} s"
            yield Problem(stack.file, where, fault, f"{shortest} to {longest}")
    if stack.dns.challenges == stack.zone:
        fault = f"{stack.zone} is infra:zone itself"
        yield Problem(stack.file, "infra:dns.challenges", fault, "must be a separate zone in Route 53; or remove it")


def _wildcards(catalogue: Catalogue) -> Iterator[Problem]:
    stack = catalogue.stack
    if stack.dns.provider == "route53" or stack.dns.challenges:
        yield from _repeated_proofs(catalogue)
    for system in catalogue.running.values():
        for site in system.sites:
            name = stack.public_name(site.name)
            if site.certificate != "wildcard":
                continue
            file, where, above = catalogue.file_of(system), f"site {site.name}", domain_above(name)
            if site.challenge == "http-01":
                fault = "a wildcard certificate with a proof by HTTP"
                yield Problem(file, where, fault, "must be challenge: dns-01, which authorities require for a wildcard")
            elif not stack.in_zone(above):
                fault = f"certificate: wildcard, but {name} is not below infra:zone ({stack.zone})"
                yield Problem(file, where, fault, "remove certificate: the site then gets its own")


def _repeated_proofs(catalogue: Catalogue) -> Iterator[Problem]:
    """In Route 53 a name has one set of texts: of two hosts each would write over the other's proof."""
    stack = catalogue.stack
    on: dict[str, list[str]] = {}
    for host in stack.hosts:
        sites = [
            site for system in catalogue.systems_on(host) for site in system.sites if site.certificate == "wildcard"
        ]
        for above in dict.fromkeys(domain_above(stack.public_name(site.name)) for site in sites):
            on.setdefault(above, []).append(host)
    for above, hosts in on.items():
        if len(hosts) > 1:
            fault = f"*.{above} is proved by {' and '.join(hosts)}, which would overwrite each other's proof"
            yield Problem(stack.file, "infra:hosts", fault, "must be certificate: wildcard on one of them only")


def _secrets(stack: Stack, is_proved: bool) -> Iterator[Problem]:
    dns_secrets, is_cloudflare = stack.secrets.get(DNS, {}), stack.dns.provider == "cloudflare"
    for name, value in sorted(dns_secrets.items()):
        where = f"infra:secrets.{DNS}.{name}"
        if name not in DNS_SECRETS:
            yield Problem(stack.file, where, "is not known", nearest(name, [*DNS_SECRETS], "secrets of the zone"))
        elif value and not is_sealed(value) and not TOKEN.fullmatch(value):
            yield Problem(
                stack.file,
                where,
                "is not a token",
                "must be one word of letters, digits, - and _, as Cloudflare displays it",
            )
        elif not is_cloudflare:
            fault, rule = (
                f"infra:dns has the provider {stack.dns.provider}, which needs no token",
                "remove it: infra secret unset",
            )
            yield Problem(stack.file, where, fault, rule, "warning")
    token = dns_secrets.get(API_TOKEN, ENCRYPTED)
    if token == dns_secrets.get(PROOF_TOKEN) and not is_sealed(token):
        fault = f"is the same as {API_TOKEN}, which must not be stored on hosts"
        yield Problem(
            stack.file, f"infra:secrets.{DNS}.{PROOF_TOKEN}", fault, "must be another token, for the hosts only"
        )
    if is_cloudflare and stack.dns.challenges and dns_secrets.get(PROOF_TOKEN):
        fault = f"no host needs it: names are proved in {stack.dns.challenges}"
        yield Problem(
            stack.file, f"infra:secrets.{DNS}.{PROOF_TOKEN}", fault, "remove it: infra secret unset", "warning"
        )
    purposes = {API_TOKEN: "writes the records of infra:zone"} if is_cloudflare else {}
    if is_cloudflare and is_proved and not stack.dns.challenges:
        purposes[PROOF_TOKEN] = "lets the hosts prove their names"
    for name, what in purposes.items():
        if not dns_secrets.get(name):
            fault = f"is not set: it {what}"
            rule = (
                f"must be a Cloudflare token with Zone:Read and DNS:Edit of {stack.zone} alone: "
                f"infra secret set {DNS}.{name} --stack {stack.name}"
            )
            yield Problem(stack.file, f"infra:secrets.{DNS}.{name}", fault, rule, unset=f"{DNS}.{name}")
