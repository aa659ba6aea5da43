"""Sizes as the documents write them, and the machines they have to fit on."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator

MiB = 1024**2
_UNITS = {"k": 1024, "m": MiB, "g": 1024**3}


def to_bytes(size: str) -> int:
    """Bytes of a size such as "200m", "2g" or "10M" (binary units, as Docker and Nginx read them).

    Raises ValueError for anything else.
    """
    match = re.fullmatch(r"([0-9]{1,15})([kKmMgG])", size)
    if not match or not int(match[1]):
        raise ValueError(f"{size!r} is not a size; write a whole number above 0 and k, m or g, such as 512m")
    return int(match[1]) * _UNITS[match[2].lower()]


def systemd_bytes(size: str) -> int | None:
    """Bytes of a size as systemd reads it, such as "1.5G"; None for what is no number of bytes (infinity, 20%)."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)([KMGTB]?)", size)
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].strip("B") or " ")) if match else None


def format_size(size: int) -> str:
    """Bytes as the documents write them: 1536m, 2g."""
    return f"{size // 1024**3}g" if size % 1024**3 == 0 else f"{size // MiB}m"


def _check_size(size: object) -> object:
    if not isinstance(size, str):
        raise ValueError("a size: a whole number above 0 and k, m or g, such as 512m")
    to_bytes(size)
    return size


Size = Annotated[str, BeforeValidator(_check_size)]
Architecture = Literal["arm64", "amd64"]


@dataclass(frozen=True)
class InstanceType:
    """Memory in MiB, processor and number of virtual processors of an EC2 instance type, from AWS's instance tables."""

    memory: int
    architecture: Architecture
    vcpus: int = 2


INSTANCE_TYPES = {
    "t4g.micro": InstanceType(1024, "arm64"),
    "t4g.small": InstanceType(2048, "arm64"),
    "t4g.medium": InstanceType(4096, "arm64"),
    "t4g.large": InstanceType(8192, "arm64"),
    "t4g.xlarge": InstanceType(16384, "arm64", 4),
    "t3.small": InstanceType(2048, "amd64"),
    "t3.medium": InstanceType(4096, "amd64"),
    "t3.large": InstanceType(8192, "amd64"),
    "t3.xlarge": InstanceType(16384, "amd64", 4),
}
