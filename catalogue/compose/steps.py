"""Commands that a release runs to their end before it switches, such as a database's migrations."""

from typing import Annotated

from pydantic import Field, model_validator

from catalogue.compose.container import Account
from catalogue.compose.durations import Pause, seconds
from catalogue.compose.values import Words
from catalogue.fields import EnvironmentName, Model, Name, one_or_list
from catalogue.service import Image


class ReleaseStep(Model):
    """A command that a release runs once, in a container of its own that is like the service's, without its port. It
    runs while the present release serves, and again only for another image or another command. One that ends with
    anything but 0 refuses the release."""

    name: Name = "release"
    """What it is called in reports; each needs another one where there are several."""
    command: Words | None = None
    """What it runs. A text is split into words as a shell would, and no shell runs it. It may be left out where `image`
    or `entrypoint` is given."""
    entrypoint: Words | None = None
    """The program, in place of the image's own; written as `command` is."""
    image: Image | None = None
    """Another image than the service's, with its own command and entrypoint."""
    user: Account | None = None
    """The account in the container that it runs as, where that is not the service's."""
    environment: dict[EnvironmentName, str] = {}
    """Variables with their values that it has beside the service's, or in place of them."""
    limit: Pause = "10m"
    """How long it may take; a step that takes longer refuses the release."""

    @model_validator(mode="after")
    def _does_something(self) -> "ReleaseStep":
        if not (self.command or self.entrypoint or self.image):
            raise ValueError("command: the command to run, such as python manage.py migrate")
        return self

    @property
    def seconds(self) -> float:
        return seconds(self.limit)


ReleaseSteps = Annotated[list[ReleaseStep], one_or_list("{command: python manage.py migrate}"), Field(max_length=20)]
