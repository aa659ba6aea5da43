"""The two files that describe a project's lab: its stack `lab` (Pulumi.lab.yaml), and the lab's extras (lab.yaml)."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from catalogue.problems import CatalogueError
from catalogue.sizes import Size
from catalogue.stack import read_config
from lab.reading import Model, read_model
from lab.say import LabError

ROOT = Path(__file__).parent.parent
STACK, FILE = "Pulumi.lab.yaml", "lab.yaml"
# The emulated AWS has another region than the stack's own, so that a move can be rehearsed
OTHER_REGIONS = ("ap-northeast-1", "ap-southeast-2", "us-east-2")
MOST_REGIONS = 4


Folder = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Line = Annotated[str, Field(pattern=r"^[ -~]+$")]


class Stub(Model):
    """The program in an image of the stack's own registry: where it listens, what its health is, the path that all it
    serves lies under; `runs` reports each run to the lab."""

    port: int = Field(ge=1, le=65535)
    health: str = Field("/", pattern="^/")
    prefix: str = Field("/", pattern="^/")
    runs: Literal[True] | None = None

    def facts(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class OwnMachine(Model):
    """A machine that no program made: `plain` without Docker and proxies, or `host` with them. `programs` are folders
    of lab/programs/ that are on it."""

    kind: Literal["plain", "host"] = "plain"
    memory: Size
    systems: list[str]
    programs: list[Folder] = []


class Extras(Model):
    """lab.yaml.

    `machines` are the owners' own, `programs` folders of lab/programs/ in the image of EC2 hosts. `foreign_names` are
    names in zones of others → the system whose host they lead to; `rehearse` the hosts of `make rehearse-move`, all
    where none is named. `images` are NAME:TAG, of the stack's own registry or another's, → an image of this machine's
    Docker, a folder with a Dockerfile (./FOLDER) or, of another registry, `stub`; of an artefact what is in ./FOLDER or
    ./FILE, and of a folder with a program.yaml what that builds. `secrets` are SERVICE.NAME → value, in this lab alone.
    """

    machines: dict[Folder, OwnMachine] = {}
    programs: list[Folder] = []
    foreign_names: dict[str, str] = {}
    rehearse: list[str] = []
    stubs: dict[str, Stub] = {}
    images: dict[Annotated[str, Field(pattern=r"^[^:@]+(:[0-9]+/[^:@]+)?[:@].+$")], Line] = {}
    secrets: dict[str, str] = {}


class Project:
    """A project's lab files, read on first use. Raises LabError with every fault in them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """Raises LabError with every fault in lab.yaml."""
        assert self.extras

    @cached_property
    def extras(self) -> Extras:
        path = self.root / FILE
        if not path.exists():
            return Extras()
        return read_model(Extras, path, FILE, "lab/project.py")

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            return read_config(self.root / STACK, STACK)
        except CatalogueError as error:
            raise LabError(str(error)) from None

    def _text(self, key: str) -> str:
        value = self._config.get(key)
        if not isinstance(value, str) or not value:
            raise LabError(f"{STACK}: {key}: the lab's AWS needs it; set it to a text in quotes")
        return value

    @property
    def account(self) -> str:
        return self._text("infra:accountId")

    @property
    def zone(self) -> str:
        return self._text("infra:zone")

    @property
    def regions(self) -> tuple[str, ...]:
        """The stack's own, one to rehearse a move from, and those that it has hosts or backups in besides."""
        own = self._text("aws:region")
        backup, standby = self._config.get("infra:backupRegion"), self._config.get("infra:standbyRegions")
        other = next(name for name in OTHER_REGIONS if name not in (own, backup))
        regions = [own, other, *(standby if isinstance(standby, list) else []), backup]
        names = tuple(dict.fromkeys(name for name in regions if isinstance(name, str)))
        if len(names) > MOST_REGIONS:
            raise LabError(f"{STACK}: {len(names)} regions; the lab supports at most {MOST_REGIONS}: remove some")
        return names
