"""How the lab reads what a person wrote for it."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from catalogue.files import read_mapping
from catalogue.problems import CatalogueError
from lab.say import LabError


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Read = TypeVar("Read", bound=Model)


def read_model(kind: type[Read], path: Path, file: str, see: str) -> Read:
    """A YAML file; `file` is its name in messages, `see` where its keys are described. Raises LabError with all that is
    wrong in it."""
    try:
        return kind.model_validate(read_mapping(path, file, f"see {see} for its keys"))
    except CatalogueError as error:
        raise LabError(str(error)) from None
    except ValidationError as error:
        complaints = [f"{file}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise LabError("\n".join(complaints)) from None
