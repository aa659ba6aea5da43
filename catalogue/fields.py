"""The kinds of fields that catalogue and configuration are made of."""

from ipaddress import IPv4Address, IPv4Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from catalogue.proxies import unwritable_signs
from catalogue.shapes import is_list, is_mapping


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _text_as(cls: type, allowed: str) -> Any:
    """A type written as text in YAML; strict mode alone would want the Python object."""

    def read(value: Any) -> Any:
        try:
            if isinstance(value, str):
                return cls(value)
            if not isinstance(value, cls):
                raise ValueError("YAML does not read a text here")
            return value
        except ValueError as error:
            close = f" ({error})" if "host bits" in str(error) else ""
            raise ValueError(f"{allowed}{close}") from None

    return BeforeValidator(read)


def one_or_list(example: str) -> BeforeValidator:
    """One mapping needs no list."""

    def read(value: Any) -> Any:
        if is_mapping(value) or is_list(value):
            return [value] if isinstance(value, dict) else value
        raise ValueError(f"a mapping, such as {example}, or a list of such")

    return BeforeValidator(read)


def _header_value(text: str) -> str:
    """Raises ValueError for what one of the proxies cannot be given as it is."""
    for sign, proxy in unwritable_signs():
        if sign in text:
            raise ValueError(f"a header's value without {sign}, which {proxy} cannot write")
    return text


def _any_network(text: str) -> str:
    try:
        # What follows a % Python keeps as it is, and so would each line that a proxy reads
        if "%" in text:
            raise ValueError("a zone")
        return str(ip_network(text))
    except ValueError as error:
        close = f" ({error})" if "host bits" in str(error) else ""
        raise ValueError(f"a network of IPv4 or IPv6, such as 198.51.100.0/24 or 2001:db8::/32{close}") from None


def _plain_path(path: str) -> str:
    """Raises ValueError for a path that leads elsewhere than it says, or that Compose would take apart."""
    if any(part in (".", "..") for part in path.split("/")) or "//" in path or ":" in path or len(path) > 1024:
        raise ValueError("a path from the root, without . and .. in it, a : or a second /")
    return path


Address = Annotated[IPv4Address, _text_as(IPv4Address, "an IPv4 address such as 10.0.0.5"), PlainSerializer(str)]
Network = Annotated[
    IPv4Network, _text_as(IPv4Network, "a network of IPv4 such as 198.51.100.7/32"), PlainSerializer(str)
]
# Of either family, as the text that a proxy reads
AnyNetwork = Annotated[str, AfterValidator(_any_network)]
NAME = r"^[a-z0-9][a-z0-9_.-]*$"
# What names of containers, units and volumes begin with, which have limits of their own
INSTANCE = r"^[a-z0-9][a-z0-9_-]{0,38}[a-z0-9]$"
_ACCOUNT = r"^[a-z_][a-z0-9_-]{0,31}$"
_OWNER = r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})$"
_UNIT = r"^[A-Za-z0-9:_][A-Za-z0-9:_.@-]*\.(service|timer)$"
# A public name: 64 characters are what a certificate's common name holds
HOST_NAME = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
_SHOWN = r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_LINE = rf"^({_SHOWN}]*{_SHOWN}\\])?$"
_HEADER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
_URL_PATH = r"^/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*$"
HEALTH = r"^(tcp|image|running|/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*)$"
_BELOW = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"
_UPSTREAM = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:[0-9]{1,5})?$"
_ORIGIN = r"^(\*|https?://[a-z0-9.-]+(:[0-9]{1,5})?)$"
_USER = r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$"
_TARGET = r"^(https?://[a-z0-9.-]+(:[0-9]{1,5})?)?/([A-Za-z0-9._~%-]+/)*[A-Za-z0-9._~%-]*$"
HostName = Annotated[str, Field(pattern=HOST_NAME, max_length=64)]
# What a service is asked as: also `localhost`, an address, another service's name, with a port
UpstreamHost = Annotated[str, Field(pattern=_UPSTREAM, max_length=253)]
# What goes into a line of a unit, a site or a comment
Line = Annotated[str, Field(pattern=_LINE)]
HeaderValue = Annotated[Line, AfterValidator(_header_value)]
HeaderName = Annotated[str, Field(pattern=_HEADER_NAME)]
UrlPath = Annotated[str, Field(pattern=_URL_PATH)]
# A path below a directory of the project's
PathBelow = Annotated[str, Field(pattern=_BELOW)]
_PACKAGE = r"^[a-z0-9][a-z0-9+.-]*[a-z0-9+]$"
_PATH = r"^(/+[\p{L}\p{N}._@:+,=~-]+)+$"
MODE = r"^0?[0-7]{3}$"
_EMAIL = r"^[A-Za-z0-9._+-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_KEY = r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/=]+( [^\x00-\x1f\x7f]*)?$"
_ACCOUNT_ID = r"^[0-9]{12}$"
_REGION = r"^[a-z]{2}(-[a-z]+)+-[0-9]$"
# Pattern → what it allows, as a person reads it
ALLOWED = {
    HOST_NAME: "a host name such as api.example.com: lower-case letters, digits and hyphens, labels of at most 63 "
    "characters joined by dots, not an address; internationalised names in ASCII form (xn--…)",
    _LINE: "text in one line, without control characters, text-direction marks, or a \\ at its end",
    _HEADER_NAME: "the name of an HTTP header: letters, digits, hyphens and underscores",
    _BELOW: "a relative path below its directory, such as recall/gunicorn.conf.py: no leading /, .. or hidden name",
    HEALTH: "a path such as /health, or tcp, image, running, or {command: …}",
    _URL_PATH: "a path that begins with /, with a query or without, such as /health?deep=1; other characters as %20",
    NAME: "a name such as notes-api: lower-case letters, digits and . _ -",
    INSTANCE: "a name such as shop-staging: 2 to 40 lower-case letters, digits, _ and -",
    _ACCOUNT: "the name of an account: lower-case letters, digits, _ and -, at most 32",
    _OWNER: 'the name of an account, or its number in quotes, such as "999"',
    _UNIT: "a unit with its ending, such as notes-worker.service",
    _PACKAGE: "the name of a Debian package, such as ffmpeg",
    _PATH: "a path from the root, such as /srv/app/app.toml: letters, digits and . _ @ : + , = ~ - between its slashes",
    MODE: 'permissions such as "0644"; without setuid, setgid and sticky bits',
    _EMAIL: "an e-mail address such as ops@example.com",
    _VARIABLE: "the name of a variable: letters, digits and _",
    _KEY: "an SSH public key in one line, such as ssh-ed25519 AAAA…",
    _UPSTREAM: "a host name or an IPv4 address, with a port or without, such as localhost:3000",
    _ACCOUNT_ID: 'the 12 digits of an AWS account, in quotes: "123456789012"',
    _ORIGIN: "an origin as browsers send it, such as https://app.example.com, without a path; or * for all",
    _USER: "a user's name: letters, digits and . _ @ -",
    _TARGET: "a path, such as /new/, or an address, such as https://shop.example.com/, without ? and #",
    _REGION: "the name of an AWS region, such as ap-northeast-1",
}


def pattern_text(pattern: str, allowed: str, **more: Any) -> Any:
    """A field for texts of a pattern, with what that allows, as a person reads it."""
    ALLOWED[pattern] = allowed
    return Field(pattern=pattern, **more)


Name = Annotated[str, Field(pattern=NAME)]
AccountName = Annotated[str, Field(pattern=_ACCOUNT)]
# An account, or the number that a container knows it by
OwnerName = Annotated[str, Field(pattern=_OWNER)]
UnitName = Annotated[str, Field(pattern=_UNIT)]
# apt takes a - at a name's end for "remove it"
PackageName = Annotated[str, Field(pattern=_PACKAGE)]
AbsolutePath = Annotated[str, Field(pattern=_PATH)]
# Of a container's own file system, and of what it sees of a host's: said in one way only
ContainerPath = Annotated[AbsolutePath, AfterValidator(_plain_path)]
KERNEL = ("/proc", "/sys", "/dev")


def _below_root(path: Any) -> Any:
    if path == "/":
        raise ValueError("a path of the container below /, such as /data: / itself is the image")
    return path


def _outside_kernel(path: str) -> str:
    if place := next((place for place in KERNEL[:2] if path == place or path.startswith(f"{place}/")), ""):
        raise ValueError(f"a path outside {place}, which belongs to the kernel in each container")
    return path


# Where something may be put into a container; over a file of its image, such as /etc/passwd, it may
Target = Annotated[ContainerPath, BeforeValidator(_below_root)]
InsidePath = Annotated[Target, AfterValidator(_outside_kernel)]
Permissions = Annotated[str, Field(pattern=MODE)]
Email = Annotated[str, Field(pattern=_EMAIL)]
Origin = Annotated[str, Field(pattern=_ORIGIN)]
UserName = Annotated[str, Field(pattern=_USER)]
RedirectTarget = Annotated[str, Field(pattern=_TARGET)]
EnvironmentName = Annotated[str, Field(pattern=_VARIABLE)]
PublicKey = Annotated[str, Field(pattern=_KEY)]
AccountId = Annotated[str, Field(pattern=_ACCOUNT_ID)]
Region = Annotated[str, Field(pattern=_REGION)]
Port = Annotated[int, Field(ge=1, le=65535)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
