"""Commands that a release runs to their end before it switches, such as a database's migrations."""

from typing import Annotated

from pydantic import Field, model_validator

from catalogue.compose.container import Account
from catalogue.compose.values import Pause, Words, seconds
from catalogue.fields import EnvironmentName, Model, Name, one_or_list
from catalogue.service import Image


class ReleaseStep(Model):
    """A command that a release runs once, in a container of its own that is like the service's: the same image,
    environment, secrets, mounts and network, without its port. It runs while the present release serves, and again
    only for another image or another command. One that ends with anything but 0, or not within `limit`, refuses the
    release. `environment` is laid over the service's."""

    name: Name = "release"
    command: Words | None = None
    entrypoint: Words | None = None
    image: Image | None = None
    user: Account | None = None
    environment: dict[EnvironmentName, str] = {}
    limit: Pause = "10m"

    @model_validator(mode="after")
    def _does_something(self) -> "ReleaseStep":
        if not (self.command or self.entrypoint or self.image):
            raise ValueError("command: what it runs, such as python manage.py migrate")
        return self

    @property
    def seconds(self) -> float:
        return seconds(self.limit)


ReleaseSteps = Annotated[list[ReleaseStep], one_or_list("{command: python manage.py migrate}"), Field(max_length=20)]
