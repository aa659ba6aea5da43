"""What is said about a host beside its YAML."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["cannot be said", "does not fit", "not to be read off a host", "secret", "plain value"]


@dataclass(frozen=True)
class Remark:
    """`where` is a service, a unit, a site or a file; `text` what was found there and what is done about it."""

    kind: Kind
    where: str
    text: str
    source: str = ""
    """The environment file that a secret is in now."""


def unfit(where: str, text: str) -> Remark:
    return Remark("does not fit", where, text)


def unsaid(where: str, text: str) -> Remark:
    """What would be lost: it becomes an error of its service, or of the system."""
    return Remark("cannot be said", where, text)


def guess(where: str, text: str) -> Remark:
    return Remark("not to be read off a host", where, text)


def secret(service: str, name: str, source: str = "") -> Remark:
    return Remark("secret", service, name, source)


def plain_value(service: str, name: str, value: str) -> Remark:
    return Remark("plain value", service, f"{name}={value}")


def lines(remarks: Iterable[Remark], kind: Kind) -> list[str]:
    """Of one kind, what is the same of several things in one line."""
    places_by_text: dict[str, list[str]] = {}
    for remark in dict.fromkeys(remarks):
        if remark.kind == kind:
            places_by_text.setdefault(remark.text, []).append(remark.where)
    return [f"{', '.join(where)}: {text}" for text, where in places_by_text.items()]
