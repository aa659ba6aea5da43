"""Records of the stack's zone beside its hosts' addresses: mail, aliases, proofs of ownership, who may issue
certificates."""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

from pydantic import Field, model_validator

from catalogue.fields import Model, pattern_text

# With _dmarc, _acme-challenge.www and *.example.com
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_NAME = rf"(\*\.)?{_LABEL}(\.{_LABEL})*"
RecordName = Annotated[
    str,
    pattern_text(
        rf"^{_NAME}$",
        "a full name in the zone, such as _dmarc.example.com or *.example.com: lower-case letters, digits, - and _",
        max_length=253,
    ),
]
_TARGET = re.compile(rf"{_NAME}\.?", re.IGNORECASE)
_LONGEST = 3900  # characters of a text with its escapes, of 4000 with the quotes of its pieces
_PIECE = 255  # bytes of a text in a TXT record
_FORMS = {
    "A": "an IPv4 address",
    "AAAA": "an IPv6 address",
    "CNAME": "a name, such as shop.example.net",
    "MX": "a preference and a name: 10 mx.example.net",
    "TXT": "any printable ASCII text, without quotes around it",
    "CAA": '0 issue "letsencrypt.org", with issue, issuewild or iodef',
    "SRV": "priority, weight, port and a name: 10 5 5060 sip.example.net",
}
_CAA = re.compile(r'(0|128) (issue|issuewild|iodef) "([^"\\]*)"')


class Record(Model):
    """A record of the stack's zone beside its hosts' addresses."""

    name: RecordName
    """The whole name, in the stack's zone."""
    type: Literal["A", "AAAA", "CNAME", "MX", "TXT", "CAA", "SRV"]
    """The type of the record."""
    values: Annotated[list[Annotated[str, Field(min_length=1, max_length=4000)]], Field(min_length=1, max_length=100)]
    """Its values as Route 53 takes them, such as `10 mx.example.net` of MX; a TXT without quotes around it."""
    ttl: Annotated[int, Field(ge=1, le=172800, strict=False)] = 300
    """Seconds for which resolvers may keep it."""

    @model_validator(mode="after")
    def _check_values(self) -> "Record":
        for value in self.values:
            if not _fits(self.type, value):
                raise ValueError(f"{self.type} {value!r}: {_FORMS[self.type]}")
        if len({*self.values}) < len(self.values):
            raise ValueError("a value is listed twice")
        if self.type == "CNAME" and len(self.values) > 1:
            raise ValueError("a CNAME has one value")
        return self

    @property
    def provider_values(self) -> list[str]:
        """The values as the provider takes them, which adds the outer quotes of a text itself."""
        return [quoted_text(value)[1:-1] for value in self.values] if self.type == "TXT" else self.values

    def issuers(self, is_wildcard: bool = False) -> list[str] | None:
        """Whom a CAA record lets issue certificates of a name, or one for all names below it; None where it restricts
        no one (RFC 8659)."""
        matches = [match for value in self.values if self.type == "CAA" and (match := _CAA.fullmatch(value))]
        issue = [match for match in matches if match[2] == "issue"]
        if is_wildcard:
            issue = [match for match in matches if match[2] == "issuewild"] or issue
        return [name for match in issue if (name := match[3].partition(";")[0].strip().lower())] if issue else None


def _fits(kind: str, value: str) -> bool:
    if kind in ("A", "AAAA"):
        try:
            return "%" not in value and bool((IPv4Address if kind == "A" else IPv6Address)(value))
        except ValueError:
            return False
    if kind == "CNAME":
        return _is_name(value)
    if kind == "CAA":
        return _CAA.fullmatch(value) is not None
    if kind == "TXT":
        fits = len(_escape_quotes(value)) <= _LONGEST
        return fits and value.isascii() and value.isprintable() and not (value[0] == value[-1] == '"')
    *numbers, name = value.split(" ")
    return (
        len(numbers) == (1 if kind == "MX" else 3)
        and all(number.isascii() and number.isdecimal() and int(number) < 65536 for number in numbers)
        # The root alone: there is none
        and (name == "." or _is_name(name))
    )


def _is_name(text: str) -> bool:
    return len(text) <= 254 and _TARGET.fullmatch(text) is not None


def quoted_text(value: str) -> str:
    """A text as zone files write it, in pieces where it is long."""
    return '"' + '" "'.join(_pieces(_escape_quotes(value))) + '"'


def plain_text(quoted: str) -> str:
    """The text that `quoted_text` was made from; one without quotes stands for itself."""
    if not quoted.startswith('"'):
        return quoted
    pieces = re.findall(r'"((?:\\.|[^"\\])*)"', quoted)
    return re.sub(r"\\(.)", r"\1", "".join(pieces))


def _escape_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _pieces(text: str) -> list[str]:
    """Of an escaped text, none of which ends within an escape."""
    pieces: list[str] = []
    piece = ""
    for sign in re.findall(r"\\.|.", text):
        if len(piece) + len(sign) > _PIECE:
            pieces, piece = [*pieces, piece], ""
        piece += sign
    return [*pieces, piece]
