"""What a model says of the place that a finding of pydantic's names: the path as a file has it, and what fits there."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

Path = tuple[int | str, ...]
Described = type[BaseModel] | TypeAdapter[Any]
SCHEMA_OF = {"json-or-python": "python_schema", "lax-or-strict": "strict_schema"}
NUMBERS = ("int", "float")
# Pydantic names it in a library of its own, which its models have already
VALIDATOR: Any = type(TypeAdapter(str).validator)


@dataclass(frozen=True)
class Place:
    """`path` is without the branches of a union: `gpus` is a number or a word, which pydantic calls
    `gpus.constrained-int`. `schemas` are pydantic's, of what may stand there."""

    path: Path
    schemas: list[Any] = field(default_factory=list[Any])
    definitions: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def bounds(self) -> str:
        """Which numbers are allowed, such as `1 to 65535`; "" where that is not known."""
        plain = [_plain(schema, self.definitions) for schema in self.schemas]
        choices = [choice for schema in plain if schema["type"] == "union" for choice in _choices(schema)]
        plain += [_plain(choice, self.definitions) for choice in choices]
        number = next((one for one in plain if one["type"] in NUMBERS), dict[str, Any]())
        least, above, largest = (number.get(name) for name in ("ge", "gt", "le"))
        if least is not None and largest is not None:
            return f"{number_text(least)} to {number_text(largest)}"
        below = f" and at most {number_text(largest)}" if largest is not None else ""
        if above is not None:
            return f"above {number_text(above)}{below}"
        return f"at least {number_text(least)}" if least is not None else below.removeprefix(" and ")

    def refusal(self, text: str) -> Any:
        """What pydantic finds wrong with a text in the place of a value that is none; None where it fits."""
        for schema in [schema for schema in self.schemas if _plain(schema, self.definitions)["type"] == "str"]:
            try:
                VALIDATOR(schema).validate_python(text)
            except ValidationError as error:
                return error.errors(include_url=False)[0]
        return None


def number_text(number: float) -> str:
    return f"{number:.0f}" if number == int(number) else f"{number}"


def place_of(model: Described | None, path: Path) -> Place:
    """The place of a finding; where no model is given its path alone."""
    if model is None:
        return Place(path)
    definitions: dict[str, Any] = {}
    schemas: list[Any] = [model.core_schema if isinstance(model, TypeAdapter) else model.__pydantic_core_schema__]
    written_path: list[int | str] = []
    for part in path:
        plain = [_plain(schema, definitions) for schema in schemas]
        below = [schemas_below for schema in plain for schemas_below in _below(schema, part)]
        if not below and (unions := [schema for schema in plain if schema["type"] == "union"]):
            matches = [
                choice for union in unions for choice in union["choices"] if _is_called(choice, part, definitions)
            ]
            choices = matches or [choice for union in unions for choice in union["choices"]]
            schemas = [choice[0] if isinstance(choice, tuple) else choice for choice in choices]
            continue
        written_path.append(part)
        schemas = below
    return Place(tuple(written_path), schemas, definitions)


def _is_called(choice: Any, part: int | str, definitions: dict[str, Any]) -> bool:
    """Is a branch of a union the one that a path names, as far as pydantic's names for them say so."""
    kind = _plain(choice[0] if isinstance(choice, tuple) else choice, definitions)["type"]
    return str(part).removeprefix("constrained-").startswith(kind)


def _choices(union: Any) -> list[Any]:
    return [choice[0] if isinstance(choice, tuple) else choice for choice in union["choices"]]


def _plain(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without what only wraps it: defaults, validators, references."""
    while True:
        kind = schema["type"]
        if kind == "definitions":
            definitions.update({definition["ref"]: definition for definition in schema["definitions"]})
            schema = schema["schema"]
        elif kind == "definition-ref":
            schema = definitions[schema["schema_ref"]]
        elif kind in SCHEMA_OF:
            schema = schema[SCHEMA_OF[kind]]
        elif "schema" in schema:
            schema = schema["schema"]
        else:
            return schema


def _below(schema: Any, part: int | str) -> list[Any]:
    """The schemas of a part of a value; none where that is not known."""
    match schema["type"]:
        case "model-fields":
            fields = schema["fields"].items()
            return [one["schema"] for name, one in fields if part in (name, one.get("validation_alias"))]
        case "tagged-union":
            return [schema["choices"][part]] if part in schema["choices"] else []
        case "list":
            return [schema["items_schema"]] if isinstance(part, int) and "items_schema" in schema else []
        case "dict":
            return [schema["values_schema"]] if isinstance(part, str) and "values_schema" in schema else []
        case _:
            return []
