"""What a compose file says of a service, as fields of the catalogue before their models validate them. A value that is
an object here is the file's own, of whatever shape it has there. Pure."""

from collections.abc import Mapping
from typing import Literal, NotRequired, TypedDict


class MountFields(TypedDict):
    """Of a `Mount` (catalogue/compose/values.py)."""

    type: object
    target: str
    source: NotRequired[str]
    read_only: NotRequired[bool]
    size: NotRequired[object]


class FileFields(TypedDict):
    """Of a `ContainerFile`."""

    path: str
    source: str
    mode: NotRequired[str]


class HealthFields(TypedDict):
    """Of a `HealthCommand`."""

    command: object
    interval: NotRequired[object]
    timeout: NotRequired[object]
    retries: NotRequired[object]
    start_period: NotRequired[object]


class ImageFields(TypedDict):
    """Of an `Image`."""

    repository: str
    tag: NotRequired[str]
    digest: NotRequired[str]


class ImageField(TypedDict, total=False):
    """`image` of a service, where the file says it: another version of theirs has keys of the catalogue's too."""

    image: ImageFields | Mapping[str, object]


class LimitFields(TypedDict):
    """Of a `Memory`."""

    limit: object


class MemoryField(TypedDict, total=False):
    """`memory` of a service, where the file limits it."""

    memory: LimitFields


class PortFields(TypedDict, total=False):
    """The ports of a service, where the file publishes one."""

    port: int
    container_port: int


class ConditionFields(TypedDict):
    """Of a `Dependency`."""

    condition: object


class WaitField(TypedDict, total=False):
    """`depends_on` of a service, where the file names others."""

    depends_on: dict[str, ConditionFields]


class EnvironmentField(TypedDict, total=False):
    """`environment` of a service, as the file has it."""

    environment: dict[str, object]


class StepFields(TypedDict, total=False):
    """Of a `ReleaseStep`."""

    name: str
    command: object
    entrypoint: object
    user: object
    image: object
    environment: dict[str, object]
    limit: str


# How a service is checked: by a command, or not at all
Health = HealthFields | Literal["running"]
