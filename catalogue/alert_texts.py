"""What each alert condition means and what to do about it: the shapes of `files/alerts.en.yaml`, and of
`files/alerts.ja.yaml`, which also has the conditions' texts in Japanese."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from catalogue.alert_names import ALERTS, current_alert
from catalogue.fields import Model
from catalogue.files import SourceText, read_mapping, read_text
from catalogue.problems import CatalogueError
from catalogue.validation import Document, problems_of


def file_of(language: str) -> Path:
    """What is said of the alerts in a language: a mapping alert → {title: …, meaning: …}."""
    return Path(f"files/alerts.{language}.yaml")


ENGLISH = file_of("en")
JAPANESE = file_of("ja")
RULE_EN = "the name of each alert, and below it {meaning: what it means, actions: [what to do]}"
RULE_JA = "the name of each alert, and below it {text: its message}"
Said = Annotated[str, Field(min_length=1)]


class AlertExplanation(Model):
    """What an alert condition means and what to do about it, below its name, for the reference."""

    title: Said | None = None
    """A few words for it."""
    meaning: Said | None = None
    """What it means; without one the condition has no section in the reference."""
    actions: list[Said] = []
    """What to do, in the order to try it."""
    see: Annotated[str, Field(pattern=r"^docs/\S+\.md(#\S+)?$")] | None = None
    """A page of the project with more, with a heading where one fits."""


class AlertText(AlertExplanation):
    """What is said of an alert condition in another language, below its name."""

    text: Said
    """What a host with that language reports: the condition's own `text`, with the same fields in braces."""


Shape = TypeVar("Shape")


def read_alert_explanations(path: Path) -> dict[str, AlertExplanation]:
    """Alert's name → what it means in English. Raises CatalogueError naming every field that is wrong."""
    adapter = TypeAdapter(dict[str, AlertExplanation])
    return _read(path, str(ENGLISH), RULE_EN, adapter, AlertExplanation.model_fields)


def read_alert_texts(path: Path, file: str = str(JAPANESE)) -> dict[str, AlertText]:
    """Alert's name → its texts. Raises CatalogueError naming every field that is wrong."""
    return _read(path, file, RULE_JA, TypeAdapter(dict[str, AlertText]), AlertText.model_fields)


def _read(path: Path, file: str, rule: str, adapter: TypeAdapter[Shape], fields: Iterable[str]) -> Shape:
    data = read_mapping(path, file, rule)
    # An entry by its name of today goes before one by an earlier name
    today = {current_alert(name): texts for name, texts in data.items() if current_alert(name) not in data}
    data = {name: texts for name, texts in data.items() if name not in ALERTS} | today
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        document = Document(
            file,
            lambda place: ".".join(map(str, place)) or "file",
            lambda place: [*fields] if len(place) > 1 else [],
            SourceText(read_text(path, file)).at,
        )
        raise CatalogueError(problems_of(error, document)) from None
