"""Records of the zone: none that a site, another record or a certificate is in the way of."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from catalogue.dns import domain_above
from catalogue.loading import Catalogue
from catalogue.problems import Problem
from catalogue.records import Record

# What the CAs of these directories call themselves in CAA records (their own documentation)
ISSUERS = {
    "letsencrypt.org": "letsencrypt.org", "acme.zerossl.com": "sectigo.com", "dv.acme-v02.api.pki.goog": "pki.goog",
    "api.buypass.com": "buypass.com",
}  # fmt: skip


def records(catalogue: Catalogue) -> Iterator[Problem]:
    stack = catalogue.stack
    described = [site for system in catalogue.running.values() for site in system.sites]
    sites = {stack.public_name(site.name) for site in described}
    wild = {domain_above(stack.public_name(site.name)) for site in described if site.certificate == "wildcard"}
    defined: set[tuple[str, str]] = set()
    kinds: dict[str, set[str]] = {}
    for record in stack.records:
        kinds.setdefault(record.name, set()).add(record.type)
    for record in stack.records:
        where = f"infra:records: {record.name} {record.type}"
        for fault, rule in _faults(record, stack.zone, sites, wild, kinds[record.name]):
            yield Problem(stack.file, where, fault, rule)
        if (record.name, record.type) in defined:
            yield Problem(stack.file, where, "is listed twice", "must be one record with all values")
        defined.add((record.name, record.type))


def _faults(record: Record, zone: str, sites: set[str], wild: set[str], kinds: set[str]) -> Iterator[tuple[str, str]]:
    plain = record.name.removeprefix("*.")
    if plain != zone and not plain.endswith(f".{zone}"):
        yield f"is not in infra:zone ({zone})", f"must be a name such as mail.{zone}"
    if record.type in ("A", "AAAA", "CNAME") and record.name in sites:
        yield "is a site's name, which points to its host", "must be another name; or remove the record"
    if record.type == "CNAME" and (record.name == zone or len(kinds) > 1):
        other = "the zone itself has other records" if record.name == zone else f"it has {', '.join(sorted(kinds))}"
        yield (
            f"a name with a CNAME can have no other records, but {other}",
            "must be another name, or the records that it points to",
        )
    if record.type in ("TXT", "CNAME") and (
        record.name.removeprefix("_acme-challenge.") in (sites | wild) - {record.name}
    ):
        yield "is written by the site's host when it obtains certificates", "remove the record"
    if record.type == "CNAME" and record.values[0].rstrip(".").lower() == record.name:
        yield "points to itself", "must be another name"


def issuers(catalogue: Catalogue) -> Iterator[Problem]:
    """A CAA record that leaves out the stack's own CA: the next certificate of that name would be refused."""
    stack, own = catalogue.stack, issuer(catalogue)
    if own is None:
        return
    for name, is_wildcard in _certified_names(catalogue):
        decides = _deciding(catalogue, name)
        allowed = decides.issuers(is_wildcard) if decides else None
        if decides and allowed is not None and own not in allowed:
            what, word = (f"*.{name}", "issuewild") if is_wildcard else (name, "issue")
            fault = (
                f"lets {', '.join(allowed) or 'no one'} issue certificates, but {what} gets its certificate from {own}"
            )
            yield Problem(stack.file, f"infra:records: {decides.name} CAA", fault, f'must also have 0 {word} "{own}"')


def issuer(catalogue: Catalogue) -> str | None:
    """What the stack's CA calls itself in CAA records; None where that is not known."""
    host = urlsplit(catalogue.stack.acmeDirectory).hostname or ""
    return next((issuer for name, issuer in ISSUERS.items() if host == name or host.endswith(f".{name}")), None)


def proposed_records(catalogue: Catalogue) -> list[Record]:
    """CAA records that would let the stack's CA alone issue certificates of its sites' names: for each name of the zone
    that no record of infra:records decides about. They concern no other name. A CDN has certificates of its own."""
    stack, own = catalogue.stack, issuer(catalogue)
    words: dict[str, list[str]] = {}
    for name, is_wildcard in _certified_names(catalogue, behind_cdn=False) if own else ():
        if stack.in_zone(name) and _deciding(catalogue, name) is None:
            word = "issuewild" if is_wildcard else "issue"
            words.setdefault(name, []).append(f'0 {word} "{own}"')
    return [Record(name=name, type="CAA", values=sorted({*values})) for name, values in words.items()]


def _certified_names(catalogue: Catalogue, behind_cdn: bool = True) -> Iterator[tuple[str, bool]]:
    """The names that the stack's CA issues certificates for; of a wildcard one, the name that it is below."""
    for system in catalogue.running.values():
        for site in system.sites:
            name, is_wildcard = catalogue.stack.public_name(site.name), site.certificate == "wildcard"
            served = (site.alias_of and system.site(site.alias_of)) or site
            if not site.has_own_certificate and (behind_cdn or not served.cdn):
                yield domain_above(name) if is_wildcard else name, is_wildcard


def _deciding(catalogue: Catalogue, name: str) -> Record | None:
    """The CAA record of infra:records that decides about a name: that of the nearest one (RFC 8659)."""
    above = [".".join(name.split(".")[number:]) for number in range(name.count(".") + 1)]
    stated = [record for record in catalogue.stack.records if record.type == "CAA"]
    return next((record for one in above for record in stated if record.name == one), None)
