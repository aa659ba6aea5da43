"""The virtual environment of a service in Python: what it is made of, and where it is."""

from typing import Annotated

from pydantic import Field

from catalogue.compose.durations import Pause, seconds
from catalogue.fields import ContainerPath, Model, pattern_text

PROJECT, LOCK = "pyproject.toml", "uv.lock"
_FOLDER = (
    r"^/?[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$",
    "a folder below files/static/, such as recall/python, or a path in an artefact, such as /srv/recall/backend",
)
_VERSION = r"^3\.[0-9]{1,2}$", 'a version of Python in quotes, such as "3.11"'
_PART = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", "the name of a dependency group or an extra, such as gpu"
_INDEX = (
    r"^(https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~%-]+)*/?|(/[A-Za-z0-9._@+=~-]+)+)$",
    "the address of an index, such as https://pypi.example.com/simple and without a login, or a directory of the host",
)
Part = Annotated[str, pattern_text(*_PART)]


class PythonEnvironment(Model):
    """A virtual environment that the host makes as a lock file of uv says, before the release is switched. The release
    leads a link to it."""

    lock: Annotated[str, pattern_text(*_FOLDER)]
    """The folder with `pyproject.toml` and `uv.lock`: below `files/static/`, or a path on the host in an artefact of
    the system's (it begins with `/`)."""
    into: ContainerPath
    """The path on the host that is a link to the environment, such as `/srv/recall/venv`; each release switches it."""
    version: Annotated[str, pattern_text(*_VERSION)] | None = None
    """The Python that it is made with, which the host has (`python3.11` for `"3.11"`). Without it the host's
    `python3`."""
    groups: Annotated[list[Part], Field(max_length=20)] = []
    """Dependency groups of the project that are installed too. `dev` is not, unless it is named."""
    extras: Annotated[list[Part], Field(max_length=20)] = []
    """Extras of the project that are installed too."""
    index: Annotated[str, pattern_text(*_INDEX)] | None = None
    """Where packages and uv itself come from, in the place of PyPI and of the addresses in the lock: a mirror, or a
    directory of the host or of an artefact with wheels. Hashes are those of the lock."""
    limit: Pause = "15m"
    """How long making it may take; one that takes longer refuses the release."""

    @property
    def is_in_artefact(self) -> bool:
        return self.lock.startswith("/")

    @property
    def sources(self) -> list[str]:
        """The files of `files/static/` that it is made of."""
        return [] if self.is_in_artefact else [f"{self.lock}/{name}" for name in (PROJECT, LOCK)]

    @property
    def seconds(self) -> float:
        return seconds(self.limit)
