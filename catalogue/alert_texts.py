"""Japanese texts of the alert conditions: the shape of `files/alerts.ja.yaml`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from catalogue.fields import Model
from catalogue.files import Written, read_mapping, read_text
from catalogue.problems import CatalogueError
from catalogue.validation import Document, problems_of


def file_of(language: str) -> Path:
    """The alerts' texts in another language: a mapping alert → {text: …}."""
    return Path(f"files/alerts.{language}.yaml")


JAPANESE = file_of("ja")
RULE = "the name of each alert, and below it {text: its message}"
Said = Annotated[str, Field(min_length=1)]


class AlertText(Model):
    """What is said of an alert condition in another language, below its name."""

    text: Said
    """What a host with that language reports: the condition's own `text`, with the same fields in braces."""
    title: Said | None = None
    """A few words for it, for the reference."""
    meaning: Said | None = None
    """What it means, for the reference; without one the condition has no section there."""
    actions: list[Said] = []
    """What to do, in the order to try it, for the reference."""
    see: Annotated[str, Field(pattern=r"^docs/\S+\.md(#\S+)?$")] | None = None
    """A page of the project with more, with a heading where one fits."""


def read_alert_texts(path: Path, file: str = str(JAPANESE)) -> dict[str, AlertText]:
    """Alert's name → its texts. Raises CatalogueError naming every field that is wrong."""
    data = read_mapping(path, file, RULE)
    try:
        return TypeAdapter(dict[str, AlertText]).validate_python(data)
    except ValidationError as error:
        document = Document(
            file,
            lambda place: ".".join(map(str, place)) or "file",
            lambda place: list(AlertText.model_fields) if len(place) > 1 else [],
            Written(read_text(path, file)).at,
        )
        raise CatalogueError(problems_of(error, document)) from None
