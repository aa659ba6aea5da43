"""What a configuration says of machines and places elsewhere: addresses, name servers, buckets, authorities."""

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated

from pydantic import BeforeValidator

from catalogue.networks import PRIVATE

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_URL = re.compile(r"https?://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[A-Za-z0-9._~/-]*)?")
_LOG_SERVER = re.compile(
    r"(?:(?P<form>(?:loki|otlp)\+)(?:(?P<is_https>https)|http)|(?P<is_tls>tls)|tcp)://(?P<host>[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/-]*)?"
)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
# Amazon S3's user guide, "General purpose bucket naming rules"
_BUCKET = re.compile(r"(?!.*[.-]\.|.*\.-)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)")


def is_address(text: str) -> bool:
    """Is it an address that a machine can have."""
    try:
        return "%" not in text and not ip_address(text).is_unspecified
    except ValueError:
        return False


def is_name(text: str) -> bool:
    """Can a machine have the name: also one without a domain, in capitals, but none that ends like an address."""
    labels = text.split(".")
    return len(text) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def _machine(text: str) -> str:
    if not is_address(text) and not is_name(text):
        raise ValueError("an IP address of a machine, or a host name such as box.example.com, without a port")
    if is_address(text) and (is_of_none := _is_of_no_machine(text)):
        raise ValueError(f"the address of a single machine, but this is {is_of_none}")
    return text


def _is_of_no_machine(address: str) -> str:
    """What an address is that no machine is reached at; "" for any other."""
    parsed_address = ip_address(address)
    kinds = {"of a group (multicast)": parsed_address.is_multicast, "link-local": parsed_address.is_link_local}
    kinds["reserved"] = parsed_address.is_reserved and not parsed_address.is_loopback
    return next((kind for kind, is_so in kinds.items() if is_so), "")


def _is_place(host: str, port: str | None) -> bool:
    """Is there a machine, by its IPv4 address or its name, and where a port is given, one from 1 on."""
    return (is_name(host) or is_address(host)) and (port is None or (port.isdecimal() and 0 < int(port) < 65536))


def _name_server(text: str) -> str:
    host, colon, port = text.partition(":")
    if not text.isascii() or not _is_place(host, port if colon else None):
        raise ValueError(
            "an IPv4 address or a host name, with a port or without, such as 192.0.2.53 or 192.0.2.53:5353"
        )
    return text


def _url(text: str) -> str:
    parts = _URL.fullmatch(text)
    if not parts or not _is_place(parts[1], parts[2]):
        raise ValueError("an address such as https://acme.example.com/directory")
    return text


def _log_server(text: str) -> str:
    parts = _LOG_SERVER.fullmatch(text)
    if not parts or not _is_place(parts["host"], parts["port"]) or (parts["path"] and not parts["form"]):
        raise ValueError(
            "a server such as tls://logs.example.com:6514 (syslog), loki+https://logs.example.com or "
            "otlp+https://logs.example.com, with a port or path or without, and without a login in it"
        )
    host, form = parts["host"], parts["form"] or ""
    is_safe = parts["is_https"] or parts["is_tls"]
    if not is_safe and not (is_address(host) and any(ip_address(host) in network for network in PRIVATE)):
        safe, plain = (f"{form}https://", f"{form}http://") if form else ("tls://", "tcp://")
        raise ValueError(f"{safe}, since others could read the logs on their way; {plain} only to a private address")
    return text


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name) or is_address(name) or _RESERVED.fullmatch(name):
        raise ValueError("the name of an S3 bucket, such as shop-backups: 3 to 63 lower-case letters, digits, - and .")
    return name


def _certificates(text: str) -> str:
    if not _PEM.search(text):
        raise ValueError("the certificate itself (PEM, from -----BEGIN CERTIFICATE----- on), not a path to it")
    return text


def _text(check: Callable[[str], str]) -> BeforeValidator:
    """What no text is gets the same rule, and no advice to put it in quotes."""
    return BeforeValidator(lambda value: check(value if isinstance(value, str) else ""))


MachineAddress = Annotated[str, _text(_machine)]
NameServer = Annotated[str, _text(_name_server)]
Url = Annotated[str, _text(_url)]
LogServerAddress = Annotated[str, _text(_log_server)]
Bucket = Annotated[str, _text(_bucket)]
Certificates = Annotated[str, _text(_certificates)]
