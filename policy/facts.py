"""The input of policy rules (facts) and their output (findings)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

# What a resource is asked for with, by its provider's names and of the shapes of its schema: some hundred resources
# have other ones, and a rule's examples in tests/policy/ hold those that it reads
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """A resource of the program: Pulumi's type, the program's name of it, its inputs as Pulumi has them."""

    type: str
    name: str
    inputs: Inputs


@dataclass(frozen=True)
class Facts:
    """A stack after the update. `files` are host → path → text, `plain` "host:path" → the names to which an environment
    file assigns plain values, `exceptions` "host:path key" of a service in a compose file → the ways in which the
    catalogue lets it reach further, each with its reason, `shrinking` the machines whose disk would shrink (GiB before
    and after), `limits` the stack's own (see `Limits`), `monthly` US dollars a month (None where a price is
    unknown)."""

    stack: str
    resources: list[Resource] = field(default_factory=list)
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    plain: dict[str, list[str]] = field(default_factory=dict)
    exceptions: dict[str, dict[str, str]] = field(default_factory=dict)
    shrinking: dict[str, tuple[int, int]] = field(default_factory=dict)
    limits: "Limits" = field(default_factory=lambda: Limits())
    monthly: float | None = None

    def of(self, type: str) -> Iterator[Resource]:
        return (resource for resource in self.resources if resource.type == type)


@dataclass(frozen=True)
class Limits:
    """`budget` in US dollars a month, the machines that may be used, `volume` in GiB that a disk must have at least,
    and whether the stack's machines must be protected."""

    budget: float = 300.0
    instance_types: tuple[str, ...] = ()
    volume: int = 0
    protected: bool = False


@dataclass(frozen=True)
class Finding:
    """A violation of a rule: `error` stops an update, `warning` is only shown."""

    rule: str
    where: str
    found: str
    remedy: str
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.level}: {self.rule}: {self.where}: {self.found}; {self.remedy}"


def files_ending(facts: Facts, endings: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for host, files in facts.files.items():
        for path, text in files.items():
            if path.endswith(endings):
                yield host, path, text
