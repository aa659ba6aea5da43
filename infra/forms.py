"""The form of what a host may answer, and how an answer is held against it."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalogue.shapes import JsonObject, is_list, is_mapping
from infra.errors import InfraError

DEEPEST = 50  # levels of an answer
MOST = 10_000  # entries of a list or a mapping
Text = Annotated[str, Field(max_length=100_000)]
Seconds = Annotated[float, Field(ge=0, le=253_402_300_799)]  # since 1970, to the year 9999
WholeSeconds = Annotated[int, Field(ge=0, le=253_402_300_799)]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(ge=-(2.0**63), lt=2.0**63)]
Names = Annotated[list[Text], Field(max_length=MOST)]


class Form(BaseModel):
    # A newer agent says more
    model_config = ConfigDict(extra="allow", strict=True)


def mapping_in(line: str) -> JsonObject | None:
    """The mapping that a line of JSON is; None where it is something else, or has more than DEEPEST levels."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if is_mapping(value) and _depth(value) <= DEEPEST else None


def _depth(value: Any) -> int:
    """Levels of nested lists and mappings, as far as DEEPEST and one more."""
    level: list[Any] = [value]
    depth = 0
    while level and depth <= DEEPEST:
        inner = (list(item.values()) if is_mapping(item) else item for item in level)
        level = [item for items in inner for item in items if is_mapping(item) or is_list(item)]
        depth += 1
    return depth


def check_form(form: type[Form], event: Any, what: str, host: str) -> Any:
    """A value itself, when it has that form: the caller may then take it for the type that has it too. Raises
    InfraError, naming the host and the field."""
    try:
        form.model_validate(event)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise InfraError(
            f"{host}: {what} has another form than this program knows ({where[:200]}: {first['msg'][:200]})"
        ) from None
    return event
