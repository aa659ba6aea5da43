"""The catalogue's texts in the language of a stack's owners: `files/alerts.ja.yaml` for `infra:language: ja`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from catalogue.alert_texts import file_of, read_alert_texts
from catalogue.alerts import AnyAlert
from catalogue.files import SourceText, read_text
from catalogue.problems import CatalogueError, Problem, nearest
from catalogue.validation import Document, problems_of

ENGLISH = "en"
Language = Literal["en", "ja"]


def alerts_in(language: str, alerts: Sequence[AnyAlert], root: Path) -> list[AnyAlert]:
    """The alerts with their texts in a language; one that has none there keeps its English text. Raises CatalogueError
    naming every entry that is wrong."""
    if language == ENGLISH:
        return [*alerts]
    file, path = str(file_of(language)), root / file_of(language)
    texts = read_alert_texts(path, file)
    source = SourceText(read_text(path, file))
    names = [alert.alert for alert in alerts]
    problems = [
        Problem(file, f"alert {name}", "is not an alert of files/alerts.yaml", nearest(name, names, "alerts"))
        for name in texts
        if name not in names
    ]
    translated: list[AnyAlert] = []
    for alert in alerts:
        if alert.alert not in texts:
            translated.append(alert)
            continue
        try:
            # Validated again: the text may name only what the alert has
            translated.append(type(alert).model_validate(alert.model_dump() | {"text": texts[alert.alert].text}))
        except ValidationError as error:
            document = Document(
                file,
                lambda place, name=alert.alert: ": ".join([f"alert {name}", *map(str, place)]),
                lambda _: ["text"],
                lambda place, value, name=alert.alert: source.at((name, *place), value),
            )
            problems += problems_of(error, document)
    if problems:
        raise CatalogueError(problems)
    return translated
