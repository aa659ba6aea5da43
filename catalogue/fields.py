"""The kinds of fields that catalogue and configuration are made of."""

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _text_as(cls: type) -> Any:
    """A type written as text in YAML; strict mode alone would want the Python object."""
    return BeforeValidator(lambda value: cls(value) if isinstance(value, str) else value)


Address = Annotated[IPv4Address, _text_as(IPv4Address), PlainSerializer(str)]
Network = Annotated[IPv4Network, _text_as(IPv4Network), PlainSerializer(str)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
AccountName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
UnitName = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.@-]+\.(service|timer)$")]
# A public name: 64 characters are what a certificate's common name holds
HOST_NAME = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
_HEADER_NAME = r"^[A-Za-z0-9!#%&'*+.^_`|~-]+$"
_URL_PATH = r"^/[A-Za-z0-9._~!$&()*+,;=:@%/?-]*$"
_BELOW = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"
HostName = Annotated[str, Field(pattern=HOST_NAME, max_length=64)]
# What goes into a line of a unit, a site or a comment
Line = Annotated[str, Field(pattern=_LINE)]
HeaderName = Annotated[str, Field(pattern=_HEADER_NAME)]
UrlPath = Annotated[str, Field(pattern=_URL_PATH)]
# A path below a directory of the project's
PathBelow = Annotated[str, Field(pattern=_BELOW)]
# Pattern → what it allows, as a person reads it
ALLOWED = {
    HOST_NAME: "a host name such as api.example.com: lower-case letters, digits and hyphens, labels of at most 63 "
    "characters joined by dots, and no address; a name in another script in its ASCII form (xn--…)",
    _LINE: "text in one line, without control characters or marks that turn its direction",
    _HEADER_NAME: "the name of an HTTP header: letters, digits and hyphens",
    _BELOW: "a path below its directory, such as recall/gunicorn.conf.py: no /, .. or hidden name at its beginning",
    _URL_PATH: "a path that begins with /, with a query or without, such as /health?deep=1; other characters as %20",
}
PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\s]*[^\s/]$")]
Permissions = Annotated[str, Field(pattern=r"^[0-7]{3,4}$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
