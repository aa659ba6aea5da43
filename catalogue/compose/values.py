"""Values as the Compose Specification writes them, each in its one typed form. Its short forms are read as well."""

import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_serializer,
    model_validator,
)

from catalogue.compose.durations import Duration, Pause
from catalogue.compose.fields import MountFields
from catalogue.fields import ALLOWED, HEALTH, KERNEL, Model, Name, Port, Target, pattern_text
from catalogue.shapes import is_list, is_mapping
from catalogue.sizes import Size


def _form(value: Any) -> str | None:
    """Which way of writing a value has; a tag in <> is no part of a person's path to it."""
    if isinstance(value, str):
        return "<text>"
    if is_list(value):
        return "<list>"
    return "<mapping>" if isinstance(value, (dict, Model)) else None


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# What a container's words may hold: NUL ends a word for the kernel, and a line break one of a file
Word = Annotated[str, pattern_text(r"^[^\x00-\x08\x0b-\x1f\x7f]*$", "a text without control characters")]


def _words(value: Any) -> Any:
    """The words of a text, as a shell would split it; no shell runs it. Raises ValueError."""
    if not isinstance(value, str):
        return value
    try:
        words = shlex.split(value)
    except ValueError:
        raise ValueError("a text with matching quotes, or a list of quoted words") from None
    if operator := next((word for word in words if re.fullmatch(r"[|&;<>]+", word)), None):
        raise ValueError(f'words without {operator}, since no shell runs them: for a shell write [sh, -c, "…"]')
    return words


Words = Annotated[list[Word], BeforeValidator(_words)]
# A list is run as it is, a text by the container's shell
Command = Annotated[
    Annotated[Word, Tag("<text>")] | Annotated[list[Word], Tag("<list>")],
    Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message="a text, or a list of quoted words",
    ),
]
Label = Annotated[
    str,
    pattern_text(
        r"^[A-Za-z0-9][A-Za-z0-9._/:@\[\]-]*$",
        "a label's name, such as com.example.team: letters, digits, and after the first . _ / : @ [ ] -",
    ),
]
# What belongs to a container's own namespaces
SystemControl = Annotated[
    str,
    pattern_text(
        r"^(net\.[a-z0-9_.-]+|kernel\.(shm|msg)[a-z]+|kernel\.sem|fs\.mqueue\.[a-z_]+)$",
        "a setting of a container's namespaces: net.…, kernel.shm…, kernel.msg…, kernel.sem or fs.mqueue.…",
    ),
]
Text = Annotated[Word, BeforeValidator(_text)]
Resource = Literal[
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
]  # fmt: skip


class Mount(Model):
    """A place in a container whose content is not the container's own: a named volume, a path of the host, or memory.
    The short form is SOURCE:TARGET, with `:ro` where the container may only read it."""

    type: Literal["volume", "bind", "tmpfs"]
    """`volume` is a named volume, `bind` a path of the host, `tmpfs` memory."""
    source: str | None = None
    """The volume's name, or the path of the host. A `tmpfs` has none."""
    target: Target
    """Where the container sees it."""
    read_only: bool = False
    """Whether the container may only read it."""
    size: Size | None = None
    """The most that a `tmpfs` may hold."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        parts = _short_mount(value) if isinstance(value, str) else value
        if not is_mapping(parts):
            raise ValueError("SOURCE:TARGET, or {type: …, source: …, target: …}")
        # As people write directories
        return {name: _bare(part) if name in ("source", "target") else part for name, part in parts.items()}

    @model_validator(mode="after")
    def _complete(self) -> "Mount":
        if self.type == "tmpfs":
            if self.source is not None:
                raise ValueError("a tmpfs has no source")
            return self
        if self.size is not None:
            raise ValueError("only a tmpfs has a size")
        if any(self.target == place or self.target.startswith(f"{place}/") for place in KERNEL):
            raise ValueError(f"another target: {self.target} belongs to the kernel in each container")
        parts = (self.source or "").split("/")
        if self.type == "bind" and (not re.fullmatch(_ABSOLUTE, self.source or "") or {".", ".."} & {*parts}):
            raise ValueError("source: a path of the host from the root, without . and .., such as /srv/app/data")
        if self.type == "volume" and not re.fullmatch(_VOLUME, self.source or ""):
            raise ValueError(
                "source: the name of a volume, such as app-data; an anonymous one is lost with the container"
            )
        return self

    @property
    def keeps(self) -> bool:
        """Is something there that outlives the container, and that it may change."""
        return self.type != "tmpfs" and not self.read_only and not self.is_docker

    @property
    def is_docker(self) -> bool:
        """Is it Docker's own socket."""
        return self.type == "bind" and _one_slash(self.source) in DOCKER_SOCKETS

    @property
    def reaches_sockets(self) -> bool:
        return self.type == "bind" and has_sockets(self.source or "")


def has_sockets(path: str) -> bool:
    """Is Docker's socket at a path of the host, or below it: read-only is no bar to it. So are those of the host's
    other programs."""
    plain = re.sub("^/var/run(?=/|$)", "/run", _one_slash(path).rstrip("/"))
    return path.startswith("/") and (plain in ("", "/var", "/run") or plain.startswith("/run/"))


def _one_slash(path: str | None) -> str:
    return re.sub("/+", "/", path or "")


def _bare(value: Any) -> Any:
    return value.rstrip("/") or value if isinstance(value, str) else value


_ABSOLUTE = r"(/+[\w.@:+,=~-]+)+|/"
_VOLUME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
DOCKER_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")


def _short_mount(text: str) -> MountFields:
    """Raises ValueError."""
    parts = text.split(":")
    mode = parts.pop() if len(parts) > 2 else "rw"
    options = mode.split(",")
    if len(parts) != 2 or not set(options) <= {"ro", "rw", "z", "Z", "cached", "delegated", "consistent"}:
        raise ValueError("SOURCE:TARGET or SOURCE:TARGET:ro, such as app-data:/var/lib/app")
    source, target = parts
    if source.startswith((".", "~")):
        raise ValueError("an absolute path of the host: a relative one has no meaning there")
    kind = "bind" if source.startswith("/") else "volume"
    return {"type": kind, "source": source, "target": target, "read_only": "ro" in options}


_PUBLISHED = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?::([0-9]{1,5})(?:-([0-9]{1,5}))?)?(?:/(tcp|udp))?")


MOST_PORTS = 200


class PublishedPort(Model):
    """A port of the host, or a range of them, at which a container answers on every address. The short form is
    Compose's: PORT, PORT:INSIDE or FIRST-LAST, with /udp where it is that."""

    first: Port
    """The first port of the host."""
    last: Port
    """The last port of the host, the same as `first` where it is one port."""
    inside: Port
    """The port in the container that `first` leads to; those after it follow."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """The protocol of these ports."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if is_mapping(value):
            return value
        match = _PUBLISHED.fullmatch(str(value)) if isinstance(value, str | int) and value is not True else None
        if not match:
            raise ValueError('PORT, PORT:INSIDE, FIRST-LAST, or one of them with /udp, such as "25" or "51820/udp"')
        if any(number and not 0 < int(number) < 65536 for number in match.groups()[:4]):
            raise ValueError("ports from 1 to 65535")
        first, last = int(match[1]), int(match[2] or match[1])
        inside, inside_last = int(match[3] or first), int(match[4] or match[3] or last)
        if match[3] and inside_last - inside != last - first:
            raise ValueError(f"as many ports of the container as of the host, not {value}")
        return {"first": first, "last": last, "inside": inside, "protocol": match[5] or "tcp"}

    @model_validator(mode="after")
    def _in_order(self) -> "PublishedPort":
        if not self.first <= self.last or self.inside + self.last - self.first > 65535:
            raise ValueError("FIRST-LAST, the lower port first, and none above 65535")
        if len(self.numbers) > MOST_PORTS:
            # Docker starts a process for each of them
            raise ValueError(f"at most {MOST_PORTS} ports; network_mode: host for more")
        return self

    @model_serializer
    def _short(self) -> str:
        inside = "" if self.inside == self.first else f":{_span(self.inside, self.inside + self.last - self.first)}"
        return f"{_span(self.first, self.last)}{inside}{'' if self.protocol == 'tcp' else '/udp'}"

    @property
    def numbers(self) -> range:
        return range(self.first, self.last + 1)

    @property
    def text(self) -> str:
        """As people write it: 25/tcp, 10000-10010/udp."""
        return f"{_span(self.first, self.last)}/{self.protocol}"

    @property
    def mapping(self) -> str:
        """As a compose file has it."""
        inside = _span(self.inside, self.inside + self.last - self.first)
        return f"{_span(self.first, self.last)}:{inside}/{self.protocol}"


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


class Limits(Model):
    """A resource limit of a container's processes; one number is both."""

    soft: Annotated[int, Field(ge=-1)]
    """The limit that is in force, which the process may raise up to `hard`; -1 for none."""
    hard: Annotated[int, Field(ge=-1)]
    """The highest limit; -1 for none."""

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and value < -1:
            raise ValueError("a whole number of at least 0, or -1 for no limit")
        return {"soft": value, "hard": value} if whole else value

    @model_validator(mode="after")
    def _in_order(self) -> "Limits":
        if self.hard != -1 and not -1 < self.soft <= self.hard:
            raise ValueError("soft, at most as large as hard")
        return self


class Dependency(Model):
    """What a service waits for before it starts."""

    condition: Literal["service_started", "service_healthy"] = "service_started"
    """Whether it is enough that the other service is started, or whether it must be healthy."""


def _by_name(value: Any) -> Any:
    """A plain list of services is one whose conditions are the default."""
    if is_list(value) and all(isinstance(item, str) for item in value):
        return {item: dict[str, object]() for item in value}
    return value


Dependencies = Annotated[dict[Name, Dependency], BeforeValidator(_by_name)]


class HealthCommand(Model):
    """A command in the container that ends with 0 while the service is healthy. The other fields are those of Compose's
    `healthcheck`."""

    command: Command
    """The command; a text is for the container's shell."""
    interval: Pause = "10s"
    """The time from one check to the next."""
    timeout: Pause = "5s"
    """How long one check may take."""
    retries: Annotated[int, Field(ge=1, le=100)] = 3
    """After how many failed checks in a row it counts as unhealthy."""
    start_period: Duration = "0s"
    """For how long after its start failed checks do not count."""

    @field_validator("command", mode="before")
    @classmethod
    def _as_in_compose(cls, value: Any) -> Any:
        """Compose's own first word says how the others are run."""
        if not is_list(value) or not value or value[0] not in ("CMD", "CMD-SHELL", "NONE"):
            return value
        if value[0] == "NONE":
            raise ValueError("a command, or health: running for a service without a check")
        return value[1:] if value[0] == "CMD" else " ".join(map(str, value[1:]))

    @field_validator("command")
    @classmethod
    def _says_something(cls, command: Any) -> Any:
        if not command or command == [""]:
            raise ValueError("a command that ends with 0 while the service is healthy")
        return command

    @property
    def test(self) -> list[str]:
        return ["CMD-SHELL", self.command] if isinstance(self.command, str) else ["CMD", *self.command]


HealthText = Annotated[str, Field(pattern=HEALTH)]
ContainerHealth = Annotated[
    Annotated[HealthText, Tag("<text>")] | Annotated[HealthCommand, Tag("<mapping>")],
    Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message=ALLOWED[HEALTH],
    ),
]
