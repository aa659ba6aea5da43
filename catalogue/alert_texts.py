"""Japanese texts of the alert conditions: the shape of `files/alerts.ja.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from catalogue.fields import Model
from catalogue.files import Written, read_text, read_yaml
from catalogue.problems import CatalogueError
from catalogue.validation import problems_of

JAPANESE = Path("files/alerts.ja.yaml")
Said = Annotated[str, Field(min_length=1)]


class AlertText(Model):
    """What is said of a condition in another language: `text` is its own `text`, with the same fields in braces;
    `actions` are what to do, in the order to try it; `see` is a page of the project, with a heading where one fits."""

    title: Said
    text: Said
    meaning: Said
    actions: Annotated[list[Said], Field(min_length=1)]
    see: Annotated[str, Field(pattern=r"^docs/\S+\.md(#\S+)?$")] | None = None


def read_alert_texts(path: Path) -> dict[str, AlertText]:
    """Alert's name → its texts. Raises CatalogueError naming every field that is wrong."""
    data = read_yaml(path, str(JAPANESE))
    try:
        return TypeAdapter(dict[str, AlertText]).validate_python(data)
    except ValidationError as error:
        written = Written(read_text(path, str(JAPANESE))).at
        raise CatalogueError(
            problems_of(
                error, str(JAPANESE), lambda place: ".".join(map(str, place)) or "file",
                lambda place: list(AlertText.model_fields) if len(place) > 1 else [], written,
            )
        ) from None  # fmt: skip
