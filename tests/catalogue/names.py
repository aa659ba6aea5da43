"""Every rule about who keeps the stack's zone, with an example that breaks it."""

from tests.catalogue.changes import both, configured
from tests.support import service, unchanged

TOKENS = {"dns": {"CLOUDFLARE_API_TOKEN": "a1", "CLOUDFLARE_PROOF_TOKEN": "b2"}}


def kept_by(provider, **values):
    return configured(dns={"provider": provider, **values})


# Name → configuration, and what the one line must say
EXAMPLES = {
    "Cloudflare without its token": (
        kept_by("cloudflare"),
        "infra:secrets.dns.CLOUDFLARE_API_TOKEN: is not set: it writes the records of infra:zone; must be a Cloudflare token with "
        "Zone:Read and DNS:Edit of hey-watch.me alone: infra secret set dns.CLOUDFLARE_API_TOKEN --stack prod",
    ),
    "Cloudflare without the hosts' token": (
        both(kept_by("cloudflare"), configured(secrets={"dns": {"CLOUDFLARE_API_TOKEN": "a1"}})),
        "infra:secrets.dns.CLOUDFLARE_PROOF_TOKEN: is not set: it lets the hosts",
    ),
    "a token with a line break": (
        both(kept_by("cloudflare"), configured(secrets={"dns": {"CLOUDFLARE_API_TOKEN": "a\nb"}})),
        "infra:secrets.dns.CLOUDFLARE_API_TOKEN: is not a token; must be one word of letters, digits, - and _",
    ),
    "another secret": (
        both(kept_by("cloudflare"), configured(secrets={"dns": {"CLOUDFLARE_TOKEN": "a"}})),
        "infra:secrets.dns.CLOUDFLARE_TOKEN: is not known",
    ),
    "a token for Route 53": (
        configured(secrets=TOKENS), "infra:secrets.dns.CLOUDFLARE_API_TOKEN: infra:dns has the provider route53, which needs no token",
    ),
    "a shorter life than Cloudflare keeps": (
        both(kept_by("cloudflare"), configured(recordTtl=30, secrets=TOKENS)),
        "infra:recordTtl: 30 s, but cloudflare allows 60 to 86400 s; 60 to 86400",
    ),
    "a record of a shorter life": (
        both(
            kept_by("cloudflare"),
            configured(secrets=TOKENS, records=[{"name": "x.hey-watch.me", "type": "A", "values": ["192.0.2.1"], "ttl": 5}]),
        ),
        "infra:records: x.hey-watch.me A: 5 s, but cloudflare",
    ),
    "a record of a longer life": (
        both(kept_by("cloudflare"), configured(secrets=TOKENS, records=[{"name": "x.hey-watch.me", "type": "A", "values": ["192.0.2.1"], "ttl": 172800}])),
        "infra:records: x.hey-watch.me A: 172800 s, but cloudflare allows",
    ),
    "one token for both": (
        both(kept_by("cloudflare"), configured(secrets={"dns": {"CLOUDFLARE_API_TOKEN": "a1", "CLOUDFLARE_PROOF_TOKEN": "a1"}})),
        "infra:secrets.dns.CLOUDFLARE_PROOF_TOKEN: is the same as CLOUDFLARE_API_TOKEN, which must not be stored on hosts",
    ),
    "a token that no host needs": (
        both(kept_by("cloudflare", challenges="acme.example.net"), configured(secrets=TOKENS)),
        "infra:secrets.dns.CLOUDFLARE_PROOF_TOKEN: no host needs it: names are proved in acme.example.net",
    ),
    "a push of a service that is not there": (
        configured(pushers={"acme/shop": {"services": ["ast"]}}), "infra:pushers.acme/shop: no service ast",
    ),
    "a push into another stack's repositories": (
        configured(pushers={"acme/shop": {"services": ["ast-api"]}}, sharedRepositories=True),
        "infra:pushers: the repositories belong to another stack",
    ),
    "names proved where a person writes": (
        kept_by("external"),
        "site api.hey-watch.me: is to be proved by DNS, but the records of infra:zone are written by hand (infra:dns); must be challenge: http-01",
    ),
    "a proof in the zone itself": (
        kept_by("route53", challenges="hey-watch.me"), "infra:dns.challenges: hey-watch.me is infra:zone itself",
    ),
}  # fmt: skip


def certified(certificate, **more):
    return lambda data: data["sites"][0].update(certificate=certificate, **more)


def twice(data):
    """A site whose system runs on two hosts, each with a wildcard."""
    data["sites"][0].update(certificate="wildcard")


def on_two_hosts(config):
    config["infra:hosts"].update(second=dict(config["infra:hosts"]["watchme"]))


# Name → change of the system, configuration, and what the one line must say
def proxied(**values):
    """WatchMe's site behind Cloudflare's proxy, whose record the stack writes."""
    return lambda data: data["sites"][0].update(cdn={"provider": "cloudflare", "proxied": True}, **values)


AT_CLOUDFLARE = both(kept_by("cloudflare"), configured(secrets=TOKENS))
SYSTEM_EXAMPLES = {
    "a proxied name in Route 53": (
        proxied(), unchanged,
        "site api.hey-watch.me: cdn is proxied, but the stack writes no records at Cloudflare (infra:dns: route53); must be infra:dns",
    ),
    "a proxied name outside the zone": (
        proxied(challenge="http-01"), both(AT_CLOUDFLARE, configured(names={"api.hey-watch.me": "api.other.example"})),
        "site api.hey-watch.me: cdn is proxied, but api.other.example is not in infra:zone (hey-watch.me); remove proxied",
    ),
    "a proxied name that is proved by HTTP": (
        proxied(challenge="http-01"), AT_CLOUDFLARE,
        "cdn is proxied, with a proof by HTTP, which Cloudflare may answer or send on itself; must be challenge: dns-01",
    ),
    "a proxied name with clients' certificates": (
        proxied(client_ca="ca.pem"), AT_CLOUDFLARE, "cdn is proxied, with client_ca: clients show certificates to Cloudflare",
    ),
    "a proxied name deep below the zone": (
        proxied(), both(AT_CLOUDFLARE, configured(names={"api.hey-watch.me": "a.b.hey-watch.me"})),
        "a.b.hey-watch.me is proxied, and Cloudflare's universal certificate has no name so deep; must be one level below",
    ),
    "a single service by a proxied name": (
        both(proxied(), lambda data: service(data, "vault-api").update(single=True)), AT_CLOUDFLARE,
        "service vault-api: single, and api.hey-watch.me is proxied: no name server says which host that leads to",
    ),
    "a wildcard by HTTP": (
        certified("wildcard", challenge="http-01"), unchanged,
        "site api.hey-watch.me: a wildcard certificate with a proof by HTTP; must be challenge: dns-01",
    ),
    "a wildcard on two hosts": (
        twice, on_two_hosts, "infra:hosts: *.hey-watch.me is proved by watchme and second, which would overwrite each other's proof",
    ),
    "a wildcard that CAA forbids": (
        certified("wildcard"),
        configured(records=[{"name": "hey-watch.me", "type": "CAA", "values": ['0 issue "letsencrypt.org"', '0 issuewild ";"']}]),
        "hey-watch.me CAA: lets no one issue certificates, but *.hey-watch.me gets its certificate from letsencrypt.org; must also have 0 issuewild",
    ),
    "a record where a wildcard is proved": (
        certified("wildcard"),
        configured(records=[{"name": "_acme-challenge.hey-watch.me", "type": "TXT", "values": ["x"]}]),
        "_acme-challenge.hey-watch.me TXT: is written by the site's host when it obtains certificates",
    ),
    "a wildcard of the zone's own name": (
        certified("wildcard"), configured(names={"api.hey-watch.me": "hey-watch.me"}),
        "site api.hey-watch.me: certificate: wildcard, but hey-watch.me is not below infra:zone (hey-watch.me)",
    ),
}  # fmt: skip
