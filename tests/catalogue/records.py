"""Every rule about records of the zone, with an example that breaks it."""

from tests.catalogue.changes import configured

ZONE = "hey-watch.me"


def record(name, kind, *values, **more):
    return {"name": f"{name}.{ZONE}" if name else ZONE, "type": kind, "values": [*values], **more}


def recorded(*entries):
    return configured(records=[*entries])


# Name → configuration, and what the one line must say
EXAMPLES = {
    "a record of another zone": (
        recorded({"name": "mail.example.org", "type": "MX", "values": ["10 mx.example.net"]}),
        "infra:records: mail.example.org MX: is not in infra:zone (hey-watch.me); must be a name such as mail.hey-watch.me",
    ),
    "a zone that ends alike": (
        recorded({"name": "nothey-watch.me", "type": "TXT", "values": ["x"]}), "nothey-watch.me TXT: is not in infra:zone",
    ),
    "a site's own address": (recorded(record("api", "A", "192.0.2.1")), "api.hey-watch.me A: is a site's name"),
    "a site's own alias": (recorded(record("api", "CNAME", "a.example")), "api.hey-watch.me CNAME: is a site's name"),
    "an alias of the zone": (recorded(record("", "CNAME", "a.example")), "a name with a CNAME can have no other records, but the zone"),
    "an alias beside others": (
        recorded(record("shop", "CNAME", "a.example"), record("shop", "TXT", "x")),
        "shop.hey-watch.me CNAME: a name with a CNAME can have no other records, but it has CNAME, TXT",
    ),
    "a record twice": (recorded(record("a", "TXT", "x"), record("a", "TXT", "y")), "a.hey-watch.me TXT: is listed twice"),
    "a challenge": (recorded(record("_acme-challenge.api", "TXT", "x")), "is written by the site's host when it obtains certificates"),
    "a challenge by another name": (recorded(record("_acme-challenge.api", "CNAME", "x.acme.example")), "is written by the site's host when it obtains certificates"),
    "an alias of itself": (recorded(record("a", "CNAME", "A.hey-watch.me.")), "a.hey-watch.me CNAME: points to itself; must be another name"),
    "another CA": (
        recorded(record("", "CAA", '0 issue "digicert.com"')),
        "hey-watch.me CAA: lets digicert.com issue certificates, but api.hey-watch.me gets its certificate from letsencrypt.org; must also have 0 issue",
    ),
    "no CA": (recorded(record("api", "CAA", '0 issue ";"')), "api.hey-watch.me CAA: lets no one issue certificates, but"),
}  # fmt: skip
