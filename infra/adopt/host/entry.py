"""A service of a compose file on a host. Pure."""

from dataclasses import dataclass
from typing import Any

from catalogue.shapes import ComposeBody
from infra.adopt.host.documents import Container, Unit


@dataclass(frozen=True)
class Entry:
    """A service of a compose file, with its container and the unit that runs the file, where there are such."""

    path: str
    key: str
    body: ComposeBody
    container: Container | None
    unit: Unit | None

    @property
    def where(self) -> str:
        running = self.container["name"] if self.container else ""
        return str(self.literal_value("container_name") or running or self.key)

    @property
    def networks(self) -> dict[str, str]:
        """Those that the container is in, and its address in each."""
        return self.container["networks"] if self.container else {}

    def literal_value(self, name: str, default: Any = None) -> Any:
        """What the file says; not what only a variable of compose's would."""
        value = self.body.get(name)
        return default if value is None or "${" in str(value) else value
