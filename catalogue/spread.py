"""A spread service: a container of which the Docker Swarm of a group of hosts runs several (catalogue/groups.py)."""

from catalogue.service import Image
from catalogue.services import ComposeService, OneshotService


class SpreadService(OneshotService):
    """The unit that brings it up to date in the Swarm."""

    container: ComposeService

    @property
    def secret_names(self) -> list[str]:
        return self.container.secret_names

    @property
    def images(self) -> list[Image]:
        return self.container.images

    @property
    def copies(self) -> int:
        return self.container.spread or 1
