"""What a service takes by itself once it is on its host."""

from typing import Annotated

from catalogue.fields import Model, pattern_text
from catalogue.service import TAG


class Deploy(Model):
    """How new builds of a service come to its host, beside `pulumi up` and `infra deploy`."""

    watch: Annotated[str, pattern_text(*TAG)]
    """The tag of its image that the host asks the registry for twice a minute. Another image under it is deployed
    there, through the gate of every release. It is the tag that `image` has."""


class Following(Model):
    """A service that new builds may come to by themselves."""

    deploy: Deploy | None = None
    """With `{watch: TAG}` its host takes each new image of that tag by itself, so that no other machine needs a way in.
    Without it, `pulumi up` and `infra deploy` bring new builds."""

    @property
    def followed_tag(self) -> str:
        """The tag that its host follows; "" where it follows none."""
        return self.deploy.watch if self.deploy else ""
