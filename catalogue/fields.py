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
PackageName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")]
AbsolutePath = Annotated[str, Field(pattern=r"^/[^\s]*[^\s/]$")]
Permissions = Annotated[str, Field(pattern=r"^[0-7]{3,4}$")]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
